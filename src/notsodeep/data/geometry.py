"""Norms of the samples, and cosines between them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.data import groups

_MOST = 1000
_OUTER = 0.005  # share of the pairs that is left out on each side


def squared_norms(X: NDArray[np.floating[Any]]) -> FloatArray:
    """Return ``|x_i|^2`` in double precision, shape ``(n,)``."""
    return np.einsum("ij,ij->i", X, X, dtype=np.float64)


def cosine_range(X: NDArray[np.floating[Any]], squares: FloatArray) -> tuple[float, float]:
    """Return the 0.5 % and 99.5 % quantiles of ``x_i . x_j / (|x_i| |x_j|)``, ``i != j``, over 1000 samples at most.

    They are those at evenly spaced indices; ``squares`` are the squared norms of all. NaN for a single sample.
    """
    n = len(X)
    if n < 2:
        return math.nan, math.nan
    some = np.linspace(0, n - 1, min(n, _MOST)).round().astype(np.int64)
    cosines = np.concatenate(list(_cosines(X, np.sqrt(squares), some)))
    low, high = np.quantile(np.clip(cosines, -1.0, 1.0, out=cosines), (_OUTER, 1.0 - _OUTER), overwrite_input=True)
    return float(low), float(high)


def _cosines(X: NDArray[np.floating[Any]], norms: FloatArray, some: NDArray[np.int64]) -> Iterator[FloatArray]:
    """Yield those of all pairs of ``some`` rows, a block of rows against another at a time."""
    parts = np.array_split(some, math.ceil(some.size * X.shape[1] / groups.BLOCK))
    for i, part in enumerate(parts):
        rows = X[part] / norms[part, None]
        yield (rows @ rows.T)[np.triu_indices(part.size, 1)]
        for other in parts[:i]:
            yield (rows @ (X[other] / norms[other, None]).T).ravel()
