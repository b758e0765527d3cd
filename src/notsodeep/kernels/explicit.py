"""Exact kernels of an explicit network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from notsodeep.activations import moments
from notsodeep.activations.duals import Dual
from notsodeep.activations.duals.series import Mehler
from notsodeep.activations.tabulate import Table
from notsodeep.checks import FloatArray
from notsodeep.kernels.model import Record, Values
from notsodeep.kernels.samples import Block, correlation, norms_between
from notsodeep.spec import MLP

Expectation = Callable[[int, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class ExplicitSide:
    """Samples with what depends on one of them alone, layer by layer."""

    squared_norms: torch.Tensor
    """``|x_i|^2``"""
    layers: tuple[torch.Tensor, ...]
    """Standard deviations of the pre-activations."""
    squares: tuple[torch.Tensor, ...]
    """``E[sigma^2]``"""
    slope_squares: tuple[torch.Tensor, ...]
    """``E[sigma'^2]``"""


class ExplicitModel:
    """An MLP prepared for samples with norms from ``low`` to ``high`` (a :class:`~notsodeep.kernels.model.Model`)."""

    def __init__(self, mlp: MLP, trained: frozenset[str], low: float, high: float) -> None:
        self.mlp, self.trained = mlp, trained
        self._below = bool(trained - {"readout"})
        if self._below:
            _check_continuous(mlp)
        self._table = Table(self._of_norms, low, high)
        norms = norms_between(low, high)
        scales = norms[:, None] * self._of_norms(norms).reshape(len(norms), mlp.depth, 3)[:, :, 0]
        sides = zip(mlp.layers, scales.min(axis=0), scales.max(axis=0), strict=True)
        self.mehlers = tuple(Mehler(layer.activation, float(a), float(b)) for layer, a, b in sides)

    def _of_norms(self, norms: FloatArray) -> FloatArray:
        """Scale over norm, ``E[sigma^2]`` over the squared scale and ``E[sigma'^2]``, for each layer."""
        columns, variance = [], norms**2
        for layer in self.mlp.layers:
            scales = np.sqrt(layer.weight_var * variance + layer.bias_var)
            if not (scales > 0).all():
                raise ValueError(f"no signal reaches {layer!r}: the layer before it gives 0 for a sample")
            m = moments(layer.activation, scales)
            variance = m.square
            columns += [scales / norms, m.square / scales**2, m.slope_square]
        return np.stack(columns, axis=1)

    def side(self, block: Block) -> ExplicitSide:
        """Return the samples with their scales and moments in every layer."""
        norms = np.sqrt(block.squared_norms.cpu().numpy())
        columns = self._table(norms).reshape(len(norms), self.mlp.depth, 3)
        scales = columns[:, :, 0] * norms[:, None]
        found = scales, columns[:, :, 1] * scales**2, columns[:, :, 2]
        layers = (tuple(torch.from_numpy(c).to(block.squared_norms) for c in part.T.copy()) for part in found)
        return ExplicitSide(block.squared_norms, *layers)

    def pair(
        self, left: ExplicitSide, right: ExplicitSide, names: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> ExplicitPairs:
        """Return the kernels of pairs of samples; no message needs their names."""
        return ExplicitPairs(self, left, right)

    def diagonals(self, side: ExplicitSide) -> Values:
        """Return both kernels of each sample with itself."""
        return self.recursion(side.squared_norms, lambda layer, _: (side.squares[layer], side.slope_squares[layer]))

    @property
    def rates(self) -> list[tuple[float, float, float, float]]:
        """Variance of the weights and of the bias that feed each layer, and the learning rates of both."""
        return [
            (
                layer.weight_var,
                layer.bias_var,
                layer.learning_rate * (f"layer{i}" in self.trained),
                layer.learning_rate * (f"bias{i}" in self.trained),
            )
            for i, layer in enumerate(self.mlp.layers, 1)
        ]

    @property
    def readout(self) -> float:
        """Weight of the last CK in the NTK."""
        return float("readout" in self.trained)

    def recursion(self, gram: torch.Tensor, expect: Expectation) -> Values:
        """``G_l = E[sigma sigma]`` at ``w G_{l-1} + b`` and ``K_l = (w (c G_{l-1} + K_{l-1}) + b c) * D_l``."""
        g, k = gram, torch.zeros_like(gram)
        for i, (w, b, rate, bias_rate) in enumerate(self.rates):
            value, slope = expect(i, w * g + b)
            if self._below:
                k = (w * (rate * g + k) + b * bias_rate) * slope
            g = value
        return Values(g, k + self.readout * g)


class ExplicitPairs:
    """The kernels of an MLP on pairs of samples (a :class:`~notsodeep.kernels.model.PairKernel`)."""

    def __init__(self, model: ExplicitModel, left: ExplicitSide, right: ExplicitSide) -> None:
        self._model, self._left, self._right = model, left, right
        sides = zip(model.mlp.layers, left.layers, right.layers, model.mehlers, strict=True)
        self._duals = [Dual(layer.activation, s, t, mehler) for layer, s, t, mehler in sides]

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor, Record]:
        """Evaluate a block with short series; the mask tells where they were long enough."""
        right = torch.ones_like(gram, dtype=torch.bool)

        def expect(layer: int, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            value, slope, covered = self._duals[layer].bulk(i, j, self._correlation(layer, i, j, covariance))
            right.logical_and_(covered)
            return value, slope

        return self._model.recursion(gram, expect), right, Record()

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, Record]:
        """Evaluate single pairs with whatever route is exact for them."""

        def expect(layer: int, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self._duals[layer](i, j, self._correlation(layer, i, j, covariance))

        return self._model.recursion(gram, expect), Record()

    def _correlation(self, layer: int, i: torch.Tensor, j: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
        return correlation(covariance, self._left.layers[layer][i] * self._right.layers[layer][j])


def _check_continuous(mlp: MLP) -> None:
    for i, layer in enumerate(mlp.layers, 1):
        if np.isinf(moments(layer.activation, 1.0).slope_square):
            raise ValueError(
                f"the NTK is infinite on its diagonal: the activation of layer {i}, {layer.activation!r}, jumps; "
                'ck and trainable="readout" are finite'
            )
