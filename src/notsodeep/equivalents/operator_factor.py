"""The part ``G S G'`` of a structured matrix: scaled Gram matrices and a low-rank part as signed squares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from notsodeep.equivalents.operator_rows import row_blocks

_NOTHING = np.finfo(float).eps  # of the largest eigenvalue of a core: rounding


@dataclass(frozen=True, eq=False)
class Factor:
    """``G S G'`` with ``G = [diag(H_1) X, ..., diag(H_R) X, W]`` and signs ``S``; G is never stored.

    Shapes: X (n, p), H (n, R), its signs (R,), W (n, k), its signs (k,).
    """

    X: torch.Tensor
    H: torch.Tensor
    H_signs: torch.Tensor
    W: torch.Tensor
    W_signs: torch.Tensor

    @property
    def width(self) -> int:
        """The number of columns of G, ``R p + k``."""
        return self.H.shape[1] * self.X.shape[1] + self.W.shape[1]

    @cached_property
    def signs(self) -> torch.Tensor:
        """The diagonal of S."""
        return torch.cat([self.H_signs.repeat_interleave(self.X.shape[1]), self.W_signs])

    def times(self, b: torch.Tensor) -> torch.Tensor:
        """Return ``G S G' b`` for ``b`` of shape (n, m)."""
        return self.expand(self.signs[:, None] * self.project(b))

    def project(self, b: torch.Tensor) -> torch.Tensor:
        """Return ``G' b`` for ``b`` of shape (n, m)."""
        (p, R), m = (self.X.shape[1], self.H.shape[1]), b.shape[1]
        sums = b.new_zeros(p, R * m)
        for rows, x in row_blocks(self.X, p + R * m):
            sums += x.T @ (self.H[rows, :, None] * b[rows, None, :]).reshape(len(x), R * m)
        return torch.cat([sums.reshape(p, R, m).transpose(0, 1).reshape(R * p, m), self.W.T @ b])

    def expand(self, u: torch.Tensor) -> torch.Tensor:
        """Return ``G u`` for ``u`` of shape (width, m)."""
        (p, R), m = (self.X.shape[1], self.H.shape[1]), u.shape[1]
        gram, low_rank = u[: R * p], u[R * p :]
        features = gram.reshape(R, p, m).transpose(0, 1).reshape(p, R * m)
        out = self.W @ low_rank
        for rows, x in row_blocks(self.X, p + R * m):
            out[rows] += ((x @ features).reshape(len(x), R, m) * self.H[rows, :, None]).sum(dim=1)
        return out

    def weighted_square(self, weights: torch.Tensor) -> torch.Tensor:
        """Return ``G' diag(weights) G``, of shape (width, width), from sums over blocks of rows."""
        p, m = self.X.shape[1], self.width
        total = self.H.new_zeros(m, m)
        for rows, x in row_blocks(self.X, 2 * m):
            block = torch.cat([(self.H[rows, :, None] * x[:, None, :]).flatten(1), self.W[rows]], dim=1)
            weighted = weights[rows, None] * block
            for start in range(0, m, p):  # above the diagonal alone
                total[start : start + p, start:].addmm_(block[:, start : start + p].T, weighted[:, start:])
        return total.triu() + total.triu(1).T


def signed_squares(scalings: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return H, signs with ``sum_r weights_r D_r M D_r = sum_r signs_r diag(H_r) M diag(H_r)``; weights of 0 go."""
    kept = weights != 0
    weights = weights[kept]
    return scalings[:, kept] * weights.abs().sqrt(), weights.sign()


def signed_factor(V: torch.Tensor, C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return W, signs with ``V C V' = W diag(signs) W'``; eigenvalues of C that are rounding go."""
    values, vectors = torch.linalg.eigh(0.5 * (C + C.T))
    kept = values.abs() > _NOTHING * values.abs().max() if len(values) else values.bool()
    return signed_squares(V @ vectors[:, kept], values[kept])
