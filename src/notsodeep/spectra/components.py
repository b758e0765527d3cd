"""Classes that act on each other: the equations split, since classes of orthogonal ranges have spectra of their own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError
from notsodeep.spectra.equations import ComplexArray, Equations
from notsodeep.spectra.gaps import Gap, Point
from notsodeep.spectra.model import ClassModel
from notsodeep.spectra.support import Support, find_support
from notsodeep.spectra.traces import Traces

_ORTHOGONAL = 1e-13  # tr(S_a S_b), of the root of tr(S_a^2) tr(S_b^2), up to which ranges are orthogonal
_ROUNDING = 1e-15  # of a position and what it is counted from
_SAME_SHIFT = 1e-13  # of the size of the spectrum


@dataclass(frozen=True, eq=False)
class Component:
    """Classes that act on each other, and their spectrum.

    Parameters
    ----------
    classes : array of int
        Which classes of the model.
    weights : array
        Their ``n_a / p``.
    offset : float
        What the support, which is centred, is shifted by.
    support : Support or None
        None for a class without covariance, of which every eigenvalue is its shift, ``offset``.
    """

    classes: NDArray[np.intp]
    weights: FloatArray
    offset: float
    support: Support | None

    @property
    def mass(self) -> float:
        """Return the number of rows, over p."""
        return float(self.weights.sum())

    def upper(self, z: ComplexArray) -> ComplexArray:
        """Return ``q`` (G, k) of the classes in the upper half plane."""
        if self.support is None:
            return np.asarray(1.0 / (self.offset - z))[:, None]
        return self.support.equations.upper(z - self.offset)

    def outside(self, x: float) -> tuple[FloatArray, FloatArray]:
        """Return ``q`` (k,) of the classes and its derivative, at a point outside the support or at a soft edge.

        At an edge the derivative is infinite: what comes is not to be used.
        """
        centred = x - self.offset
        if self.support is None:
            q = np.array([-1.0 / centred])
            return q, q**2
        q = _solution(self.support, centred, self._rounding(x))
        return q, self.support.equations.slope(centred, q)

    def is_wall(self, x: float) -> bool:
        """Tell whether the solutions are infinite at a point: an atom or a hard edge."""
        positions = [0.0] if self.support is None else [wall.position for wall in self.support.walls]
        return any(abs(x - self.offset - position) <= self._rounding(x) for position in positions)

    def _rounding(self, x: float) -> float:
        return _ROUNDING * (abs(x) + abs(self.offset))


def components(model: ClassModel, traces: Traces, classes: NDArray[np.intp]) -> tuple[Component, ...]:
    """Return the spectra of the classes that act on each other.

    Parameters
    ----------
    model : ClassModel
        The model.
    traces : Traces
        Of the covariances of some of its classes.
    classes : array of int
        Which: those that are not empty.

    Raises
    ------
    ConvergenceError
        When a spectrum is not resolved.
    """
    products = traces.products()
    sizes = np.sqrt(np.diagonal(products))
    linked = products > _ORTHOGONAL * np.outer(sizes, sizes)
    count, labels = connected_components(linked, directed=False)
    parts = (np.flatnonzero(labels == label) for label in range(count))
    return tuple(_component(model, traces, classes, part) for part in parts)


def _component(model: ClassModel, traces: Traces, classes: NDArray[np.intp], part: NDArray[np.intp]) -> Component:
    own = classes[part]
    shifts, weights = model.shifts[own], model.counts[own] / model.p
    taken = traces.take(part.tolist())
    if not taken.norms().any():
        return Component(own, weights, float(shifts[0]), None)
    offset = float(np.unique(shifts).mean())
    centred = _clustered(shifts - offset, float(taken.norms().max()))
    equations = Equations(centred, weights, taken)
    return Component(own, weights, offset, find_support(equations))


def _clustered(shifts: FloatArray, size: float) -> FloatArray:
    """Return shifts of which those that agree to rounding are equal: they make atoms together."""
    out = shifts.copy()
    order = np.argsort(shifts)
    for one, other in pairwise(order):
        if shifts[other] - shifts[one] <= _SAME_SHIFT * (size + float(np.ptp(shifts))):
            out[other] = out[one]
    return out


def _solution(support: Support, x: float, rounding: float) -> FloatArray:
    gap = next((gap for gap in support.gaps if gap.low - rounding <= x <= gap.high + rounding), None)
    if gap is None:
        raise ConvergenceError(f"{x:.9g} from the centre is not outside the support; report the model")
    for end in gap.ends:
        if abs(end.x - x) <= rounding and np.isfinite(end.q).all():
            return end.q
    found = support.equations.outside(x, _near(gap, x, support.equations))
    if found is None:
        found = support.equations.real(np.array([x])).q[0].real
    return found


def _near(gap: Gap, x: float, equations: Equations) -> FloatArray:
    """Return a solution interpolated between points of a gap; beyond them, one that falls like 1 / x."""
    after = next((i for i, point in enumerate(gap.points) if point.x >= x), len(gap.points))
    if 0 < after < len(gap.points):
        return _between(gap.points[after - 1], gap.points[after], x)
    return np.asarray(1.0 / (equations.shifts - x))


def _between(low: Point, high: Point, x: float) -> FloatArray:
    share = (x - low.x) / (high.x - low.x)
    return low.q + share * (high.q - low.q)
