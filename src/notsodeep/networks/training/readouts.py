"""Several readouts on the same features, trained side by side: each batch is fetched once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from notsodeep.errors import ConvergenceError
from notsodeep.networks.training.samples import checked_targets, ordered
from notsodeep.networks.training.settings import TrainSettings

_SHARED = ("epochs", "batch_size", "seed")
_LEFT_OUT = {
    "trainable": ("readout",),
    "loss": "cross_entropy",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "parametrization": "ntk",
    "validation": 0.0,
}


def fit_readouts(
    features: torch.Tensor,
    y: Any,
    weight: torch.Tensor,
    settings: Sequence[TrainSettings],
) -> torch.Tensor:
    """Train one readout for each of several settings, from the same weights, on the same batches.

    Gives what :func:`notsodeep.networks.train` gives one after the other, up to rounding, in less time: the gradient
    of the mean cross-entropy of a batch ``F (b, width)`` with classes ``Y (b, classes)``, one column each, is written
    out, ``(softmax(F W^T) - Y)^T F / b``, and the readouts' products with the batch are one product.

    Parameters
    ----------
    features : torch.Tensor
        Features ``(n, width)``.
    y : torch.Tensor or array_like
        Classes ``(n,)``, integers from 0 on.
    weight : torch.Tensor
        Weights to begin with, ``(classes, width)``.
    settings : sequence of TrainSettings
        Optimisers and rates of the readouts; epochs, size of a batch and seed are the same in all of them.

    Returns
    -------
    torch.Tensor
        Trained weights ``(len(settings), classes, width)``.

    Raises
    ------
    ValueError
        When an argument is illegal, settings differ in what they must share, or ask for another loss than the
        cross-entropy, for momentum, decay or samples held out.
    ConvergenceError
        When weights are no longer finite.
    """
    first = _checked(settings)
    classes, width = weight.shape
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(f"features must have shape (n, {width}), as the weights have it, got {tuple(features.shape)}")
    if features.dtype != weight.dtype:
        raise ValueError(f"features and weight must be of one dtype, got {features.dtype} and {weight.dtype}")
    features = features.detach()
    if not torch.isfinite(features).all():
        raise ValueError("features must be finite, got NaN or infinite values")
    n, k = len(features), len(settings)
    targets = checked_targets(y, n, first.loss, classes, weight).values
    W = weight.detach().repeat(k, 1)
    G = torch.zeros_like(W)
    parts = zip(W.split(classes), G.split(classes), settings, strict=True)
    steps = [_STEPS[each.optimizer](weights, gradient, each.lr) for weights, gradient, each in parts]
    batch = features.new_empty(min(first.batch_size, n), width)
    minus = W.new_full((k, 1, len(batch)), -1.0)
    for epoch in range(1, first.epochs + 1):
        for rows in ordered(torch.arange(n), first.seed, epoch).split(first.batch_size):
            F = torch.index_select(features, 0, rows.to(features.device), out=batch[: len(rows)])
            chosen = targets[rows.to(targets.device)]
            errors = torch.softmax((W @ F.T).view(k, classes, len(rows)), dim=1)
            errors.scatter_add_(1, chosen.expand(k, 1, -1), minus[:, :, : len(rows)])
            torch.mm(errors.view(-1, len(rows)), F, out=G).div_(len(rows))
            for step in steps:
                step()
        if not torch.isfinite(W).all():
            raise ConvergenceError(f"training diverged in epoch {epoch}; lower lr (now {_rates(settings)})")
    return W.view(k, classes, width)


def _checked(settings: Sequence[TrainSettings]) -> TrainSettings:
    if not settings:
        raise ValueError("settings must not be empty")
    for each in settings:
        for name in _SHARED:
            if getattr(each, name) != getattr(settings[0], name):
                values = getattr(settings[0], name), getattr(each, name)
                raise ValueError(f"settings must have the same {name}, got {values[0]!r} and {values[1]!r}")
        for name, only in _LEFT_OUT.items():
            if getattr(each, name) != only:
                raise ValueError(f"settings must have {name} = {only!r} here, got {getattr(each, name)!r}: use train")
    return settings[0]


def _sgd(weight: torch.Tensor, gradient: torch.Tensor, lr: float) -> Callable[[], Any]:
    return lambda: weight.sub_(gradient, alpha=lr)


def _adam(weight: torch.Tensor, gradient: torch.Tensor, lr: float) -> Callable[[], Any]:
    """Adam with torch's constants, without what a torch optimiser does around its arithmetic."""
    slow, fast, eps = 0.999, 0.9, 1e-8
    first, second, root = (torch.zeros_like(weight) for _ in range(3))
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        first.lerp_(gradient, 1.0 - fast)
        second.mul_(slow).addcmul_(gradient, gradient, value=1.0 - slow)
        torch.sqrt(second, out=root).div_((1.0 - slow**t) ** 0.5).add_(eps)
        weight.addcdiv_(first, root, value=-lr / (1.0 - fast**t))

    return step


_STEPS = {"sgd": _sgd, "adam": _adam}


def _rates(settings: Sequence[TrainSettings]) -> str:
    return ", ".join(f"{each.lr:g}" for each in settings)
