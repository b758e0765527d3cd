"""Exact kernels of an explicit network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from notsodeep.activations import moments
from notsodeep.activations.duals import Dual
from notsodeep.activations.moments import moments_of_many
from notsodeep.kernels.assemble import Values
from notsodeep.kernels.samples import Samples, correlation
from notsodeep.spec import MLP, weight_names

Expectation = Callable[[int, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class ExplicitKernel:
    """The kernels of an MLP on pairs of given samples (a :class:`~notsodeep.kernels.assemble.PairKernel`)."""

    def __init__(self, mlp: MLP, x: Samples, y: Samples, trained: frozenset[str]) -> None:
        self._mlp, self._trained, self._x = mlp, trained, x
        self._below = bool(trained - {"readout"})
        if self._below:
            _check_continuous(mlp)
        self._left = _scales(mlp, x)
        self._right = self._left if y is x else _scales(mlp, y)
        sides = zip(mlp.layers, self._left, self._right, strict=True)
        self._duals = [Dual(layer.activation, s, t) for layer, s, t in sides]

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor]:
        """Evaluate a block with short series; the mask tells where they were long enough."""
        right = torch.ones_like(gram, dtype=torch.bool)

        def expect(layer: int, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            value, slope, covered = self._duals[layer].bulk(i, j, self._correlation(layer, i, j, covariance))
            right.logical_and_(covered)
            return value, slope

        return self._recursion(gram, expect), right

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> Values:
        """Evaluate single pairs with whatever route is exact for them."""

        def expect(layer: int, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self._duals[layer](i, j, self._correlation(layer, i, j, covariance))

        return self._recursion(gram, expect)

    def diagonals(self) -> Values:
        """Return both kernels of each sample with itself."""

        def expect(layer: int, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            m = moments_of_many(self._mlp.layers[layer].activation, np.sqrt(covariance.cpu().numpy()))
            return torch.from_numpy(m.square).to(covariance), torch.tensor(m.slope_square).to(covariance)

        return self._recursion(self._x.squared_norms, expect)

    def _correlation(self, layer: int, i: torch.Tensor, j: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
        return correlation(covariance, self._left[layer][i] * self._right[layer][j])

    def _recursion(self, gram: torch.Tensor, expect: Expectation) -> Values:
        """``G_l = E[sigma sigma]`` at covariance ``w_l G_{l-1}`` and ``K_l = w_l (c_l G_{l-1} + K_{l-1}) * D_l``."""
        g, k = gram, torch.zeros_like(gram)
        for i, (layer, name) in enumerate(zip(self._mlp.layers, weight_names(self._mlp), strict=False)):
            value, slope = expect(i, layer.weight_var * g)
            if self._below:
                k = layer.weight_var * (layer.learning_rate * (name in self._trained) * g + k) * slope
            g = value
        return Values(g, k + ("readout" in self._trained) * g)


def _check_continuous(mlp: MLP) -> None:
    for i, layer in enumerate(mlp.layers, 1):
        if np.isinf(moments(layer.activation, 1.0).slope_square):
            raise ValueError(
                f"the NTK is infinite on its diagonal: the activation of layer {i}, {layer.activation!r}, jumps; "
                'ck and trainable="readout" are finite'
            )


def _scales(mlp: MLP, x: Samples) -> list[torch.Tensor]:
    """Standard deviation of each sample's pre-activations, layer by layer."""
    scales, variance = [], x.squared_norms.cpu().numpy()
    for layer in mlp.layers:
        entering = np.sqrt(layer.weight_var * variance)
        if not (entering > 0).all():
            raise ValueError(f"no signal reaches {layer!r}: the layer before it gives 0 for a sample")
        scales.append(torch.from_numpy(entering).to(x.rows))
        variance = moments_of_many(layer.activation, entering).square
    return scales
