"""The files of a spectrum."""

from __future__ import annotations

from pathlib import Path

from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.files import StrPath
from notsodeep.report.document import json_text
from notsodeep.report.figures import png
from notsodeep.report.files import check_folder, write_bytes
from notsodeep.report.spectrum_document import spectrum_csv, spectrum_document
from notsodeep.report.spectrum_figure import spectrum_figure

SPECTRUM_FILES = ("spectrum.json", "spectrum.csv", "spectrum.png")
"""What is written for a spectrum"""


def write_spectrum(result: SpectrumResult, folder: StrPath) -> dict[str, Path]:
    """Write :data:`SPECTRUM_FILES` into ``folder``, made if need be; return their paths by name.

    Each file is complete or absent; files of an earlier run are replaced.

    Raises
    ------
    OSError
        When the folder or a file in it cannot be written.
    """
    folder = check_folder(folder, SPECTRUM_FILES)
    contents = {
        "spectrum.json": json_text(spectrum_document(result)).encode(),
        "spectrum.csv": spectrum_csv(result).encode(),
        "spectrum.png": png(spectrum_figure(result)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return {name: write_bytes(folder / name, content) for name, content in contents.items()}
