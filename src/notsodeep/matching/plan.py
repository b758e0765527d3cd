"""Which families and sizes of networks are tried for a target, in which order, and which of the solutions is taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from notsodeep.matching import leaky_relu
from notsodeep.matching.certificates import why_not
from notsodeep.matching.families import FAMILIES, Family
from notsodeep.matching.probe import Probe
from notsodeep.matching.search import Solution, search
from notsodeep.matching.target import Target
from notsodeep.spec import DEQ

_CHAINS = ((1,), (2,), (3,))
_BRANCHES = ((1,), (1, 1), (2,), (1, 2), (2, 2), (3,), (1, 3))
CLOSE = 7e-3
"""Distance at which nothing else is tried"""
FAIR = 0.07
"""Distance at which no sharp knots are tried beside blurred ones"""
_CLOSEST = 2  # ruled-out sizes that the closest network is looked for in
_FLOOR = 1e-4  # distances below it count as equal
_PER_LAYER = 3.0  # how many times closer the kernel of one more layer has to be


@dataclass(frozen=True)
class Found:
    """What came of the families that were tried."""

    solutions: tuple[Solution, ...]
    """Networks with the numbers of the target: the one to take, then the others, closest first"""
    closest: Solution
    """The one to take; where there is none, the network that misses the numbers least"""
    ruled_out: dict[str, str]
    """By family and size: the relation that rules them out"""
    open: tuple[str, ...]
    """Families and sizes that were searched in vain"""


class _Attempts:
    """Solutions and failures so far."""

    def __init__(self, deq: DEQ, target: Target, probe: Probe) -> None:
        self._problem = deq, target, probe
        self.solutions: list[Solution] = []
        self.missed: dict[str, Solution] = {}
        self.ruled_out: dict[str, str] = {}
        self._ruled: list[tuple[Family, tuple[int, ...]]] = []

    def attempt(self, family: Family, branches: tuple[int, ...]) -> None:
        """Search, unless a relation rules the target out."""
        reason = why_not(self._problem[1], family, branches)
        if reason:
            self.ruled_out[label(family.name, branches)] = reason
            self._ruled.append((family, branches))
            return
        new = search(*self._problem, family, branches)
        if new[0].matched:
            self.solutions += new
        else:
            self.missed[label(family.name, branches)] = new[0]

    def has_better(self, family: Family, branches: tuple[int, ...]) -> bool:
        """Tell whether ``family`` has little to add at this size: sharp knots, where blurred ones are fair."""
        return family.name == "three_slope" and any(
            each.family == "soft_slopes" and sizes(each) == branches and each.distance <= FAIR
            for each in self.solutions
        )

    def within(self, distance: float) -> bool:
        """Tell whether a solution is as close as that."""
        return bool(self.solutions) and best(self.solutions).distance <= distance

    def result(self) -> Found:
        """Return what was found; where nothing was, look for the closest network among those ruled out too."""
        ranked = sorted(self.solutions, key=lambda each: each.distance)
        if ranked:
            first = best(ranked)
            ranked = [first, *(each for each in ranked if each is not first)]
        else:
            likely = [each for each in self._ruled if each[0].bounded] or self._ruled
            others = [search(*self._problem, *each, thorough=False)[0] for each in likely[-_CLOSEST:]]
            first = min([*self.missed.values(), *others], key=lambda each: each.residual)
        return Found(tuple(ranked), first, self.ruled_out, tuple(self.missed))


def design(deq: DEQ, target: Target, probe: Probe, family: str, max_depth: int) -> Found:
    """Try families and sizes, shallow ones first, until a network is close enough."""
    attempts = _Attempts(deq, target, probe)
    for families in _tiers(target) if family == "auto" else [(FAMILIES[family],)]:
        for branches in _sizes(target, max_depth):
            for each in families:
                if not (attempts.within(CLOSE) or attempts.has_better(each, branches)):
                    attempts.attempt(each, branches)
        if attempts.within(CLOSE if families[0].name == "leaky_relu" else math.inf):
            break
    return attempts.result()


def _tiers(target: Target) -> Iterator[tuple[Family, ...]]:
    """Yield the families to try together: those that only a DEQ of the same kind needs, bounded slopes, series."""
    if not (target.is_odd or target.equal_norms or leaky_relu.identity(target)):
        yield (FAMILIES["leaky_relu"],)
    soft, sharp = FAMILIES["soft_slopes"], FAMILIES["three_slope"]
    yield (FAMILIES["hard_tanh"], soft, sharp) if target.is_odd else (soft, sharp)
    yield tuple(each for each in FAMILIES.values() if not each.bounded)


def _sizes(target: Target, max_depth: int) -> Iterator[tuple[int, ...]]:
    """Yield the numbers of layers, shallow ones first; of several branches only for both kernels."""
    return (sizes for sizes in (_BRANCHES if target.kernel == "both" else _CHAINS) if max(sizes) <= max_depth)


def best(solutions: list[Solution]) -> Solution:
    """Return the solution to take: a further layer has to bring the kernel three times closer."""
    return min(solutions, key=lambda each: (max(each.distance, _FLOOR) * _PER_LAYER ** sum(sizes(each)), each.distance))


def sizes(solution: Solution) -> tuple[int, ...]:
    """Return the number of layers of each branch."""
    return tuple(branch.depth for branch in getattr(solution.spec, "branches", (solution.spec,)))


def label(family: str, branches: tuple[int, ...]) -> str:
    """Return the family and the size as ``soft_slopes x 1 + 2``."""
    return f"{family} x {' + '.join(map(str, branches))}"
