"""The files of the main job."""

from __future__ import annotations

from pathlib import Path

from notsodeep.experiments.twin import TwinResult
from notsodeep.files import StrPath
from notsodeep.networks import save
from notsodeep.report.document import json_text, twin_document
from notsodeep.report.figures import png, twin_figure
from notsodeep.report.files import FILES, check_folder, write_bytes
from notsodeep.report.html import twin_html


def write_twin(result: TwinResult, folder: StrPath, command: str | None = None) -> dict[str, Path]:
    """Write :data:`~notsodeep.report.files.FILES` into ``folder``, made if need be; return their paths by name.

    Each file is complete or absent; files of an earlier run are replaced. ``command`` is what the page says that
    the result was made with.

    Raises
    ------
    OSError
        When the folder or a file in it cannot be written.
    """
    folder = check_folder(folder)
    picture = png(twin_figure(result))
    contents = {
        "match.json": json_text(twin_document(result)).encode(),
        "report.html": twin_html(result, picture, command).encode(),
        "report.png": picture,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save(result.finite.network, folder / "net.safetensors")
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return {name: folder / name for name in FILES}
