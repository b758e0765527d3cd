"""The training loop: a module, its inputs, and a state that it moves on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, mse_loss

from notsodeep.errors import ConvergenceError
from notsodeep.networks.training.checkpoint import Checkpoint
from notsodeep.networks.training.records import Epoch
from notsodeep.networks.training.samples import Samples, Targets, ordered
from notsodeep.networks.training.settings import TrainSettings
from notsodeep.networks.training.state import State, pack

BETWEEN = 1.0
"""Seconds from one checkpoint to the next at the end of an epoch, at least"""
WITHIN = 25.0
"""Within an epoch"""
_LOSSES: dict[str, Callable[..., torch.Tensor]] = {"cross_entropy": cross_entropy, "mse": mse_loss}


@dataclass(frozen=True)
class Loop:
    """What training works with; :meth:`run` moves a state, the weights and the optimiser to the end."""

    module: torch.nn.Module
    weights: Mapping[str, torch.nn.Parameter]
    """Those that are trained, by name"""
    optimizer: torch.optim.Optimizer
    samples: Samples
    rows: torch.Tensor
    """Row numbers of the training samples"""
    held_out: torch.Tensor
    settings: TrainSettings
    checkpoint: Checkpoint | None
    progress: Callable[[str, int, int], None]

    def run(self, state: State) -> None:
        """Go through what is left of the epochs.

        Raises
        ------
        ConvergenceError
            When the loss or a weight is no longer finite, or the network does not reach its equilibrium.
        """
        while not state.finished(self.settings):
            self._steps(state)
            begun = time.monotonic()
            self._require_finite(state)
            validation_loss, validation_accuracy = self._evaluate()
            if validation_loss is not None and not math.isfinite(validation_loss):
                raise _diverged(f"the validation loss is {validation_loss}", state, self.settings)
            n, classes = len(self.rows), self.samples.targets.classes is not None
            state.close(
                Epoch(
                    number=state.epoch,
                    loss=state.loss / n,
                    accuracy=state.hits / n if classes else None,
                    validation_loss=validation_loss,
                    validation_accuracy=validation_accuracy,
                    seconds=state.seconds + time.monotonic() - begun,
                )
            )
            if self.settings.patience is not None and validation_loss is not None:
                self._keep_best(state, validation_loss)
            if state.finished(self.settings) or self._due(BETWEEN):
                self._save(state)

    def _steps(self, state: State) -> None:
        settings, seconds = self.settings, state.seconds
        batches = ordered(self.rows, settings.seed, state.epoch).split(settings.batch_size)
        done, total = (state.epoch - 1) * len(batches), settings.epochs * len(batches)
        words = f"epoch {state.epoch} of {settings.epochs}"
        if state.history:
            words += f", loss {state.history[-1].loss:.3g}"
        begun = time.monotonic()
        for rows in batches[state.step :]:
            state.step += 1
            try:
                loss, hits = self._step(*self.samples.batch(rows))
            except ConvergenceError as error:
                raise _diverged(f"{error}", state, settings) from error
            if not math.isfinite(loss):
                raise _diverged(f"the loss is {loss}", state, settings)
            state.loss += loss * len(rows)
            state.hits += hits
            state.seconds = seconds + time.monotonic() - begun
            if self._due(WITHIN):
                self._require_finite(state)
                self._save(state)
            self.progress(words, done + state.step, total)

    def _step(self, inputs: torch.Tensor, targets: Targets) -> tuple[float, int]:
        """Take one step; return the mean loss of the batch before it, and how many classes were right."""
        self.optimizer.zero_grad()
        loss, hits = self._loss(inputs, targets)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach()), hits

    def _loss(self, inputs: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, int]:
        scores = self.module(inputs)
        hits = 0 if targets.classes is None else int((scores.detach().argmax(dim=1) == targets.classes).sum())
        return _LOSSES[self.settings.loss](scores, targets.values), hits

    @torch.no_grad()
    def _evaluate(self) -> tuple[float | None, float | None]:
        """Return mean loss and accuracy on the samples held out."""
        n = len(self.held_out)
        if not n:
            return None, None
        total, hits = 0.0, 0
        for inputs, targets in self.samples.batches(self.held_out):
            loss, right = self._loss(inputs, targets)
            total, hits = total + float(loss) * len(inputs), hits + right
        return total / n, None if self.samples.targets.classes is None else hits / n

    def _keep_best(self, state: State, loss: float) -> None:
        if loss < state.best_loss:
            state.best_epoch, state.best_loss = len(state.history), loss
            state.best = {name: weight.detach().clone() for name, weight in self.weights.items()}

    def _due(self, seconds: float) -> bool:
        return self.checkpoint is not None and self.checkpoint.due(seconds)

    def _save(self, state: State) -> None:
        if self.checkpoint is not None:
            self.checkpoint.write(*pack(state, self.weights, self.optimizer))

    def _require_finite(self, state: State) -> None:
        for name, weight in self.weights.items():
            if not torch.isfinite(weight).all():
                raise _diverged(f"{name} has values that are not finite", state, self.settings)


def _diverged(what: str, state: State, settings: TrainSettings) -> ConvergenceError:
    where = f"epoch {state.epoch}, step {state.step}"
    return ConvergenceError(f"training diverged: {what} in {where}; lower lr (now {settings.lr:g})")
