"""The files of a training run."""

from __future__ import annotations

from pathlib import Path

from notsodeep.experiments.training import TrainingResult
from notsodeep.files import StrPath
from notsodeep.report.document import json_text
from notsodeep.report.figures import png
from notsodeep.report.files import write_files
from notsodeep.report.training_document import training_csv, training_document
from notsodeep.report.training_figure import training_figure

TRAINING_FILES = ("train.json", "history.csv", "training.png", "net.safetensors")
"""What is written for a training run, beside its checkpoint"""


def write_training(result: TrainingResult, folder: StrPath) -> dict[str, Path]:
    """Write :data:`TRAINING_FILES` into ``folder`` (:func:`~notsodeep.report.files.write_files`)."""
    contents = {
        "train.json": json_text(training_document(result)).encode(),
        "history.csv": training_csv(result).encode(),
        "training.png": png(training_figure(result)),
    }
    return write_files(folder, contents, result.network)
