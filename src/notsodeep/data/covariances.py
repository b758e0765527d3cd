"""Class covariances in the cheapest form that holds them: one number, a diagonal or a full matrix a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from notsodeep.checks import FloatArray

_ASYMMETRY = 1e-10
_ROUNDING = 10 * np.finfo(np.float64).eps


def normalise(value: Any, n_classes: int, p: int) -> FloatArray:
    """Return covariances as ``(K,)`` variances, ``(K, p)`` diagonals or ``(K, p, p)`` matrices.

    Raises
    ------
    ValueError
        When the shape is none of these, or a covariance is not finite, symmetric and positive semidefinite.
    """
    try:
        given = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("covariances must be an array of numbers; all classes take the same storage form") from None
    if given.ndim == 0:
        given = np.full(n_classes, float(given))
    legal = ((n_classes,), (n_classes, p), (n_classes, p, p))
    if given.shape not in legal:
        raise ValueError(f"covariances must be one number or have a shape among {legal}, got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("covariances has NaN or infinite values")
    return _symmetric_psd(given) if given.ndim == 3 else _non_negative(given)


def trace(covariance: FloatArray, p: int) -> float:
    """Return ``tr C`` of one class, in any storage form."""
    if covariance.ndim == 0:
        return p * float(covariance)
    return float(covariance.sum() if covariance.ndim == 1 else np.trace(covariance))


def trace_product(one: FloatArray, other: FloatArray, p: int) -> float:
    """Return ``tr(C_a C_b)`` of two classes stored in the same form."""
    if one.ndim == 0:
        return p * float(one) * float(other)
    return float(np.vdot(one, other))


def color(noise: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return ``noise @ L.T`` with ``L L.T = C``: rows of standard normals become rows of covariance ``C``."""
    if covariance.ndim < 2:
        return noise * np.sqrt(covariance)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(noise @ factor.T)


def _non_negative(variances: FloatArray) -> FloatArray:
    negative = np.argwhere(variances < 0.0)
    if negative.size:
        a = int(negative[0][0])
        raise ValueError(f"covariances must not be negative: class {a} has a variance {variances[a].min():g}")
    return variances


def _symmetric_psd(matrices: FloatArray) -> FloatArray:
    for a, c in enumerate(matrices):
        gap, size = float(np.abs(c - c.T).max()), float(np.abs(c).max())
        if gap > _ASYMMETRY * size:
            raise ValueError(f"covariances must be symmetric: that of class {a} differs from its transpose by {gap:g}")
        matrices[a] = 0.5 * (c + c.T)
        if not _is_psd(matrices[a]):
            low = float(np.linalg.eigvalsh(matrices[a])[0])
            raise ValueError(
                f"covariances must be positive semidefinite: that of class {a} has an eigenvalue {low:.3g}"
            )
    return matrices


def _is_psd(matrix: FloatArray) -> bool:
    """Tell whether a symmetric matrix is positive semidefinite up to the rounding of its entries."""
    size = float(np.abs(matrix).max())
    if size == 0.0:
        return True
    p = len(matrix)
    try:
        np.linalg.cholesky(matrix + _ROUNDING * p * size * np.eye(p))
    except np.linalg.LinAlgError:
        return False
    return True
