"""Gaussian moments of an activation: the numbers that the four equations are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.activations.activation import Activation
from notsodeep.activations.gaussian import density, expect
from notsodeep.activations.tabulate import Table
from notsodeep.checks import FloatArray

_LARGE = 3.0  # scale beyond which activations saturate
_BESIDE = 1e-30  # how far from a kink at 0 its one-sided limits are taken


@dataclass(frozen=True)
class Moments:
    """Moments of ``phi(s xi)``, ``xi ~ N(0, 1)``; each has the shape of the scales asked for.

    Derivatives are weak ones: a kink of ``phi`` is a point mass of ``phi''``.
    """

    mean: Any
    """``E[phi(s xi)]``"""
    square: Any
    """``E[phi(s xi)^2]``"""
    slope: Any
    """``E[phi'(s xi)]``"""
    slope_square: Any
    """``E[phi'(s xi)^2]``; infinite where phi itself jumps"""
    curvature: Any
    """``E[phi''(s xi)]``"""
    square_curvature: Any
    """``E[(phi^2)''(s xi)]``"""


def moments(activation: Activation, scale: Any) -> Moments:
    """Return the Gaussian moments of ``activation`` at each ``scale`` (standard deviation, > 0).

    Exact to about 1e-14: Gauss-Legendre panels split at the kinks, point masses in closed form.

    Raises
    ------
    ValueError
        When a scale is not positive and finite.
    ConvergenceError
        When the activation grows too fast for a Gaussian of that scale.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.activations import moments
    >>> round(float(moments(nsd.activation("relu"), 2.0).mean), 12)   # 2 / sqrt(2 pi)
    0.797884560803
    """
    try:
        s = np.asarray(scale, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"scale must be a number or an array of numbers, got {scale!r}") from None
    if not (np.isfinite(s).all() and (s > 0).all()):
        raise ValueError(f"scale must be positive and finite, got {scale!r}")
    if activation.second_derivative is None:
        values = _by_parts(activation, s)
    else:
        values = _pointwise(activation, s)
    return Moments(*(v[()] for v in values))


class MomentsTable:
    """Moments of one activation at all scales of ``[low, high]``, from a table that is made when first needed.

    The relative error is about 1e-14 of the natural size of each moment.
    """

    def __init__(self, activation: Activation, low: float, high: float) -> None:
        self._activation = activation
        self._broken = any(jumps(activation, kink) for kink in activation.kinks)  # slope_square is infinite then
        self._table = Table(self._columns, low, high)

    def __call__(self, scales: FloatArray) -> Moments:
        """Return the moments at ``scales``, 1-D and within the range."""
        mean, square, slope, slope_square, curvature, square_curvature = self._table(scales).T
        slope_square = np.full_like(scales, np.inf) if self._broken else slope_square
        return Moments(mean * scales, square * scales**2, slope, slope_square, curvature / scales, square_curvature)

    def _columns(self, s: FloatArray) -> FloatArray:
        """Moments divided by their natural powers of the scale, so that small scales are as accurate as large ones."""
        m = moments(self._activation, s)
        slope_square = np.zeros_like(s) if self._broken else m.slope_square
        columns = (m.mean / s, m.square / s**2, m.slope, slope_square, m.curvature * s, m.square_curvature)
        return np.stack(columns, axis=1)


def moments_of_many(activation: Activation, scales: FloatArray) -> Moments:
    """Return the moments at many scales ``(n,)`` from a :class:`MomentsTable` over their range."""
    return MomentsTable(activation, float(scales.min()), float(scales.max()))(scales)


def _pointwise(activation: Activation, s: FloatArray) -> list[FloatArray]:
    second = activation.second_derivative
    if second is None:
        raise ValueError("the pointwise route needs a second derivative")

    def integrands(x: FloatArray, u: FloatArray) -> list[FloatArray]:
        y, dy, ddy = activation(u), activation.derivative(u), second(u)
        return [y, y * y, dy, dy * dy, ddy, 2.0 * (dy * dy + y * ddy), 2.0 * y * dy * x]

    mean, square, slope, slope_square, curvature, square_curvature, by_parts = expect(activation, s, integrands)
    for kink in activation.kinks:
        p, p_slope = _density_at(kink, s)
        (y0, y1), (d0, d1) = one_sided(activation, kink), one_sided(activation.derivative, kink)
        jump = y1 - y0 if jumps(activation, kink) else 0.0
        slope = slope + jump * p
        slope_square = slope_square + (np.inf if jump else 0.0)
        curvature = curvature + (d1 - d0) * p - jump * p_slope
        square_curvature = square_curvature + 2.0 * (y1 * d1 - y0 * d0) * p - jump * (y0 + y1) * p_slope
    if not any(jumps(activation, kink) for kink in activation.kinks):
        # phi'^2 and phi phi'' cancel where phi saturates; Stein's lemma has one sign there.
        square_curvature = np.where(s > _LARGE, by_parts / s, square_curvature)
    return [mean, square, slope, slope_square, curvature, square_curvature]


def _by_parts(activation: Activation, s: FloatArray) -> list[FloatArray]:
    """Second derivatives by Stein's lemma, ``E[f''(s xi)] = E[(f'(s xi) - f'(0)) xi] / s``."""
    at_zero = float(activation.derivative(0.0)), float(activation(0.0) * activation.derivative(0.0))
    broken = [k for k in activation.kinks if jumps(activation, k)]
    if broken:
        raise ValueError(
            f"{activation!r} itself jumps at {broken[0]:g}: give its derivative and second_derivative between the jumps"
        )

    def integrands(x: FloatArray, u: FloatArray) -> list[FloatArray]:
        y, dy = activation(u), activation.derivative(u)
        return [y, y * y, dy, dy * dy, (dy - at_zero[0]) * x, 2.0 * (y * dy - at_zero[1]) * x]

    mean, square, slope, slope_square, curvature, square_curvature = expect(activation, s, integrands)
    return [mean, square, slope, slope_square, curvature / s, square_curvature / s]


def _density_at(kink: float, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Density of ``s xi`` at ``kink``, and its slope there."""
    p = density(kink / s) / s
    return p, -kink / s**2 * p


def one_sided(f: Any, kink: float) -> tuple[float, float]:
    """Return the limits of ``f`` from the left and from the right of ``kink``."""
    if kink == 0.0:
        return float(f(-_BESIDE)), float(f(_BESIDE))
    return float(f(np.nextafter(kink, -np.inf))), float(f(np.nextafter(kink, np.inf)))


def jumps(activation: Activation, kink: float) -> bool:
    """Tell whether the activation itself, not only a derivative, is discontinuous at ``kink``."""
    left, right = one_sided(activation, kink)
    return abs(right - left) > 1e-9 * max(1.0, abs(left), abs(right))
