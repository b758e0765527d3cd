"""Class covariances fitted to samples: the unbiased one, or shrunk towards a multiple of the identity."""

from __future__ import annotations

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data.groups import Groups

LEDOIT_WOLF = "ledoit-wolf"


def fitted_covariances(groups: Groups, shrinkage: str | None) -> FloatArray:
    """Return a covariance ``(p, p)`` of the samples of each class about their mean, ``(K, p, p)``.

    All have the trace of the unbiased covariance ``S = sum_i x_i x_i^T / (n - 1)``.
    """
    fit = _unbiased if shrinkage is None else _ledoit_wolf
    return np.stack([fit(groups.block(*groups.bounds[a : a + 2])) for a in range(groups.n_classes)])


def _unbiased(rows: FloatArray) -> FloatArray:
    return np.asarray(rows.T @ rows / (len(rows) - 1))


def _ledoit_wolf(rows: FloatArray) -> FloatArray:
    """Return scikit-learn's estimate, which divides by ``n``, times ``n / (n - 1)``: the mean was estimated."""
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(rows, assume_centered=True)
    return np.asarray(covariance * (len(rows) / (len(rows) - 1)))
