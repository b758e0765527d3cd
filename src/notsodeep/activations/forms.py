"""Known shapes of activations, from which closed forms follow.

A form says what a function *is* (piecewise linear, an error function, ...);
:mod:`notsodeep.activations.duals` looks up the closed form that belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PiecewiseLinear:
    """Continuous piecewise-linear function with value 0 at 0.

    ``slopes[i]`` holds between ``knots[i-1]`` and ``knots[i]``; there is one more slope than knots.
    """

    knots: tuple[float, ...]
    slopes: tuple[float, ...]


@dataclass(frozen=True)
class ErrorFunction:
    """``erf(rate * x)``."""

    rate: float


@dataclass(frozen=True)
class Wave:
    """``sin(frequency * x)`` or, when ``even``, ``cos(frequency * x)``."""

    frequency: float
    even: bool


@dataclass(frozen=True)
class HermiteSeries:
    """``sum_k coefficients[k] h_k(x / scale)`` in orthonormal Hermite polynomials."""

    coefficients: tuple[float, ...]
    scale: float


@dataclass(frozen=True)
class Blurred:
    """``E[f(x + width xi)]`` of a piecewise-linear ``f`` with ``f(0) = 0``."""

    polygon: PiecewiseLinear
    width: float

    def lengthened(self, s: Any, t: Any, rho: Any) -> tuple[Any, Any, Any]:
        """Return the scales and the correlation at which ``f`` has the expectations of pairs that its blur has here.

        The blurs of two samples are independent: they lengthen both variances and leave the covariance as it is.
        """
        first, second = ((scale * scale + self.width**2) ** 0.5 for scale in (s, t))
        return first, second, rho * (s / first) * (t / second)


Form = PiecewiseLinear | ErrorFunction | Wave | HermiteSeries | Blurred
