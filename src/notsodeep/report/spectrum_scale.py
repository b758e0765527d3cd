"""The axis of eigenvalues: linear, or logarithmic where most of a bulk would be one bin of a linear one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from notsodeep.checks import FloatArray

NODES = 1001  # of a density, crowded at its edges
_MOST = (0.1, 0.9)  # quantiles that most eigenvalues are between
_CROWDED = 0.1  # share of a linear axis; fewer than that for most eigenvalues is too little
_WIDE = 100.0  # ratio of eigenvalues that takes a logarithmic axis
_MARGIN = 0.03  # beyond the outermost values


class Curve(NamedTuple):
    """A density over eigenvalues."""

    x: FloatArray
    density: FloatArray


@dataclass(frozen=True)
class Scale:
    """An axis of eigenvalues ``x`` with the coordinate ``u = x`` or ``u = log x``; densities are per unit of ``u``."""

    logarithmic: bool

    @classmethod
    def of(cls, bulk: FloatArray) -> Scale:
        """Return the scale on which ascending eigenvalues can be seen."""
        least, most = bulk[0], bulk[-1]
        first, last = np.quantile(bulk, _MOST)
        return cls(bool(least > 0.0 and most > _WIDE * least and last - first < _CROWDED * (most - least)))

    def coordinate(self, x: Any) -> Any:
        """Return ``u`` at ``x``."""
        return np.log(x) if self.logarithmic else x

    def value(self, u: Any) -> Any:
        """Return ``x`` at ``u``."""
        return np.exp(u) if self.logarithmic else u

    def edges(self, values: FloatArray, bins: int) -> FloatArray:
        """Return the edges of so many bins, equally wide on the axis, that hold ``values``."""
        u = self.coordinate(values)
        low, high = float(u.min()), float(u.max())
        margin = _MARGIN * (high - low) or _MARGIN * abs(high) or _MARGIN
        return np.asarray(self.value(np.linspace(low - margin, high + margin, bins + 1)))

    def width(self, edges: FloatArray) -> float:
        """Return how wide each bin is on the axis."""
        u = self.coordinate(edges[[0, -1]])
        return float(u[1] - u[0]) / (len(edges) - 1)

    def curve(self, law: Any, low: float, high: float) -> Curve:
        """Return the density of ``law`` between two values, where it is finite."""
        first, last = self.coordinate(low), self.coordinate(high)
        u = 0.5 * (first + last) - 0.5 * (last - first) * np.cos(np.linspace(0.0, np.pi, NODES))
        x = np.clip(self.value(u), low, high)
        density = np.asarray(law.pdf(x)) * (x if self.logarithmic else 1.0)
        finite = np.isfinite(density)
        return Curve(x[finite], density[finite])
