"""Quadrature in polar coordinates: exact wherever the series is slow, up to correlation 1.

With ``u = s r cos(psi)`` and ``v = +-t r cos(psi - theta)``, ``rho = +-cos(theta)``, the kinks of ``phi(u)``
and ``phi(v)`` are straight lines. Rays that lie in one sector meet them in one order, so the integrand
is analytic in ``r`` between kinks and in ``psi`` inside a sector, even when the lines nearly coincide.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from notsodeep.activations.activation import Activation
from notsodeep.activations.duals import surface
from notsodeep.activations.moments import moments_of_many
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

Grading = tuple[int, int]

RADIUS = 9.0  # the Gaussian mass beyond is 3e-18
TOLERANCE = 1e-12  # between two refinements, relative to the Cauchy-Schwarz bound; the finer one has two digits more
_ORDERS = ((10, 6), (14, 9), (20, 12), (28, 17), (39, 24), (54, 33), (76, 47))  # nodes along a ray, across a sector
_SMOOTH = 1.5  # scale, in features of phi, up to which no grading is needed
_DEEPEST = 9  # steps of grading at most
_BATCH = 100_000  # nodes held at a time: what the cache holds


def evaluate(activation: Activation, s: FloatArray, t: FloatArray, rho: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``E[phi(u) phi(v)]`` and ``E[phi'(u) phi'(v)]`` for 1-D arrays, to about 1e-13.

    The number of nodes grows until two results agree, for each pair by itself. Thousands of similar pairs of a
    function that has no kink away from 0 are interpolated.

    Raises
    ------
    ConvergenceError
        When they do not agree at the finest level.
    """
    s, t = np.minimum(s, t), np.maximum(s, t)  # either order is right
    # Near rho = -1 the kink lines of u and -v nearly coincide: turn v round, for pi - theta would lose their distance.
    t = np.copysign(t, rho)
    theta = 2.0 * np.arcsin(np.sqrt(np.clip(0.5 * (1.0 - np.abs(rho)), 0.0, 1.0)))
    bound = _bounds(activation, s, t)
    out, rest = np.empty((2, rho.size)), np.ones(rho.size, dtype=bool)
    if surface.affordable(rho.size) and not any(activation.kinks) and np.isfinite(bound).all() and bound.all():
        for box, part in surface.boxes(s, t, theta):
            found = _table(activation, box, surface.affordable(part.size))
            if found is not None:
                out[:, part] = surface.interpolate(found, box, s[part], t[part], theta[part]) * bound[:, part]
                rest[part] = False
    if rest.any():
        out[:, rest] = _by_quadrature(activation, s[rest], t[rest], theta[rest], bound[:, rest])
    return out[0], out[1]


@lru_cache(maxsize=256)
def _table(activation: Activation, box: surface.Box, angles: tuple[int, ...]) -> FloatArray | None:
    def relative(s: FloatArray, t: FloatArray, theta: FloatArray) -> FloatArray:
        bound = _bounds(activation, s, t)
        return _by_quadrature(activation, s, t, theta, bound) / bound

    return surface.table(relative, box, angles)


def _bounds(activation: Activation, s: FloatArray, t: FloatArray) -> FloatArray:
    """Sizes of both expectations by Cauchy and Schwarz."""
    m = moments_of_many(activation, np.concatenate([s, np.abs(t)]))
    return np.stack([np.sqrt(x[: s.size] * x[s.size :]) for x in (m.square, m.slope_square)])


def _by_quadrature(
    activation: Activation, s: FloatArray, t: FloatArray, theta: FloatArray, bound: FloatArray
) -> FloatArray:
    out = np.empty((2, theta.size))
    for grading, alike in _alike(activation.kinks, np.maximum(s, np.abs(t))):
        level, done = 0, 0
        while done < alike.size:
            part = alike[done : done + _pairs_at_once(activation.kinks, grading, level + 1)]
            out[:, part], level = _settle(activation, s[part], t[part], theta[part], bound[:, part], grading, level)
            done += part.size
    return out


def _alike(kinks: tuple[float, ...], scales: FloatArray) -> Iterator[tuple[Grading, FloatArray]]:
    """Yield the pairs that need each grading, by growing scale."""
    gradings, which = _gradings(kinks, scales)
    order = np.argsort(scales, kind="stable")
    for k, grading in enumerate(gradings):
        yield grading, order[which[order] == k]


def _gradings(kinks: tuple[float, ...], scales: FloatArray) -> tuple[list[Grading], Any]:
    """Steps of grading across sectors and along rays: distinct ones, and which of them each scale needs."""
    smooth = np.ceil(np.log(scales / _SMOOTH) / np.log(4.0))
    sides = smooth
    if nearest := min((abs(k) for k in kinks if k), default=None):
        # A kink at k ends the ring k / (s cos(psi)), which has left the disk where cos(psi) < k / (s RADIUS).
        sides = np.maximum(sides, 1 + np.ceil(np.log(1.5 * scales / nearest) / np.log(3.0)))
        smooth = np.maximum(smooth, 1)
    both = np.clip(np.stack([sides, smooth], axis=1), 0, _DEEPEST).astype(int)
    gradings, which = np.unique(both, axis=0, return_inverse=True)
    return [(int(a), int(b)) for a, b in gradings], which.reshape(-1)


