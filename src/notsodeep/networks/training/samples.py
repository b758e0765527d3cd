"""Samples with their targets: which are held out, in which order the others come, and what a batch of them is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from notsodeep.checks import integer
from notsodeep.networks.labels import one_hot

EVALUATION = 1024
"""Samples that are evaluated at once"""


@dataclass(frozen=True)
class Targets:
    """What the outputs should be: of each sample its class, or the outputs themselves."""

    values: torch.Tensor
    """What the loss compares with: classes ``(n,)`` for the cross-entropy, outputs ``(n, out_features)`` for the mse"""
    classes: torch.Tensor | None
    """Classes ``(n,)``; None where the targets are no classes"""


@dataclass(frozen=True)
class Samples:
    """Inputs of what is trained, and targets."""

    inputs: torch.Tensor
    targets: Targets
    device: torch.device
    """Where batches go to"""

    def batch(self, rows: torch.Tensor) -> tuple[torch.Tensor, Targets]:
        """Return the samples of these row numbers."""
        values, classes = self.targets.values, self.targets.classes
        chosen = Targets(_chosen(values, rows), None if classes is None else _chosen(classes, rows))
        return _chosen(self.inputs, rows).to(self.device), chosen

    def batches(self, rows: torch.Tensor) -> Iterator[tuple[torch.Tensor, Targets]]:
        """Yield the samples of these row numbers in batches for evaluation."""
        return (self.batch(some) for some in rows.split(EVALUATION))


def _chosen(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return table.index_select(0, rows.to(table.device))  # three times as fast as table[rows]


def checked_targets(y: Any, n: int, loss: str, out_features: int, like: torch.Tensor) -> Targets:
    """Return the targets of ``n`` samples on the device of ``like``.

    ``y`` has classes ``0 ... out_features - 1``, or, for the mse, real outputs ``(n, out_features)``.
    """
    try:
        given = torch.as_tensor(y).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"y must be integers, the class of each sample (class_indices makes them): {error}") from None
    if given.ndim == 2 and loss == "mse":
        return Targets(_real_outputs(given, n, out_features).to(like), None)
    if given.shape != (n,) or given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        outputs = f", or real numbers of shape ({n}, {out_features})" if loss == "mse" else ""
        raise ValueError(
            f"y must be {n} integers, the class of each sample{outputs}; got shape {tuple(given.shape)}, "
            f"dtype {given.dtype} (class_indices makes integers of labels)"
        )
    if loss == "cross_entropy" and out_features < 2:
        raise ValueError(f"cross_entropy needs a network with at least 2 outputs, got {out_features}")
    classes = given.long()
    if int(classes.min()) < 0 or int(classes.max()) >= out_features:
        raise ValueError(
            f"y must be classes from 0 to {out_features - 1}, one for each output of the network, "
            f"got {int(classes.min())} to {int(classes.max())}"
        )
    values = classes if loss == "cross_entropy" else one_hot(classes, range(out_features)).to(like.dtype)
    return Targets(values.to(like.device), classes.to(like.device))


def _real_outputs(y: torch.Tensor, n: int, out_features: int) -> torch.Tensor:
    if y.shape != (n, out_features) or y.is_complex():
        raise ValueError(f"y must be real numbers of shape ({n}, {out_features}), got {tuple(y.shape)}, {y.dtype}")
    if not torch.isfinite(y).all():
        raise ValueError("y must be finite, got NaN or infinite values")
    return y


def split(n: int, validation: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the row numbers of the training samples and of those held out."""
    held = round(validation * n)
    if validation and not 1 <= held < n:
        raise ValueError(f"validation must leave at least one of {n} samples on either side, got {validation!r}")
    rows = _permutation(n, seed, 0)
    return torch.sort(rows[held:]).values, torch.sort(rows[:held]).values


def ordered(rows: torch.Tensor, seed: int, epoch: int) -> torch.Tensor:
    """Return row numbers in the order of an epoch, which nothing but the seed and the epoch decides."""
    return rows[_permutation(len(rows), seed, integer("epoch", epoch, low=1))]


def _permutation(n: int, *key: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(key).permutation(n))
