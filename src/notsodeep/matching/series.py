"""Layers that are short Hermite series: the sharpest instrument, at the price of unbounded slopes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.activations import Activation, Moments, activation
from notsodeep.checks import FloatArray
from notsodeep.matching.hermite_rule import basis, gauss_hermite
from notsodeep.matching.shape import TERMS, Profile

_HIDDEN = ((0.1, 0.1), (0.1, -0.1), (0.3, 0.1), (0.02, 0.2))


@dataclass(frozen=True)
class SeriesShape:
    """``sigma = sum_k theta_k h_k`` for ``1 <= k <= size`` (a :class:`~notsodeep.matching.shape.Shape`)."""

    size: int

    @property
    def linear(self) -> int:
        """All parameters are amplitudes."""
        return self.size

    @property
    def hidden(self) -> tuple[tuple[float, ...], ...]:
        """Some odd and some bent ones."""
        return tuple(((1.0, second, third, 0.0)[: self.size]) for second, third in _HIDDEN)

    @property
    def straight(self) -> tuple[float, ...]:
        """``h_1`` alone."""
        return (1.0,) + (0.0,) * (self.size - 1)

    def moments(self, theta: Any) -> Moments:
        """``E[s'^2] = sum_k k theta_k^2`` and ``E[s s''] = sum_k ((k + 1) (k + 2))^(1/2) theta_k theta_{k+2}``."""
        power = sum(k * a * a for k, a in enumerate(theta, 1))
        coupled = sum(math.sqrt((k + 1) * (k + 2)) * theta[k - 1] * theta[k + 1] for k in range(1, self.size - 1))
        return Moments(
            mean=0.0,
            square=(theta * theta).sum(axis=0),
            slope=theta[0],
            slope_square=power,
            curvature=math.sqrt(2.0) * theta[1],
            square_curvature=2.0 * (power + coupled),
        )

    def profile(self, theta: Any, scales: Any) -> Profile:
        """Gauss-Hermite sums, exact for these polynomials."""
        axes = [1] * np.ndim(scales)
        x, weights = (part.reshape(-1, *axes) for part in gauss_hermite(2 * self.size))
        h = basis(x * scales, self.size + 1)
        value = sum(a * h[k] for k, a in enumerate(theta, 1))
        slope = sum(math.sqrt(k) * a * h[k - 1] for k, a in enumerate(theta, 1))
        own = basis(x, self.size + 1)
        a = [(weights * value * own[k]).sum(axis=0) for k in range(self.size + 1)]
        a += [np.zeros_like(a[0])] * (TERMS - len(a))
        return Profile(np.stack(a), (weights * value**2).sum(axis=0), (weights * slope**2).sum(axis=0))

    def steepness(self, theta: FloatArray) -> float:
        """Slopes are unbounded."""
        return 0.0

    def activation(self, theta: FloatArray, scale: float) -> Activation:
        """Return the registered Hermite series."""
        return activation("hermite", coefficients=(0.0, *map(float, theta)), scale=scale)

    def fits(self, wanted: FloatArray) -> list[FloatArray]:
        """Return the series itself, cut off."""
        return [np.array(wanted[: self.size])]


QUADRATIC, CUBIC, QUARTIC = SeriesShape(2), SeriesShape(3), SeriesShape(4)
