"""Atoms and hard edges of a limiting spectrum, by counting dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from notsodeep.spectra.equations import Equations

_TIE = 1e-9
_ALL_SUBSETS = 10


@dataclass(frozen=True)
class Wall:
    """A point that the solutions are infinite at: an atom of some mass (over p), or a hard edge of mass zero."""

    position: float
    mass: float


def walls(equations: Equations) -> tuple[Wall, ...]:
    """Return the atoms and hard edges, in order.

    The classes of shift s have ``n_A`` rows in all, of rank ``min over T of rank(T) + n_(A without T)``
    (``rank(T)``: the dimension of the sum of the ranges of classes T). Rows beyond the rank make an atom at s;
    where rank and rows are equal with a set T that is not empty, the density may be infinite at s.

    Notes
    -----
    Source: Lovász, Flats in matroids and geometric graphs, in Combinatorial Surveys (1977), for generic rows in
    given subspaces.
    """
    found = []
    for shift in np.unique(equations.shifts):
        classes = np.flatnonzero(equations.shifts == shift)
        rows = float(equations.weights[classes].sum())
        rank = _smallest_bound(equations, classes)
        if rank <= rows * (1.0 + _TIE):
            mass = rows - rank
            found.append(Wall(float(shift), mass if mass > _TIE * rows else 0.0))
    return tuple(found)


def _smallest_bound(equations: Equations, classes: NDArray[np.int64]) -> float:
    """Return the smallest ``rank(T) + n_(A without T)`` over sets T that are not empty.

    Classes of one range are in T together or not at all. Of many ranges only the sets with most rows for their
    rank are looked at: a smaller bound that is missed shows as a wrong mass.
    """
    rank, weights = equations.traces.rank, equations.weights
    groups = _same_range(equations, [int(a) for a in classes])
    groups.sort(key=lambda group: -float(weights[group].sum()) / max(rank(group), 1e-300))
    rows = float(weights[classes].sum())
    sets = ([a for group in chosen for a in group] for chosen in _subsets(groups))
    return min(rank(chosen) + rows - float(weights[chosen].sum()) for chosen in sets)


def _subsets(groups: list[list[int]]) -> Iterator[Sequence[list[int]]]:
    if len(groups) > _ALL_SUBSETS:
        yield from (groups[:size] for size in range(1, len(groups) + 1))
    else:
        for size in range(1, len(groups) + 1):
            yield from combinations(groups, size)


def _same_range(equations: Equations, classes: Sequence[int]) -> list[list[int]]:
    rank = equations.traces.rank
    own = {a: rank([a]) for a in classes}
    groups: list[list[int]] = []
    for a in classes:
        for group in groups:
            b = group[0]
            if abs(own[a] - own[b]) < _TIE and (own[a] > 1.0 - _TIE or abs(rank([a, b]) - own[a]) < _TIE):
                group.append(a)
                break
        else:
            groups.append([a])
    return groups
