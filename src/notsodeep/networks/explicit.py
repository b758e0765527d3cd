"""Finite explicit network of an MLP spec."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any, final

import torch

from notsodeep.checks import choice, number
from notsodeep.networks.base import FiniteNetwork, NormalWeights
from notsodeep.networks.blocks import activated
from notsodeep.networks.weight import Factor, Weight
from notsodeep.spec import MLP

WEIGHTS = ("gaussian", "ternary")
SPARSITY = 0.9
"""Share of zeros among ternary weights when none is given."""


@final
class ExplicitNetwork(FiniteNetwork):
    """Finite network of an MLP spec: hidden layers, then a linear ``readout``.

    A layer is ``y_new = sigma(sqrt(weight_var) W y + sqrt(bias_var) c) / sqrt(m)``. The weights ``layers[0] (m, p)``,
    the other ``layers[i] (m, m)``, ``readout.weight (out_features, m)`` and the biases ``biases["bias1"] (m)``,
    ``biases["bias2"] (m)``, ..., of the layers that have one, start as iid N(0, 1) (NTK parametrisation).

    With ``weights="ternary"``, the entries of ``layers`` start as 0 with probability ``sparsity``, else as
    ``±1/sqrt(1 - sparsity)`` with equal chance: mean 0 and variance 1 as well, so the same kernels in the limit of
    many inputs and units. Biases and readout stay Gaussian. Multiplication is by dense matrices all the same; what
    a file or better hardware saves is told by :func:`notsodeep.networks.memory_bits`.

    Parameters
    ----------
    spec : MLP
        The model; its activations are used as they are.
    in_features, width, out_features : int
        Numbers ``p`` of inputs, ``m`` of units in every hidden layer, and of outputs.
    seed : int
        Same seed, same weights, on any device and in either precision.
    dtype : torch.dtype
        ``torch.float64`` or ``torch.float32``.
    weights : {"gaussian", "ternary"}
        Distribution of the weights of the hidden layers.
    sparsity : float, optional
        Probability of a zero among ternary weights, in [0, 1); 0.9 when not given. Gaussian weights have none.

    Raises
    ------
    ValueError
        When an argument is illegal; also when a sparsity is given for Gaussian weights.

    Notes
    -----
    Source of the ternary weights: arXiv:2403.00258. The ternary network of a seed is the Gaussian one of that seed,
    rounded: small weights to 0, large ones to their sign. Its kernels are those of the spec only if many weights reach
    each unit, and no few inputs dominate a sample ``x``: to leading order the gap of the first layer is proportional to
    ``(1 / (1 - sparsity) - 3) sum_i x_i^4 / |x|^4``, however wide the network.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import ExplicitNetwork
    >>> from notsodeep.spec import MLP, Layer
    >>> net = ExplicitNetwork(MLP((Layer("tanh"), Layer("tanh"))), in_features=3, width=64, out_features=10)
    >>> net(torch.eye(3)).shape, net.features(torch.eye(3)).shape
    (torch.Size([3, 10]), torch.Size([3, 64]))
    """

    spec: MLP

    def __init__(
        self,
        spec: MLP,
        in_features: int,
        width: int,
        out_features: int = 1,
        *,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        weights: str = "gaussian",
        sparsity: float | None = None,
    ) -> None:
        if not isinstance(spec, MLP):
            raise ValueError(f"spec must be an MLP, got {spec!r}")
        super().__init__(in_features, width, out_features)
        self.spec = spec
        self.weights = choice("weights", weights, WEIGHTS)
        self.sparsity = checked_sparsity(self.weights, sparsity)
        normal = NormalWeights(seed, dtype)
        draw = normal if self.sparsity is None else partial(normal.ternary, self.sparsity)
        fan_in = [self.in_features] + [self.width] * (spec.depth - 1)
        self.layers = torch.nn.ParameterList([draw(self.width, n) for n in fan_in])
        self.readout = normal.linear_head(self.width, self.out_features)
        biased = [i for i, layer in enumerate(spec.layers, 1) if layer.bias_var > 0]
        self.biases = torch.nn.ParameterDict({f"bias{i}": normal(self.width) for i in biased})

    def features(self, X: Any) -> torch.Tensor:
        """Return the last hidden representation ``(n, width)`` of the samples ``X (n, in_features)``.

        Raises
        ------
        ValueError
            When ``X`` has another shape or is not finite.
        """
        return deque(self._layers(self._batch(X)), maxlen=1).pop()[1]

    def _layers(self, batch: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the pre-activations and the output of each layer; without gradients, the outputs in their place."""
        Y = batch
        for i, (layer, W) in enumerate(zip(self.spec.layers, self.layers, strict=True), 1):
            U = math.sqrt(layer.weight_var) * Y @ W.T
            if layer.bias_var > 0:
                U = U + math.sqrt(layer.bias_var) * self.biases[f"bias{i}"]
            Y = activated(layer.activation, U, math.sqrt(self.width))
            yield U, Y

    @property
    def hidden_weights(self) -> dict[str, Weight]:
        """``layer1``, ``bias1``, ``layer2``, ...; ternary weights do not stay so when they are trained."""
        found = {}
        for i, (layer, W) in enumerate(zip(self.spec.layers, self.layers, strict=True), 1):
            found[f"layer{i}"] = Weight(W, math.sqrt(layer.weight_var), W.shape[1], layer.learning_rate)
            if layer.bias_var > 0:
                c = self.biases[f"bias{i}"]
                found[f"bias{i}"] = Weight(c, math.sqrt(layer.bias_var), 1, layer.learning_rate)
        return found

    def hidden_factors(self, batch: torch.Tensor, cotangent: torch.Tensor) -> tuple[torch.Tensor, dict[str, Factor]]:
        """Return the features of a batch and the gradients of ``features . cotangent``, by one backward pass."""
        with torch.enable_grad():
            pre, outputs = zip(*self._layers(batch.requires_grad_()), strict=True)
            slopes = torch.autograd.grad((outputs[-1] @ cotangent).sum(), pre)
        inputs = [each.detach() for each in (batch, *outputs)]
        factors = {}
        for i, (layer, slope) in enumerate(zip(self.spec.layers, slopes, strict=True), 1):
            rate = math.sqrt(layer.learning_rate)
            factors[f"layer{i}"] = Factor(rate * math.sqrt(layer.weight_var) * slope, inputs[i - 1])
            if layer.bias_var > 0:
                factors[f"bias{i}"] = Factor(rate * math.sqrt(layer.bias_var) * slope, None)
        return inputs[-1], factors

    @property
    def options(self) -> dict[str, Any]:
        """How the hidden weights were drawn, as the constructor takes it."""
        return {"weights": self.weights, "sparsity": self.sparsity}


def checked_sparsity(weights: str, sparsity: float | None) -> float | None:
    """Return the share of zeros, None for Gaussian weights; raise ``ValueError`` for an illegal one."""
    if weights == "gaussian":
        if sparsity is not None:
            raise ValueError(f"sparsity is of ternary weights; leave it out with weights={weights!r}, got {sparsity!r}")
        return None
    share = number("sparsity", SPARSITY if sparsity is None else sparsity, low=0.0)
    if share >= 1.0:
        raise ValueError(f"sparsity must be a number in [0, 1), got {sparsity!r}")
    return share
