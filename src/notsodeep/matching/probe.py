"""How far apart the exact kernels of a DEQ and of a network are, over the norms and cosines that occur in data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from notsodeep.checks import FloatArray
from notsodeep.data import Statistics
from notsodeep.kernels.assemble import assemble
from notsodeep.kernels.diagonal import diagonals_at
from notsodeep.kernels.samples import Samples
from notsodeep.kernels.tiling import Tiler
from notsodeep.matching.target import has_equal_norms
from notsodeep.spec import DEQ, Spec

_SQUARES = (0.6, 1.0, 1.4)
_COSINES = (-0.4, 0.6)
_MOST = 0.7  # cosine up to which short series serve
_ORTHOGONAL = 1e-3  # cosine below which pairs have next to no kernel
_SHARE = 0.05  # quantile of the squared norms that the range starts at
_LEAST = 1e-3  # of the diagonal: smaller entries do not add up to it over a thousand samples
_SHRINKS = (1.0, 0.5, 0.25, 0.0)


@dataclass(frozen=True)
class Pairs:
    """Pairs of samples of a few norms at a few cosines, in units of the data scale."""

    norms: FloatArray
    """``(R,)``"""
    cosines: FloatArray
    """``(C,)``"""

    @classmethod
    def of(cls, stats: Statistics | None, tau0: float, shrink: float = 1.0) -> Pairs:
        """Return pairs that span the range of the data, or a default one, norms drawn in around 1 by ``shrink``."""
        squares = np.array(_SQUARES)
        low, high = _COSINES
        if stats is not None:
            squares = np.quantile(stats.squared_norms, [_SHARE, 0.5, 1.0 - _SHARE]) / tau0**2
            low, high = np.clip(stats.cosines, -_MOST, _MOST)
            if has_equal_norms(stats):
                squares, shrink = np.ones(1), 1.0
        if shrink == 0.0:
            squares = np.ones(1)
        cosines = np.array([low, 0.5 * (low + high), high])
        cosines = cosines[np.abs(cosines) > _ORTHOGONAL]
        return cls(np.sqrt(1.0 + shrink * (squares - 1.0)), cosines if cosines.size else np.array(_COSINES))

    @cached_property
    def _grid(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        left, right = np.triu_indices(len(self.norms))
        count = len(self.cosines)
        return np.repeat(left, count), np.repeat(right, count), np.tile(self.cosines, len(left))

    @property
    def left(self) -> FloatArray:
        """Place of the norm of the first sample of each pair."""
        return self._grid[0]

    @property
    def right(self) -> FloatArray:
        """Place of the norm of the second sample of each pair."""
        return self._grid[1]

    @property
    def products(self) -> FloatArray:
        """``x . y`` of each pair."""
        return self.norms[self.left] * self.norms[self.right] * self._grid[2]


@dataclass(frozen=True)
class Probe:
    """The exact kernels of a DEQ on pairs of samples."""

    pairs: Pairs
    tau0: float
    kernels: tuple[str, ...]
    values: dict[str, FloatArray]
    """Of each kernel: of the pairs, then of each norm with itself"""
    sizes: dict[str, FloatArray]
    """What differences are relative to: the largest entry of two samples of the pair's norms at any of the cosines;
    of a sample with itself, its value"""

    @classmethod
    def of(cls, deq: DEQ, kernels: tuple[str, ...], trained: frozenset[str], stats: Statistics | None) -> Probe:
        """Return the probe; norms at which the DEQ has no fixed point are drawn in."""
        for shrink in _SHRINKS:
            pairs = Pairs.of(stats, deq.tau0, shrink)
            try:
                values = exact(deq, kernels, trained, pairs, deq.tau0)
                break
            except ValueError:
                if shrink == _SHRINKS[-1]:
                    raise
        return cls(pairs, deq.tau0, kernels, values, {name: _sizes(found, pairs) for name, found in values.items()})

    def distance(self, spec: Spec, trained: frozenset[str]) -> float:
        """Return the largest relative difference of the kernels of a network that trains these weights."""
        found = exact(spec, self.kernels, trained, self.pairs, self.tau0)
        return max(float((np.abs(found[name] - self.values[name]) / self.sizes[name]).max()) for name in self.kernels)


def exact(
    spec: Spec, kernels: tuple[str, ...], trained: frozenset[str], pairs: Pairs, tau0: float
) -> dict[str, FloatArray]:
    """Return the exact kernels of the pairs, then of each norm with itself."""
    norms, cosines = tau0 * pairs.norms, pairs.cosines
    X = np.stack([norms, np.zeros_like(norms)], axis=1)
    Y = (norms[:, None, None] * np.stack([cosines, np.sqrt(1.0 - cosines**2)], axis=1)).reshape(-1, 2)
    found, _ = assemble(Tiler(spec, Samples("X", X), Samples("Y", Y), trained, torch.float64, None), kernels)
    own = dict(zip(("ck", "ntk"), diagonals_at(spec, norms**2, trained), strict=True))
    left, right = np.triu_indices(len(norms))
    return {
        name: np.concatenate([found[name].numpy().reshape(*2 * [len(norms)], -1)[left, right].ravel(), own[name]])
        for name in kernels
    }


def _sizes(values: FloatArray, pairs: Pairs) -> FloatArray:
    across, own = np.split(np.abs(values), [len(pairs.left)])
    largest = across.reshape(-1, len(pairs.cosines)).max(axis=1)
    least = _LEAST * np.sqrt(own[pairs.left] * own[pairs.right])
    return np.concatenate([np.maximum(np.repeat(largest, len(pairs.cosines)), least), own])
