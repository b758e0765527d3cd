"""Traces of ``P = (I + sum_b w_b q_b S_b)^-1`` with covariances, in a joint eigenbasis where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray

_BLOCK = 1 << 21  # entries of the largest intermediate array
_COMMUTING = 1e-9  # off the diagonal of a joint eigenbasis, of the norm
_GOLDEN = 0.6180339887498949  # its multiples modulo one are all different
_NULL = 1e-13  # eigenvalues below, of the largest, are zero
_DIGITS = 13  # eigenvalues that agree so far are one


class Traces(Protocol):
    """What the equations ask of the covariances ``S_a`` of K classes; ``w_a = n_a / p``."""

    def traces(self, q: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return ``tr(S_a P)/p`` (G, K) and ``tr(S_a P S_b P)/p`` (G, K, K) at G points ``q`` (G, K)."""

    def negative(self, q: FloatArray) -> float:
        """Return the number of negative eigenvalues of ``P`` over p, at one real ``q`` (K,)."""

    def captured(self, q: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``M (I - P) M'`` and its derivative along ``slope`` = dq, at one real ``q``."""

    def rank(self, classes: Sequence[int]) -> float:
        """Return the dimension of the sum of the ranges of some covariances, over p."""

    def norms(self) -> FloatArray:
        """Return the spectral norms of the covariances."""

    def below(self) -> float:
        """Return how far the spectrum may reach below the smallest shift."""

    def products(self) -> FloatArray:
        """Return ``tr(S_a S_b)/p`` (K, K)."""

    def take(self, classes: Sequence[int]) -> Traces:
        """Return the traces of some of the classes."""


class Commuting:
    """Covariances with a joint eigenbasis: eigenvalues ``values`` (K, r), each in a share of the p directions.

    ``gram`` (r, k, k) holds the products of the mean vectors within each eigenspace.
    """

    def __init__(self, values: FloatArray, shares: FloatArray, weights: FloatArray, gram: FloatArray) -> None:
        self._values, self._shares, self._weights, self._gram = values, shares, weights, gram
        self._weighted = weights[:, None] * values
        self._single = (shares * values).T
        self._pairs = (shares * values[:, None] * values).reshape(-1, len(shares)).T

    def traces(self, q: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return ``tr(S_a P)/p`` and ``tr(S_a P S_b P)/p``; see :class:`Traces`."""
        k = len(self._weights)
        single, pairs = np.empty((len(q), k), q.dtype), np.empty((len(q), k * k), q.dtype)
        step = max(1, _BLOCK // len(self._shares))
        for i in range(0, len(q), step):
            rows = slice(i, i + step)
            inverse = 1.0 / (1.0 + q[rows] @ self._weighted)
            single[rows] = inverse @ self._single
            inverse *= inverse
            pairs[rows] = inverse @ self._pairs
        return single, pairs.reshape(-1, k, k)

    def negative(self, q: FloatArray) -> float:
        """Return the number of negative eigenvalues of ``P``, over p."""
        return float(self._shares[1.0 + q @ self._weighted < 0.0].sum())

    def captured(self, q: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``M (I - P) M'`` and its derivative along ``slope``."""
        excess, rise = q @ self._weighted, slope @ self._weighted
        value = np.tensordot(excess / (1.0 + excess), self._gram, 1)
        return value, np.tensordot(rise / (1.0 + excess) ** 2, self._gram, 1)

    def rank(self, classes: Sequence[int]) -> float:
        """Return the dimension of the sum of some ranges, over p."""
        return float(self._shares[self._values[list(classes)].any(axis=0)].sum())

    def norms(self) -> FloatArray:
        """Return the spectral norms."""
        return np.asarray(self._values.max(axis=1))

    def below(self) -> float:
        """Return how far the spectrum may reach below the smallest shift."""
        return 0.0

    def products(self) -> FloatArray:
        """Return ``tr(S_a S_b)/p``."""
        return (self._values * self._shares) @ self._values.T

    def take(self, classes: Sequence[int]) -> Traces:
        """Return the traces of some of the classes."""
        chosen = list(classes)
        return Commuting(self._values[chosen], self._shares, self._weights[chosen], self._gram)


class Dense:
    """Covariances ``matrices`` (K, p, p) without a joint eigenbasis: O(K p^3) a point. ``means`` is (k, p)."""

    def __init__(self, matrices: FloatArray, weights: FloatArray, means: FloatArray) -> None:
        self._matrices, self._weights, self._means = matrices, weights, means
        self._p = matrices.shape[1]

    def traces(self, q: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return ``tr(S_a P)/p`` and ``tr(S_a P S_b P)/p``; see :class:`Traces`."""
        k = len(self._weights)
        single, pairs = np.empty((len(q), k), q.dtype), np.empty((len(q), k, k), q.dtype)
        for g, point in enumerate(q):
            inverse = np.linalg.inv(self._sum(point))
            products = [_times(s, inverse) for s in self._matrices]
            single[g] = [np.trace(product) for product in products]
            for a, one in enumerate(products):
                for b, other in enumerate(products[: a + 1]):
                    pairs[g, a, b] = pairs[g, b, a] = np.einsum("ij,ji->", one, other)
        return single / self._p, pairs / self._p

    def negative(self, q: FloatArray) -> float:
        """Return the number of negative eigenvalues of ``P``, over p."""
        return float((np.linalg.eigvalsh(self._sum(q)) < 0.0).mean())

    def captured(self, q: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``M (I - P) M'`` and its derivative along ``slope``."""
        reduced = np.linalg.solve(self._sum(q), self._means.T)
        rise = np.tensordot(self._weights * slope, self._matrices, 1)
        value = self._means @ self._excess(q) @ reduced
        return 0.5 * (value + value.T), reduced.T @ rise @ reduced

    def rank(self, classes: Sequence[int]) -> float:
        """Return the dimension of the sum of some ranges, over p."""
        total = sum(s / max(float(np.abs(s).max()), 1e-300) for s in self._matrices[list(classes)])
        values = np.linalg.eigvalsh(total)
        return float((values > _NULL * self._p * max(values[-1], 0.0)).mean())

    def norms(self) -> FloatArray:
        """Return the spectral norms."""
        return np.asarray([np.linalg.eigvalsh(s)[-1] for s in self._matrices])

    def below(self) -> float:
        """Return how far the spectrum may reach below the smallest shift."""
        return 0.0

    def products(self) -> FloatArray:
        """Return ``tr(S_a S_b)/p``."""
        flat = self._matrices.reshape(len(self._matrices), -1)
        return flat @ flat.T / self._p

    def take(self, classes: Sequence[int]) -> Traces:
        """Return the traces of some of the classes."""
        chosen = list(classes)
        return Dense(self._matrices[chosen], self._weights[chosen], self._means)

    def _excess(self, q: NDArray[Any]) -> NDArray[Any]:
        return np.tensordot(self._weights * q, self._matrices, 1)

    def _sum(self, q: NDArray[Any]) -> NDArray[Any]:
        total = self._excess(q)
        total.flat[:: self._p + 1] += 1.0
        return total


def traces_of(covariances: FloatArray, weights: FloatArray, means: FloatArray) -> Traces:
    """Return the traces of covariances (K,), (K, p) or (K, p, p), the cheapest kind that is exact."""
    p = means.shape[1]
    if covariances.ndim == 1:
        return Commuting(covariances[:, None], np.ones(1), weights, (means @ means.T)[None])
    if covariances.ndim == 2:
        return _grouped(covariances, weights, means)
    scale = float(np.abs(covariances).max())
    basis = joint_basis(covariances) if scale else np.eye(p)
    if basis is None:
        return Dense(covariances, weights, means)
    values = np.stack([np.einsum("ij,ij->j", basis, s @ basis) for s in covariances])
    values[values < _NULL * p * scale] = 0.0
    return _grouped(values, weights, means @ basis)


def joint_basis(matrices: FloatArray) -> FloatArray | None:
    """Return an orthogonal matrix that diagonalises all matrices, if there is one."""
    sizes = [float(np.linalg.norm(s)) for s in matrices]
    mixed = sum(
        (1.0 + a) * _GOLDEN % 1.0 * s / size for a, (s, size) in enumerate(zip(matrices, sizes, strict=True)) if size
    )
    basis = np.asarray(np.linalg.eigh(mixed)[1])
    for s, size in zip(matrices, sizes, strict=True):
        turned = basis.T @ s @ basis
        np.fill_diagonal(turned, 0.0)
        if np.linalg.norm(turned) > _COMMUTING * size:
            return None
    return basis


def _grouped(values: FloatArray, weights: FloatArray, means: FloatArray) -> Commuting:
    """Return traces with equal joint eigenvalues taken together."""
    p = values.shape[1]
    rounded = np.round(values / (np.abs(values).max() or 1.0), _DIGITS)
    _, first, group, sizes = np.unique(rounded, axis=1, return_index=True, return_inverse=True, return_counts=True)
    gram = np.zeros((len(sizes), len(means), len(means)))
    np.add.at(gram, group.reshape(-1), means.T[:, :, None] * means.T[:, None, :])
    return Commuting(values[:, first], sizes / p, weights, gram)


def _times(real: FloatArray, matrix: NDArray[Any]) -> NDArray[Any]:
    if np.isrealobj(matrix):
        return real @ matrix
    return np.asarray(real @ matrix.real + 1j * (real @ matrix.imag))
