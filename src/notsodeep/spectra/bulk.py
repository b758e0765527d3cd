"""The limiting distribution of the eigenvalues, in the manner of the distributions of SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.spectra.components import Component
from notsodeep.spectra.series import Series

_SAME = 1e-12  # of the width of the support: atoms so close are one, and a quantile so close to an atom is at it
_BISECTIONS = 200


@dataclass(frozen=True, eq=False, repr=False)
class Bulk:
    """Limiting distribution of the eigenvalues of a class model: densities on intervals, and atoms.

    The Stieltjes transform is ``m(z) = sum_a (n_a / n) q_a(z)`` with::

        q_a = 1 / (s_a - z + tr(S_a P) / p),   P = (I + sum_b (n_b / p) q_b S_b)^-1

    :func:`~notsodeep.spectra.limiting_spectrum` makes it.

    Parameters
    ----------
    components : tuple of Component
        The spectra of the classes that act on each other.
    n, p : int
        Order of the matrix, and what the masses of the components are over.

    Examples
    --------
    The law of Marchenko and Pastur:

    >>> from notsodeep.spectra import ClassModel, limiting_spectrum
    >>> bulk = limiting_spectrum(ClassModel(counts=[100], covariances=1.0, p=400)).bulk
    >>> bulk.support()
    (0.25, 2.25)
    >>> round(float(bulk.pdf(1.25)), 12) == round(2 / 3.141592653589793 / 1.25, 12)
    True
    """

    components: tuple[Component, ...]
    n: int
    p: int

    def __repr__(self) -> str:
        stretches = " ".join(f"[{low:.6g}, {high:.6g}]" for low, high in self.intervals)
        masses = ", ".join(f"{mass:.6g} at {position:.6g}" for position, mass in self.atoms)
        return f"Bulk({stretches or 'no density'}; {masses or 'no atoms'})"

    @cached_property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """Intervals of positive density, in order."""
        merged: list[tuple[float, float]] = []
        for low, high in sorted((one.low + offset, one.high + offset) for offset, one in self._series):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return tuple(merged)

    @cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Positions and masses of eigenvalues that are many times there."""
        found: list[tuple[float, float]] = []
        for component in self.components:
            if component.support is None:
                found.append((component.offset, component.mass))
            else:
                found += [
                    (wall.position + component.offset, wall.mass) for wall in component.support.walls if wall.mass
                ]
        merged: list[tuple[float, float]] = []
        for position, mass in sorted(found):
            if merged and position - merged[-1][0] <= _SAME * self._width:
                merged[-1] = (merged[-1][0], merged[-1][1] + mass * self._share)
            else:
                merged.append((position, mass * self._share))
        return tuple(merged)

    @property
    def residual(self) -> float:
        """Largest residual of the equations at a node of the density, of the largest of their terms."""
        return max((one.residual for _, one in self._series), default=0.0)

    @property
    def mass_error(self) -> float:
        """Largest difference between the mass of a stretch of spectrum integrated and counted, of all rows."""
        found = (component.support.mass_error for component in self.components if component.support is not None)
        return max(found, default=0.0)

    def support(self) -> tuple[float, float]:
        """Return the ends of the smallest interval that holds the spectrum."""
        ends = [end for interval in self.intervals for end in interval] + [position for position, _ in self.atoms]
        return min(ends), max(ends)

    def pdf(self, x: Any) -> Any:
        """Return the density at ``x``, of the shape of ``x``; atoms have none. It is infinite at a hard edge."""
        return self._pointwise(x, self._density)

    def cdf(self, x: Any) -> Any:
        """Return the share of the eigenvalues up to ``x``, atoms included, of the shape of ``x``."""
        return self._pointwise(x, self._below)

    def ppf(self, share: Any) -> Any:
        """Return the smallest ``x`` with ``cdf(x) >= share``, of the shape of ``share``; not a number off [0, 1]."""
        return self._pointwise(share, self._quantiles)

    def mean(self) -> float:
        """Return the mean eigenvalue."""
        return self._expect(1)

    def var(self) -> float:
        """Return the variance of the eigenvalues."""
        return self._expect(2, self.mean())

    def std(self) -> float:
        """Return the standard deviation of the eigenvalues."""
        return float(np.sqrt(self.var()))

    def stieltjes(self, z: Any) -> Any:
        """Return ``m(z)``, the limit of ``tr (Kbar - z)^-1 / n``, at complex ``z`` off the real axis.

        Raises
        ------
        ValueError
            When a ``z`` is real or not finite.
        ConvergenceError
            When the equations do not settle.
        """
        points = np.asarray(z, dtype=np.complex128)
        if not np.isfinite(points).all() or (points.imag == 0.0).any():
            raise ValueError("z must be finite complex numbers with an imaginary part that is not zero")
        flat = points.ravel()
        above = np.where(flat.imag > 0.0, flat, flat.conj())
        total = np.zeros(len(flat), complex)
        for component in self.components:
            total += component.upper(above) @ component.weights
        total *= self._share
        return np.where(flat.imag > 0.0, total, total.conj()).reshape(points.shape)[()]

    @cached_property
    def _series(self) -> tuple[tuple[float, Series], ...]:
        supports = ((component.offset, component.support) for component in self.components)
        return tuple((offset, one) for offset, found in supports if found is not None for one in found.series)

    @property
    def _share(self) -> float:
        return self.p / self.n

    @cached_property
    def _width(self) -> float:
        positions = [end for interval in self.intervals for end in interval]
        positions += [component.offset for component in self.components]
        return max(positions) - min(positions)

    def _pointwise(self, x: Any, function: Callable[[FloatArray], FloatArray]) -> Any:
        points = np.asarray(x, dtype=np.float64)
        flat = points.ravel()
        return np.where(np.isnan(flat), np.nan, function(flat)).reshape(points.shape)[()]

    def _density(self, x: FloatArray) -> FloatArray:
        out = np.zeros(len(x))
        for offset, one in self._series:
            out += one.density(x - offset)
        return out * self._share

    def _below(self, x: FloatArray) -> FloatArray:
        out = np.zeros(len(x))
        for offset, one in self._series:
            out += one.below(x - offset)
        out *= self._share
        for position, mass in self.atoms:
            out += np.where(x >= position, mass, 0.0)
        return np.where(x >= self.support()[1], 1.0, np.minimum(out, 1.0))

    def _quantiles(self, share: FloatArray) -> FloatArray:
        first, last = self.support()
        low, high = np.full(len(share), first - self._width), np.full(len(share), last)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            enough = self._below(middle) >= share
            if ((middle == low) | (middle == high)).all():
                break
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        for position, _ in self.atoms:
            high = np.where(np.abs(high - position) <= _SAME * self._width, position, high)
        return np.where((share >= 0.0) & (share <= 1.0), np.maximum(high, first), np.nan)

    def _expect(self, power: int, about: float = 0.0) -> float:
        continuous = sum(one.expect(power, about - offset) for offset, one in self._series)
        return self._share * continuous + sum(mass * (position - about) ** power for position, mass in self.atoms)
