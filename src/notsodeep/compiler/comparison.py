"""Whether a layer computes what the user's own function or module computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from notsodeep.compiler.layer import ImplicitLayer

OWN_SOLVER = 0.01
"""Largest relative difference to the outputs of a module, whose own solver may be loose (1e-3 is common)"""
_ROWS = 8  # samples that are compared
_MOST_ITERATIONS = 500
_ROUNDINGS = 32.0  # of the largest term, each unit in the last place times the root of the number of terms


def require_same_function(
    layer: ImplicitLayer, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], X: Any = None
) -> None:
    """Compare ``function(z, x)`` with ``phi(W z + U x + b)`` at random states and a few rows of ``X``, or random ones.

    Raises
    ------
    ValueError
        When they differ by more than rounding.
    """
    W = layer.recurrent
    x = (_gaussian(0, _ROWS, layer.in_features) if X is None else torch.as_tensor(X[:_ROWS])).to(W)
    z = _gaussian(1, len(x), layer.width).to(W)
    with torch.no_grad():
        u = layer.preactivation(z, x)
        mine, theirs = layer.activation(u), function(z, x)
    if not isinstance(theirs, torch.Tensor) or theirs.shape != mine.shape:
        raise ValueError(
            f"function must map states {_shape(z)} and samples {_shape(x)} to states, got {_shape(theirs)}"
        )
    largest = max(float(u.abs().max()), float(mine.abs().max()), 1.0)
    bound = _ROUNDINGS * torch.finfo(W.dtype).eps * math.sqrt(layer.width + layer.in_features) * largest
    gap = float((mine - theirs).abs().max())
    if not gap <= bound:
        raise ValueError(
            f"function is not phi(W z + U x + b) with phi = {layer.activation!r}: at random states they differ by "
            f"up to {gap:.3g}, where values reach {float(mine.abs().max()):.3g} and rounding explains {bound:.1g}"
        )


def require_same_outputs(layer: ImplicitLayer, module: torch.nn.Module, X: Any = None) -> None:
    """Compare the outputs of ``module`` with those of ``layer`` at a few rows of ``X``, or at random ones of norm 1.

    Raises
    ------
    ValueError
        When the module fails, or they differ by more than a loose solver explains.
    """
    p = layer.in_features
    x = (_gaussian(0, _ROWS, p) / math.sqrt(p) if X is None else torch.as_tensor(X)[:_ROWS]).to(layer.recurrent)
    try:
        with _evaluating(module), torch.no_grad():
            theirs = module(x)
    except Exception as error:  # a user's module may fail in any way
        raise ValueError(f"module must map samples {_shape(x)} to outputs: {error}") from error
    tau0 = math.sqrt(float(x.double().square().sum(dim=1).mean()))
    net = layer.to_network(tau0, max_iter=_MOST_ITERATIONS, solver="anderson")
    states, record = net.solve(x, on_failure="return")
    mine = math.sqrt(layer.width) * states if layer.readout is None else net.readout(states).detach()
    if not isinstance(theirs, torch.Tensor) or theirs.shape != mine.shape:
        raise ValueError(f"module must map samples {_shape(x)} to a tensor {_shape(mine)}, got {_shape(theirs)}")
    gap = float((mine - theirs).norm())
    gap = gap / float(theirs.norm()) if gap else gap
    if not gap <= OWN_SOLVER:
        solved = "" if record.converged else " (which was not reached)"
        raise ValueError(
            f"module does not compute the equilibrium{solved} of z = phi(W z + U x + b) with the parts found, phi = "
            f"{layer.activation!r}: on {len(x)} samples its outputs differ by {100.0 * gap:.2g} % in norm; "
            "is there more in its layer, such as a normalisation, does an activation belong elsewhere, or does its own "
            "solver stop early?"
        )


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    training = {child: child.training for child in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for child, mode in training.items():
            child.training = mode


def _gaussian(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, device="cpu")


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
