"""Orthonormal Hermite polynomials ``h_k`` and the coefficients of an activation in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from notsodeep.activations.activation import Activation
from notsodeep.activations.gaussian import EXTENT, nodes
from notsodeep.activations.tabulate import Table
from notsodeep.checks import FloatArray

_BATCH = 40_000  # nodes held at a time: the recurrence stays in cache


def series(coefficients: Sequence[float], x: Any) -> Any:
    """Return ``sum_k coefficients[k] h_k(x)`` for a NumPy array or a torch tensor, by Clenshaw's recurrence."""
    above, here = 0.0 * x, 0.0 * x
    for k in range(len(coefficients) - 1, -1, -1):
        above, here = here, coefficients[k] + x / (k + 1) ** 0.5 * here - ((k + 1) / (k + 2)) ** 0.5 * above
    return here


class HermiteTable:
    """Hermite coefficients of one activation at all scales of ``[low, high]``; tables are made when first needed."""

    def __init__(self, activation: Activation, low: float, high: float) -> None:
        self.activation = activation
        self._low, self._high = low, high
        self._tables: dict[int, Table] = {}

    def __call__(self, scales: FloatArray, count: int) -> FloatArray:
        """Return ``a_k(s) = E[phi(s xi) h_k(xi)]`` for ``k < count``, shape ``(len(scales), count)``."""
        if count not in self._tables:
            # Dividing by the scale keeps the small scales accurate in a table whose error is absolute.
            f = partial(_per_scale, self.activation, count)
            self._tables[count] = Table(f, self._low, self._high)
        return scales[:, None] * self._tables[count](scales)


def coefficients(activation: Activation, scales: FloatArray, count: int) -> FloatArray:
    """Return ``a_k(s) = E[phi(s xi) h_k(xi)]`` for ``k < count``, shape ``(len(scales), count)``."""
    return HermiteTable(activation, float(scales.min()), float(scales.max()))(scales, count)


def _per_scale(activation: Activation, count: int, scales: FloatArray) -> FloatArray:
    return _integrate(activation, scales, count) / scales[:, None]


def _integrate(activation: Activation, scales: FloatArray, count: int) -> FloatArray:
    panel = min(1.0, 16.0 / count**0.5)  # a panel then spans a few periods of h_count
    step = max(1, int(_BATCH * panel / (100 * EXTENT)))
    parts = [_integrate_batch(activation, scales[i : i + step], count, panel) for i in range(0, scales.size, step)]
    return np.concatenate(parts)


def _integrate_batch(activation: Activation, scales: FloatArray, count: int, panel: float) -> FloatArray:
    x, w = nodes(activation, scales, panel)
    weighted = w * activation(x * scales[:, None])
    out = np.empty((scales.size, count))
    before, here = np.zeros_like(x), np.ones_like(x)
    for k in range(count):
        out[:, k] = np.einsum("ij,ij->i", weighted, here)
        before, here = here, (x * here - k**0.5 * before) / (k + 1) ** 0.5
    return out
