"""What a training run reports."""

from __future__ import annotations

from dataclasses import dataclass

from notsodeep.networks.training.settings import TrainSettings


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples."""

    number: int
    """From 1 on"""
    loss: float
    """Mean over the samples, each at the weights that its batch met"""
    accuracy: float | None
    """Share of right classes, likewise; None where the targets are no classes"""
    validation_loss: float | None
    """On the samples held out, at the end of the epoch; None where none are"""
    validation_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class TrainResult:
    """A finished training run."""

    settings: TrainSettings
    history: tuple[Epoch, ...]
    best: int
    """Number of the epoch whose weights the network has: with ``patience`` the best one, else the last"""

    @property
    def stopped_early(self) -> bool:
        """Whether patience ran out before the last epoch."""
        return len(self.history) < self.settings.epochs
