"""``E[psi'(s x) psi'(s y)]`` for a psi that may jump, so that its derivative has point masses."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.polynomial import legendre

from notsodeep.activations import Activation, moments
from notsodeep.activations.duals import Dual
from notsodeep.activations.gaussian import EXTENT, ORDER, SQRT_2PI, density
from notsodeep.activations.mesh import mesh
from notsodeep.activations.moments import jumps, one_sided
from notsodeep.checks import FloatArray


class PriceSlope:
    """``E[psi'(s x) psi'(s y)]``, with ``psi'`` the weak derivative: x and y standard normal of correlation u.

    With ``psi`` the sum of a continuous function c and of steps of height ``d_k`` at ``k``::

        E[c' c'] + 2 sum_k d_k p(k) E[c'(s y) | s x = k] + sum_kl d_k d_l p(k, l)

    where p is the density of ``s x``, and of the pair. The last sum is infinite at correlation +-1.

    Parameters
    ----------
    psi : Activation
    scale : float
        Standard deviation s (> 0).
    """

    def __init__(self, psi: Activation, scale: float) -> None:
        self._psi, self._scale = psi, scale
        sides = {k: one_sided(psi, k) for k in psi.kinks if jumps(psi, k)}
        self._jumps = {k: right - left for k, (left, right) in sides.items()}
        self._continuous = _without_steps(psi, self._jumps) if self._jumps else psi
        self._flat = bool(moments(self._continuous, scale).slope_square == 0.0)

    def __call__(self, u: FloatArray) -> FloatArray:
        """Return the expectation at correlations strictly between -1 and 1."""
        total = np.zeros_like(u) if self._flat else self._regular(u)
        for k, d in self._jumps.items():
            if not self._flat:
                total = total + 2.0 * d * density(k / self._scale) / self._scale * self._given(k, u)
            for other, e in self._jumps.items():
                total = total + d * e * _pair_density(k / self._scale, other / self._scale, u) / self._scale**2
        return total

    def infinite_at(self, end: float) -> bool:
        """Tell whether the expectation is infinite at correlation ``end``, which is 1 or -1."""
        return any(end * k in self._jumps for k in self._jumps)

    def _regular(self, u: FloatArray) -> FloatArray:
        first = torch.zeros(u.size, dtype=torch.int64)
        return self._dual(first, first, torch.from_numpy(u))[1].numpy()

    @cached_property
    def _dual(self) -> Dual:
        scales = torch.tensor([self._scale], dtype=torch.float64)
        return Dual(self._continuous, scales, scales)

    def _given(self, k: float, u: FloatArray) -> FloatArray:
        """``E[c'(s y) | s x = k]``: Gauss-Legendre panels that are cut where c' is."""
        middle, width = k * u[:, None], self._scale * np.sqrt((1.0 - u) * (1.0 + u))[:, None]
        limit = 2.0 ** np.ceil(np.log2(abs(k) + EXTENT * self._scale))
        own = (mesh(self._continuous.fn, self._psi.kinks, float(limit)) - middle) / width
        base = np.broadcast_to(np.arange(-EXTENT, EXTENT + 1.0), (u.size, int(2 * EXTENT) + 1))
        ends = np.sort(np.concatenate([np.clip(own, -EXTENT, EXTENT), base], axis=1), axis=1)
        nodes, weights = legendre.leggauss(ORDER)
        half = 0.5 * np.diff(ends, axis=1)[..., None]
        x = 0.5 * (ends[:, 1:] + ends[:, :-1])[..., None] + half * nodes
        values = self._continuous.derivative(middle[..., None] + width[..., None] * x)
        return (half * weights * density(x) * values).sum(axis=(1, 2))


def _without_steps(psi: Activation, steps: dict[float, float]) -> Activation:
    def continuous(x: Any) -> Any:
        return psi(x) - sum(d * (x > k) for k, d in steps.items())

    return Activation(continuous, psi.derivative, psi.kinks)


def _pair_density(x: float, y: float, u: FloatArray) -> FloatArray:
    """Joint density of two standard normals; its exponent does not cancel where u tends to +-1."""
    side, gap = np.where(u < 0, -1.0, 1.0), 1.0 - np.abs(u)
    variance = gap * (2.0 - gap)
    spread = ((x - side * y) ** 2 + 2.0 * side * x * y * gap) / variance
    return np.exp(-0.5 * spread) / (SQRT_2PI**2 * np.sqrt(variance))
