"""A training run as plain JSON data, and its history as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import Any

from notsodeep._version import __version__
from notsodeep.experiments.training import TrainingResult
from notsodeep.networks import Epoch
from notsodeep.report.document import FORMAT_VERSION, plain, samples_data, spec_data
from notsodeep.report.training_wording import training_headline


def training_document(result: TrainingResult) -> dict[str, Any]:
    """Return everything but the weights as JSON data: no NumPy types, null where there is no number.

    ``spec`` is the model that was trained, and ``deq`` the one that it is or stands for, as
    :func:`notsodeep.spec.to_dict` writes them, where their activations are no code; ``best`` is the number of the
    epoch whose weights were kept.
    """
    config, trained = result.config, result.training
    document = {
        "format": FORMAT_VERSION,
        "version": __version__,
        "summary": training_headline(result),
        "model": config.model,
        "deq": spec_data(config.deq),
        "spec": spec_data(result.spec),
        "width": config.width,
        "settings": asdict(config.settings),
        "data": samples_data(result.samples.train) | {"n_test": result.samples.test.n},
        "history": [asdict(epoch) for epoch in trained.history],
        "best": trained.best,
        "stopped_early": trained.stopped_early,
        "test": {
            "accuracy": result.test_accuracy,
            "standard_error": result.standard_error,
            "n": result.samples.test.n,
        },
    }
    return dict(plain(document))


def training_csv(result: TrainingResult) -> str:
    """Return the history, one epoch a line; cells are empty where there is no number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [each.name for each in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in result.training.history)
    return text.getvalue()
