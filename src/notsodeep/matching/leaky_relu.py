"""Family ``leaky_relu``: two centred layers ``max(a x, b x) - shift``, by least squares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from notsodeep.activations import Moments, activation
from notsodeep.checks import FloatArray
from notsodeep.equivalents.coefficients import propagate
from notsodeep.matching.least_squares import SOLVED, solve
from notsodeep.matching.proposal import Proposal
from notsodeep.matching.target import Target
from notsodeep.spec import MLP, Layer

DEPTH = 2
SPENT = 0.5 * math.pi - 1.0
"""Variance of a centred kink beyond its first Hermite term, in units of ``bend**2``."""
_STARTS = 24


def propose(target: Target) -> Proposal:
    """Return the two layers whose numbers come closest to the target's, in the least-squares sense.

    A layer has a mean slope ``m`` and a bend ``e = |a - b| / sqrt(2 pi)``; at scale ``tau`` its centred
    moments are ``E[s'] = m``, ``E[s''] = e / tau``, ``E[s^2] = (m^2 + (pi/2 - 1) e^2) tau^2``. The layers are
    homogeneous, so the scale between them is free: it is fixed at ``tau0`` (``m_1 = cos w``,
    ``e_1 = sin w / sqrt(pi/2 - 1)``). For the NTK the learning rate of the first layer is one more unknown, and
    where that is not enough, that of the second.
    """
    proposals = []
    for free_rates in (0,) if target.kernel == "ck" else (1, 2):
        found = solve(lambda x: target.residuals(_numbers(target, x)), _starts(target, free_rates))
        spec = _network(target, found.x)
        proposals.append(Proposal(spec, target.residual(spec), _reason(target), found.settled))
        if found.residual <= SOLVED:
            return proposals[-1]
    return min(proposals, key=lambda proposal: proposal.residual)


def _numbers(target: Target, x: Any) -> tuple[Any, Any, Any, Any]:
    """The network's numbers as an analytic function of ``(w, m_2, e_2)`` and the square roots of the free rates."""
    stages = [(_moments(m, e, target.tau0), 1.0, target.tau0) for m, e in _slopes_and_bends(x)]
    ck, ntk = propagate(stages, target.tau0, _rates(x))
    return ck.numbers if target.kernel == "ck" else ntk.numbers


def _slopes_and_bends(x: Any) -> list[tuple[Any, Any]]:
    return [(np.cos(x[0]), np.sin(x[0]) / math.sqrt(SPENT)), (x[1], x[2])]


def _rates(x: Any) -> tuple[Any, Any]:
    free = tuple(root * root for root in x[3:])
    return (*free, 1.0, 1.0)[:2]


def _moments(m: Any, e: Any, tau: float) -> Moments:
    """Moments of a layer of mean slope ``m`` and bend ``e``, centred at scale ``tau``."""
    power = m * m + SPENT * e * e
    return Moments(
        mean=0.0,
        square=power * tau**2,
        slope=m,
        slope_square=m * m + 0.5 * math.pi * e * e,
        curvature=e / tau,
        square_curvature=2.0 * power,
    )


def _starts(target: Target, free_rates: int) -> Iterator[FloatArray]:
    """One start for each split of the work between the layers; the second then meets the first two numbers."""
    linear, norms = target.numbers[0], target.numbers[1]
    if target.kernel == "ntk":
        linear, norms = linear / 3.0, norms / 2.0  # roughly the share of the conjugate kernel
    for w in np.pi / 2 * (np.arange(_STARTS) + 0.5) / _STARTS:
        m1, e1 = np.cos(w), np.sin(w) / math.sqrt(SPENT)
        m2 = max(math.sqrt(linear) / m1, 0.1)  # at 0 it would stay there
        e2 = math.sqrt(max(4.0 * target.tau0**2 * norms - (m2 * e1) ** 2, 1e-4))
        yield np.array([w, m2, e2] + free_rates * [1.0])


def _network(target: Target, x: FloatArray) -> MLP:
    bends, rates = _slopes_and_bends(x), map(float, _rates(x))
    return MLP(tuple(_layer(abs(m), abs(e), target.tau0, rate) for (m, e), rate in zip(bends, rates, strict=True)))


def _layer(m: float, e: float, tau: float, rate: float) -> Layer:
    half = e * math.sqrt(0.5 * math.pi)
    return Layer(activation("two_slope", a=m + half, b=m - half, tau=tau), learning_rate=rate)


def _reason(target: Target) -> str:
    """Why no exact solution may exist: an identity that all networks of the family obey, or no real root."""
    linear, norms, _, diagonal = target.numbers
    if target.kernel == "ntk":
        return "no slopes and learning rates were found that meet all four numbers"
    spent = target.tau0**2 * linear + 4.0 * SPENT * target.tau0**4 * norms
    if abs(spent - diagonal) > 1e-9 * diagonal:
        return (
            "leaky ReLU layers have gamma2 = tau0^2 alpha1 + 4 (pi/2 - 1) tau0^4 alpha2; "
            f"here gamma2 = {diagonal:.6g} and the right side is {spent:.6g}"
        )
    return "the slopes that would meet alpha1, alpha2 and alpha3 are not real"
