"""Activations of a batch, block by block: what they need in between stays in the cache."""

from __future__ import annotations

import torch

from notsodeep.activations import Activation
from notsodeep.activations.backend import is_traced

BLOCK = 2**19
"""Bytes of pre-activations in a block"""


def activated(activation: Activation, U: torch.Tensor, divisor: float = 1.0) -> torch.Tensor:
    """Return ``phi(U) / divisor`` of pre-activations ``U (n, m)``; without gradients in their place.

    An activation makes several tensors of the size of its argument. On a CPU those of a whole batch go through the
    memory; those of a block of rows do not, and are given back before the next.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.activations import activation
    >>> activated(activation("relu"), torch.tensor([[-2.0, 4.0]]), divisor=2.0)
    tensor([[0., 2.]])
    """
    rows = max(1, BLOCK // (U.shape[-1] * U.element_size()))
    if is_traced() or torch.is_grad_enabled() or U.device.type != "cpu" or len(U) <= rows:
        return _divided(activation(U), divisor)
    for block in U.split(rows):
        block.copy_(_divided(activation(block), divisor))
    return U


def _divided(values: torch.Tensor, divisor: float) -> torch.Tensor:
    return values if divisor == 1.0 else values / divisor
