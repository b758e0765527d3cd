"""Data files of one's own: ``.npz`` with named arrays, ``.npy`` and ``.csv`` with the label in the last column."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from notsodeep.data.parts import Array, Parts, checked_parts
from notsodeep.errors import DataError

SUFFIXES = (".npz", ".npy", ".csv")

_DAMAGE = (ValueError, EOFError, OSError, KeyError, NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error)
_KEYS = (("x", "y"), ("x_train", "y_train"))
_TEST_KEYS = ("x_test", "y_test")


def read_table(path: Path) -> Parts:
    """Return what a ``.npz``, ``.npy`` or ``.csv`` file holds.

    Raises
    ------
    DataError
        When the file is missing, damaged, or holds something else than samples with labels.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    readers = {".npz": read_npz, ".npy": _read_npy, ".csv": _read_csv}
    return readers[path.suffix.lower()](path, path.read_bytes())


def read_npz(origin: object, content: bytes) -> Parts:
    """Return the arrays ``X, y`` or ``X_train, y_train`` of an npz file, with ``X_test, y_test`` when present.

    Names may be in upper or lower case.
    """
    archive = _load(origin, content)
    if isinstance(archive, np.ndarray):
        raise DataError(f"{origin}: not an npz archive (it is a single array; name it .npy)")
    known = sorted(name for name in archive.files if name.lower() in {*chain(*_KEYS), *_TEST_KEYS})
    names = {name.lower(): name for name in known}
    if len(names) < len(known):
        raise DataError(f"{origin}: holds {', '.join(known)}: names that differ in their case alone")
    keys = [pair for pair in _KEYS if names.keys() >= set(pair)]
    if len(keys) != 1:
        raise DataError(
            f"{origin}: must hold either X and y or X_train and y_train (with or without X_test and y_test), "
            f"it holds {', '.join(sorted(archive.files)) or 'nothing'}"
        )
    test = [names[key] for key in _TEST_KEYS if key in names]
    if len(test) == 1:
        raise DataError(f"{origin}: holds {test[0]} without the other of X_test and y_test")
    wanted = keys[0] + (_TEST_KEYS if test else ())
    return checked_parts(origin, *(_member(origin, archive, names[key]) for key in wanted))


def _read_npy(path: Path, content: bytes) -> Parts:
    table = _load(path, content)
    if not isinstance(table, np.ndarray):
        raise DataError(f"{path}: an npz archive under the name of an npy file")
    if table.ndim != 2 or table.shape[1] < 2 or table.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: must be a table of numbers with the label in the last of 2 or more columns, "
            f"got {table.dtype} {table.shape}"
        )
    return checked_parts(path, table[:, :-1], table[:, -1])


def _load(origin: object, content: bytes) -> Any:
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"{origin}: damaged file or not a NumPy file ({error})") from error


def _member(origin: object, archive: Any, key: str) -> Array:
    try:
        return np.asarray(archive[key])
    except _DAMAGE as error:
        raise DataError(f"{origin}: array {key!r} is damaged or holds Python objects ({error})") from error


def _read_csv(path: Path, content: bytes) -> Parts:
    try:
        text = content.decode("utf-8-sig")
        rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
        return _parse_csv(path, rows)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error})") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a csv file ({error})") from error


def _parse_csv(path: Path, rows: Any) -> Parts:
    """Turn rows into parts; a first row with a feature that is no number is a header."""
    samples: list[Array] = []
    labels: list[str] = []
    width = 0
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if not width:
            width = len(row)
            if width < 2:
                raise DataError(
                    f"{path}: line {rows.line_num} has one column; samples and label are separated by commas"
                )
            if _number(row[:-1]) is None:
                continue
        samples.append(_features(path, rows.line_num, row, width))
        labels.append(row[-1].strip())
    if _number(labels[:1]) is None and len(labels) > 1 and _number(labels[1:]) is not None:
        del samples[0], labels[0]  # a header whose feature names are numbers
    if not samples:
        raise DataError(f"{path}: holds no samples")
    return checked_parts(path, np.stack(samples), _labels(path, labels))


def _features(path: Path, line: int, row: Sequence[str], width: int) -> Array:
    if len(row) != width:
        raise DataError(f"{path}: line {line} has {len(row)} columns, the first has {width}")
    values = _number(row[:-1])
    if values is None:
        column = next(i for i, cell in enumerate(row) if _number([cell]) is None)
        raise DataError(f"{path}: line {line}, column {column + 1} is {row[column]!r}, not a number")
    return values


def _number(cells: Sequence[str]) -> Array | None:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return None


def _labels(path: Path, cells: list[str]) -> Array:
    """Return integers when every label is one, else text."""
    if "" in cells:
        raise DataError(f"{path}: sample {cells.index('')} has no label")
    values = _number(cells)
    return np.array(cells) if values is None else values
