"""The files of a spectrum."""

from __future__ import annotations

from pathlib import Path

from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.files import StrPath
from notsodeep.report.document import json_text
from notsodeep.report.figures import png
from notsodeep.report.files import write_files
from notsodeep.report.spectrum_document import spectrum_csv, spectrum_document
from notsodeep.report.spectrum_figure import spectrum_figure

SPECTRUM_FILES = ("spectrum.json", "spectrum.csv", "spectrum.png")
"""What is written for a spectrum"""


def write_spectrum(result: SpectrumResult, folder: StrPath) -> dict[str, Path]:
    """Write :data:`SPECTRUM_FILES` into ``folder`` (:func:`~notsodeep.report.files.write_files`)."""
    contents = {
        "spectrum.json": json_text(spectrum_document(result)).encode(),
        "spectrum.csv": spectrum_csv(result).encode(),
        "spectrum.png": png(spectrum_figure(result)),
    }
    return write_files(folder, contents)
