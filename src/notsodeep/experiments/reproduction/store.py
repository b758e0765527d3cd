"""The folder of a study: units as they get done, then the table with a record of how it was made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from notsodeep.errors import DataError
from notsodeep.experiments.reproduction.machine import environment
from notsodeep.experiments.reproduction.rows import from_csv, to_csv
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.files import StrPath, discard_partials, replacing

TABLE, RECORD, UNITS = "table.csv", "table.json", "units"
KEY = "unit"
"""First column of a table: which unit a row is of (:attr:`Unit.key`)"""
_FORMAT, _LOCK = 1, ".lock"
_REMEDY = "delete the folder, or choose another one"


class Store:
    """What is known of a study in one folder.

    Finished units are files of their own (:func:`keep_unit`) until the table is complete; then the table is what they
    are read from.

    Raises
    ------
    DataError
        When the table in the folder is damaged, or not the one that its record tells of.
    """

    def __init__(self, study: Study, folder: StrPath) -> None:
        self._study, self.folder = study, Path(folder)
        self._read()

    def rows(self, unit: Unit) -> list[Row] | None:
        """Return the rows of a finished unit, None of another one."""
        if self._current and unit.key in self._tabled:
            return self._tabled[unit.key]
        kept = self._kept(unit)
        return None if kept is None else kept["rows"]

    def strangers(self, units: Sequence[Unit]) -> int:
        """Return how many units of the table, of whatever version, are none of these: a new table would lose them."""
        return len(self._tabled.keys() - {unit.key for unit in units})

    def finish(self, units: Sequence[Unit], config: Config) -> list[Row]:
        """Write the table of all units with its record, then drop the units' files; return the rows of the table.

        The record is written first and tells of the table before it too, so that whenever this is interrupted, the
        folder can be gone on with.

        Raises
        ------
        DataError
            When a unit is not finished.
        """
        rows: list[Row] = []
        for unit in units:
            found = self.rows(unit)
            if found is None:
                raise DataError(f"{self.folder} has no rows of {dict(unit.at)}: something else has changed it")
            rows += [{KEY: unit.key, **row} for row in found]
        kept = [each for each in (self._kept(unit) for unit in units if not self._has(unit)) if each is not None]
        text = to_csv(rows)
        record = {
            "format": _FORMAT,
            "study": self._study.name,
            "version": self._study.version,
            "title": self._study.title,
            "config": asdict(config),
            "units": len(units),
            "rows": len(rows),
            "seconds": round(self._seconds + sum(float(each["seconds"]) for each in kept), 1),
            "environments": _distinct([*self._environments, *(each["environment"] for each in kept)]),
            "sha256": _sha256(text),
            "previous": None if self._sha256 == _sha256(text) else self._sha256,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((RECORD, json.dumps(record, indent=2) + "\n"), (TABLE, text)):
            discard_partials(self.folder / name)
            with replacing(self.folder / name) as partial:
                partial.write_text(content, encoding="utf-8", newline="")
        self._drop(units)
        self._read()
        return from_csv(text)

    def _has(self, unit: Unit) -> bool:
        return self._current and unit.key in self._tabled

    def _kept(self, unit: Unit) -> dict[str, Any] | None:
        """Return what a unit's file holds; None if there is none, it is damaged or of another version of the study."""
        try:
            content = json.loads(_path(self.folder, unit).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        wanted = {"format": _FORMAT, "study": self._study.name, "version": self._study.version, "at": dict(unit.at)}
        if not isinstance(content, dict) or any(content.get(name) != value for name, value in wanted.items()):
            return None
        complete = isinstance(content.get("rows"), list) and {"seconds", "environment"} <= content.keys()
        return content if complete else None

    def _drop(self, units: Sequence[Unit]) -> None:
        """Remove the files of these units, and their folder when it is empty."""
        for unit in units:
            discard_partials(_path(self.folder, unit))
            _path(self.folder, unit).unlink(missing_ok=True)
        with suppress(OSError):
            (self.folder / UNITS).rmdir()

    def _read(self) -> None:
        """Read the table with its record, if there are any."""
        self._current, self._seconds = False, 0.0
        self._sha256: str | None = None
        self._tabled: dict[str, list[Row]] = {}
        self._environments: list[Any] = []
        record, table = self.folder / RECORD, self.folder / TABLE
        if not table.exists():
            return
        try:
            text = table.read_text(encoding="utf-8")
            content = json.loads(record.read_text(encoding="utf-8"))
            hashes = content["sha256"], content["previous"]
            version, name, seconds = int(content["version"]), content["study"], float(content["seconds"])
            environments = list(content["environments"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{record} cannot be read ({type(error).__name__}: {error}): {_REMEDY}") from error
        if name != self._study.name:
            raise DataError(f"{record} is of the study {name!r}, not {self._study.name!r}: {_REMEDY}")
        if _sha256(text) not in hashes:
            raise DataError(f"{table} is not the table that {RECORD} tells of: {_REMEDY}")
        self._sha256 = _sha256(text)
        self._current = version == self._study.version
        if self._current:
            self._seconds, self._environments = seconds, environments
        for row in from_csv(text):
            rest = {column: cell for column, cell in row.items() if column != KEY}
            self._tabled.setdefault(str(row[KEY]), []).append(rest)


def keep_unit(study: Study, folder: StrPath, unit: Unit, rows: Sequence[Row], seconds: float) -> None:
    """Write a finished unit down: its file is complete or absent."""
    content = {
        "format": _FORMAT,
        "study": study.name,
        "version": study.version,
        "at": dict(unit.at),
        "rows": [{name: _plain(value) for name, value in row.items()} for row in rows],
        "seconds": seconds,
        "environment": environment(),
    }
    path = _path(folder, unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def read_table(folder: StrPath) -> list[Row]:
    """Return the rows of the table in a folder."""
    return from_csv((Path(folder) / TABLE).read_text(encoding="utf-8"))


@contextmanager
def locked(folder: StrPath) -> Iterator[None]:
    """Keep other processes from computing in a folder of results.

    Raises
    ------
    DataError
        When another process does.
    """
    path = Path(folder) / UNITS / _LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"{folder} is in use: another process computes there; wait for it, or choose another") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before its release, so that nobody holds a lock on a file that is gone
        lock.release()
        for empty in (path.parent, path.parent.parent):
            with suppress(OSError):
                empty.rmdir()


def _path(folder: StrPath, unit: Unit) -> Path:
    return Path(folder) / UNITS / f"{unit.key}.json"


def _plain(value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _distinct(environments: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for place, each in enumerate(environments) if each not in environments[:place]]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