def _pairs_at_once(kinks: tuple[float, ...], grading: Grading, level: int) -> int:
    orders, (sides, rings) = _ORDERS[min(level, len(_ORDERS) - 1)], grading
    away = sum(k != 0.0 for k in kinks)
    panels = (4 + 8 * sides + len(kinks) ** 2) * (1 + rings + 2 * away)
    return max(1, _BATCH // (orders[0] * orders[1] * panels))


def _settle(
    activation: Activation,
    s: FloatArray,
    t: FloatArray,
    theta: FloatArray,
    bound: FloatArray,
    grading: Grading,
    level: int,
) -> tuple[FloatArray, int]:
    """Refine from ``level`` on until two results agree; return them, and the level at which to start next."""
    out, todo = np.empty((2, theta.size)), np.arange(theta.size)
    before = np.full((2, theta.size), 1e200)  # far off, but finite: the bound is infinite where phi jumps
    start = level
    while level < len(_ORDERS):
        now = _integrate(activation, s[todo], t[todo], theta[todo], _ORDERS[level], grading)
        out[:, todo] = now
        gap = (np.abs(now - before) / bound[:, todo]).max(axis=0)
        open_ = gap > TOLERANCE
        todo, before = todo[open_], now[:, open_]
        if 2 * todo.size > theta.size:
            start = level
        if not todo.size:
            return out, start
        level += 1
    i = int(todo[0])
    where = f"scales {s[i]:.4g}, {abs(t[i]):.4g} and correlation {np.copysign(np.cos(theta[i]), t[i]):.12g}"
    raise ConvergenceError(
        f"E[phi(u) phi(v)] of {activation!r} did not settle for {todo.size} pairs, the first at {where}: relative "
        f"change {gap.max():.1e} at the finest of {len(_ORDERS)} levels; declare every kink of the activation, and "
        "use one whose derivatives are bounded beside its kinks"
    )


def _integrate(
    activation: Activation, s: FloatArray, t: FloatArray, theta: FloatArray, orders: tuple[int, int], grading: Grading
) -> FloatArray:
    psi, angular = _panels(_sectors(activation.kinks, s, t, theta, grading[0]), orders[1])
    across, along = s[:, None] * np.cos(psi), t[:, None] * np.cos(psi - theta[:, None])
    r, radial = _panels(_rings(activation.kinks, across, along, grading[1]), orders[0])
    weight = radial * r * np.exp(-0.5 * r * r) / (2.0 * np.pi)
    u, v, derivative = across[..., None] * r, along[..., None] * r, activation.derivative
    products = activation(u) * activation(v), derivative(u) * derivative(v)
    return np.stack([(angular * (weight * f).sum(axis=2)).sum(axis=1) for f in products])


def _rings(kinks: tuple[float, ...], across: FloatArray, along: FloatArray, depth: int) -> FloatArray:
    """Radii between which no kink lies, sorted: ``(n, rays, rings + 1)``, or ``(1, 1, rings + 1)`` where all agree."""
    ends = [np.full((1, 1), x) for x in (0.0, *(RADIUS * 0.25**d for d in range(depth + 1)))]
    with np.errstate(divide="ignore"):
        for k in kinks:
            if k:
                ends += [k / across, k / along]
    return _distinct(np.sort(np.clip(np.stack(np.broadcast_arrays(*ends), axis=-1), 0.0, RADIUS), axis=-1))


def _sectors(kinks: tuple[float, ...], s: FloatArray, t: FloatArray, theta: FloatArray, depth: int) -> FloatArray:
    """Angles, sorted over one turn, between which no kink line changes its place: ``(n, sectors + 1)``.

    Sectors shrink towards the directions in which u or v vanishes: there the integrand changes fastest.
    """
    quarter, nearby = 0.5 * np.pi, [np.full_like(theta, 0.5 / 3.0**d) for d in range(depth)]
    inside = [np.where(by < 0.5 * theta, by, 0.0) for by in nearby]  # none in the gap between u = 0 and v = 0 if thin
    angles = []
    for edge in (-quarter, quarter):
        low, high = np.full_like(theta, edge), theta + edge
        angles += [low, high, *(low - by for by in nearby), *(high + by for by in nearby)]
        angles += [*(low + by for by in inside), *(high - by for by in inside)]
    width = np.maximum(np.sin(theta), 1e-300)
    for k, other in product(kinks, kinks):
        if k or other:
            x, y = k / s, (other / t - np.cos(theta) * k / s) / width
            angles.append(np.where(np.hypot(x, y) < RADIUS, np.arctan2(y, x), quarter))
    ordered = np.sort(np.mod(np.stack(angles, axis=-1), 2.0 * np.pi), axis=-1)
    return _distinct(np.concatenate([ordered, ordered[:, :1] + 2.0 * np.pi], axis=-1))


def _distinct(ends: FloatArray) -> FloatArray:
    """Drop panels that are empty everywhere."""
    used = (np.diff(ends, axis=-1) > 0.0).reshape(-1, ends.shape[-1] - 1).any(axis=0)
    return ends[..., np.append(True, used)]


def _panels(ends: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights between successive ``ends`` (last axis), joined along the last axis."""
    nodes, weights = _rule(order)
    half = 0.5 * np.diff(ends, axis=-1)[..., None]
    x = 0.5 * (ends[..., 1:] + ends[..., :-1])[..., None] + half * nodes
    shape = (*ends.shape[:-1], -1)
    return x.reshape(shape), (half * weights).reshape(shape)


@lru_cache
def _rule(order: int) -> tuple[FloatArray, FloatArray]:
    return legendre.leggauss(order)
