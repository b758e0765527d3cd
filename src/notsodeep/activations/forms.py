"""Known shapes of activations, from which closed forms follow.

A form says what a function *is* (piecewise linear, an error function, ...);
:mod:`notsodeep.activations.duals` looks up the closed form that belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass


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


Form = PiecewiseLinear | ErrorFunction | Wave | HermiteSeries
