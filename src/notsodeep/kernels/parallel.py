"""Exact kernels of parallel branches: the sums of theirs, with one Gram matrix for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import chain

import torch

from notsodeep.kernels.explicit import ExplicitModel, ExplicitPairs, ExplicitSide
from notsodeep.kernels.model import Record, Values
from notsodeep.kernels.samples import Block
from notsodeep.spec import Parallel, branches_of


@dataclass(frozen=True)
class ParallelSide:
    """Samples with what depends on one of them alone, branch by branch."""

    branches: tuple[ExplicitSide, ...]

    @property
    def layers(self) -> tuple[torch.Tensor, ...]:
        """Standard deviations of the pre-activations, those of the first branch first."""
        return tuple(chain.from_iterable(side.layers for side in self.branches))


class ParallelModel:
    """Branches prepared for samples with norms from ``low`` to ``high`` (a :class:`~notsodeep.kernels.model.Model`)."""

    def __init__(self, parallel: Parallel, trained: frozenset[str], low: float, high: float) -> None:
        self.branches = tuple(ExplicitModel(mlp, own, low, high) for mlp, own in branches_of(parallel, trained))
        self.mehlers = tuple(chain.from_iterable(branch.mehlers for branch in self.branches))

    def side(self, block: Block) -> ParallelSide:
        """Return the samples as every branch wants them."""
        return ParallelSide(tuple(branch.side(block) for branch in self.branches))

    def pair(
        self, left: ParallelSide, right: ParallelSide, names: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> ParallelPairs:
        """Return the kernels of pairs of samples; no message needs their names."""
        sides = zip(self.branches, left.branches, right.branches, strict=True)
        return ParallelPairs(tuple(branch.pair(own, other) for branch, own, other in sides))

    def diagonals(self, side: ParallelSide) -> Values:
        """Return both kernels of each sample with itself."""
        return _total(branch.diagonals(own) for branch, own in zip(self.branches, side.branches, strict=True))


class ParallelPairs:
    """The kernels of parallel branches on pairs of samples (a :class:`~notsodeep.kernels.model.PairKernel`)."""

    def __init__(self, branches: tuple[ExplicitPairs, ...]) -> None:
        self._branches = branches

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor, Record]:
        """Evaluate a block with short series; the mask tells where those of every branch were long enough."""
        values, rights, records = zip(*(branch.bulk(i, j, gram) for branch in self._branches), strict=True)
        return _total(values), reduce(torch.logical_and, rights), reduce(Record.and_then, records)

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, Record]:
        """Evaluate single pairs with whatever route is exact for them."""
        values, records = zip(*(branch.pairs(i, j, gram) for branch in self._branches), strict=True)
        return _total(values), reduce(Record.and_then, records)


def _total(values: Iterable[Values]) -> Values:
    return reduce(lambda a, b: Values(a.ck + b.ck, a.ntk + b.ntk), values)
