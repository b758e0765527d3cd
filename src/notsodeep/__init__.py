"""notsodeep: exact kernels of deep equilibrium models, and shallow networks that have the same ones."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from notsodeep._version import __version__

if TYPE_CHECKING:
    from notsodeep.activations import Activation as Activation
    from notsodeep.activations import activation as activation
    from notsodeep.data import (
        Dataset as Dataset,
    )
    from notsodeep.data import (
        GaussianMixture as GaussianMixture,
    )
    from notsodeep.data import (
        Statistics as Statistics,
    )
    from notsodeep.data import (
        load_dataset as load_dataset,
    )
    from notsodeep.equivalents import coefficients as coefficients
    from notsodeep.equivalents import equivalent as equivalent
    from notsodeep.errors import ConvergenceError as ConvergenceError
    from notsodeep.errors import DataError as DataError
    from notsodeep.kernels.api import ck as ck
    from notsodeep.kernels.api import kernels as kernels
    from notsodeep.kernels.api import ntk as ntk
    from notsodeep.matching import match as match
    from notsodeep.networks import load as load
    from notsodeep.networks import save as save
    from notsodeep.spec import DEQ as DEQ
    from notsodeep.spec import MLP as MLP
    from notsodeep.spec import Layer as Layer

_HOME = {
    "Activation": "activations",
    "ConvergenceError": "errors",
    "DEQ": "spec",
    "DataError": "errors",
    "Dataset": "data",
    "GaussianMixture": "data",
    "Layer": "spec",
    "MLP": "spec",
    "Statistics": "data",
    "activation": "activations",
    "ck": "kernels",
    "coefficients": "equivalents",
    "equivalent": "equivalents",
    "kernels": "kernels",
    "load": "networks",
    "load_dataset": "data",
    "match": "matching",
    "ntk": "kernels",
    "save": "networks",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604  # the names are strings


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import notsodeep`` itself is quick."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    value = module if name == "kernels" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
