"""DEQs that networks are designed for: activations, variances and scales, wherever there is a stable fixed point."""

from __future__ import annotations

import warnings
from itertools import product

import notsodeep as nsd
from notsodeep.errors import StabilityWarning

CUBIC = nsd.activation("hermite", coefficients=(0.0, 1.0, 0.3, 0.2))
ACTIVATIONS = (
    *("abs", "cos", "elu", "erf", "gelu", "hardtanh", "leaky_relu", "mish", "relu", "selu", "sigmoid", "silu", "sin"),
    *("soft_slopes", "softplus", "softsign", "tanh", CUBIC),
)
"""The registered ones, but those that are linear or another one with default parameters, and a cubic polynomial"""
SIGMA_A2 = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
TAU0 = (0.7, 1.0, 1.3)
KERNELS = {"CK": ("ck", "all"), "NTK {A, w}": ("ntk", ("recurrent", "readout")), "NTK all": ("ntk", "all")}
"""Kernels, each with the weights of the DEQ that are trained"""


def deqs() -> list[nsd.DEQ]:
    """Return the DEQs of the grid that have a stable fixed point, ``sigma_b2 = 1 - sigma_a2``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        each = (nsd.DEQ(phi, a2, 1.0 - a2, tau0) for phi, a2, tau0 in product(ACTIVATIONS, SIGMA_A2, TAU0))
        return [deq for deq in each if is_stable(deq)]


def is_stable(deq: nsd.DEQ) -> bool:
    """Tell whether a DEQ has kernels: whether the iteration of variances has a stable fixed point."""
    try:
        nsd.coefficients(deq, "ck")
    except ValueError:
        return False
    return True


def name_of(phi: str | nsd.Activation) -> str:
    """Return the name of an activation of the grid."""
    return "cubic" if phi == CUBIC else nsd.activation(phi).name
