"""Evaluate a smooth function of a positive scale at many scales, from few evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from notsodeep.checks import FloatArray

_FEW = 48  # up to so many scales are evaluated one by one where no table is at hand
_SIZES = (24, 48, 96, 192)  # interpolation nodes that are tried
_BAND = 4.0  # largest over smallest scale of a table
_ROUNDING = 1e-12  # of the logarithm of a scale
_DEAD = 4e-15  # relative size of the last Chebyshev coefficients at which the series has converged


class Table:
    """Values ``f(scales)``, shape ``(len(scales), K)``, for ``f`` analytic in ``log(scale)`` on ``[low, high]``.

    Many scales are served by Chebyshev interpolation in ``log(scale)``, refined until its last
    coefficients are at rounding level relative to the largest; if that never happens ``f`` is
    evaluated at every distinct scale. The error is relative to the largest value, so a wide range is
    cut into bands in which the values of ``f`` do not vary much. A band is tabulated when many of its
    scales are first asked for, and kept.
    """

    def __init__(self, f: Callable[[FloatArray], FloatArray], low: float, high: float) -> None:
        self._f, self._low, self._high = f, np.log(low), np.log(high)
        self._bands: dict[int, FloatArray | None] = {}

    def __call__(self, scales: FloatArray) -> FloatArray:
        """Return ``f(scales)``; scales outside of the range are legal, but no table serves them."""
        logs = np.log(scales)
        band = np.floor((logs - self._low) / np.log(_BAND)).astype(int)
        last = int(np.floor((self._high - self._low) / np.log(_BAND)))
        band = np.clip(band, 0, last)
        if not np.ptp(band):
            return self._in_band(int(band[0]), scales, logs)
        parts = [np.flatnonzero(band == b) for b in np.unique(band)]
        values = np.concatenate([self._in_band(int(band[part[0]]), scales[part], logs[part]) for part in parts])
        return values[np.argsort(np.concatenate(parts))]

    def _in_band(self, band: int, scales: FloatArray, logs: FloatArray) -> FloatArray:
        low = self._low + band * np.log(_BAND)
        high = min(self._high, low + np.log(_BAND))
        if band not in self._bands and scales.size > _FEW and high > low:
            self._bands[band] = _converged(self._f, low, high, scales.size)
        table = self._bands.get(band)
        if table is None or logs.min() < low - _ROUNDING or logs.max() > high + _ROUNDING:
            distinct, place = np.unique(scales, return_inverse=True)
            return self._f(distinct)[place]
        t = np.clip((2 * logs - low - high) / (high - low), -1.0, 1.0)
        return _basis(np.arccos(t), len(table)) @ table


def tabulate(f: Callable[[FloatArray], FloatArray], scales: FloatArray) -> FloatArray:
    """Return ``f(scales)`` from a :class:`Table` over their range."""
    return Table(f, float(scales.min()), float(scales.max()))(scales)


def _converged(f: Callable[[FloatArray], FloatArray], low: float, high: float, worth: int) -> FloatArray | None:
    """Return Chebyshev coefficients that have died out, or None when ``worth`` nodes do not suffice."""
    for size in _SIZES:
        if size >= worth:
            return None
        angle = np.pi * (np.arange(size) + 0.5) / size
        values = f(np.exp(0.5 * (low + high) + 0.5 * (high - low) * np.cos(angle)))
        if not np.isfinite(values).all():
            return None
        table = (2.0 - (np.arange(size) == 0))[:, None] / size * (_basis(angle, size).T @ values)
        if np.abs(table[-2:]).max() <= _DEAD * np.abs(table).max():
            return table
    return None


def _basis(angle: FloatArray, size: int) -> FloatArray:
    """Chebyshev polynomials at ``cos(angle)``; the three-term recurrence would lose three digits at the ends."""
    return np.cos(angle[:, None] * np.arange(size))
