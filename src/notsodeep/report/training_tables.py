"""The numbers of a training run as plain tables."""

from __future__ import annotations

import numpy as np

from notsodeep.experiments.training import TrainingResult
from notsodeep.networks import Epoch
from notsodeep.report.numerals import accuracy, decimal, duration
from notsodeep.report.table import Table
from notsodeep.report.training_wording import test_words

MOST_ROWS = 12
"""Epochs shown at most"""
_DIGITS = 4


def training_tables(result: TrainingResult) -> list[Table]:
    """Return some epochs of the history, and the test, as tables."""
    return [_history(result), _test(result)]


def _history(result: TrainingResult) -> Table:
    history = result.training.history
    held_out = history[0].validation_loss is not None
    shown = shown_epochs(len(history), result.training.best)
    header: tuple[str, ...] = ("epoch", "training loss", "training accuracy")
    if held_out:
        header += ("validation loss", "validation accuracy")
    more = len(history) - len(shown)
    return Table(
        "Training",
        header,
        tuple((str(number), _cells(history[number - 1], held_out)) for number in shown),
        (f"Time: {duration(sum(epoch.seconds for epoch in history))}.",)
        + bool(more) * (f"{more} more epochs are in history.csv.",)
        + (result.config.settings.patience is not None)
        * (f"The network has the weights of epoch {result.training.best}.",),
    )


def _cells(epoch: Epoch, held_out: bool) -> tuple[str, ...]:
    cells: tuple[str, ...] = (decimal(epoch.loss, _DIGITS), accuracy(epoch.accuracy))
    if held_out and epoch.validation_loss is not None:
        cells += (decimal(epoch.validation_loss, _DIGITS), accuracy(epoch.validation_accuracy))
    return cells


def shown_epochs(count: int, best: int) -> list[int]:
    """Return the numbers of the epochs that are shown: some from the first to the last, the best one among them.

    Examples
    --------
    >>> shown_epochs(3, 3), shown_epochs(100, 40)
    ([1, 2, 3], [1, 11, 21, 31, 40, 41, 50, 60, 70, 80, 90, 100])
    """
    spread = np.linspace(1, count, min(count, MOST_ROWS - 1)).round().astype(int).tolist()
    return sorted({*spread, best})


def _test(result: TrainingResult) -> Table:
    return Table(
        f"Accuracy on {result.samples.test.n} test samples, {len(result.samples.train.classes)} classes",
        ("", "accuracy"),
        (("network", (test_words(result),)),),
        ("After ±: the standard error that independent test samples give.",),
    )
