"""notsodeep: exact kernels of deep equilibrium models, and shallow networks that have the same ones."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from notsodeep import errors
from notsodeep._version import __version__

if TYPE_CHECKING:
    from notsodeep import activations, compiler, data, equivalents, matching, networks, spec, spectra  # noqa: F401
    from notsodeep.activations import Activation, activation
    from notsodeep.compiler import compile  # noqa: A004  # the verb that it is
    from notsodeep.data import Dataset, GaussianMixture, Statistics, load_dataset
    from notsodeep.equivalents import coefficients, diagnose, equivalent
    from notsodeep.errors import ConvergenceError, DataError
    from notsodeep.kernels.api import KernelsFunction, ck, ntk
    from notsodeep.matching import match
    from notsodeep.networks import load, save
    from notsodeep.spec import DEQ, MLP, Layer, Parallel
    from notsodeep.spectra import spectrum

    kernels: KernelsFunction

__all__ = [
    "DEQ",
    "MLP",
    "Activation",
    "ConvergenceError",
    "DataError",
    "Dataset",
    "GaussianMixture",
    "Layer",
    "Parallel",
    "Statistics",
    "__version__",
    "activation",
    "ck",
    "coefficients",
    "compile",
    "diagnose",
    "equivalent",
    "errors",
    "kernels",
    "load",
    "load_dataset",
    "match",
    "ntk",
    "save",
    "spectrum",
]

_HOME = {
    "Activation": "activations",
    "ConvergenceError": "errors",
    "DEQ": "spec",
    "DataError": "errors",
    "Dataset": "data",
    "GaussianMixture": "data",
    "Layer": "spec",
    "MLP": "spec",
    "Parallel": "spec",
    "Statistics": "data",
    "activation": "activations",
    "ck": "kernels",
    "coefficients": "equivalents",
    "compile": "compiler",
    "diagnose": "equivalents",
    "equivalent": "equivalents",
    "load": "networks",
    "load_dataset": "data",
    "match": "matching",
    "ntk": "kernels",
    "save": "networks",
    "spectrum": "spectra",
}


def __getattr__(name: str) -> Any:
    """Import a public name, or a subpackage, when it is first used: ``import notsodeep`` itself is quick."""
    if name in _HOME.values():
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOME.values()})
