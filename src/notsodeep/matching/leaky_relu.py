"""Two centred layers ``max(a x, b x) - shift`` for a conjugate kernel: the roots of a cubic."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from notsodeep.activations import activation
from notsodeep.matching.target import Target
from notsodeep.spec import MLP, Layer

SPENT = 0.5 * math.pi - 1.0
"""Variance of a centred kink beyond its first Hermite term, in units of ``bend**2``"""
_IDENTITY = 1e-9  # relative miss of the identity that counts as none
_REAL = 1e-7


def solutions(target: Target) -> list[MLP]:
    """Return every pair of layers with the four numbers of a CK; none for other kernels.

    A layer has a mean slope ``m`` and a bend ``e = |a - b| / sqrt(2 pi)``; at scale 1 its centred moments are
    ``E[s'] = m``, ``E[s''] = e``, ``E[s^2] = m^2 + k e^2`` with ``k = pi/2 - 1``. Layers are homogeneous: the scale
    between them is free, and fixed by ``m_1^2 + k e_1^2 = 1``. With ``y = m_1^2`` and ``tau0 = 1``, the numbers are
    ``alpha1 = m_2^2 y``, ``4 alpha2 = m_2^2 e_1^2 + e_2^2``, ``2 alpha3 = m_2^2 e_1^2 + e_2^2 y^2`` and
    ``gamma2 = m_2^2 + k e_2^2``: a cubic for y, and an identity without it (:func:`identity`).
    """
    if target.kernel != "ck" or identity(target):
        return []
    found, tau0 = [], target.tau0
    for y, m2_square, e2_square in _squares(target):
        if e2_square >= 0.0:
            first = _layer(math.sqrt(y), math.sqrt((1.0 - y) / SPENT), tau0)
            found.append(MLP((first, _layer(math.sqrt(m2_square) / tau0, math.sqrt(e2_square) / tau0, tau0))))
    return found


def identity(target: Target) -> str:
    """Return how the target breaks ``gamma2 = tau0^2 alpha1 + 4 (pi/2 - 1) tau0^4 alpha2``, or nothing if it does not.

    Every network of leaky ReLU layers obeys it, of any depth: ``alpha4 tau0^2 = gamma2`` for them, so that each layer
    keeps it.
    """
    linear, norms, _, diagonal = target.ck
    relation = "leaky ReLU layers have gamma2 = tau0^2 alpha1 + 4 (pi/2 - 1) tau0^4 alpha2; here gamma2"
    return _broken(relation, diagonal, linear + 4.0 * SPENT * norms)


def one_layer(target: Target) -> str:
    """Return how the target breaks ``kappa2 = tau0^2 beta1 + tau0^4 ((pi/2) beta3 - (4 - pi) beta2)``, if it does.

    One leaky ReLU layer of learning rate c has ``beta1 = (1 + c) m^2``, ``beta2 = e^2 / 4``,
    ``beta3 = (1 + 2 c) e^2 / 2`` and ``kappa2 = (1 + c) m^2 + (k + c pi/2) e^2``, at scale 1.
    """
    linear, norms, products, diagonal = target.ntk
    relation = (
        "one leaky ReLU layer has kappa2 = tau0^2 beta1 + tau0^4 (pi/2 beta3 - (4 - pi) beta2) at any learning rate; "
        "here kappa2"
    )
    return _broken(relation, diagonal, linear + 0.5 * math.pi * products - (4.0 - math.pi) * norms)


def _broken(relation: str, diagonal: float, right: float) -> str:
    if abs(right - diagonal) <= _IDENTITY * diagonal:
        return ""
    return f"{relation} = {diagonal:.6g} and the right side is {right:.6g}"


def not_real(target: Target) -> str:
    """Return why no two layers meet the first three numbers of a CK, or nothing if some do."""
    squares = [e2 for _, _, e2 in _squares(target)]
    if any(e2 >= 0.0 for e2 in squares):
        return ""
    found = f": the square of the second layer's bend would be {max(squares):.3g} tau0^2 < 0" if squares else ""
    return f"the slopes of two layers that would meet alpha1, alpha2 and alpha3 are not real{found}"


def _squares(target: Target) -> Iterator[tuple[float, float, float]]:
    """Yield ``(y, m_2^2, e_2^2)`` for each root of the cubic in (0, 1], largest bend first."""
    linear, norms, products = target.ck[0], 4.0 * target.ck[1], 2.0 * target.ck[2]
    share = linear / SPENT
    found = []
    for root in np.roots([share + norms, -share, -share - products, share]):
        if abs(root.imag) <= _REAL and 0.0 < root.real <= 1.0 + 1e-9:
            y = min(float(root.real), 1.0)
            found.append((y, linear / y, norms - share * (1.0 - y) / y))
    yield from sorted(found, key=lambda each: -each[2])


def _layer(m: float, e: float, tau: float) -> Layer:
    half = e * math.sqrt(0.5 * math.pi)
    return Layer(activation("two_slope", a=m + half, b=m - half, tau=tau))
