"""What the tiles ask of a model: sides that depend on one set of samples, and kernels of pairs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from notsodeep.activations.duals.series import Mehler
from notsodeep.kernels.samples import Block


class Values(NamedTuple):
    """Conjugate kernel and NTK of some pairs."""

    ck: torch.Tensor
    ntk: torch.Tensor


@dataclass(frozen=True)
class Record:
    """Certificate of some kernel entries."""

    residual: float = 0.0
    """Largest ``|Lambda - sigma_a2 G(Lambda) - sigma_b2 x.y - sigma_c2| / sqrt(q_i q_j)``; 0 for explicit models"""
    steps: int = 0
    """Newton steps of the pair that took most; 0 for explicit models"""
    singled_out: int = 0
    """Pairs, most of them near correlation 1 or -1, that were treated one by one"""
    failure: str | None = None
    """Where and why pairs did not converge (their entries are NaN), or None"""

    @property
    def converged(self) -> bool:
        """Whether every entry is right."""
        return self.failure is None

    def and_then(self, other: Record) -> Record:
        """Return the record of both."""
        return Record(
            max(self.residual, other.residual),
            max(self.steps, other.steps),
            self.singled_out + other.singled_out,
            self.failure or other.failure,
        )


class PairKernel(Protocol):
    """A model's kernels on pairs from two sides; ``i`` and ``j`` count within them."""

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor, Record]:
        """Return the kernels of a block (``i``, ``j`` broadcast) and a mask of the pairs that they are right for."""

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, Record]:
        """Return the kernels of single pairs, whatever it takes."""


class Model(Protocol):
    """A model prepared for samples whose norms lie in a known range."""

    @property
    def mehlers(self) -> tuple[Mehler, ...]:
        """Expansions of each layer's activation."""

    def side(self, block: Block) -> Any:
        """Return what depends on some samples alone; its ``layers`` are their scales ``(n,)`` in each layer."""

    def pair(self, left: Any, right: Any, names: tuple[torch.Tensor, torch.Tensor] | None = None) -> PairKernel:
        """Return the kernels of samples of two sides; ``names`` are the numbers that messages call the samples."""

    def diagonals(self, side: Any) -> Values:
        """Return the kernels of each sample with itself, from one-dimensional integrals."""
