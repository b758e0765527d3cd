"""Samples sorted by class and centred, a block at a time: the samples themselves are never copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray, samples, table

BLOCK = 1 << 23
"""Numbers in a block: 64 MiB."""
_SHARE = 32  # a block may take this part of the samples, where that is more


@dataclass(frozen=True, eq=False)
class Groups:
    """View of samples ``X (n, p)``, double or single, as K classes with a centre each.

    Positions run through the samples sorted by class; ``order`` holds the rows of ``X`` at them, and class a takes
    those from ``bounds[a]`` to ``bounds[a + 1]``.
    """

    X: NDArray[np.floating[Any]]
    index: NDArray[np.int64]
    """Class of each sample, in ``0..K-1``, shape ``(n,)``"""
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    means: FloatArray
    """What is taken off the samples of each class, ``(K, p)``"""

    @classmethod
    def about(cls, X: NDArray[np.floating[Any]], index: NDArray[np.int64], means: FloatArray) -> Groups:
        """Return the samples about given centres, one a class; a class may be empty."""
        counts = np.bincount(index, minlength=len(means))
        return cls(X, index, np.argsort(index, kind="stable"), np.concatenate([[0], np.cumsum(counts)]), means)

    @classmethod
    def about_means(cls, X: NDArray[np.floating[Any]], index: NDArray[np.int64]) -> Groups:
        """Return the samples about the mean of their class; every class has a sample."""
        zeros = np.zeros((int(index.max()) + 1, X.shape[1]))
        raw = cls.about(X, index, zeros)
        sums = zeros.copy()
        for start, stop in raw.spans():
            starts, present = raw.runs(start, stop)
            sums[present] += np.add.reduceat(raw.block(start, stop), starts, axis=0)
        return cls(X, index, raw.order, raw.bounds, sums / raw.counts[:, None])

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return len(self.means)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples in each class, ``(K,)``."""
        return np.diff(self.bounds)

    @property
    def entries(self) -> int:
        """How many numbers a block may hold."""
        return max(BLOCK, self.X.size // _SHARE)

    def spans(self, a: int | None = None, most: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield where blocks start and stop, through all positions or those of class ``a``, ``most`` rows at most."""
        first, last = (0, len(self.order)) if a is None else (int(self.bounds[a]), int(self.bounds[a + 1]))
        step = max(1, self.entries // self.X.shape[1])
        step = step if most is None else min(step, most)
        return ((start, min(start + step, last)) for start in range(first, last, step))

    def block(self, start: int, stop: int) -> FloatArray:
        """Return the centred samples at the positions ``start..stop-1``, a new array of doubles."""
        rows = self.order[start:stop]
        out = self.X[rows].astype(np.float64, copy=False)
        out -= self.means[self.index[rows]]
        return out

    def runs(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the classes begin within a block, and which they are."""
        classes = self.index[self.order[start:stop]]
        starts = np.flatnonzero(np.diff(classes, prepend=-1))
        return starts, classes[starts]

    def squared_norms(self) -> FloatArray:
        """Return the squared norm of every centred sample, in the order of ``X``."""
        out = np.empty(len(self.X))
        for start, stop in self.spans():
            rows = self.block(start, stop)
            out[self.order[start:stop]] = np.einsum("ij,ij->i", rows, rows)
        return out


def compact_samples(name: str, value: Any, *, at_least: int = 1) -> NDArray[np.floating[Any]]:
    """Return samples as :func:`notsodeep.checks.samples` does, but leave single precision as it is."""
    array = np.asarray(value)
    if array.dtype != np.float32:
        return samples(name, array, at_least=at_least)
    table(name, array, at_least=at_least)
    step = max(1, BLOCK // array.shape[1])
    try:
        for start in range(0, len(array), step):
            samples(name, array[start : start + step])
    except ValueError:
        samples(name, array)  # counts the wrong rows of all blocks
        raise
    return array
