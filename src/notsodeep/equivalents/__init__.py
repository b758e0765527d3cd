"""High-dimensional equivalents: the coefficients, and the matrices made of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from notsodeep.equivalents.coefficients import CKCoefficients, Coefficients, NTKCoefficients, coefficients

if TYPE_CHECKING:
    from notsodeep.equivalents.assembly import equivalent
    from notsodeep.equivalents.diagnosis import Diagnosis, diagnose
    from notsodeep.equivalents.operator import EquivalentOperator

__all__ = [
    "CKCoefficients",
    "Coefficients",
    "Diagnosis",
    "EquivalentOperator",
    "NTKCoefficients",
    "coefficients",
    "diagnose",
    "equivalent",
]

_HOME = {
    "Diagnosis": "diagnosis",
    "EquivalentOperator": "operator",
    "diagnose": "diagnosis",
    "equivalent": "assembly",
}


def __getattr__(name: str) -> Any:
    """Import the matrices, and torch with them, when one is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
