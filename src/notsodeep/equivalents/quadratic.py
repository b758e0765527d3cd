"""What a low-rank matrix can know of the squared products ``(x_i . x_j)^2``: their averages over classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray

_SHARE = 2.5  # a direction is left out where its noise is some third of the fluctuation of the squares
_BLOCK = 1 << 22  # entries of the largest intermediate block: 32 MiB


def projected_squares(X: FloatArray, J: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``R (n, k)``, ``M (k, k)`` with ``(x_i . x_j)^2`` close to ``(R M R')_ij`` off the diagonal.

    With ``h_ib`` the average of ``(x_i . x_j)^2`` over the other samples j of class b, and ``m_ab`` its class averages,
    ``R = [h, J]`` and ``M = diag(pinv(m), m - m pinv(m) m)``: the squares projected on the span of
    the classes. Averages between classes are met exactly; the pseudo-inverse leaves out what is below the noise of the
    averages, as between classes that do not differ.

    Parameters
    ----------
    X : array (n, p)
        Samples.
    J : array (n, K)
        Class indicator. Where a class has one sample or none, all samples count as one class.

    Notes
    -----
    ``(x_i . x_j)^2`` is the inner product of ``x_i x_i'`` and ``x_j x_j'``, and h_ib that of ``x_i x_i'`` with the
    second moment of class b, so that ``h pinv(m) h'`` is a projection. For isotropic classes it is
    ``|x_i|^2 |x_j|^2 / p``. Cost O(n p min(n, K p)).
    """
    counts = J.sum(axis=0)
    if (counts < 2).any():
        J = np.ones((len(X), 1))
        counts = J.sum(axis=0)
    sums = _sums_of_squares(X, J)
    h = sums / (counts - J)
    m = (J.T @ sums) / (np.outer(counts, counts) - np.diag(counts))
    inverse = _inverse(0.5 * (m + m.T), counts)
    rest = m - m @ inverse @ m
    k = len(m)
    core = np.zeros((2 * k, 2 * k))
    core[:k, :k], core[k:, k:] = inverse, 0.5 * (rest + rest.T)
    if not np.abs(rest).max() > 1e-12 * np.abs(m).max():
        return h, inverse
    return np.hstack([h, J]), core


def _inverse(m: FloatArray, counts: FloatArray) -> FloatArray:
    """Pseudo-inverse without the directions whose noise would be as large as what no projection can know.

    Classes count by their size: along a unit vector v of ``sqrt(counts) m sqrt(counts)`` the combined averages
    ``sum_b v_b sqrt(n_b) h_b`` of Gaussian squares have variance ``2 m^2``, which division by an eigenvalue makes a
    matrix of norm ``2 m^2 n / value``; the squares themselves fluctuate by one of norm ``2 m sqrt(2 n)``.
    """
    roots = np.sqrt(counts)
    values, vectors = np.linalg.eigh(roots[:, None] * m * roots)
    floor = _SHARE * float(m.mean()) * np.sqrt(counts.sum()) if len(m) > 1 else 0.0
    kept = values > floor
    vectors = roots[:, None] * vectors[:, kept]
    return np.asarray((vectors / values[kept]) @ vectors.T)


def _sums_of_squares(X: FloatArray, J: FloatArray) -> FloatArray:
    """Return ``sum_j (x_i . x_j)^2`` over the other samples j of each class, ``(n, K)``."""
    n, p = X.shape
    own = np.einsum("ij,ij->i", X, X) ** 2
    if n <= J.shape[1] * p:
        step = max(1, _BLOCK // n)
        sums = np.concatenate([np.square(X[i : i + step] @ X.T) @ J for i in range(0, n, step)])
    else:
        sums = np.column_stack([_quadratic_form(X, np.flatnonzero(J[:, b])) for b in range(J.shape[1])])
    return np.asarray(np.maximum(sums - J * own[:, None], 0.0))


def _quadratic_form(X: FloatArray, members: NDArray[np.intp]) -> FloatArray:
    """Return ``sum_j (x_i . x_j)^2`` over the members j, block by block of rows."""
    step = max(1, _BLOCK // X.shape[1])
    moment = np.zeros((X.shape[1], X.shape[1]))
    for i in range(0, len(members), step):
        block = X[members[i : i + step]]
        moment += block.T @ block
    blocks = (X[i : i + step] for i in range(0, len(X), step))
    return np.concatenate([np.einsum("ij,ij->i", block @ moment, block) for block in blocks])
