"""A kernel matrix that knows its structure: Gram + low rank + multiple of the identity."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import integer


class EquivalentOperator:
    """The symmetric matrix ``linear X X' + V C V' + diagonal I`` of order n, never stored.

    Parameters
    ----------
    X : array or tensor (n, p)
        Samples. Results are of its kind.
    linear : float
        Weight of the Gram matrix.
    V : array or tensor (n, k)
        Factor of the low-rank part, ``k`` small.
    C : array or tensor (k, k)
        Its symmetric core.
    diagonal : float
        Weight of the identity.

    Notes
    -----
    ``@`` costs O(n (p + k)) a column; ``solve`` O(n (p + k)^2) by the Woodbury identity, or O(n^3) where
    p + k is not smaller than n.
    """

    def __init__(self, X: Any, linear: float, V: Any, C: Any, diagonal: float) -> None:
        self._is_tensor = is_tensor(X)
        self._X = _tensor(X)
        self._V, self._C = (_tensor(part).to(self._X) for part in (V, C))
        self.linear, self.diagonal = float(linear), float(diagonal)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n, n)``"""
        return len(self._X), len(self._X)

    def __repr__(self) -> str:
        return (
            f"EquivalentOperator(n={self.shape[0]}, gram={self.linear:.6g} (rank {self._X.shape[1]}), "
            f"low rank {self._V.shape[1]}, diagonal={self.diagonal:.6g})"
        )

    def __matmul__(self, other: Any) -> Any:
        """Return the product with a vector ``(n,)`` or matrix ``(n, m)``."""
        return self._out(self._times(self._right_hand_side(other)))

    def dense(self) -> Any:
        """Return the matrix ``(n, n)``, an array of the kind that ``X`` is."""
        matrix = self.linear * (self._X @ self._X.T) + self._V @ self._C @ self._V.T
        matrix.diagonal().add_(self.diagonal)
        return self._out(matrix)

    def trace(self) -> float:
        """Return the sum of the diagonal."""
        low_rank = ((self._V @ self._C) * self._V).sum()
        return float(self.linear * self._X.square().sum() + low_rank) + self.diagonal * self.shape[0]

    def solve(self, rhs: Any) -> Any:
        """Return the solution of ``self @ x = rhs``, ``rhs`` of shape (n,) or (n, m).

        Raises
        ------
        ValueError
            When ``rhs`` does not fit, or the matrix is singular because its diagonal part is zero.
        """
        b = self._right_hand_side(rhs)
        if self.diagonal == 0.0:
            raise ValueError("the operator has no diagonal part and may be singular; add a ridge to solve with it")
        if self._factor.shape[1] >= self.shape[0]:
            return self._out(torch.linalg.solve(_tensor(self.dense()), b))
        columns = b.reshape(len(b), -1)
        inner = torch.linalg.lu_solve(*self._capacitance, self._core @ (self._factor.T @ columns) / self.diagonal)
        return self._out(((columns - self._factor @ inner) / self.diagonal).reshape(b.shape))

    def eigsh(self, k: int = 6, which: str = "LA") -> tuple[Any, Any]:
        """Return ``k`` eigenvalues and eigenvectors, as :func:`scipy.sparse.linalg.eigsh` does.

        ``which``: ``"LA"`` the largest, ``"SA"`` the smallest, ``"LM"`` the largest in size.
        """
        n = self.shape[0]
        integer("k", k, low=1)
        if k >= n:
            raise ValueError(f"k must be below n = {n}, got {k}")

        def times(v: Any) -> Any:
            return self._times(torch.from_numpy(np.ascontiguousarray(v)).to(self._X)).cpu().numpy()

        operator = LinearOperator((n, n), matvec=times, matmat=times, dtype=np.float64)
        values, vectors = eigsh(operator, k=k, which=which, v0=np.cos(np.arange(n)))
        return self._out(torch.from_numpy(values).to(self._X)), self._out(torch.from_numpy(vectors).to(self._X))

    @cached_property
    def _factor(self) -> torch.Tensor:
        return torch.cat([self._X, self._V], dim=1)

    @cached_property
    def _core(self) -> torch.Tensor:
        gram = self.linear * torch.eye(self._X.shape[1]).to(self._X)
        return torch.block_diag(gram, self._C)

    @cached_property
    def _capacitance(self) -> tuple[torch.Tensor, torch.Tensor]:
        small = self._core @ (self._factor.T @ self._factor) / self.diagonal
        small.diagonal().add_(1.0)
        return torch.linalg.lu_factor(small)

    def _times(self, b: torch.Tensor) -> torch.Tensor:
        gram = self.linear * (self._X @ (self._X.T @ b))
        return gram + self._V @ (self._C @ (self._V.T @ b)) + self.diagonal * b

    def _right_hand_side(self, other: Any) -> torch.Tensor:
        b = _tensor(other).to(self._X)
        if b.ndim not in (1, 2) or len(b) != self.shape[0]:
            raise ValueError(f"the operand must have shape ({self.shape[0]},) or ({self.shape[0]}, m), got {tuple(b.shape)}")
        return b

    def _out(self, result: torch.Tensor) -> Any:
        return result if self._is_tensor else result.numpy()


def _tensor(value: Any) -> torch.Tensor:
    if is_tensor(value):
        return value.detach().to(torch.float64)
    return torch.from_numpy(np.array(value, dtype=np.float64))
