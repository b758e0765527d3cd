"""``E[phi(s x) phi(s y)]`` as a function of the correlation of x and y, for one activation and one scale."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from notsodeep.activations import Activation, moments
from notsodeep.activations.elementwise import differentiate
from notsodeep.activations.hermite import coefficients
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError
from notsodeep.kernels.spherical.price import PriceSlope
from notsodeep.kernels.spherical.table import GradedTable

_ROUNDING = 2e-14  # of H(1): when H(-1) is so close to -H(1) or H(1), the function is odd or even
_NOTHING = 4e-16  # of the root mean square: a Hermite coefficient below that is rounding


class Correlation(NamedTuple):
    """Correlations ``1 - gap``, or ``gap - 1`` where negative: near the ends the gap keeps the digits of 1 - |u|."""

    negative: NDArray[np.bool_]
    gap: FloatArray

    @classmethod
    def of(cls, u: FloatArray) -> Correlation:
        """Return correlations that are given as doubles."""
        return cls(u < 0, 1.0 - np.abs(u))

    @classmethod
    def from_end(cls, negative: NDArray[np.bool_], distance: FloatArray) -> Correlation:
        """Return what lies a ``distance`` in [0, 2] from 1, or from -1 where ``negative``."""
        beyond = distance > 1.0
        return cls(negative ^ beyond, np.where(beyond, 2.0 - distance, distance))

    @property
    def value(self) -> FloatArray:
        """The correlations as doubles."""
        return np.where(self.negative, self.gap - 1.0, 1.0 - self.gap)


class DualCurve:
    """``H(u) = E[phi(s x) phi(s y)]`` for standard normal x and y of correlation u, with its first two derivatives.

    ``H(u) = sum_k a_k^2 u^k`` in the Hermite coefficients ``a_k`` of ``phi(s .)`` (Mehler), ``H' = s^2 E[phi' phi']``
    and ``H'' = s^4 E[phi'' phi'']`` (Price). H is integrated from H', so that ``H(1) - H(u)`` keeps its digits.

    Raises
    ------
    ValueError
        When ``phi`` is 0.
    """

    def __init__(self, activation: Activation, scale: float) -> None:
        self._activation, self._scale = activation, scale
        self.top = float(moments(activation, scale).square)
        """``H(1)``"""
        if not self.top > 0:
            raise ValueError(f"{activation!r} is 0 at scale {scale:.4g}, and so is its kernel")
        self._slope_at = PriceSlope(activation, scale)

    def rise(self, u: Correlation) -> FloatArray:
        """Return ``H(1) - H(u)``, or ``H(u) - H(-1)`` where u is negative."""
        return self._rises.at(u.negative, u.gap)

    def value(self, u: Correlation) -> FloatArray:
        """Return ``H(u)``."""
        return np.where(u.negative, self.bottom + self.rise(u), self.top - self.rise(u))

    def relative(self, u: Correlation) -> Correlation:
        """Return ``H(u) / H(1)``, which is a correlation too."""
        rise = self.rise(u) / self.top
        if self.bottom == self.top:  # an even function
            return Correlation(np.zeros_like(u.negative), np.abs(rise))
        return Correlation.from_end(u.negative, np.where(u.negative, self.bottom / self.top + 1.0 + rise, rise))

    def slope(self, u: Correlation) -> FloatArray:
        """Return ``H'(u)``; infinite at the ends where phi jumps."""
        return self._slopes.at(u.negative, u.gap)

    def curvature(self, u: Correlation) -> FloatArray:
        """Return ``H''(u)``; infinite at the ends where phi' jumps."""
        return self._curvatures.at(u.negative, u.gap)

    @cached_property
    def bottom(self) -> float:
        """``H(-1)``: exactly ``-H(1)`` for an odd function, and ``H(1)`` for an even one."""
        bottom = self.top - float(self._rises.at(np.array([False, True]), np.ones(2)).sum())
        ends = [end for end in (-self.top, self.top) if abs(bottom - end) <= _ROUNDING * self.top]
        return ends[0] if ends else bottom

    def squares(self, count: int) -> FloatArray:
        """Return ``a_k^2`` for ``k < count``; what rounding cannot tell from 0 is 0."""
        a = coefficients(self._activation, np.array([self._scale]), count)[0]
        return np.where(np.abs(a) > _NOTHING * np.sqrt(self.top), np.square(a), 0.0)

    @cached_property
    def _slopes(self) -> GradedTable:
        return _tabulate(self._slope_at, self._scale**2)

    @cached_property
    def _rises(self) -> GradedTable:
        return self._slopes.integral()

    @cached_property
    def _curvatures(self) -> GradedTable:
        phi = self._activation
        second = phi.second_derivative or differentiate(phi.derivative, phi.kinks)
        slope = Activation(phi.derivative, second, phi.kinks)
        try:
            return _tabulate(PriceSlope(slope, self._scale), self._scale**4)
        except ConvergenceError as error:
            if phi.second_derivative is not None:
                raise
            message = (
                f"the derivative of an NTK takes the second derivative of {phi!r}, which numerical differentiation"
            )
            raise ConvergenceError(f"{message} gives too badly: make the activation with second_derivative=") from error


def times(factor: FloatArray, maybe_infinite: FloatArray) -> FloatArray:
    """Return the product, in which 0 times infinity is 0: what a weight does not contribute."""
    return factor * np.where(factor == 0.0, 0.0, maybe_infinite)


def _tabulate(slope: PriceSlope, factor: float) -> GradedTable:
    powers = int(slope.infinite_at(1.0)), int(slope.infinite_at(-1.0))
    return GradedTable.tabulate(lambda u: factor * slope(u), powers)
