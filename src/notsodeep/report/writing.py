"""The files of the main job."""

from __future__ import annotations

from pathlib import Path

from notsodeep.experiments.twin import TwinResult
from notsodeep.files import StrPath
from notsodeep.report.document import json_text, twin_document
from notsodeep.report.figures import png, twin_figure
from notsodeep.report.files import write_files
from notsodeep.report.html import twin_html


def write_twin(result: TwinResult, folder: StrPath, command: str | None = None) -> dict[str, Path]:
    """Write :data:`~notsodeep.report.files.FILES` into ``folder`` (:func:`~notsodeep.report.files.write_files`).

    ``command`` is what the page says that the result was made with.
    """
    picture = png(twin_figure(result))
    contents = {
        "match.json": json_text(twin_document(result)).encode(),
        "report.html": twin_html(result, picture, command).encode(),
        "report.png": picture,
    }
    return write_files(folder, contents, result.finite.network)
