"""Gaps of a limiting spectrum: the real solution followed from a point outside the support to both its edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError
from notsodeep.spectra.equations import Equations

WALL = 1e-13
"""Distance to an atom or a hard edge, of the scale, up to which a gap is followed."""

_FIRST, _LONGEST, _SHORTEST = 0.3, 1.0, 1e-9  # relative change of q in one step
_STEPS = 400
_SAME_COUNT = 1e-9
_SOLVED = 1e-13  # residual, of the largest term, from which one more step of Newton's method is exact
_FOLD = 1e-6  # what the spectral radius at an edge may exceed one by: rounding of the fold


@dataclass(frozen=True)
class Point:
    """A point outside the support and the solution there."""

    x: float
    q: FloatArray


@dataclass(frozen=True)
class Gap:
    """An interval without spectrum.

    Parameters
    ----------
    low, high : float
        Its ends; infinite for the outermost gaps.
    points : tuple of Point
        Solutions along it, in order. Where an end is a soft edge, it is among them; where an end is an atom or a
        hard edge, the solution is infinite there, and the last point is close to it.
    count : float
        Number of eigenvalues to its left, over p.
    """

    low: float
    high: float
    points: tuple[Point, ...]
    count: float

    @property
    def ends(self) -> tuple[Point, Point]:
        """Return both ends, with the solutions there: not numbers at a wall."""
        low, high = self.points[0], self.points[-1]
        unknown = np.full(len(low.q), np.nan)
        return (
            low if low.x == self.low else Point(self.low, unknown),
            high if high.x == self.high else Point(self.high, unknown),
        )


def gap_around(equations: Equations, start: Point, walls: tuple[float, float], origin: float = 0.0) -> Gap:
    """Return the gap that a point lies in, between the nearest walls (atoms or hard edges) on both sides.

    ``start.x`` is counted from ``origin``, which keeps the digits of a point close to a wall.
    """
    count = equations.count(start.q)
    low, before = _Follower(equations, count, -1, walls).run(start, origin)
    high, after = _Follower(equations, count, 1, walls).run(start, origin)
    return Gap(low, high, (*reversed(before), Point(start.x + origin, start.q), *after), count)


@dataclass(frozen=True)
class _Follower:
    """Follows the solution in one direction, with a mean of the ``q_a`` as the parameter: the edge is a fold."""

    equations: Equations
    count: float
    direction: int
    walls: tuple[float, float]

    def run(self, here: Point, origin: float) -> tuple[float, list[Point]]:
        """Return the end of the gap and the points on the way; positions are counted from the nearest wall."""
        points: list[Point] = []
        step = _FIRST
        for _ in range(_STEPS):
            nearest = self._nearest(here.x + origin)
            here, origin = Point(here.x + (origin - nearest), here.q), nearest
            wall = self.walls[0 if self.direction < 0 else 1]
            if abs(wall - origin - here.x) <= WALL * self.equations.scale:
                return wall, points
            if self._escaped(here.x + origin):
                return self.direction * math.inf, points
            line = _Line(self.equations.about(origin), here)
            there = line.at(self.direction * step)
            if there is not None and there.rate <= 0.0:
                edge = line.fold(self.direction * step)
                if edge is not None and self._continues(here, edge, wall - origin, 1.0 + _FOLD):
                    return edge.x + origin, [*points, Point(edge.x + origin, edge.q)]
            if there is None or there.rate <= 0.0 or not self._continues(here, there, wall - origin, 1.0):
                step *= 0.5
                if step < _SHORTEST:
                    break
                continue
            here = Point(there.x, there.q)
            points.append(Point(there.x + origin, there.q))
            step = min(_LONGEST, 1.5 * step)
        raise ConvergenceError(
            f"an edge of the spectrum near {here.x + origin:.9g} could not be reached; change n or the covariances "
            "slightly"
        )

    def _nearest(self, x: float) -> float:
        low, high = self.walls
        nearest = low if x - low < high - x else high
        return nearest if math.isfinite(nearest) else 0.0

    def _escaped(self, x: float) -> bool:
        low, high = self.equations.bounds
        return x < low if self.direction < 0 else x > high

    def _continues(self, here: Point, there: _Step, wall: float, radius: float) -> bool:
        """Tell whether a point lies ahead, in the same gap, and carries the certified solution."""
        ahead = self.direction * (there.x - here.x) >= 0.0 and self.direction * (wall - there.x) > 0.0
        return ahead and there.radius <= radius and abs(self.equations.count(there.q) - self.count) < _SAME_COUNT


class _Step(NamedTuple):
    """A point of the curve of solutions: dx/dt, positive before the fold, and the spectral radius there."""

    x: float
    q: FloatArray
    rate: float
    radius: float


class _Lost(Exception):
    """Newton's method did not arrive."""


class _Line:
    """The solutions with ``mean(dq / |q0|) = t``, near a point: one for each t, on both sides of the fold."""

    def __init__(self, equations: Equations, origin: Point) -> None:
        self._equations, self._origin = equations, origin
        self._weights = 1.0 / (len(origin.q) * np.abs(origin.q))
        self._tangent = self._bordered(origin.x, origin.q)[1]

    def at(self, t: float) -> _Step | None:
        """Return the point at ``t``, None where it is not found."""
        if self._tangent is None:
            return None
        q, x = self._origin.q + t * self._tangent[:-1], self._origin.x + t * self._tangent[-1]
        for _ in range(8):
            step, tangent, pairs = self._bordered(x, q, t)
            if step is None:
                return None
            q, x = q - step[:-1], x - step[-1]
            if (q * self._origin.q <= 0.0).any():
                return None
            if pairs is not None:
                return _Step(float(x), q, float(tangent[-1]), float(self._equations.radius_of(q[None], pairs)[0]))
        return None

    def fold(self, beyond: float) -> _Step | None:
        """Return the point where dx/dt vanishes, between 0 and ``beyond``; None where it is lost on the way."""
        try:
            return self.at(brentq(self._rate, 0.0, beyond, xtol=1e-12 * abs(beyond)))
        except (_Lost, ValueError):  # ValueError: rounding hides the sign of dx/dt at the origin
            return None

    def _rate(self, t: float) -> float:
        found = self.at(t)
        if found is None:
            raise _Lost
        return found.rate

    def _bordered(self, x: float, q: FloatArray, t: float = 0.0) -> tuple[Any, Any, Any]:
        """Return Newton's step, the tangent, and the pairs of traces where the equations hold already."""
        residual, jacobian, size, pairs = self._equations.system(np.array([x]), q[None])
        k = len(q)
        matrix = np.zeros((k + 1, k + 1))
        matrix[:k, :k], matrix[:k, k], matrix[k, :k] = jacobian[0], -q, self._weights
        right = np.zeros((k + 1, 2))
        right[:k, 0], right[k] = residual[0], (self._weights @ (q - self._origin.q) - t, 1.0)
        try:
            step, tangent = np.linalg.solve(matrix, right).T
        except np.linalg.LinAlgError:
            return None, None, None
        return step, tangent, pairs if np.abs(right[:, 0]).max() <= _SOLVED * size[0] else None
