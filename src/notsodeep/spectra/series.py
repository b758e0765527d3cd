"""The density between two edges as Chebyshev series in an angle, in which square-root edges are smooth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from notsodeep.checks import FloatArray

DEGREE = 40
"""Nodes of a panel."""

_VANISHED = 1e-7  # value in the angle, of the largest, up to which a density does not diverge at an end
_GAUSS = np.polynomial.legendre.leggauss(DEGREE)


@dataclass(frozen=True, eq=False)
class Series:
    """Density on one interval of support, times dx/dtheta, ``x = low + (high - low) sin(theta / 2)^2``.

    Parameters
    ----------
    low, high : float
        Ends of the interval.
    breaks : array (m + 1,)
        Angles at which one panel ends and the next begins, from 0 to pi.
    coefficients : array (m, DEGREE)
        Chebyshev coefficients on each panel.
    residual : float
        Largest relative residual of the equations at the nodes.
    """

    low: float
    high: float
    breaks: FloatArray
    coefficients: FloatArray
    residual: float

    def density(self, x: FloatArray) -> FloatArray:
        """Return the density at ``x`` (G,); zero off the interval, infinite at a hard edge."""
        theta = self._angles(x)
        value = np.maximum(self._evaluate(theta, self.coefficients), 0.0)
        ends = np.where(value <= _VANISHED * np.abs(self.coefficients).max(), 0.0, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = value / (0.5 * (self.high - self.low) * np.sin(theta))
        ratio = np.where((x == self.low) | (x == self.high), ends, ratio)
        return np.where((x >= self.low) & (x <= self.high), ratio, 0.0)

    def below(self, x: FloatArray) -> FloatArray:
        """Return the mass to the left of ``x`` (G,)."""
        inside = np.clip(self._evaluate(self._angles(x), self._integrals), 0.0, self.mass)
        return np.where(x <= self.low, 0.0, np.where(x >= self.high, self.mass, inside))

    @property
    def mass(self) -> float:
        """Return the mass of the interval."""
        return float(self._integrals[-1].sum())

    def expect(self, power: int, about: float = 0.0) -> float:
        """Return the integral of ``(x - about)**power`` times the density."""
        halves = 0.5 * np.diff(self.breaks)[:, None]
        theta = self.breaks[:-1, None] + halves * (1.0 + _GAUSS[0])
        density = chebyshev.chebval(_GAUSS[0], self.coefficients.T)
        powers = (positions(self.low, self.high, theta) - about) ** power
        return float((halves * _GAUSS[1] * density * powers).sum())

    @property
    def _integrals(self) -> FloatArray:
        """Return the coefficients of the integral from the lower end on."""
        halves = 0.5 * np.diff(self.breaks)[:, None]
        out = halves * chebyshev.chebint(self.coefficients, lbnd=-1.0, axis=1)
        out[1:, 0] += np.cumsum(out.sum(axis=1))[:-1]
        return np.asarray(out)

    def _angles(self, x: FloatArray) -> FloatArray:
        on = np.clip(x, self.low, self.high)
        return np.asarray(2.0 * np.arctan2(np.sqrt(on - self.low), np.sqrt(self.high - on)))

    def _evaluate(self, theta: FloatArray, coefficients: FloatArray) -> FloatArray:
        panel = np.clip(np.searchsorted(self.breaks, theta, side="right") - 1, 0, len(coefficients) - 1)
        low, high = self.breaks[panel], self.breaks[panel + 1]
        t = np.clip((2.0 * theta - low - high) / (high - low), -1.0, 1.0)
        return np.asarray(chebyshev.chebval(t, coefficients[panel].T, tensor=False))


def positions(low: float, high: float, theta: FloatArray) -> FloatArray:
    """Return ``low + (high - low) sin(theta / 2)^2``, with the distance to the nearer end exact."""
    width = high - low
    from_low, from_high = low + width * np.sin(0.5 * theta) ** 2, high - width * np.cos(0.5 * theta) ** 2
    return np.asarray(np.where(theta < 0.5 * np.pi, from_low, from_high))
