"""The files of a training run."""

from __future__ import annotations

from pathlib import Path

from notsodeep.experiments.training import TrainingResult
from notsodeep.files import StrPath
from notsodeep.networks import save
from notsodeep.report.document import json_text
from notsodeep.report.figures import png
from notsodeep.report.files import check_folder, write_bytes
from notsodeep.report.training_document import training_csv, training_document
from notsodeep.report.training_figure import training_figure

TRAINING_FILES = ("train.json", "history.csv", "training.png", "net.safetensors")
"""What is written for a training run, beside its checkpoint"""


def write_training(result: TrainingResult, folder: StrPath) -> dict[str, Path]:
    """Write :data:`TRAINING_FILES` into ``folder``, made if need be; return their paths by name.

    Each file is complete or absent; files of an earlier run are replaced.

    Raises
    ------
    OSError
        When the folder or a file in it cannot be written.
    """
    folder = check_folder(folder, TRAINING_FILES)
    contents = {
        "train.json": json_text(training_document(result)).encode(),
        "history.csv": training_csv(result).encode(),
        "training.png": png(training_figure(result)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    save(result.network, folder / "net.safetensors")
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return {name: folder / name for name in TRAINING_FILES}
