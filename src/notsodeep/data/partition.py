"""Which class each sample is of: by its label, all of one class, or by clustering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import integer, labels
from notsodeep.data.clusters import find_clusters
from notsodeep.data.seeds import generator


@dataclass(frozen=True, eq=False)
class Partition:
    """Samples divided into classes."""

    classes: tuple[Any, ...]
    """What the classes are called"""
    index: NDArray[np.int64]
    """Class of each sample, as a place in ``classes``"""
    source: str
    """How they were divided"""


def by_label(y: Any, n: int, least: int, purpose: str) -> Partition:
    """Divide ``n`` samples by the labels ``y``; without any (``None``) all are of class 0.

    Raises
    ------
    ValueError
        When ``y`` is no array of n labels, or a class has fewer than ``least`` samples: ``purpose`` needs them.
    """
    if y is None:
        return Partition((0,), np.zeros(n, dtype=np.int64), "one class")
    classes, index, counts = np.unique(labels("y", y, n), return_inverse=True, return_counts=True)
    a = int(counts.argmin())
    if counts[a] < least:
        raise ValueError(
            f"y must have at least {least} samples of each class to {purpose}, class {classes.tolist()[a]!r} has "
            f"{counts[a]}; leave it out or join it to another"
        )
    return Partition(tuple(classes.tolist()), np.asarray(index, dtype=np.int64), "labels")


def by_cluster(
    X: NDArray[np.floating[Any]], clusters: int, seed: int | np.random.Generator, least: int, purpose: str
) -> Partition:
    """Divide samples into ``clusters`` classes by k-means, numbered from the largest to the smallest.

    Raises
    ------
    ValueError
        When ``clusters`` or ``seed`` is illegal, or a cluster comes out with fewer than ``least`` samples.
    """
    k, rng = integer("clusters", clusters, low=2), generator(seed)
    if k * least > len(X):
        raise ValueError(
            f"clusters must leave at least {least} samples a cluster to {purpose}: at most {len(X) // least} clusters "
            f"of {len(X)} samples, got {k}"
        )
    index = find_clusters(X, k, rng)
    smallest = int(np.bincount(index, minlength=k).min())
    if smallest < least:
        raise ValueError(
            f"clusters = {k} gives a cluster of {smallest} samples, at least {least} are needed to {purpose}; "
            "lower clusters, or remove outliers and repeated samples"
        )
    return Partition(tuple(range(k)), index, f"k-means, {k} clusters")
