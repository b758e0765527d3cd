"""The inverse of a diagonal matrix plus ``G S G'``, where G has fewer columns than rows."""

from __future__ import annotations

import torch

from notsodeep.equivalents.operator_factor import Factor
from notsodeep.equivalents.symmetric import SymmetricFactor


class Woodbury:
    """``A = diag(d) + G S G'`` by its capacitance matrix ``M = S + G' diag(1/d) G``, factorised once.

    ``A^-1 = diag(1/d) - diag(1/d) G M^-1 G' diag(1/d)`` and ``|det A| = |det diag(d)| |det M|``, as S has signs only.
    Both Schur complements of ``[[diag(d), G], [G', -S]]`` have its inertia, so the numbers of negative eigenvalues
    satisfy ``neg(A) + neg(-S) = neg(diag(d)) + neg(-M)``.
    """

    def __init__(self, factor: Factor, d: torch.Tensor) -> None:
        self._G, self._d = factor, d[:, None]
        capacitance = factor.weighted_square(1.0 / d)
        capacitance.diagonal().add_(factor.signs)
        self._M = SymmetricFactor(capacitance)
        positive_in_M = factor.width - self._M.negative
        self.negative = int((d < 0).sum()) + positive_in_M - int((factor.signs > 0).sum())
        self.log_abs_det = float(d.abs().log().sum()) + self._M.log_abs_det

    def solve(self, b: torch.Tensor) -> torch.Tensor:
        """Return the solution of ``A x = b``, ``b`` of shape (n, m)."""
        scaled = b / self._d
        return scaled - self._G.expand(self._M.solve(self._G.project(scaled))) / self._d
