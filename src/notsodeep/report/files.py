"""Files that are complete or absent, and folders that can be written to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from notsodeep.files import StrPath, replacing
from notsodeep.networks import save
from notsodeep.networks.storage import Network

FILES = ("match.json", "net.safetensors", "report.html", "report.png")
"""What the main job writes into its folder"""
NETWORK = "net.safetensors"


def write_files(folder: StrPath, contents: Mapping[str, bytes], network: Network | None = None) -> dict[str, Path]:
    """Write files by name, and a network as :data:`NETWORK`, into ``folder``, made if need be; return their paths.

    Each file is complete or absent; files of an earlier run are replaced.

    Raises
    ------
    OSError
        When the folder or a file in it cannot be written.
    """
    names = sorted([*contents, *([] if network is None else [NETWORK])])
    folder = check_folder(folder, names)
    folder.mkdir(parents=True, exist_ok=True)
    if network is not None:
        save(network, folder / NETWORK)
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return {name: folder / name for name in names}


def write_bytes(path: StrPath, content: bytes) -> Path:
    """Write ``content`` beside ``path`` and move it there: the file is complete or absent.

    Raises
    ------
    OSError
        When ``path`` cannot be written.
    """
    path = Path(path)
    try:
        with replacing(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def check_folder(folder: StrPath, names: Iterable[str] = FILES) -> Path:
    """Return ``folder`` as a path after making sure that the files ``names`` can be written in it.

    Nothing is left behind. The folder need not exist yet: then the nearest one above it is tried.

    Raises
    ------
    OSError
        When the folder, or what is above it, is a file or cannot be written to, or one of the files is a folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_folder(f"{folder}/not/there/yet").exists()
    False
    """
    folder = Path(folder).expanduser()
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise NotADirectoryError(f"{folder} cannot be a folder for results: {existing} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise OSError(f"{folder} cannot be written to: {error.strerror or error}") from error
    taken = [folder / name for name in names if (folder / name).is_dir()]
    if taken:
        raise IsADirectoryError(f"{taken[0]} is a folder; a result is to be written there")
    return folder
