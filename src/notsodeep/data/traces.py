"""Unbiased estimates of traces of class covariances from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray

_BLOCK = 1 << 23  # entries of the largest intermediate block: 64 MiB


def trace_products(groups: Sequence[FloatArray]) -> FloatArray:
    """Return ``tr(S_a S_b)`` for the unbiased covariances ``S`` of centred samples, ``(K, K)``.

    ``groups`` holds one array ``(n_a, p)`` a class, already minus its class mean. The cheaper of two routes
    is taken: Gram blocks between classes (O(n^2 p)) or blocks of covariance rows (O(n p^2)).
    Neither holds an n x n or a K x p x p array.

    Unbiased for ``tr(Sigma_a Sigma_b)`` off the diagonal only: see :func:`trace_square`.
    """
    n = sum(len(group) for group in groups)
    by_samples = n < 2 * groups[0].shape[1]
    return products_by_samples(groups) if by_samples else products_by_features(groups)


def products_by_samples(groups: Sequence[FloatArray]) -> FloatArray:
    """Return ``|X_a X_b^T|_F^2 / ((n_a - 1)(n_b - 1))``, which is ``tr(S_a S_b)``, from Gram blocks."""
    out = np.empty((len(groups), len(groups)))
    for a, one in enumerate(groups):
        for b, other in enumerate(groups[: a + 1]):
            step = max(1, _BLOCK // len(other))
            blocks = (one[i : i + step] @ other.T for i in range(0, len(one), step))
            total = sum(float(np.vdot(block, block)) for block in blocks)
            out[a, b] = out[b, a] = total / ((len(one) - 1) * (len(other) - 1))
    return out


def products_by_features(groups: Sequence[FloatArray]) -> FloatArray:
    """Return ``tr(S_a S_b)`` from rows of the covariances, as many rows at a time as fit in a block."""
    n_classes, p = len(groups), groups[0].shape[1]
    out = np.zeros((n_classes, n_classes))
    step = max(1, _BLOCK // (n_classes * p))
    for i in range(0, p, step):
        rows = np.stack([group[:, i : i + step].T @ group / (len(group) - 1) for group in groups])
        flat = rows.reshape(n_classes, -1)
        out += flat @ flat.T
    return out


def trace_square(n: NDArray[np.int64], plug_in: FloatArray, trace: FloatArray, fourth: NDArray[Any]) -> FloatArray:
    """Return the unbiased estimate of ``tr(Sigma^2)`` from ``n >= 4`` samples of any distribution.

    ``(n-1) / (n (n-2) (n-3)) * ((n-1)(n-2) tr(S^2) + (tr S)^2 - n Q)`` with
    ``Q = sum_i |x_i - xbar|^4 / (n-1)``.

    Parameters
    ----------
    n : array
        Numbers of samples.
    plug_in, trace : array
        ``tr(S^2)`` and ``tr S`` of the unbiased sample covariance.
    fourth : array
        ``sum_i |x_i - xbar|^4``.

    Notes
    -----
    Source: Himeno and Yamada, Journal of Multivariate Analysis 130 (2014), 27-34. The plug-in ``tr(S^2)``
    alone is too large by about ``(tr Sigma)^2 / n``. Being unbiased, the estimate may be negative where
    ``tr(Sigma^2)`` is small against ``(tr Sigma)^2 / n``.
    """
    bracket = (n - 1.0) * (n - 2.0) * plug_in + trace**2 - n * fourth / (n - 1)
    return np.asarray((n - 1.0) / n / (n - 2) / (n - 3) * bracket)
