"""Kernels on a sphere cut off at a degree: the diagonal kept, the error off it certified."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.kernels.spherical import SphereKernel

ROUNDING = 1e-11
"""Tails and errors below this share of ``f(1)`` are rounding"""
_TERMS = 512  # of the series of a kernel: at cosines where an error is largest, later ones have died out
_NOTHING = 1e-20  # of f(1): below it a coefficient is the square of rounding
_CELLS = 8192  # of the certificate: it overrates the error by the degree over this, of the tail
_FIRST_FREE = 3  # coefficients from here on may take a tail: those below are the kernel's linear and quadratic part


@dataclass(frozen=True)
class Truncation:
    """A polynomial ``sum_k coefficients[k] rho^k``, ``k <= degree``, in place of a kernel ``f(rho)``."""

    coefficients: FloatArray
    error: float
    """Bound of ``|f - polynomial| / f(1)`` over all cosines in [-1, 1]"""

    @property
    def degree(self) -> int:
        """Highest power."""
        return self.coefficients.size - 1


class KernelSeries:
    """The power series of a kernel on a sphere, which :meth:`truncated` cuts off."""

    def __init__(self, kernel: SphereKernel) -> None:
        self._top, bottom = kernel(1.0), kernel(-1.0)
        self._halves = 0.5 * (self._top + bottom), 0.5 * (self._top - bottom)  # sums of even and odd coefficients
        series = kernel.coefficients(_TERMS)
        self._series = np.where(series > _NOTHING * self._top, series, 0.0)

    def truncated(self, degree: int) -> Truncation | None:
        """Return the series up to ``degree``, with what is left of either parity in its last coefficient of it.

        So the values at cosines of 1 and -1 stay exact. None where that would change one of the first three
        coefficients, or where the kernel has nothing of that degree.
        """
        coefficients = self._series[: degree + 1].copy()
        tails = [(degree - (degree - parity) % 2, self._tail(parity, degree)) for parity in (0, 1)]
        for place, tail in tails:
            if tail and place < _FIRST_FREE:
                return None
            if tail:
                coefficients[place] += tail
        if not coefficients[degree]:
            return None
        return Truncation(coefficients, self._error(degree, tails) / self._top + ROUNDING)

    def _tail(self, parity: int, degree: int) -> float:
        """Sum of the coefficients of a parity beyond ``degree``; all of them are nonnegative."""
        tail = self._halves[parity] - float(self._series[parity : degree + 1 : 2].sum())
        return tail if tail > ROUNDING * self._top else 0.0

    def _error(self, degree: int, tails: list[tuple[int, float]]) -> float:
        """Bound of ``sum_k c_k (rho^place - rho^k)`` over the terms beyond ``degree``.

        Each is nonnegative for cosines from 0 to 1, and at -rho at most what it is at rho. What is added and what is
        left out grow with rho, so that on a cell the first is at most its value at the right end, and the
        second at least its value at the left end.
        """
        rho = np.linspace(0.0, 1.0, _CELLS + 1)
        beyond = np.where(np.arange(_TERMS) > degree, self._series, 0.0)
        added = sum((tail * rho**place for place, tail in tails), np.zeros_like(rho))
        return float((added[1:] - np.polyval(beyond[::-1], rho[:-1])).max())
