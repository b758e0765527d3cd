"""A symmetric matrix that knows its structure: scaled Gram matrices + low rank + diagonal + scaled squared Grams."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import aslinearoperator

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import FloatArray, choice, integer
from notsodeep.equivalents.operator_eigen import lanczos, selected
from notsodeep.equivalents.operator_parts import Parts, checked_parts
from notsodeep.equivalents.operator_refinement import Map, minres, refined, spectral_norm
from notsodeep.equivalents.operator_routes import Direct, direct_route, preconditioner
from notsodeep.equivalents.operator_rows import copied

_DENSE_EIGEN = 256  # order up to which all eigenvalues are computed


class EquivalentOperator:
    """A symmetric matrix of order n, never stored.

    With ``D_r``, ``E_s`` diagonal matrices and ``o`` the product entry by entry::

        A = sum_r w_r D_r X X' D_r + V C V' + diag(d) + sum_s e_s E_s (X X' o X X') E_s

    Parameters
    ----------
    X : array or tensor (n, p)
        Samples. Results are of its kind. An X in single or double precision is shared, not copied: changing it
        later changes the operator, and spoils what the operator has kept.
    scalings : array or tensor (n, R), optional
        Column r is the diagonal of ``D_r``. Without it there is one Gram matrix, not scaled.
    weights : array (R,), or a number when there is one Gram matrix
        Weights ``w``, of either sign.
    V, C : array or tensor (n, k), (k, k), optional
        Factor and symmetric core of the low-rank part; k may be 0.
    diagonal : array (n,) or number
        The diagonal ``d``, of either sign.
    squares : pair (scalings, weights), optional
        Scalings (n, S) and weights (S,) of the last term, in the same form as those of the Gram matrices.
    note : str
        What the matrix stands for, in words.

    Raises
    ------
    ValueError
        When shapes disagree, an entry is not finite, or ``C`` is not symmetric.

    Notes
    -----
    Arithmetic is in double precision, by blocks of rows, and X stays as it is: single precision is raised block by
    block. ``@`` costs O(n (p R + k)) a column, and with ``squares`` O(n p^2 S) or, if that is less, O(n^2 p) for
    all columns. ``solve`` and ``logdet`` factorise once: by the Woodbury identity, O(n (R p + k)^2), where R p + k is
    clearly below n, else as a dense matrix of up to 4096 rows. Above, ``solve`` iterates. ``n = 200 000``, ``p = 784``,
    ``R = 3`` takes less than 4 GB, X included.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> operator = EquivalentOperator(X, [[1.0], [2.0], [1.0]], [0.5], diagonal=1.0)
    >>> operator
    EquivalentOperator(n=3, grams=[0.5] scaled (rank 2), low rank 0, diagonal=1)
    >>> operator.dense()
    array([[1.5, 0. , 0.5],
           [0. , 9. , 2. ],
           [0.5, 2. , 2. ]])
    >>> operator @ operator.solve([1.0, 2.0, 3.0])
    array([1., 2., 3.])
    """

    def __init__(
        self,
        X: Any,
        scalings: Any = None,
        weights: Any = 1.0,
        V: Any = None,
        C: Any = None,
        diagonal: Any = 0.0,
        squares: Any = None,
        note: str = "",
    ) -> None:
        self.note = note
        self._is_tensor = is_tensor(X)
        self._parts: Parts = checked_parts(X, scalings, weights, V, C, diagonal, squares)

    @property
    def shape(self) -> tuple[int, int]:
        """Return ``(n, n)``."""
        return self._parts.n, self._parts.n

    @property
    def dtype(self) -> np.dtype[np.float64]:
        """Return the dtype of the entries, as NumPy names it."""
        return np.dtype(np.float64)

    def __repr__(self) -> str:
        return f"EquivalentOperator({self._parts.structure}{f', {self.note}' if self.note else ''})"

    def __matmul__(self, other: Any) -> Any:
        """Return the product with a vector ``(n,)`` or matrix ``(n, m)``."""
        b = self._operand(other)
        return self._out(self._parts.times(_columns(b)).reshape(b.shape))

    def matvec(self, v: Any) -> FloatArray:
        """Return the product with a vector as an array, for :func:`scipy.sparse.linalg.aslinearoperator`."""
        result = self @ v
        return result.cpu().numpy() if self._is_tensor else result

    rmatvec = matvec

    def diagonal(self) -> Any:
        """Return the diagonal ``(n,)``."""
        return self._out(self._parts.whole_diagonal.clone())

    def trace(self) -> float:
        """Return the sum of the diagonal."""
        return float(self._parts.whole_diagonal.sum())

    def dense(self) -> Any:
        """Return the matrix ``(n, n)``, an array of the kind that ``X`` is."""
        return self._out(self._parts.dense())

    def solve(self, rhs: Any) -> Any:
        """Return the solution of ``self @ x = rhs``, ``rhs`` of shape (n,) or (n, m).

        Raises
        ------
        ValueError
            When ``rhs`` does not fit, or the matrix is singular, or may be because its diagonal part is rounding.
        ConvergenceError
            When the residual does not become as small as rounding, or the matrix turns out to be singular.

        Notes
        -----
        Where no factorisation is in reach (see the class) the method is MINRES (Paige and Saunders 1975). Its
        preconditioner is the diagonal of the matrix or, with ``squares``, the matrix without them if that is positive
        definite. Either is repeated for the residual until that is 1e-14 of ``|A| |x| + |rhs|``.
        """
        b = self._operand(rhs)
        route = self._direct
        inner = route.solve if route else lambda columns: minres(self._parts.times, self._preconditioner, columns)
        return self._out(refined(self._parts.times, inner, _columns(b), self._norm).reshape(b.shape))

    def logdet(self) -> float:
        """Return the logarithm of the determinant of a positive definite matrix.

        Raises
        ------
        ValueError
            When the matrix is not positive definite, or no factorisation is in reach (see the class).
        """
        route = self._direct
        if route is None:
            raise ValueError(
                f"there is no route to the determinant of {self!r}: it is not a diagonal, nowhere small, plus a matrix "
                "of clearly lower rank, and too large to factorise; take fewer samples"
            )
        if route.negative:
            raise ValueError(
                f"the operator is not positive definite: {route.negative} of its {self._parts.n} eigenvalues are "
                "negative; add a ridge, that is, a larger diagonal"
            )
        return route.log_abs_det

    def eigsh(self, k: int = 6, which: str = "LA") -> tuple[Any, Any]:
        """Return ``k`` eigenvalues, ascending, and their eigenvectors, as :func:`scipy.sparse.linalg.eigsh` does.

        ``which``: ``"LA"`` the largest, ``"SA"`` the smallest, ``"LM"`` the largest in size.

        Raises
        ------
        ValueError
            When ``k`` is not below n, or ``which`` is something else.
        ConvergenceError
            When the Lanczos iteration does not settle.
        """
        n = self._parts.n
        integer("k", k, low=1)
        choice("which", which, ("LA", "SA", "LM"))
        if k >= n:
            raise ValueError(f"k must be below n = {n}, got {k}")
        if n <= _DENSE_EIGEN:
            values, vectors = torch.linalg.eigh(self._parts.dense())
            wanted = selected(values, k, which)
            return self._out(values[wanted]), self._out(vectors[:, wanted])
        pairs = lanczos(aslinearoperator(self), k, which, repr(self))
        first, second = (self._out(torch.from_numpy(part).to(self._parts.d)) for part in pairs)
        return first, second

    @cached_property
    def _direct(self) -> Direct | None:
        return direct_route(self._parts)

    @cached_property
    def _norm(self) -> float:
        return spectral_norm(self._parts.times, self._parts.d)

    @cached_property
    def _preconditioner(self) -> Map:
        return preconditioner(self._parts)

    def _operand(self, other: Any) -> torch.Tensor:
        b, n = copied("the operand", other, self._parts.d), self._parts.n
        if b.ndim not in (1, 2) or len(b) != n:
            raise ValueError(f"the operand must have shape ({n},) or ({n}, m), got {tuple(b.shape)}")
        return b

    def _out(self, result: torch.Tensor) -> Any:
        return result if self._is_tensor else result.numpy()


def _columns(b: torch.Tensor) -> torch.Tensor:
    return b.reshape(len(b), -1)
