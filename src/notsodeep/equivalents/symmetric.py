"""Factorisation of a small symmetric matrix, definite or not: solutions, signs of the eigenvalues, determinant."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import lapack


class SymmetricFactor:
    """A dense symmetric matrix factorised by Cholesky, or as ``L D L'`` (Bunch and Kaufman) where that fails.

    Parameters
    ----------
    matrix : tensor (n, n)
        On any device; the factorisation is kept in main memory.

    Raises
    ------
    ValueError
        When the matrix is singular to working precision.
    """

    log_abs_det: float
    """Logarithm of the absolute value of the determinant"""
    negative: int
    """The number of negative eigenvalues, by Sylvester's law of inertia"""

    def __init__(self, matrix: torch.Tensor) -> None:
        matrix = matrix.cpu()
        norm = max(matrix.abs().sum(dim=0).tolist(), default=0.0)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if bool(failed):
            factor, pivots, _ = torch.linalg.ldl_factor_ex(matrix)
            self._pivots: torch.Tensor | None = pivots
            self.log_abs_det, self.negative = _block_diagonal(factor, pivots)
        else:
            self._pivots = None
            self.log_abs_det, self.negative = 2.0 * float(factor.diagonal().log().sum()), 0
        self._factor = factor
        self._check_condition(norm)

    def solve(self, b: torch.Tensor) -> torch.Tensor:
        """Return the solution of ``matrix @ x = b``, ``b`` of shape (n, m)."""
        right = b.cpu()
        if self._pivots is None:
            return torch.cholesky_solve(right, self._factor).to(b)
        return torch.linalg.ldl_solve(self._factor, self._pivots, right).to(b)

    def _check_condition(self, norm: float) -> None:
        if not len(self._factor):
            return
        array = self._factor.numpy()
        if self._pivots is None:
            reciprocal, _ = lapack.dpocon(array, norm, uplo="L")
        else:
            reciprocal, _ = lapack.dsycon(array, self._pivots.numpy(), norm, lower=1)
        if not reciprocal > np.finfo(float).eps:
            raise ValueError(
                "the operator is singular to working precision (reciprocal condition number "
                f"{reciprocal:.1e}); add a ridge, that is, a larger diagonal"
            )


def _block_diagonal(factor: torch.Tensor, pivots: torch.Tensor) -> tuple[float, int]:
    """Return log |det D| and the number of negative eigenvalues of D; its blocks of size 2 have one each."""
    paired = pivots < 0  # by LAPACK's rule both rows of a block of size 2 are marked so
    diagonal, below = factor.diagonal(), factor.diagonal(-1)
    first = paired.nonzero()[::2, 0]
    dets = diagonal[first] * diagonal[first + 1] - below[first].square()
    single = diagonal[~paired]
    logs = float(single.abs().log().sum() + dets.abs().log().sum())
    return logs, int((single < 0).sum()) + len(first)
