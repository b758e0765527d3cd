"""Rows of a table: picked, averaged, written as CSV and read back."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.experiments.reproduction.study import Row, Value


class Mean(NamedTuple):
    """Mean of independent values with its standard error, NaN for a single value."""

    value: float
    error: float
    n: int


def where(rows: Iterable[Row], **values: Value) -> list[Row]:
    """Return the rows that have these values.

    Examples
    --------
    >>> where([{"p": 1, "error": 0.5}, {"p": 2, "error": 0.25}], p=2)
    [{'p': 2, 'error': 0.25}]
    """
    return [row for row in rows if all(row.get(name) == value for name, value in values.items())]


def distinct(rows: Iterable[Row], name: str) -> list[Value]:
    """Return the values of a column, each once, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def groups(rows: Iterable[Row], *names: str) -> dict[tuple[Value, ...], list[Row]]:
    """Return the rows by their values of some columns, in order of appearance.

    Examples
    --------
    >>> groups([{"phi": "relu", "p": 1}, {"phi": "tanh", "p": 1}, {"phi": "relu", "p": 2}], "phi")
    {('relu',): [{'phi': 'relu', 'p': 1}, {'phi': 'relu', 'p': 2}], ('tanh',): [{'phi': 'tanh', 'p': 1}]}
    """
    found: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def significant(value: Value, digits: int) -> Value:
    """Return a number to so many significant digits, None for NaN; what is no float stays what it is.

    Examples
    --------
    >>> significant(0.123456, 3), significant(7, 3), significant(float("nan"), 3), significant("relu", 3)
    (0.123, 7, None, 'relu')
    """
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else float(f"{value:.{digits}g}")


def column(rows: Iterable[Row], name: str) -> FloatArray:
    """Return a column of numbers; an empty cell is NaN."""
    return np.array([math.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)


def mean(values: FloatArray) -> Mean:
    """Return the mean of independent values and its standard error.

    Examples
    --------
    >>> mean(np.array([1.0, 3.0]))
    Mean(value=2.0, error=1.0, n=2)
    """
    n = len(values)
    if not n:
        raise ValueError("values must not be empty")
    error = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Mean(float(values.mean()), error, n)


def difference(a: FloatArray, b: FloatArray) -> Mean:
    """Return the mean of ``a`` less that of ``b``, independent values all of them, with its standard error."""
    one, other = mean(a), mean(b)
    return Mean(one.value - other.value, math.hypot(one.error, other.error), min(one.n, other.n))


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV: every digit of a number, true and false, nothing for None."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """Return what :func:`to_csv` has written; what is written as a number is one.

    Examples
    --------
    >>> rows = [{"phi": "relu", "p": 250, "error": 0.1}, {"phi": "tanh", "p": None, "exact": True}]
    >>> from_csv(to_csv(rows))[1]
    {'phi': 'tanh', 'p': None, 'error': None, 'exact': True}
    """
    return [{name: _value(cell) for name, cell in line.items()} for line in csv.DictReader(io.StringIO(text))]


def _cell(value: Value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(cell: str) -> Value:
    if cell in ("", "true", "false"):
        return {"": None, "true": True, "false": False}[cell]
    for kind in (int, float):
        try:
            number = kind(cell)
        except ValueError:
            continue
        if str(number) == cell:  # 12e3 may be a name, 007 is one
            return number
    return cell
