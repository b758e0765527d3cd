"""Why no network of a family has the numbers of a target: inequalities and identities that all of its networks obey."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from notsodeep.activations.gaussian import density
from notsodeep.matching import leaky_relu
from notsodeep.matching.families import Family
from notsodeep.matching.target import NOTHING, Target

_CLEAR = 1e-9  # relative violation that counts


def why_not(target: Target, family: Family, branches: tuple[int, ...]) -> str:
    """Return the relation that rules out networks of ``family`` with so many layers in each branch; else nothing."""
    checks = [_odd, _one_chain, _one_layer, _leaky, _spent]
    return next((reason for reason in (check(target, family, branches) for check in checks) if reason), "")


def _odd(target: Target, family: Family, branches: tuple[int, ...]) -> str:
    if family.name != "hard_tanh":
        return ""
    if target.is_even:
        return "the target has no linear part, every hard tanh has one"
    if not target.is_odd:
        return "the target has norm and product terms, odd layers have none"
    if branches == (1,) and target.kernel != "ntk":
        spread = target.ck[3] / target.ck[0]
        if spread >= 0.5 * math.pi:
            return f"diagonal / linear part is {spread:.4g}, one hard tanh layer stays below pi/2, that of a sign"
    return ""


def _one_layer(target: Target, family: Family, branches: tuple[int, ...]) -> str:
    """One layer has ``alpha3 = 2 alpha2``, and ``beta2 = r alpha2``, ``beta3 = (r + 2 c) alpha3`` at rates c and r."""
    if any(depth > 1 for depth in branches) or target.equal_norms:
        return ""
    _, norms, products, diagonal = target.ck
    if "ck" in target.kernels and abs(products - 2.0 * norms) > _CLEAR * (products + 2.0 * norms) + NOTHING * diagonal:
        return f"one layer has alpha2 / alpha3 = 1/2, here it is {norms / products if products else np.inf:.6g}"
    _, norms, products, diagonal = target.ntk
    if "ntk" in target.kernels and target.readout == 0.0 and norms > NOTHING * diagonal:
        return f"one layer whose readout is not trained has beta2 = 0, here it is {norms / target.tau0**4:.6g}"
    if "ntk" in target.kernels and products < 2.0 * norms * (1.0 - _CLEAR) - NOTHING * diagonal:
        return f"one layer has beta3 >= 2 beta2 at any learning rate, here beta3 / beta2 is {products / norms:.6g}"
    return ""


def _one_chain(target: Target, family: Family, branches: tuple[int, ...]) -> str:
    """A chain of layers has ``beta3 - r alpha3 <= 2 (beta1 / alpha1 - r) alpha3``, r the readout's rate."""
    if target.kernel != "both" or len(branches) > 1 or target.ck[0] <= NOTHING * target.ck[3]:
        return ""
    left = target.ntk[2] - target.readout * target.ck[2]
    right = 2.0 * (target.ntk[0] / target.ck[0] - target.readout) * target.ck[2]
    if left <= right + _CLEAR * target.ntk[2] + NOTHING * target.ntk[3]:
        return ""
    tau4 = target.tau0**4
    relation = (
        "beta3 - alpha3 <= 2 (beta1 / alpha1 - 1) alpha3" if target.readout else "beta3 <= 2 beta1 alpha3 / alpha1"
    )
    return (
        f"layers one after another, at any learning rates and of any depth, have {relation}; "
        f"here the left side is {left / tau4:.6g}, the right one {right / tau4:.6g}; two parallel branches are needed"
    )


def _spent(target: Target, family: Family, branches: tuple[int, ...]) -> str:
    """Layers with sharp knots have ``diagonal >= linear + (1 + s) products``, s the least share that a kink spends."""
    if not family.sharp:
        return ""
    share = least_spent()
    for name in target.kernels:
        linear, _, products, diagonal = target.of_kernel(name)
        least = linear + (1.0 + share) * products
        if diagonal < least * (1.0 - _CLEAR):
            a, g = ("alpha", "gamma2") if name == "ck" else ("beta", "kappa2")
            return (
                f"layers with sharp knots spend at least {share:.4g} of their second-order variance on higher orders: "
                f"{g} >= tau0^2 {a}1 + {1.0 + share:.4g} tau0^4 {a}3 = {least:.6g}, here {g} = {diagonal:.6g}"
            )
    return ""


def _leaky(target: Target, family: Family, branches: tuple[int, ...]) -> str:
    if family.name != "leaky_relu" or target.equal_norms:
        return ""
    if target.kernel == "ntk":
        return leaky_relu.one_layer(target) if branches == (1,) else ""
    broken = leaky_relu.identity(target)
    if broken or target.kernel != "ck" or branches != (2,):
        return broken
    return leaky_relu.not_real(target)


@lru_cache(maxsize=1)
def least_spent() -> float:
    """Return the least ``(E[s^2] - a_1^2 - a_2^2) / a_2^2`` of layers of three slopes: that of an even one.

    With knots at ``-c`` and ``c`` and slopes -1, 0, 1: ``E[s^2] = 2 ((1 + c^2) T - c f) - 4 (f - c T)^2`` and
    ``a_2^2 = 2 f^2``, f the normal density and T the tail at c. Odd parts only add.
    """

    def spent(c: float) -> float:
        f, tail = float(density(c)), float(ndtr(-c))
        return (2.0 * ((1.0 + c * c) * tail - c * f) - 4.0 * (f - c * tail) ** 2) / (2.0 * f * f) - 1.0

    grid = np.linspace(0.0, 3.0, 61)
    best = float(grid[int(np.argmin([spent(c) for c in grid]))])
    return float(minimize_scalar(spent, bounds=(max(best - 0.1, 0.0), best + 0.1), method="bounded").fun)
