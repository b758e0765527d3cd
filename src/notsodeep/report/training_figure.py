"""The picture of a training run: loss and accuracy, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from notsodeep.experiments.training import TrainingResult
from notsodeep.report.drawing import BLACK, BLUE, GREEN, VERMILION, panels, set_legend, set_title, shortened
from notsodeep.report.spectrum_wording import model_words
from notsodeep.report.training_wording import test_words

_SIZE = (10.0, 4.4)  # inches
_DECADES = 20.0  # ratio of losses from which their axis is logarithmic


def training_figure(result: TrainingResult) -> Figure:
    """Return the picture: loss on the left, share of right answers on the right."""
    figure, grid = panels(1, 2, _SIZE)
    _draw_loss(grid[0, 0], result)
    _draw_accuracy(grid[0, 1], result)
    return figure


def _draw_loss(axes: Axes, result: TrainingResult) -> None:
    history = result.training.history
    losses = [epoch.loss for epoch in history]
    validation = [epoch.validation_loss for epoch in history if epoch.validation_loss is not None]
    _draw_curves(axes, losses, validation)
    _mark_best(axes, result)
    if min(losses) > 0.0 and max(losses) > _DECADES * min(losses):
        axes.set(yscale="log")
    else:
        axes.set(ylim=(0.0, None))
    axes.set(ylabel={"cross_entropy": "cross-entropy", "mse": "squared error"}[result.config.settings.loss])
    set_title(axes, f"Loss: {model_words(result.spec)}, width {result.config.width}")
    set_legend(axes, ncols=2)


def _draw_accuracy(axes: Axes, result: TrainingResult) -> None:
    history = result.training.history
    shares = [100.0 * epoch.accuracy for epoch in history if epoch.accuracy is not None]
    validation = [100.0 * epoch.validation_accuracy for epoch in history if epoch.validation_accuracy is not None]
    _draw_curves(axes, shares, validation)
    _mark_best(axes, result)
    test, error = 100.0 * result.test_accuracy, 100.0 * result.standard_error
    axes.axhline(test, color=GREEN, lw=1.3, ls="-.", label=f"test: {test_words(result)}")
    axes.axhspan(test - error, test + error, color=GREEN, alpha=0.15, lw=0.0)
    axes.set(ylabel="right answers, %")
    train = result.samples.train
    set_title(axes, f"Accuracy: {train.n} samples of {shortened(train.name)}")
    set_legend(axes, ncols=2)


def _draw_curves(axes: Axes, training: Sequence[float], validation: Sequence[float]) -> None:
    """Draw both by the number of the epoch; a single epoch is a mark."""
    mark: dict[str, Any] = {"marker": "o" if len(training) == 1 else None, "ms": 4.0}
    axes.plot(range(1, len(training) + 1), training, color=BLUE, lw=1.6, **mark, label="training")
    if validation:
        numbers = range(1, len(validation) + 1)
        axes.plot(numbers, validation, color=VERMILION, lw=1.4, ls=(0, (4, 2)), **mark, label="validation")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
    axes.set(xlabel="epoch")


def _mark_best(axes: Axes, result: TrainingResult) -> None:
    if result.config.settings.patience is not None:
        axes.axvline(result.training.best, color=BLACK, lw=0.8, ls=":", label=f"best: epoch {result.training.best}")
