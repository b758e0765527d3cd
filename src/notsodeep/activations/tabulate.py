"""Evaluate a smooth function of a positive scale at many scales, from few evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from notsodeep.checks import FloatArray

_FEW = 48  # up to so many scales are evaluated one by one
_MOST = 192  # interpolation nodes at most
_BAND = 4.0  # largest over smallest scale of a table
_DEAD = 4e-15  # relative size of the last Chebyshev coefficients at which the series has converged


def tabulate(f: Callable[[FloatArray], FloatArray], scales: FloatArray) -> FloatArray:
    """Return ``f(scales)``, shape ``(len(scales), K)``, for ``f`` analytic in ``log(scale)``.

    Many scales are served by Chebyshev interpolation in ``log(scale)``, refined until its last
    coefficients are at rounding level relative to the largest; if that never happens ``f`` is
    evaluated at every distinct scale. The error is relative to the largest value, so a wide range is
    cut into bands in which the values of ``f`` do not vary much.
    """
    band = np.floor(np.log(scales / scales.min()) / np.log(_BAND)).astype(int)
    if not band.any():
        return _tabulate(f, scales)
    parts = [np.flatnonzero(band == b) for b in np.unique(band)]
    values = np.concatenate([_tabulate(f, scales[part]) for part in parts])
    return values[np.argsort(np.concatenate(parts))]


def _tabulate(f: Callable[[FloatArray], FloatArray], scales: FloatArray) -> FloatArray:
    low, high = np.log(scales.min()), np.log(scales.max())
    size = 24
    while scales.size > max(_FEW, size) and size <= _MOST and high > low:
        table = _coefficients(f, low, high, size)
        if np.abs(table[-2:]).max() <= _DEAD * np.abs(table).max():
            t = np.clip((2 * np.log(scales) - low - high) / (high - low), -1.0, 1.0)
            return _basis(np.arccos(t), size) @ table
        size *= 2
    distinct, place = np.unique(scales, return_inverse=True)
    return f(distinct)[place]


def _coefficients(f: Callable[[FloatArray], FloatArray], low: float, high: float, size: int) -> FloatArray:
    angle = np.pi * (np.arange(size) + 0.5) / size
    values = f(np.exp(0.5 * (low + high) + 0.5 * (high - low) * np.cos(angle)))
    return (2.0 - (np.arange(size) == 0))[:, None] / size * (_basis(angle, size).T @ values)


def _basis(angle: FloatArray, size: int) -> FloatArray:
    """Chebyshev polynomials at ``cos(angle)``; the three-term recurrence would lose three digits at the ends."""
    return np.cos(angle[:, None] * np.arange(size))
