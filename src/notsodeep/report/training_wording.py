"""A training run in words."""

from __future__ import annotations

from notsodeep.experiments.training import TrainingResult
from notsodeep.report.numerals import accuracy
from notsodeep.report.spectrum_wording import model_words
from notsodeep.spec import weight_names

_MODELS = {"deq": "this {}", "twin": "the twin of a {deq} (a {})", "plain": "a {}"}


def training_headline(result: TrainingResult) -> str:
    """Return one sentence that says what was trained, on what, and how well it does on other samples."""
    config, samples = result.config, result.samples
    words = _MODELS[config.model].format(model_words(result.spec), deq=model_words(config.deq))
    return (
        f"Training {_weights(result)} of {words} of width {config.width} on {samples.train.n} samples of "
        f"{samples.train.name} for {_epochs(result)} gives {test_words(result)} on {samples.test.n} test samples."
    )


def test_words(result: TrainingResult) -> str:
    """Return the test accuracy with its standard error, as in ``95.1 % ± 0.7 points``."""
    return f"{accuracy(result.test_accuracy)} ± {100.0 * result.standard_error:.1f} points"


def _weights(result: TrainingResult) -> str:
    trainable = result.config.settings.trainable
    names = weight_names(result.spec) if trainable == "all" else trainable
    if set(names) == set(weight_names(result.spec)):
        return "all weights"
    return "the readout" if tuple(names) == ("readout",) else f"weights ({', '.join(names)})"


def _epochs(result: TrainingResult) -> str:
    count = len(result.training.history)
    words = f"{count} epoch{'' if count == 1 else 's'}"
    if not result.training.stopped_early:
        return words
    return f"{words} (stopped early; weights of epoch {result.training.best})"
