"""Functions of a cosine in [-1, 1] as piecewise polynomials that are exact up to both ends.

The functions meant here are power series with nonnegative coefficients that converge on the unit disc. Near a
cosine of 1 they are analytic in ``v = sqrt(1 - rho)``, not in rho, and they have no singularity nearer to a ``v``
than ``v / sqrt(2)`` (the disc lies between two lines at 45 degrees there). So pieces whose width grows in proportion
to ``v`` need the same degree everywhere, whatever the function is; the same holds at -1 in ``v = sqrt(1 + rho)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

_DEGREE = 32  # of the polynomial of an octave: those 45 degrees leave 2.8^-32 of the largest value
_OCTAVES = (4, 6, 8, 10, 12, 14)  # tried in turn: how far down the pieces shrink before the last one reaches v = 0
_DEAD = 1e-13  # size of the last coefficients, relative to the largest, at which a polynomial has converged
_GRID = 2.0**26  # nodes v are multiples of its inverse: 1 - v^2 is then exact in double precision
_BITS = 7  # an octave is evaluated in 2^_BITS pieces ...
_FINE = 5  # ... of this degree
_BLOCK = 1 << 14  # cosines held at a time, in cache


@dataclass(frozen=True)
class GradedTable:
    """A function of the cosine, tabulated on both sides of 0 in octaves of ``1 + v (2^K - 1)``.

    Parameters
    ----------
    series : array (2, K, degree + 1)
        Chebyshev coefficients for each side (cosines >= 0 first) and octave.
    powers : pair of int
        For each side, the function is the polynomial divided by ``v`` to this power: 0, or 1 where the function is
        infinite at the end, or less than 0 where it vanishes there.
    """

    series: FloatArray
    powers: tuple[int, int]

    @classmethod
    def tabulate(cls, f: Callable[[FloatArray], FloatArray], powers: tuple[int, int] = (0, 0)) -> GradedTable:
        """Return a table of ``f``, which is evaluated at cosines strictly between -1 and 1.

        Raises
        ------
        ConvergenceError
            When ``f`` is no such function, or so close to one that is not that no table resolves it.
        """
        for octaves in _OCTAVES:
            x, v = _nodes(octaves)
            rho = 1.0 - v * v
            values = f(np.concatenate([rho.ravel(), -rho.ravel()])).reshape(2, octaves, -1)
            values = np.stack([side * v**power for side, power in zip(values, powers, strict=True)])
            series = np.asarray(
                np.linalg.solve(chebyshev.chebvander(x, _DEGREE), values[..., None])[..., 0], np.float64
            )
            tail = np.abs(series[..., -3:]).max() / max(np.abs(series).max(), 1e-300)
            if tail <= _DEAD:
                return cls(series, powers)
        raise ConvergenceError(
            f"a table over the cosines did not converge: {tail:.1e} of the function is left at degree {_DEGREE} in "
            f"{octaves} octaves; the model is too close to instability (lower sigma_a2), its activation nearly jumps, "
            "or a kink is not declared; nsd.ck and nsd.ntk solve for single pairs"
        )

    @property
    def octaves(self) -> int:
        """Number of octaves of a side."""
        return int(self.series.shape[1])

    def integral(self) -> GradedTable:
        """Return the table of ``integral of 2 v f dv`` from 0: what ``f`` adds up to from the end of the side."""
        sides = [_integrate(side, power) for side, power in zip(self.series, self.powers, strict=True)]
        return GradedTable(np.stack(sides), (self.powers[0] - 2, self.powers[1] - 2))

    def at(self, negative: NDArray[np.bool_], gap: FloatArray) -> FloatArray:
        """Return the values at cosines given by their side and their exact distance ``1 - |rho|`` from its end."""
        v = np.sqrt(gap)
        w = v * _stretch(self.octaves) + 1.0
        # The exponent of w is its octave, the leading bits of the mantissa are the piece within.
        piece = (w.view(np.int64) >> (52 - _BITS)) - (1023 << _BITS)
        piece += negative * np.int64(self.octaves << _BITS)
        w -= self._pieces[0].take(piece)
        value, term = self._pieces[1].take(piece), np.empty_like(w)
        for coefficients in self._pieces[2:]:
            value *= w
            value += coefficients.take(piece, out=term, mode="clip")
        if any(self.powers):
            with np.errstate(divide="ignore"):
                value *= np.where(negative, v ** -self.powers[1], v ** -self.powers[0])
        return value

    def __call__(self, rho: FloatArray) -> FloatArray:
        """Return the values at cosines in [-1, 1], a one-dimensional array."""
        out = np.empty_like(rho)
        for start in range(0, rho.size, _BLOCK):
            part = rho[start : start + _BLOCK]
            out[start : start + _BLOCK] = self.at(part < 0, 1.0 - np.abs(part))
        return out

    @cached_property
    def _pieces(self) -> FloatArray:
        """Centres of the pieces, then their coefficients from the highest power down: ``(_FINE + 2, pieces)``."""
        count = 1 << _BITS
        centres = (2.0 * np.arange(count) + 1.0) / count - 1.0  # in an octave that is [-1, 1]
        y = np.cos(np.pi * (np.arange(_FINE + 1) + 0.5) / (_FINE + 1))
        values = chebyshev.chebval(centres[:, None] + y / count, np.moveaxis(self.series, -1, 0))
        local = np.linalg.solve(np.vander(y), values[..., None])[..., 0]
        size = 2.0 ** np.arange(self.octaves)[:, None]  # of half an octave: size / 2; of half a piece: that / count
        powers = (0.5 * size / count)[..., None] ** np.arange(_FINE, -1, -1)
        middles = np.broadcast_to(size * (1.5 + 0.5 * centres), local.shape[:-1])
        rows = np.concatenate([middles[..., None], local / powers], axis=-1)
        return np.ascontiguousarray(rows.reshape(-1, _FINE + 2).T)


def _stretch(octaves: int) -> float:
    """Factor of ``v``; a little less than ``2^octaves - 1``, so that ``v = 1`` stays within the last octave."""
    return (2.0**octaves - 1.0) * (1.0 - 2.0**-50)


def _nodes(octaves: int) -> tuple[FloatArray, FloatArray]:
    """Return the places in the octave (each [-1, 1]) and the ``v`` of the nodes, both ``(octaves, _DEGREE + 1)``."""
    x = -np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    size = 2.0 ** np.arange(octaves)[:, None]
    v = np.round((size * (1.5 + 0.5 * x) - 1.0) / _stretch(octaves) * _GRID) / _GRID
    return ((1.0 + _stretch(octaves) * v) / size - 1.5) / 0.5, v


def _integrate(side: FloatArray, power: int) -> FloatArray:
    """Integral of ``2 v f dv`` from 0, divided by ``v^(2 - power)``, for ``f = side / v^power``."""
    (x, v), order = _nodes(len(side)), 2 - power
    # In the octave that reaches v = 0, v = half (1 + x), the quotient M solves v M' + (2 - power) M = 2 side.
    slopes = chebyshev.chebval(x[0], chebyshev.chebder(np.eye(_DEGREE + 1))).T
    operator = (1.0 + x[0])[:, None] * slopes + order * chebyshev.chebvander(x[0], _DEGREE)
    means = [np.linalg.solve(operator, 2.0 * chebyshev.chebval(x[0], side[0]))]
    total = chebyshev.chebval(1.0, means[0]) / _stretch(len(side)) ** order
    for octave in range(1, len(side)):
        half, start = 0.5 * 2.0**octave / _stretch(len(side)), (2.0**octave - 1.0) / _stretch(len(side))
        slope = side[octave] if power else chebyshev.chebmul(side[octave], [start + half, half])
        rise = chebyshev.chebint(2.0 * half * slope, lbnd=-1, k=total)
        means.append(_fit(x[octave], chebyshev.chebval(x[octave], rise) / v[octave] ** order))
        total = chebyshev.chebval(1.0, rise)
    return np.stack(means)


def _fit(x: FloatArray, values: FloatArray) -> FloatArray:
    """Return the Chebyshev coefficients of the polynomials through values at the nodes (last axis)."""
    return np.asarray(np.linalg.solve(chebyshev.chebvander(x, _DEGREE), values[..., None])[..., 0], dtype=np.float64)
