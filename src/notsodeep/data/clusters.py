"""Classes found by k-means where samples have no labels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.data.groups import BLOCK

_FITTED = 10_000
"""Samples that the centres are fitted to; all samples then join the nearest one."""
_STARTS = 10


def find_clusters(X: NDArray[np.floating[Any]], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the cluster of each sample, in ``0..k-1``, the largest cluster first; some may be empty.

    Lloyd's algorithm from ten k-means++ starts, on 10 000 samples drawn at random where there are more.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    n, p = X.shape
    rows = np.sort(rng.choice(n, _FITTED, replace=False)) if n > _FITTED else slice(None)
    means = KMeans(k, n_init=_STARTS, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct samples than clusters: some stay empty
        means.fit(X[rows].astype(np.float64, copy=False))
    step = max(1, BLOCK // p)
    blocks = (X[i : i + step].astype(np.float64, copy=False) for i in range(0, n, step))
    found = np.concatenate([means.predict(block) for block in blocks])
    rank = np.argsort(np.argsort(-np.bincount(found), kind="stable"), kind="stable")
    return np.asarray(rank[found], dtype=np.int64)
