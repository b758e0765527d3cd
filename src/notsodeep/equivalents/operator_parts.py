"""The checked parts of a structured matrix, and what follows from them by sums alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from notsodeep.checks import number
from notsodeep.equivalents.hadamard import SquaredGram
from notsodeep.equivalents.operator_factor import Factor, signed_factor, signed_squares
from notsodeep.equivalents.operator_rows import copied, row_blocks, shared

_ASYMMETRY = 1e-12


@dataclass(frozen=True, eq=False)
class Parts:
    """``A = G S G' + diag(d) +`` scaled squared Gram matrices; ``structure`` says it in words."""

    factor: Factor
    d: torch.Tensor
    squares: SquaredGram
    structure: str

    @property
    def n(self) -> int:
        """The order of the matrix."""
        return len(self.d)

    @property
    def has_squares(self) -> bool:
        """Whether the last term is there."""
        return bool(len(self.squares.signs))

    def times(self, b: torch.Tensor) -> torch.Tensor:
        """Return ``A b`` for ``b`` of shape (n, m)."""
        product = self.factor.times(b) + self.d[:, None] * b
        return product + self.squares.times(b) if self.has_squares else product

    @cached_property
    def whole_diagonal(self) -> torch.Tensor:
        """The diagonal of A."""
        G = self.factor
        grams = self._norms * (G.H.square() @ G.H_signs)
        return grams + G.W.square() @ G.W_signs + self.d + self._squares_diagonal

    def without_squares(self) -> Parts:
        """Return A with its last term replaced by the diagonal of that."""
        Q = self.squares
        none = SquaredGram(Q.X, Q.E[:, :0], Q.signs[:0])
        return replace(self, d=self.d + self._squares_diagonal, squares=none)

    @cached_property
    def _squares_diagonal(self) -> torch.Tensor:
        return self._norms.square() * (self.squares.E.square() @ self.squares.signs)

    @cached_property
    def _norms(self) -> torch.Tensor:
        X, norms = self.factor.X, torch.empty_like(self.d)
        for rows, x in row_blocks(X, X.shape[1]):
            norms[rows] = x.square().sum(dim=1)
        return norms

    def dense(self) -> torch.Tensor:
        """Return A, symmetric to the last bit."""
        G, Q, n = self.factor, self.squares, self.n
        matrix, width = self.d.new_empty(n, n), max(G.X.shape)
        for rows, x in row_blocks(G.X, width):
            for others, z in row_blocks(G.X, width):
                if others.start < rows.start:
                    continue
                gram = x @ z.T
                block = (G.H[rows] * G.H_signs) @ G.H[others].T * gram
                block += (G.W[rows] * G.W_signs) @ G.W[others].T
                block += (Q.E[rows] * Q.signs) @ Q.E[others].T * gram.square_()
                if others == rows:
                    block = 0.5 * (block + block.T)
                matrix[rows, others], matrix[others, rows] = block, block.T
        matrix.diagonal().add_(self.d)
        return matrix


def checked_parts(X: Any, scalings: Any, weights: Any, V: Any, C: Any, diagonal: Any, squares: Any) -> Parts:
    """Return the parts in canonical form: weights and cores as signs.

    Raises
    ------
    ValueError
        When shapes disagree, an entry is not finite, or ``C`` is not symmetric.
    """
    samples = shared("X", X)
    n = len(samples)
    D, w = _scaled("scalings", "weights", scalings, weights, samples)
    E, e = _scaled("scalings of squares", "weights of squares", *_pair(squares, n), samples)
    low_rank, core = _low_rank(V, C, samples)
    d = _diagonal(diagonal, samples)
    factor = Factor(samples, *signed_squares(D, w), *signed_factor(low_rank, core))
    grams = _gram_words(w, scalings is None, samples.shape[1])
    ends = sorted({float(d.min()), float(d.max())})
    words = f"n={n}, {grams}, low rank {low_rank.shape[1]}, diagonal={' to '.join(f'{end:.6g}' for end in ends)}"
    words += f", squares={_listed(e)}" if len(e) else ""
    return Parts(factor, d, SquaredGram(samples, *signed_squares(E, e)), words)


def _gram_words(weights: torch.Tensor, plain: bool, p: int) -> str:
    if plain:
        return f"gram={float(weights[0]):.6g} (rank {p})"
    return f"grams={_listed(weights)} scaled (rank {p})"


def _listed(weights: torch.Tensor) -> str:
    return f"[{', '.join(f'{weight:.6g}' for weight in weights.tolist())}]"


def _pair(squares: Any, n: int) -> tuple[Any, Any]:
    if squares is None:
        return torch.zeros(n, 0), torch.zeros(0)
    try:
        scalings, weights = squares
    except (TypeError, ValueError):
        raise ValueError(f"squares must be a pair (scalings, weights), got {type(squares).__name__}") from None
    return scalings, weights


def _scaled(
    name: str, name_of_weights: str, scalings: Any, weights: Any, X: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    n = len(X)
    if scalings is None:
        weight = number(f"{name_of_weights} without scalings", weights)
        one = torch.ones(n, 1, dtype=torch.float64, device=X.device)
        return one, one.new_tensor([weight])
    D, w = copied(name, scalings, X), copied(name_of_weights, weights, X)
    if D.ndim != 2 or len(D) != n:
        raise ValueError(f"{name} must have shape ({n}, R), one row a sample, got {tuple(D.shape)}")
    if w.shape != D.shape[1:]:
        raise ValueError(
            f"{name_of_weights} must have shape ({D.shape[1]},), one a column of the scalings, got {tuple(w.shape)}"
        )
    return D, w


def _low_rank(V: Any, C: Any, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    n = len(X)
    if (V is None) != (C is None):
        raise ValueError("V and C must be given together: the low-rank part is V C V'")
    factor = copied("V", torch.zeros(n, 0) if V is None else V, X)
    core = copied("C", torch.zeros(0, 0) if C is None else C, X)
    k = factor.shape[-1] if factor.ndim else 0
    if factor.ndim != 2 or len(factor) != n:
        raise ValueError(f"V must have shape ({n}, k), one row a sample, got {tuple(factor.shape)}")
    if core.shape != (k, k):
        raise ValueError(f"C must have shape ({k}, {k}), got {tuple(core.shape)}")
    if k and float((core - core.T).abs().max()) > _ASYMMETRY * float(core.abs().max()):
        raise ValueError("C must be symmetric")
    return factor, core


def _diagonal(diagonal: Any, X: torch.Tensor) -> torch.Tensor:
    n = len(X)
    if getattr(diagonal, "ndim", 0) == 0 and not isinstance(diagonal, (list, tuple)):
        return torch.full((n,), number("diagonal", diagonal), dtype=torch.float64, device=X.device)
    d = copied("diagonal", diagonal, X)
    if d.shape != (n,):
        raise ValueError(f"diagonal must be a number or have shape ({n},), got {tuple(d.shape)}")
    return d
