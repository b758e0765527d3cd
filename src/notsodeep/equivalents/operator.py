"""A kernel matrix that knows its structure: Gram + low rank + multiple of the identity."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import choice, integer, number
from notsodeep.errors import ConvergenceError

_SINGULAR = 1e-13  # diagonal part, relative to the mean diagonal, that is nothing but rounding
_ASYMMETRY = 1e-12


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

    Raises
    ------
    ValueError
        When shapes disagree, an entry is not finite, or ``C`` is not symmetric.

    Notes
    -----
    ``@`` costs O(n (p + k)) a column; ``solve`` O(n (p + k)^2) by the Woodbury identity, or O(n^3) where
    p + k is not smaller than n.
    """

    def __init__(self, X: Any, linear: float, V: Any, C: Any, diagonal: float) -> None:
        self._is_tensor = is_tensor(X)
        self._X = _matrix("X", X)
        self._V, self._C = (_matrix(name, part).to(self._X) for name, part in (("V", V), ("C", C)))
        self.linear, self.diagonal = number("linear", linear), number("diagonal", diagonal)
        n, k = len(self._X), self._V.shape[1]
        if len(self._V) != n:
            raise ValueError(f"V must have shape ({n}, k), one row a sample, got {tuple(self._V.shape)}")
        if self._C.shape != (k, k):
            raise ValueError(f"C must have shape ({k}, {k}), got {tuple(self._C.shape)}")
        if float((self._C - self._C.T).abs().max()) > _ASYMMETRY * float(self._C.abs().max()):
            raise ValueError("C must be symmetric")

    @property
    def shape(self) -> tuple[int, int]:
        """Return ``(n, n)``."""
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
        return self._out(self._dense())

    def trace(self) -> float:
        """Return the sum of the diagonal."""
        low_rank = ((self._V @ self._C) * self._V).sum()
        return float(self.linear * self._X.square().sum() + low_rank) + self.diagonal * self.shape[0]

    def solve(self, rhs: Any) -> Any:
        """Return the solution of ``self @ x = rhs``, ``rhs`` of shape (n,) or (n, m).

        Raises
        ------
        ValueError
            When ``rhs`` does not fit, or the matrix may be singular because its diagonal part is zero to rounding.
        """
        b = self._right_hand_side(rhs)
        if abs(self.diagonal) * self.shape[0] <= _SINGULAR * abs(self.trace()):
            raise ValueError("the operator has no diagonal part and may be singular; add a ridge to solve with it")
        if self._factor.shape[1] >= self.shape[0]:
            return self._out(torch.linalg.solve(self._dense(), b))
        columns = b.reshape(len(b), -1)
        inner = torch.linalg.lu_solve(*self._capacitance, self._core @ (self._factor.T @ columns) / self.diagonal)
        return self._out(((columns - self._factor @ inner) / self.diagonal).reshape(b.shape))

    def eigsh(self, k: int = 6, which: str = "LA") -> tuple[Any, Any]:
        """Return ``k`` eigenvalues and eigenvectors, as :func:`scipy.sparse.linalg.eigsh` does.

        ``which``: ``"LA"`` the largest, ``"SA"`` the smallest, ``"LM"`` the largest in size.

        Raises
        ------
        ValueError
            When ``k`` is not below n, or ``which`` is something else.
        ConvergenceError
            When the Lanczos iteration does not settle.
        """
        n = self.shape[0]
        integer("k", k, low=1)
        choice("which", which, ("LA", "SA", "LM"))
        if k >= n:
            raise ValueError(f"k must be below n = {n}, got {k}")

        def times(v: Any) -> Any:
            return self._times(torch.from_numpy(np.ascontiguousarray(v)).to(self._X)).cpu().numpy()

        operator = LinearOperator((n, n), matvec=times, matmat=times, dtype=np.float64)
        try:
            values, vectors = eigsh(operator, k=k, which=which, v0=np.cos(np.arange(n)))
        except ArpackError as error:
            raise ConvergenceError(
                f"the Lanczos iteration for {k} eigenvalues ({which}) of {self!r} stopped: {error}; "
                "ask for fewer, or take numpy.linalg.eigvalsh of dense()"
            ) from error
        return self._out(torch.from_numpy(values).to(self._X)), self._out(torch.from_numpy(vectors).to(self._X))

    def _dense(self) -> torch.Tensor:
        low_rank = self._V @ self._C @ self._V.T
        matrix = self.linear * (self._X @ self._X.T) + 0.5 * (low_rank + low_rank.T)
        matrix.diagonal().add_(self.diagonal)
        return matrix

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
        b = _tensor("the operand", other).to(self._X)
        n = self.shape[0]
        if b.ndim not in (1, 2) or len(b) != n:
            raise ValueError(f"the operand must have shape ({n},) or ({n}, m), got {tuple(b.shape)}")
        return b

    def _out(self, result: torch.Tensor) -> Any:
        return result if self._is_tensor else result.numpy()


def _matrix(name: str, value: Any) -> torch.Tensor:
    matrix = _tensor(name, value)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be a matrix, got shape {tuple(matrix.shape)}")
    return matrix


def _tensor(name: str, value: Any) -> torch.Tensor:
    """Return real, finite ``value`` in double precision; arrays are copied."""
    if not is_tensor(value):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}")
        value = torch.from_numpy(array.astype(np.float64))
    if value.is_complex():
        raise ValueError(f"{name} must be real numbers, got dtype {value.dtype}")
    tensor: torch.Tensor = value.detach().to(torch.float64)
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{name} has NaN or infinite values")
    return tensor
