"""Which registered activation a function is: told by its values, not by its name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from notsodeep.activations import Activation, activation

_PLAIN = (
    *("relu", "tanh", "gelu", "silu", "sigmoid", "softplus", "selu", "mish", "softsign", "erf", "identity"),
    *("sin", "cos", "abs"),
)
_GRID = np.concatenate([np.linspace(-12.0, 12.0, 241), [-30.0, 30.0]]) + 1e-3  # off the kinks of usual functions
_SAME = 1e-8  # torch's softplus turns linear at 20, which costs 2e-9


def recognised(given: Any) -> Activation:
    """Return the activation that ``given`` is: a name, an :class:`Activation`, a torch module or a function.

    A function whose values are those of a registered activation (with parameters, such as the slope of a leaky ReLU)
    becomes that one; any other becomes an :class:`Activation` of its own, whose kinks are not known.

    Raises
    ------
    ValueError
        When it is none of these, or does not act on each element by itself.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.compiler.recognition import recognised
    >>> recognised(torch.nn.LeakyReLU(0.2)), recognised(torch.tanh), recognised(torch.nn.GELU(approximate="tanh"))
    (leaky_relu(slope=0.2), tanh(), custom())
    """
    if isinstance(given, str | Activation):
        return activation(given)
    if not callable(given):
        raise ValueError(f"activation must be a name, an Activation, a torch module or a function, got {given!r}")
    own = Activation(_frozen(given))
    values = own(_GRID)
    for candidate in _candidates(values):
        if (np.abs(candidate(_GRID) - values) <= _SAME * (1.0 + np.abs(values))).all():
            return candidate
    return own


def _frozen(given: Any) -> Callable[[Any], Any]:
    """Return a function for tensors of any precision; of a module as it is now, in evaluation mode."""
    if not isinstance(given, torch.nn.Module):
        return given
    module = copy.deepcopy(given).cpu().double().eval().requires_grad_(False)
    if hasattr(module, "inplace"):
        setattr(module, "inplace", False)  # noqa: B010  # modules take any attribute, their type does not say so
    elsewhere: dict[Any, torch.nn.Module] = {}

    def call(x: torch.Tensor) -> torch.Tensor:
        kind = x.device, x.dtype
        if kind not in elsewhere:
            elsewhere[kind] = copy.deepcopy(module).to(*kind)
        return elsewhere[kind](x)

    return call


def _candidates(values: np.ndarray[Any, Any]) -> Iterator[Activation]:
    yield from map(activation, _PLAIN)
    left, right = float(values[-2]), float(values[-1])  # at -30 and 30
    if left < 0.0:
        yield activation("leaky_relu", slope=left / _GRID[-2])
        yield activation("elu", alpha=float(left / np.expm1(_GRID[-2])))
    if right > 0.0:
        near = int(np.abs(_GRID[:-2]).argmin())
        scale = float(values[near] / _GRID[near])
        if scale:
            yield activation("hardtanh", scale=scale, clip=right / abs(scale))
