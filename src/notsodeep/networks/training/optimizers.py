"""The torch optimiser of some settings."""

from __future__ import annotations

from typing import Any

import torch

from notsodeep.networks.base import FiniteNetwork
from notsodeep.networks.training.settings import TrainSettings


def make_optimizer(net: FiniteNetwork, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser of the weights that are trained.

    Weights ``V = c W`` with decay ``d`` have ``dL/dV + d V = (dL/dW + d c^2 W) / c``: the decay of ``W`` is
    ``d c^2``, and ``c^2`` is how much less the learning rate of SGD is for ``W`` than for ``V``.
    """
    groups = net.parameter_groups(
        settings.lr,
        settings.trainable,
        parametrization=settings.parametrization,
        optimizer=settings.optimizer,
    )
    squares = _squared_factors(net, settings)
    for group in groups:
        group["weight_decay"] = settings.weight_decay * squares[group["name"]]
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, lr=settings.lr)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)


def _squared_factors(net: FiniteNetwork, settings: TrainSettings) -> dict[str, float]:
    """Return ``c^2`` for each group; 1 where a weight is idle."""

    def rates(parametrization: str) -> dict[str, Any]:
        groups = net.parameter_groups(1.0, settings.trainable, parametrization=parametrization)
        return {group["name"]: group["lr"] for group in groups}

    plain, asked = rates("ntk"), rates(settings.parametrization)
    return {name: plain[name] / rate if rate else 1.0 for name, rate in asked.items()}
