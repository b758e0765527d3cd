"""Samples of studies whose data have two classes, or none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data import GaussianMixture, Statistics
from notsodeep.experiments.samples import MIXTURE, load_samples

SPHERE = "sphere"
"""Name of independent samples that are uniform on the unit sphere"""
SPHERE_ASPECT = 1.2
"""Dimensions per sample on the sphere, as in arXiv:2308.16425"""
CLASSES = (6, 8)
"""Classes taken from a data set"""
_TEST = 10  # test samples, which are not used


class Draw(NamedTuple):
    """Samples ``(n, p)`` and what the theory takes from them."""

    X: FloatArray
    stats: Statistics


def draw(dataset: str, n: int, seed: int, data_dir: Path | None = None) -> Draw:
    """Return n samples of a mixture, of two classes of a data set, or of the unit sphere in ``1.2 n`` dimensions.

    The covariance on the sphere is ``I / p``, the mean is 0: the statistics are those of a Gaussian class, of which
    ``t = 0``, ``T = 1`` and, the norms being equal, ``psi = 0``.
    """
    if dataset != SPHERE:
        classes = None if dataset == MIXTURE else CLASSES
        found = load_samples(dataset, classes, n, _TEST, seed, data_dir=data_dir)
        return Draw(found.train.X, found.statistics)
    p = round(SPHERE_ASPECT * n)
    X = np.random.default_rng(seed).standard_normal((n, p))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    stats = Statistics.from_mixture(GaussianMixture(np.zeros((1, p)), np.ones(1)), X, np.zeros(n, dtype=np.int64))
    return Draw(X, stats)
