"""Averages of 1, 2, 4, ... random matrices against their limit: errors, and the bias that averaging leaves."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.kernels.distance import spectral_norm

BLOCKS = 8
"""Parts of the draws whose averages the bias is estimated from"""


class Averages(NamedTuple):
    """Relative errors of averages of draws."""

    errors: dict[int, FloatArray]
    """By the number of draws averaged: in the spectral and the Frobenius norm, for each group of so many draws that
    came one after the other, shape ``(groups, 2)``"""
    bias_square: float
    """Estimate of ``|E G_m - G|^2 / |G|^2`` in the Frobenius norm, itself without bias: chance may make it negative"""
    bias_square_error: float
    """Its standard error, by leaving out one block at a time: ``sqrt(2)`` too large where there is no bias"""


class Averaging:
    """Takes draws of a symmetric matrix one by one, and keeps the errors of averages of 1, 2, 4, ... of them.

    Neighbours are averaged pair by pair, so that about ``log2(draws) + BLOCKS`` matrices are held.

    Parameters
    ----------
    exact : array
        The limit ``(n, n)``, not zero.
    draws : int
        How many will come: a power of two, :data:`BLOCKS` at least.

    Raises
    ------
    ValueError
        When ``draws`` is another number.
    """

    def __init__(self, exact: FloatArray, draws: int) -> None:
        if draws < BLOCKS or draws & (draws - 1):
            raise ValueError(f"draws must be a power of two, {BLOCKS} at least, got {draws}")
        self._exact, self._draws = exact, draws
        self._scale = spectral_norm(exact), float(np.linalg.norm(exact))
        self._waiting: dict[int, FloatArray] = {}
        self._blocks: list[FloatArray] = []
        self._errors: dict[int, list[tuple[float, float]]] = {}

    def add(self, drawn: FloatArray) -> None:
        """Take the next draw."""
        size, gap = 1, drawn - self._exact
        self._note(size, gap)
        while size in self._waiting:
            gap = 0.5 * (self._waiting.pop(size) + gap)
            size *= 2
            self._note(size, gap)
        self._waiting[size] = gap

    def _note(self, size: int, gap: FloatArray) -> None:
        errors = spectral_norm(gap) / self._scale[0], float(np.linalg.norm(gap)) / self._scale[1]
        self._errors.setdefault(size, []).append(errors)
        if size * BLOCKS == self._draws:
            self._blocks.append(gap)

    def averages(self) -> Averages:
        """Return the errors, when all draws have come.

        Raises
        ------
        ValueError
            When some have not.
        """
        if self._draws not in self._waiting:
            raise ValueError(f"{self._draws} draws were announced, {len(self._errors.get(1, ()))} have come")
        blocks = np.array([gap.ravel() for gap in self._blocks]) / self._scale[1]
        products = blocks @ blocks.T
        without = [
            _off_diagonal_mean(np.delete(np.delete(products, left_out, 0), left_out, 1)) for left_out in range(BLOCKS)
        ]
        spread = math.sqrt((BLOCKS - 1) * float(np.var(without)))
        errors = {size: np.array(each) for size, each in self._errors.items()}
        return Averages(errors, _off_diagonal_mean(products), spread)


def _off_diagonal_mean(products: FloatArray) -> float:
    """Return the mean product of two different blocks, whose noise is independent."""
    n = len(products)
    return float(products.sum() - np.trace(products)) / (n * (n - 1))
