"""How far apart two kernel matrices are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from notsodeep.activations.backend import is_tensor

_SMALL = 64  # below this order a dense eigensolver is quicker


@dataclass(frozen=True)
class Distance:
    """Relative distances ``|A - B| / |A|`` of symmetric matrices."""

    spectral: float
    """In the spectral norm: the largest eigenvalue in size"""
    frobenius: float
    """In the Frobenius norm"""


def relative_distance(A: Any, B: Any) -> Distance:
    """Return how far the symmetric matrix ``B (n, n)`` is from ``A (n, n)``, relative to ``A``.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.kernels.distance import relative_distance
    >>> relative_distance(np.diag([3.0, 4.0]), np.diag([3.0, 5.0]))
    Distance(spectral=0.25, frobenius=0.2)
    """
    a, b = (np.asarray(m.detach().cpu() if is_tensor(m) else m, dtype=np.float64) for m in (A, B))
    if a.shape != b.shape or a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"A and B must be square matrices of one shape, got {a.shape} and {b.shape}")
    if not a.any():
        raise ValueError("A is zero: nothing can be relative to it")
    gap = a - b
    return Distance(
        spectral=spectral_norm(gap) / spectral_norm(a),
        frobenius=float(np.linalg.norm(gap) / np.linalg.norm(a)),
    )


def spectral_norm(matrix: np.ndarray[Any, Any]) -> float:
    """Return the largest eigenvalue in size of a symmetric matrix."""
    n = len(matrix)
    if n < _SMALL:
        return float(np.abs(np.linalg.eigvalsh(matrix)).max())
    if not matrix.any():
        return 0.0
    start = np.random.default_rng(0).standard_normal(n)
    try:
        return float(abs(eigsh(matrix, k=1, which="LM", v0=start, return_eigenvectors=False)[0]))
    except ArpackNoConvergence:  # two eigenvalues of nearly the same size
        return float(np.abs(np.linalg.eigvalsh(matrix)).max())
