"""Finite explicit network of an MLP spec."""

from __future__ import annotations

import math
from typing import Any, final

import torch

from notsodeep.checks import number
from notsodeep.networks.base import FiniteNetwork, NormalWeights
from notsodeep.spec import MLP, weight_names


@final
class ExplicitNetwork(FiniteNetwork):
    """Finite network of an MLP spec: hidden layers ``y_new = sigma(sqrt(weight_var) W y) / sqrt(m)``, then ``readout``.

    ``layers[0] (m, p)``, the other ``layers[i] (m, m)`` and ``readout.weight (out_features, m)`` start as iid
    N(0, 1) (NTK parametrisation, no biases).

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

    Raises
    ------
    ValueError
        When an argument is illegal.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import ExplicitNetwork
    >>> from notsodeep.spec import MLP, Layer
    >>> net = ExplicitNetwork(MLP((Layer("tanh"), Layer("tanh"))), in_features=3, width=64, out_features=10)
    >>> net(torch.eye(3)).shape, net.features(torch.eye(3)).shape
    (torch.Size([3, 10]), torch.Size([3, 64]))
    """

    def __init__(
        self,
        spec: MLP,
        in_features: int,
        width: int,
        out_features: int = 1,
        *,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        if not isinstance(spec, MLP):
            raise ValueError(f"spec must be an MLP, got {spec!r}")
        super().__init__(in_features, width, out_features)
        self.spec = spec
        normal = NormalWeights(seed, dtype)
        fan_in = [self.in_features] + [self.width] * (spec.depth - 1)
        self.layers = torch.nn.ParameterList([normal(self.width, n) for n in fan_in])
        self.readout = normal.linear_head(self.width, self.out_features)

    def features(self, X: Any) -> torch.Tensor:
        """Return the last hidden representation ``(n, width)`` of the samples ``X (n, in_features)``.

        Raises
        ------
        ValueError
            When ``X`` has another shape or is not finite.
        """
        Y = self._batch(X)
        for layer, W in zip(self.spec.layers, self.layers, strict=True):
            Y = layer.activation(math.sqrt(layer.weight_var) * Y @ W.T) / math.sqrt(self.width)
        return Y

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return groups for a torch optimiser: ``lr`` times each layer's ``learning_rate``, ``lr`` for the readout.

        Under plain gradient descent these are the rates that the spec's NTK assumes.

        Examples
        --------
        >>> import torch
        >>> from notsodeep.networks import ExplicitNetwork
        >>> from notsodeep.spec import MLP, Layer
        >>> net = ExplicitNetwork(MLP((Layer("tanh", learning_rate=0.5),)), in_features=3, width=8)
        >>> [(group["name"], group["lr"]) for group in torch.optim.SGD(net.parameter_groups(0.1)).param_groups]
        [('layer1', 0.05), ('readout', 0.1)]
        """
        lr = number("lr", lr, low=0.0)
        weights = [*self.layers, self.readout.weight]
        rates = [*(layer.learning_rate for layer in self.spec.layers), 1.0]
        return [
            {"name": name, "params": [W], "lr": lr * rate}
            for name, W, rate in zip(weight_names(self.spec), weights, rates, strict=True)
        ]

    @property
    def options(self) -> dict[str, Any]:
        """No settings beside the spec and the sizes."""
        return {}
