"""Products with scaled squares of a Gram matrix, entry by entry, without the matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from notsodeep.equivalents.operator_rows import row_blocks

_HEIGHT = 2048  # rows and columns of the blocks of the Gram matrix


@dataclass(frozen=True, eq=False)
class SquaredGram:
    """``sum_s signs_s diag(E_s) (X X' o X X') diag(E_s)``, ``o`` entry by entry; X (n, p), E (n, S), signs (S,)."""

    X: torch.Tensor
    E: torch.Tensor
    signs: torch.Tensor

    def times(self, b: torch.Tensor) -> torch.Tensor:
        """Return the product with ``b`` of shape (n, m)."""
        n, m = b.shape
        scaled = (self.E[:, :, None] * b[:, None, :]).reshape(n, -1)
        by_features = 2 * scaled.shape[1] * self.X.shape[1] < n  # which of the two is less work
        product = _by_features(self.X, scaled) if by_features else _by_blocks(self.X, scaled)
        return (product.reshape(n, -1, m) * (self.signs * self.E)[:, :, None]).sum(dim=1)


def _by_features(X: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``((X X' o X X') v)_i = x_i' (X' diag(v) X) x_i`` for each column v of b: O(n p^2) a column."""
    p = X.shape[1]
    out = torch.empty_like(b)
    for column in range(b.shape[1]):
        inner = b.new_zeros(p, p)
        for rows, x in row_blocks(X, p):
            inner.addmm_(x.T, b[rows, column, None] * x)
        for rows, x in row_blocks(X, p):
            out[rows, column] = ((x @ inner) * x).sum(dim=1)
    return out


def _by_blocks(X: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Blocks of the Gram matrix are squared: O(n^2 p) for all columns of b."""
    out = torch.zeros_like(b)
    for rows, x in row_blocks(X, max(X.shape[1], _HEIGHT)):
        for others, z in row_blocks(X, max(X.shape[1], _HEIGHT)):
            out[rows] += (x @ z.T).square_() @ b[others]
    return out
