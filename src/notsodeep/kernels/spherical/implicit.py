"""Kernels of a DEQ between samples of one norm, as functions of their cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError
from notsodeep.kernels.scalar import rest_point, sample_variances
from notsodeep.kernels.spherical import series
from notsodeep.kernels.spherical.curve import Correlation, DualCurve, times
from notsodeep.spec import DEQ

_STEPS = 80  # of Newton's method, halving steps among them
_SMALL = 1e-10  # relative size of a Newton step after which the next one is the last


class ImplicitSphere:
    """The kernel of a DEQ between samples of one norm r, which its weights ``trained`` give (``readout``: the CK).

    With ``H`` the :class:`DualCurve` of phi at the scale ``sqrt(q)``, the correlation u of the pre-activations solves
    ``q u = sigma_a2 H(u) + sigma_b2 r^2 rho + sigma_c2``, and the CK is ``G = H(u)``. Its derivative in rho is
    ``G' = sigma_b2 r^2 D / (1 - sigma_a2 D)``, with ``D = E[phi' phi'] = H'(u) / q``: the NTK follows from the CK,
    ``K = [readout] G + (sigma_a2 [recurrent] G + sigma_b2 [input] r^2 rho + sigma_c2 [bias]) G' / (sigma_b2 r^2)``.
    """

    def __init__(self, deq: DEQ, squared_norm: float, trained: frozenset[str]) -> None:
        self._variance = float(sample_variances(deq, np.array([squared_norm]))[0])
        self._curve = DualCurve(rest_point(deq).activation, self._variance**0.5)
        self._recurrent, self._input, self._bias = deq.sigma_a2, deq.sigma_b2 * squared_norm, deq.sigma_c2
        self._of_ck, self._of_cosine, self._of_one = (  # in units of sigma_b2 r^2
            size * (name in trained) / self._input
            for size, name in ((self._recurrent, "recurrent"), (self._input, "input"), (self._bias, "bias"))
        )
        self._readout = float("readout" in trained)
        self._only_ck = trained == {"readout"}

    def values(self, rho: FloatArray) -> FloatArray:
        """Return the kernel at cosines in [-1, 1]."""
        u = self._correlation(rho)
        ck = self._curve.value(u)
        if self._only_ck:
            return ck
        return self._readout * ck + (self._of_ck * ck + self._of_cosine * rho + self._of_one) * self._first(u)

    def derivatives(self, rho: FloatArray) -> FloatArray:
        """Return the derivative in the cosine."""
        u = self._correlation(rho)
        first = self._first(u)
        if self._only_ck:
            return first
        inner = self._of_ck * self._curve.value(u) + self._of_cosine * rho + self._of_one
        inner1 = self._of_ck * first + self._of_cosine
        return self._readout * first + inner1 * first + times(inner, self._second(u))

    def coefficients(self, count: int) -> FloatArray:
        """Return the first ``count`` coefficients of the power series in the cosine."""
        ck = self._ck_coefficients(count + 1)
        first, ck = series.differentiate(ck), ck[:count]
        if self._only_ck:
            return ck
        inner = self._of_ck * ck
        inner[0] += self._of_one
        inner[1:2] += self._of_cosine
        return self._readout * ck + series.multiply(inner, first)

    def _first(self, u: Correlation) -> FloatArray:
        """``dG / d rho``."""
        slope = self._curve.slope(u)
        return self._input * slope / (self._variance - self._recurrent * slope)

    def _second(self, u: Correlation) -> FloatArray:
        """``d2G / d rho2``."""
        room = self._variance - self._recurrent * self._curve.slope(u)
        return self._variance * self._input**2 * self._curve.curvature(u) / room**3

    def _correlation(self, rho: FloatArray) -> Correlation:
        """Solve for the distance of u from the end on the side of rho, by Newton's method between bounds.

        ``q distance = sigma_a2 |H(u) - H(end)| + sigma_b2 r^2 (1 - |rho|)``, plus what keeps u(-1) from -1.
        """
        negative, gap = rho < 0, 1.0 - np.abs(rho)
        offset = self._recurrent * (self._curve.top + self._curve.bottom) + 2.0 * self._bias
        source = self._input * gap + np.where(negative, offset, 0.0)
        low, high, distance = np.zeros_like(rho), np.full_like(rho, 2.0), gap
        for _ in range(_STEPS):
            u = Correlation.from_end(negative, distance)
            defect = source + self._recurrent * self._rise(negative, u) - self._variance * distance
            low, high = np.where(defect > 0, distance, low), np.where(defect > 0, high, distance)
            moved = distance + defect / (self._variance - self._recurrent * self._curve.slope(u))
            inside = (low <= moved) & (moved <= high)
            step, distance = moved - distance, np.where(inside, moved, 0.5 * (low + high))
            if (np.abs(step) <= _SMALL * distance).all():
                return Correlation.from_end(negative, distance)
        raise ConvergenceError(
            f"the correlation of pre-activations did not settle at cosine {float(rho[np.argmax(np.abs(step))])!r} "
            f"in {_STEPS} steps of Newton's method; lower sigma_a2"
        )

    def _rise(self, negative: NDArray[np.bool_], u: Correlation) -> FloatArray:
        """``H(1) - H(u)``, or ``H(u) - H(-1)`` where negative, whatever the sign of u."""
        value = self._curve.value(u)
        across = np.where(negative, value - self._curve.bottom, self._curve.top - value)
        return np.where(u.negative == negative, self._curve.rise(u), across)

    def _ck_coefficients(self, count: int) -> FloatArray:
        """Coefficients of H(u), expanded about the u of orthogonal samples: see :func:`series.of_progeny`."""
        base, squares = self._base(count)
        outer = series.recentre(squares, base, count)
        room = self._variance * (1.0 - base) - self._recurrent * outer[1]
        offspring = series.reciprocal(self._input / room, self._recurrent * outer[2:] / room)
        return series.of_progeny(outer, offspring)

    def _base(self, count: int) -> tuple[float, FloatArray]:
        """Return the correlation of orthogonal samples to all digits, and as many squares as are needed about it."""
        if not self._curve.squares(1)[0] and not self._bias:
            return 0.0, self._curve.squares(count)
        base = float(self._correlation(np.zeros(1)).value[0])
        squares = self._curve.squares(series.terms(base, count))
        polynomial = np.polynomial.Polynomial(squares)
        slope = polynomial.deriv()
        for _ in range(3):  # of Newton's method: a small base has its digits from the series alone
            defect = self._recurrent * polynomial(base) + self._bias - self._variance * base
            base += defect / (self._variance - self._recurrent * slope(base))
        return base, squares
