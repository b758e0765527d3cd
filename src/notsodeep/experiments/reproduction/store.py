"""The folder of a study: units as they get done, then the table with a record of how it was made."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from notsodeep.errors import DataError
from notsodeep.experiments.reproduction.machine import machine, versions
from notsodeep.experiments.reproduction.rows import from_csv, to_csv
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.files import StrPath, discard_partials, replacing

TABLE, RECORD, UNITS = "table.csv", "table.json", "units"
KEY = "unit"
"""First column of a table: which unit a row is of (:attr:`Unit.key`)"""
_FORMAT = 1


class Store:
    """What is known of a study in one folder.

    Finished units are files of their own until the table is complete; then the table is what they are read from.

    Raises
    ------
    DataError
        When the table in the folder is damaged, or not the one that its record tells of.
    """

    def __init__(self, study: Study, folder: StrPath) -> None:
        self._study, self.folder = study, Path(folder)
        self._record = self._read_record()
        self._tabled = {} if self._record is None else self._read_table(self._record)
        self._seconds = 0.0 if self._record is None else float(self._record["seconds"])

    def rows(self, unit: Unit) -> list[Row] | None:
        """Return the rows of a finished unit, None of another one."""
        if unit.key in self._tabled:
            return self._tabled[unit.key]
        kept = self._read_unit(unit)
        return None if kept is None else kept["rows"]

    def keep(self, unit: Unit, rows: Sequence[Row], seconds: float) -> None:
        """Write a finished unit down: its file is complete or absent."""
        content = {
            "format": _FORMAT,
            "study": self._study.name,
            "version": self._study.version,
            "at": dict(unit.at),
            "rows": [_plain_row(row) for row in rows],
            "seconds": seconds,
        }
        path = self._path(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")

    def strangers(self, units: Sequence[Unit]) -> int:
        """Return how many units of the table are none of these: a new table would lose them."""
        return len(self._tabled.keys() - {unit.key for unit in units})

    def finish(self, units: Sequence[Unit], config: Config) -> list[Row]:
        """Write the table of all units, which are finished, with its record, and drop their files; return its rows."""
        rows: list[Row] = [{KEY: unit.key, **row} for unit in units for row in self.rows(unit) or ()]
        kept = [self._read_unit(unit) for unit in units if unit.key not in self._tabled]
        seconds = self._seconds + sum(float(one["seconds"]) for one in kept if one is not None)
        text = to_csv(rows)
        record = {
            "format": _FORMAT,
            "study": self._study.name,
            "version": self._study.version,
            "title": self._study.title,
            "config": asdict(config),
            "units": len(units),
            "rows": len(rows),
            "seconds": round(seconds, 1),
            "sha256": _sha256(text),
            "versions": versions(),
            "machine": machine(),
        }
        if self._record is not None and kept == []:  # nothing new: the record stays what it was
            record |= {name: self._record[name] for name in ("versions", "machine")}
        for name, content in ((TABLE, text), (RECORD, json.dumps(record, indent=2) + "\n")):
            discard_partials(self.folder / name)
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / name) as partial:
                partial.write_text(content, encoding="utf-8", newline="")
        shutil.rmtree(self.folder / UNITS, ignore_errors=True)
        return from_csv(text)

    def _path(self, unit: Unit) -> Path:
        return self.folder / UNITS / f"{unit.key}.json"

    def _read_unit(self, unit: Unit) -> dict[str, Any] | None:
        """Return what a unit's file holds; None if there is none, it is damaged or of another version of the study."""
        try:
            content = json.loads(self._path(unit).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        wanted = {"format": _FORMAT, "study": self._study.name, "version": self._study.version, "at": dict(unit.at)}
        if not isinstance(content, dict) or any(content.get(name) != value for name, value in wanted.items()):
            return None
        return content if isinstance(content.get("rows"), list) and "seconds" in content else None

    def _read_record(self) -> dict[str, Any] | None:
        path = self.folder / RECORD
        if not path.exists() or not (self.folder / TABLE).exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            current = record["format"] == _FORMAT and record["version"] == self._study.version
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read ({type(error).__name__}: {error}): {_REMEDY}") from error
        if record.get("study") != self._study.name:
            raise DataError(f"{path} is of the study {record.get('study')!r}, not {self._study.name!r}: {_REMEDY}")
        return record if current else None

    def _read_table(self, record: Mapping[str, Any]) -> dict[str, list[Row]]:
        text = (self.folder / TABLE).read_text(encoding="utf-8")
        if _sha256(text) != record["sha256"]:
            raise DataError(f"{self.folder / TABLE} is not the table that {RECORD} tells of: {_REMEDY}")
        found: dict[str, list[Row]] = {}
        for row in from_csv(text):
            found.setdefault(str(row[KEY]), []).append({name: cell for name, cell in row.items() if name != KEY})
        return found


def read_table(folder: StrPath) -> list[Row]:
    """Return the rows of the table in a folder."""
    return from_csv((Path(folder) / TABLE).read_text(encoding="utf-8"))


def _plain_row(row: Row) -> dict[str, Value]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_REMEDY = "delete the folder, or choose another one"
