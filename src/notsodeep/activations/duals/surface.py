"""Chebyshev tables in two scales and an angle: very many pairs at the price of a few thousand.

Where ``phi`` is smooth but for a kink at 0, ``E[phi(u) phi(v)]`` is analytic in ``log s``, ``log t`` and ``theta``,
``rho = +-cos(theta)``, up to ``theta = 0``. (A kink elsewhere makes it singular at ``s = t``, ``theta = 0``.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray

Function = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]

SCALES = 16
"""Nodes for each scale."""

ANGLES = (16, 24, 36)
"""Nodes for the angle that are tried."""

_WORTH = 0.5  # pairs for a node of the table, which serves later calls too
_DEAD = 2e-14  # size of the last coefficients of a converged table, relative to the bound of its values
_WIDTH = 0.125 * np.pi  # of a band of angles where scales are about 1; those of scales are octaves
_BATCH = 4096  # pairs interpolated at a time


@dataclass(frozen=True)
class Box:
    """Scales ``s <= |t|`` of one octave each and a band of angles; ``sign`` is that of the correlation."""

    row: int
    column: int
    angle: int
    sign: int

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """Ends of ``log2 s``, ``log2 |t|`` and the angle; scales about 1 lie in one octave."""
        octaves, width = ((k - 0.5, k + 0.5) for k in (self.row, self.column)), float(_width(self.column))
        return *octaves, (self.angle * width, (self.angle + 1) * width)


def _width(octave: Any) -> Any:
    """Functions of large scales change faster in the angle."""
    return _WIDTH * 0.5 ** np.maximum(0, octave - 1)


def boxes(s: FloatArray, t: FloatArray, theta: FloatArray) -> Iterator[tuple[Box, Any]]:
    """Yield the boxes that pairs ``s <= |t|`` lie in, with their places; ``t`` has the sign of the correlation."""
    row, column = np.rint(np.log2(s)), np.rint(np.log2(np.abs(t)))
    bands = np.stack([row, column, np.floor(theta / _width(column)), np.copysign(1.0, t)], axis=1)
    distinct, which = np.unique(bands, axis=0, return_inverse=True)
    order = np.argsort(which.reshape(-1), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(which.reshape(-1)))[:-1])
    for band, part in zip(distinct, parts, strict=True):
        yield Box(*map(int, band)), part


def affordable(pairs: int) -> tuple[int, ...]:
    """Return the numbers of angles for which a table is worth its while."""
    return tuple(n for n in ANGLES if pairs >= _WORTH * SCALES**2 * n)


def table(f: Function, box: Box, angles: tuple[int, ...]) -> FloatArray | None:
    """Return coefficients ``(2, SCALES, SCALES, angles)`` of ``f(s, t, theta)``, or None if no size converges.

    ``f`` is symmetric in ``s`` and ``|t|`` and returns two numbers of at most 1 for each pair.
    """
    scales = _transform(SCALES)
    for size in angles:
        corner = _values(f, box, size, np.zeros(1, dtype=int), np.zeros(1, dtype=int))  # the largest scales
        if np.abs(corner @ _transform(size)[-2:].T).max() > _DEAD:
            continue
        i, j = np.triu_indices(SCALES) if box.row == box.column else np.indices((SCALES, SCALES)).reshape(2, -1)
        values = np.empty((2, SCALES, SCALES, size))
        values[:, i, j] = _values(f, box, size, i, j)
        if box.row == box.column:
            values[:, j, i] = values[:, i, j]
        found = np.einsum("ai,bj,ck,fijk->fabc", scales, scales, _transform(size), values, optimize=True)
        if max(np.abs(last).max() for last in (found[:, -2:], found[:, :, -2:], found[..., -2:])) <= _DEAD:
            return found
    return None


def _values(f: Function, box: Box, size: int, i: Any, j: Any) -> FloatArray:
    """Values ``(2, len(i), size)`` at node ``i`` of one scale and ``j`` of the other, for all angles."""
    x, y, theta = (_nodes(count, *ends) for count, ends in zip((SCALES, SCALES, size), box.ends, strict=True))
    s, t = np.repeat(2.0 ** x[i], size), np.repeat(box.sign * 2.0 ** y[j], size)
    return f(s, t, np.tile(theta, len(i))).reshape(2, len(i), size)


def interpolate(coefficients: FloatArray, box: Box, s: FloatArray, t: FloatArray, theta: FloatArray) -> FloatArray:
    """Return the two functions at pairs inside ``box``, ``(2, n)``."""
    parts = []
    for i in range(0, s.size, _BATCH):
        here = slice(i, i + _BATCH)
        places = np.log2(s[here]), np.log2(np.abs(t[here])), theta[here]
        a, b, c = (
            _polynomials((2.0 * x - low - high) / (high - low), count)
            for x, (low, high), count in zip(places, box.ends, coefficients.shape[1:], strict=True)
        )
        rows = np.tensordot(a, coefficients, axes=(1, 1))  # (n, 2, SCALES, angles)
        parts.append(np.einsum("nfb,nb->fn", np.matmul(rows, c[:, None, :, None])[..., 0], b))
    return np.concatenate(parts, axis=1)


def _nodes(count: int, low: float, high: float) -> FloatArray:
    return 0.5 * (low + high) + 0.5 * (high - low) * np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _transform(count: int) -> FloatArray:
    """Discrete Chebyshev transform: values at the nodes to coefficients."""
    return (2.0 - (np.arange(count) == 0))[:, None] / count * _polynomials(_nodes(count, -1.0, 1.0), count).T


def _polynomials(x: FloatArray, count: int) -> FloatArray:
    """Chebyshev polynomials; the three-term recurrence would lose three digits at the ends."""
    return np.cos(np.arccos(np.clip(x, -1.0, 1.0))[:, None] * np.arange(count))
