"""High-dimensional equivalents: the coefficients, and the matrices made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notsodeep.equivalents.coefficients import CKCoefficients, Coefficients, NTKCoefficients, coefficients

if TYPE_CHECKING:
    from notsodeep.equivalents.assembly import equivalent
    from notsodeep.equivalents.operator import EquivalentOperator

__all__ = ["CKCoefficients", "Coefficients", "EquivalentOperator", "NTKCoefficients", "coefficients", "equivalent"]


def __getattr__(name: str) -> Any:
    """Import the matrices, and torch with them, when one is first asked for."""
    if name == "equivalent":
        from notsodeep.equivalents import assembly

        return assembly.equivalent
    if name == "EquivalentOperator":
        from notsodeep.equivalents import operator

        return operator.EquivalentOperator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
