"""Quadrature in polar coordinates: exact wherever the series is slow, up to correlation 1.

With ``u = s r cos(psi)`` and ``v = +-t r cos(psi - theta)``, ``rho = +-cos(theta)``, the kinks of ``phi(u)``
and ``phi(v)`` are straight lines. Rays that lie in one sector meet them in one order, so the integrand
is analytic in ``r`` between kinks and in ``psi`` inside a sector, even when the lines nearly coincide.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.polynomial import legendre

from notsodeep.activations.activation import Activation
from notsodeep.activations.moments import moments
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

RADIUS = 9.0  # the Gaussian mass beyond is 3e-18
TOLERANCE = 1e-11  # between two refinements, relative to the Cauchy-Schwarz bound; the finer one has two digits more
_ORDERS = ((10, 6), (16, 10), (24, 15), (36, 22), (54, 33), (80, 50))  # nodes along a ray, across a sector
_BATCH = 1_000_000  # nodes held at a time


def evaluate(activation: Activation, s: FloatArray, t: FloatArray, rho: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``E[phi(u) phi(v)]`` and ``E[phi'(u) phi'(v)]`` for 1-D arrays, to about 1e-13.

    The number of nodes grows until two results agree, for each pair by itself.

    Raises
    ------
    ConvergenceError
        When they do not agree at the finest level.
    """
    m, n = moments(activation, s), moments(activation, t)
    bound = np.stack([np.sqrt(m.square * n.square), np.sqrt(m.slope_square * n.slope_square)])
    out = np.empty((2, rho.size))
    todo = np.arange(rho.size)
    before = np.full((2, rho.size), 1e200)  # far off, but finite: the bound is infinite where phi jumps
    for orders in _ORDERS:
        now = _at_order(activation, s[todo], t[todo], rho[todo], orders)
        out[:, todo] = now
        gap = (np.abs(now - before) / bound[:, todo]).max(axis=0)
        todo, before = todo[gap > TOLERANCE], now[:, gap > TOLERANCE]
        if not todo.size:
            return out[0], out[1]
    i = int(todo[0])
    raise ConvergenceError(
        f"E[phi(u) phi(v)] of {activation!r} did not settle for {todo.size} pairs, the first at scales {s[i]:.4g}, "
        f"{t[i]:.4g} and correlation {rho[i]:.12g}: relative change {gap.max():.1e} at the finest of {len(_ORDERS)} "
        "levels; declare every kink of the activation, and use one whose derivatives are bounded beside its kinks"
    )


def _at_order(
    activation: Activation, s: FloatArray, t: FloatArray, rho: FloatArray, orders: tuple[int, int]
) -> FloatArray:
    kinks = len(activation.kinks)
    feature = min([1.0, *(abs(k) for k in activation.kinks if k)])
    halvings = np.ceil(np.log2(float(max(s.max(), t.max())) / feature))  # until rays as short as a feature of phi
    depth = int(np.clip(halvings + 1, 1, 8))
    nodes = orders[0] * orders[1] * (4 + 8 * depth + kinks**2) * (depth + 2 + 2 * kinks)
    step = max(1, _BATCH // nodes)
    parts = [
        _integrate(activation, s[i : i + step], t[i : i + step], rho[i : i + step], orders, depth)
        for i in range(0, rho.size, step)
    ]
    return np.concatenate(parts, axis=1)


def _integrate(
    activation: Activation, s: FloatArray, t: FloatArray, rho: FloatArray, orders: tuple[int, int], depth: int
) -> FloatArray:
    # Near rho = -1 the kink lines of u and -v nearly coincide: turn v round, for pi - theta would lose their distance.
    t = np.copysign(t, rho)
    theta = 2.0 * np.arcsin(np.sqrt(np.clip(0.5 * (1.0 - np.abs(rho)), 0.0, 1.0)))
    psi, angular = _panels(_sectors(activation.kinks, s, t, theta, depth), orders[1])
    across, along = np.cos(psi), np.cos(psi - theta[:, None])
    ends = [np.zeros_like(psi), *(np.full_like(psi, RADIUS * 0.5**d) for d in range(depth + 1))]
    with np.errstate(divide="ignore"):
        for k in activation.kinks:
            if k:
                ends += [k / (s[:, None] * across), k / (t[:, None] * along)]
    rings = np.sort(np.clip(np.stack(ends, axis=-1), 0.0, RADIUS), axis=-1)
    r, radial = _panels(rings, orders[0])
    weight = angular[..., None] * radial * r * np.exp(-0.5 * r * r) / (2.0 * np.pi)
    u, v = s[:, None, None] * across[..., None] * r, t[:, None, None] * along[..., None] * r
    derivative = activation.derivative
    products = activation(u) * activation(v), derivative(u) * derivative(v)
    return np.stack([(weight * f).sum(axis=(1, 2)) for f in products])


def _sectors(kinks: tuple[float, ...], s: FloatArray, t: FloatArray, theta: FloatArray, depth: int) -> FloatArray:
    """Angles, sorted over one turn, between which no kink line changes its place: ``(n, sectors + 1)``.

    Sectors shrink towards the directions in which u or v vanishes: there the integrand changes fastest.
    """
    quarter = 0.5 * np.pi
    edges = [np.full_like(theta, -quarter), np.full_like(theta, quarter), theta - quarter, theta + quarter]
    nearby = [sign * 0.5 * 0.4**d for d in range(depth) for sign in (-1.0, 1.0)]
    angles = edges + [edge + by for edge in edges for by in nearby]
    width = np.maximum(np.sin(theta), 1e-300)
    for k, other in product(kinks, kinks):
        if k or other:
            x = k / s
            angles.append(np.arctan2((other / t - np.cos(theta) * x) / width, x))
    ordered = np.sort(np.mod(np.stack(angles, axis=-1), 2.0 * np.pi), axis=-1)
    return np.concatenate([ordered, ordered[:, :1] + 2.0 * np.pi], axis=-1)


def _panels(ends: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights between successive ``ends`` (last axis), joined along the last axis."""
    nodes, weights = legendre.leggauss(order)
    half = 0.5 * np.diff(ends, axis=-1)[..., None]
    x = 0.5 * (ends[..., 1:] + ends[..., :-1])[..., None] + half * nodes
    shape = (*ends.shape[:-1], -1)
    return x.reshape(shape), (half * weights).reshape(shape)
