"""One named weight of a finite network: how it is trained, and what its gradients are made of."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

PARAMETRIZATIONS = ("ntk", "standard")
OPTIMIZERS = ("sgd", "adam")
_ADAM_EPS = 1e-8


class Weight(NamedTuple):
    """A matrix or bias of independent N(0, 1) numbers at the start, multiplied by ``sigma`` in the network."""

    value: torch.Tensor
    sigma: float
    fan_in: int
    """Inputs ``x`` of norm 1, or units, that it sums over; 1 for a bias"""
    rate: float = 1.0
    """Multiplier of its learning rate in the spec"""

    def rates(self, lr: float, parametrization: str, optimizer: str) -> dict[str, float]:
        """Return the options of a torch optimiser for this weight (:meth:`FiniteNetwork.parameter_groups`)."""
        rate = lr * self.rate
        c = 1.0 if parametrization == "ntk" else self.sigma / math.sqrt(self.fan_in)
        if c == 0.0:  # without recurrence its weights are idle
            return {"lr": 0.0}
        if optimizer == "sgd":
            return {"lr": rate / c**2}
        return {"lr": rate / c, "eps": c * _ADAM_EPS}


class Factor(NamedTuple):
    """What the gradients of ``n`` samples in one weight are made of: ``slopes_i (x) inputs_i``."""

    slopes: torch.Tensor | None
    """Gradient with respect to what the weight feeds, shape ``(n, units)``; None for the readout's, a constant 1"""
    inputs: torch.Tensor | None
    """What the weight is multiplied with, shape ``(n, fan_in)``; None for a bias, a constant 1"""
