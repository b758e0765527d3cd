"""Getting the files of a data set, and checking those that are there. Nothing else in the library downloads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from notsodeep.data.catalogue import Entry, File, entry
from notsodeep.data.storage import data_folder, locate, mismatch, sha256
from notsodeep.errors import DataError
from notsodeep.files import StrPath, replacing

Progress: TypeAlias = Callable[[str, int, int], None]

_CHUNK = 1 << 16
_TIMEOUT = 30.0


@dataclass(frozen=True)
class FileRecord:
    """What was found or done for one file of a data set."""

    file: str
    path: Path
    status: str
    """``ok``, ``missing``, ``corrupt`` from :func:`verify`; ``kept``, ``downloaded``, ``copied`` from :func:`fetch`"""


def verify(name: str, data_dir: StrPath | None = None) -> tuple[FileRecord, ...]:
    """Check the files of a data set by SHA-256, one record a file; none for an embedded data set.

    Parameters
    ----------
    name : str
        A catalogue name.
    data_dir : path, optional
        Data folder; else the variable ``NOTSODEEP_DATA``, else the user's cache folder.

    Raises
    ------
    ValueError
        When the name is unknown.

    Examples
    --------
    >>> from notsodeep.data import verify
    >>> [record.status for record in verify("mnist", data_dir="/nowhere")]
    ['missing', 'missing', 'missing', 'missing']
    """
    known, folder = entry(name), data_folder(data_dir)
    return tuple(_check(known, file, folder) for file in known.files)


def fetch(
    name: str,
    data_dir: StrPath | None = None,
    source: StrPath | None = None,
    progress: Progress | None = None,
) -> tuple[FileRecord, ...]:
    """Download the files of a data set, or copy them from a local folder, and check them by SHA-256.

    Good files that are already there are kept. A file appears under its name only when it is complete
    and correct.

    Parameters
    ----------
    name : str
        A catalogue name. An embedded data set has nothing to fetch.
    data_dir : path, optional
        Where to put them (``data_dir/<name>/<file>``); else the variable ``NOTSODEEP_DATA``, else the
        user's cache folder.
    source : path, optional
        Local folder to copy from, laid out as a data folder or holding the files directly.
    progress : callable, optional
        Called as ``progress(file, bytes_done, bytes_total)`` while downloading.

    Raises
    ------
    ValueError
        When the name is unknown.
    DataError
        When the data set has no public address and no ``source`` is given, a file is missing in
        ``source``, the download fails, or what arrived is not the published file.
    """
    known, folder = entry(name), data_folder(data_dir)
    origin = None if source is None else _source_folder(source)
    return tuple(_get(known, file, folder, origin, progress) for file in known.files)


def _check(known: Entry, file: File, folder: Path) -> FileRecord:
    path = locate(known, file, folder)
    if path is None:
        return FileRecord(file.name, folder / known.name / file.name, "missing")
    return FileRecord(file.name, path, "ok" if sha256(path) == file.sha256 else "corrupt")


def _get(known: Entry, file: File, folder: Path, origin: Path | None, progress: Progress | None) -> FileRecord:
    present = _check(known, file, folder)
    if present.status == "ok":
        return FileRecord(file.name, present.path, "kept")
    target = folder / known.name / file.name
    if origin is not None:
        found = locate(known, file, origin)
        if found is None:
            raise DataError(f"{known.name}: {file.name} is neither in {origin / known.name} nor in {origin}")
        _install(known, file, target, str(found), lambda part: shutil.copyfile(found, part))
        return FileRecord(file.name, target, "copied")
    if known.url is None:
        raise DataError(
            f"{known.name} has no public address; copy {file.name} from a local folder (source=, --from FOLDER)"
        )
    url = known.url + file.name
    _install(known, file, target, url, lambda part: _download(url, part, file.name, progress))
    return FileRecord(file.name, target, "downloaded")


def _install(known: Entry, file: File, target: Path, origin: str, write: Callable[[Path], object]) -> None:
    """Write to a temporary name beside ``target``, check, rename: the target is never half there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part:
        write(part)
        found = sha256(part)
        if found != file.sha256:
            raise DataError(f"{origin} is not the file of {known.name}: {mismatch(file, found)}")


def _download(url: str, part: Path, name: str, progress: Progress | None) -> None:
    import pooch
    from requests.exceptions import RequestException

    meter = False if progress is None else _Meter(name, progress)
    try:
        pooch.HTTPDownloader(progressbar=meter, chunk_size=_CHUNK, timeout=_TIMEOUT)(url, str(part), None)
    except RequestException as error:
        raise DataError(
            f"cannot download {url} ({error}); try again, or copy the file from a local folder (source=, --from FOLDER)"
        ) from error


def _source_folder(source: StrPath) -> Path:
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise DataError(f"source must be a folder that holds the files, {folder} is none")
    return folder


class _Meter:
    """The progress bar that pooch drives, turned into calls of ``progress(file, done, total)``."""

    def __init__(self, file: str, progress: Progress) -> None:
        self.total = 0
        self._done = 0
        self._file = file
        self._progress = progress

    def update(self, step: int) -> None:
        self._done = min(self._done + step, self.total)
        self._progress(self._file, self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        self._progress(self._file, self.total, self.total)
