"""Support of the spectrum of classes that act on each other: gaps, atoms, and the density between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from notsodeep.errors import ConvergenceError
from notsodeep.spectra.atoms import Wall, walls
from notsodeep.spectra.equations import Equations
from notsodeep.spectra.gaps import WALL, Gap, Point, gap_around
from notsodeep.spectra.panels import series_between
from notsodeep.spectra.series import Series

_MASS = 1e-9  # of a stretch of spectrum: integral of the density against the count of eigenvalues
_PROGRESS = 1e-13  # of the scale: a gap that ends closer to a known edge is the one known already


@dataclass(frozen=True, eq=False)
class Support:
    """Atoms, gaps and densities, each in order; masses and densities are over p.

    Parameters
    ----------
    equations : Equations
        The equations solved.
    walls : tuple of Wall
        Atoms and hard edges.
    gaps : tuple of Gap
        Intervals without spectrum.
    series : tuple of Series
        The density between the gaps.
    mass_error : float
        Largest difference between the mass integrated and counted, of a stretch of spectrum between two gaps.
    """

    equations: Equations
    walls: tuple[Wall, ...]
    gaps: tuple[Gap, ...]
    series: tuple[Series, ...]
    mass_error: float


def find_support(equations: Equations) -> Support:
    """Return the support of the spectrum, found from its gaps.

    Every gap is followed to both its ends; between two gaps the density is resolved, and a node of its series
    that turns out to be outside the support is a point of one more gap. The integrals are checked against the
    numbers of eigenvalues to the left of the gaps, which the signs of the solutions tell exactly.

    Raises
    ------
    ConvergenceError
        When an edge or the density is not found, or the masses differ.
    """
    found = walls(equations)
    ends = [-math.inf, *(wall.position for wall in found), math.inf]
    gaps: list[Gap] = []
    series: list[Series] = []
    for low, high in pairwise(ends):
        stretch = _Stretch(equations, low, high)
        series += stretch.series()  # finds more gaps
        gaps += stretch.gaps
    error = _mass_error(equations, found, gaps, series)
    if error > _MASS:
        raise ConvergenceError(
            f"the density integrates to a mass that is off by {error:.2e} of the rows; change n or the covariances "
            "slightly"
        )
    return Support(equations, found, tuple(gaps), tuple(series), error)


class _Stretch:
    """The spectrum between two neighbouring walls."""

    def __init__(self, equations: Equations, low: float, high: float) -> None:
        self._equations, self._walls = equations, (low, high)
        self.gaps: list[Gap] = []
        for wall, side in ((low, 1), (high, -1)):
            origin = wall if math.isfinite(wall) else equations.bounds[0 if side > 0 else 1]
            self._probe(origin, side * WALL * equations.scale)

    def _probe(self, origin: float, step: float) -> None:
        """Look for a gap next to a wall, or to a point far outside."""
        equations = self._equations.about(origin)
        state = equations.real(np.array([step]))
        if state.inside[0] or any(gap.low <= origin + step <= gap.high for gap in self.gaps):
            return
        self.gaps.append(gap_around(self._equations, Point(step, state.q[0].real), self._walls, origin))

    def series(self) -> list[Series]:
        """Return the densities in order, and complete the list of gaps."""
        out, pending = [], self._between()
        while pending:
            low, high = pending.pop()
            density = series_between(self._equations, low, high)
            if isinstance(density, Series):
                out.append(density)
                continue
            gap = gap_around(self._equations, density, self._walls)
            self._insert(gap, low.x, high.x)
            pending += [(one, other) for one, other in ((low, gap.ends[0]), (gap.ends[1], high)) if one.x < other.x]
        return sorted(out, key=lambda one: one.low)

    def _insert(self, gap: Gap, low: float, high: float) -> None:
        room = _PROGRESS * self._equations.scale
        if any(min(gap.high, one.high) - max(gap.low, one.low) > -room for one in self.gaps):
            raise ConvergenceError(
                f"the edges at {low:.12g} and {high:.12g} are not told from rounding; change n or the covariances "
                "slightly"
            )
        self.gaps = sorted([*self.gaps, gap], key=lambda one: one.low)

    def _between(self) -> list[tuple[Point, Point]]:
        """Return the ends of what is not in the gaps known."""
        unknown = np.full(len(self._equations.weights), np.nan)
        here, last = (Point(wall, unknown) for wall in self._walls)
        out = []
        for gap in self.gaps:
            if gap.low > here.x:
                out.append((here, gap.ends[0]))
            here = gap.ends[1]
        return out if here.x >= last.x else [*out, (here, last)]


def _mass_error(equations: Equations, walls: Sequence[Wall], gaps: Sequence[Gap], series: Sequence[Series]) -> float:
    errors = []
    for left, right in pairwise(sorted(gaps, key=lambda gap: gap.low)):
        continuous = sum(one.mass for one in series if left.high <= one.low and one.high <= right.low)
        atoms = sum(wall.mass for wall in walls if left.high <= wall.position <= right.low)
        errors.append(abs(right.count - left.count - continuous - atoms))
    return max(errors) / float(equations.weights.sum())
