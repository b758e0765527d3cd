"""Unbiased estimates of traces of class covariances from samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.data.groups import Groups


def trace_products(groups: Groups) -> FloatArray:
    """Return ``tr(S_a S_b)`` for the unbiased covariances ``S`` of samples about their class means, ``(K, K)``.

    The cheaper of two routes is taken: Gram blocks between samples (O(n^2 p)) or blocks of covariance rows
    (O(n p^2)). Neither holds an n x n or a K x p x p array, or a copy of the samples.

    Unbiased for ``tr(Sigma_a Sigma_b)`` off the diagonal only: see :func:`trace_square`.
    """
    n, p = groups.X.shape
    return products_by_samples(groups) if n < 2 * p else products_by_features(groups)


def products_by_samples(groups: Groups) -> FloatArray:
    """Return ``|X_a X_b^T|_F^2 / ((n_a - 1)(n_b - 1))``, which is ``tr(S_a S_b)``, from Gram blocks."""
    totals = np.zeros((groups.n_classes, groups.n_classes))
    spans = list(groups.spans(most=math.isqrt(groups.entries)))
    for i, span in enumerate(spans):
        rows, (starts, classes) = groups.block(*span), groups.runs(*span)
        for other in spans[: i + 1]:
            gram = rows @ (rows if other == span else groups.block(*other)).T
            other_starts, other_classes = groups.runs(*other)
            np.square(gram, out=gram)
            part = np.add.reduceat(np.add.reduceat(gram, starts, axis=0), other_starts, axis=1)
            totals[np.ix_(classes, other_classes)] += part
            if other != span:
                totals[np.ix_(other_classes, classes)] += part.T
    return np.asarray(totals / np.outer(groups.counts - 1, groups.counts - 1))


def products_by_features(groups: Groups) -> FloatArray:
    """Return ``tr(S_a S_b)`` from rows of the covariances, as many rows at a time as fit in a block."""
    n_classes, p = groups.means.shape
    out = np.zeros((n_classes, n_classes))
    step = max(1, groups.entries // (n_classes * p))
    for i in range(0, p, step):
        rows = np.stack([_covariance_rows(groups, a, slice(i, i + step)) for a in range(n_classes)])
        flat = rows.reshape(n_classes, -1)
        out += flat @ flat.T
    return out


def _covariance_rows(groups: Groups, a: int, features: slice) -> FloatArray:
    blocks = (groups.block(*span) for span in groups.spans(a))
    return np.asarray(sum(block[:, features].T @ block for block in blocks) / (groups.counts[a] - 1))


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
