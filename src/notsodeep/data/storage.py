"""Where the files of a data set lie, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from notsodeep.data.catalogue import Entry, File, entries
from notsodeep.errors import DataError
from notsodeep.files import StrPath

_CHUNK = 1 << 20


def data_folder(data_dir: StrPath | None = None) -> Path:
    """Return the data folder: ``data_dir``, else the variable ``NOTSODEEP_DATA``, else the user's cache folder.

    Raises
    ------
    DataError
        When the path names something that is no folder.
    """
    chosen = data_dir if data_dir is not None else os.environ.get("NOTSODEEP_DATA") or None
    if chosen is None:
        import pooch

        chosen = pooch.os_cache("notsodeep")
    folder = Path(chosen).expanduser()
    if folder.exists() and not folder.is_dir():
        raise DataError(f"data_dir must be a folder, {folder} is a file")
    return folder


def locate(entry: Entry, file: File, folder: Path) -> Path | None:
    """Return the path of ``file`` under ``folder/<data set>`` or directly in ``folder``; ``None`` when missing."""
    for path in (folder / entry.name / file.name, folder / file.name):
        if path.is_file():
            return path
    return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_file(entry: Entry, file: File, folder: Path) -> tuple[Path, bytes]:
    """Return the path and the content of one file of ``entry`` after checking its SHA-256.

    Raises
    ------
    DataError
        When the file is missing or is not the published one.
    """
    path = locate(entry, file, folder)
    if path is None:
        raise DataError(
            f"{entry.name}: {file.name} is neither in {folder / entry.name} nor in {folder}; {remedy(entry)}"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DataError(f"{path} is not the file of {entry.name}: {mismatch(file, found)}; {remedy(entry)}")
    return path, content


def mismatch(file: File, found: str) -> str:
    """Return why a file of SHA-256 ``found`` is not ``file``, naming the data set whose file it is when known."""
    owners = [e.name for e in entries() for f in e.files if f.sha256 == found]
    if owners:
        return f"it is a file of {owners[0]}"
    return f"corrupt or truncated (SHA-256 {found[:12]}..., expected {file.sha256[:12]}...)"


def remedy(entry: Entry) -> str:
    """Return what a user can do about a missing or corrupt file of ``entry``."""
    fetch = f"notsodeep data fetch {entry.name}" + ("" if entry.url else " --from FOLDER")
    return f"run `{fetch}`, or name the folder that has it (data_dir=, --data-dir or the variable NOTSODEEP_DATA)"
