"""What studies there are."""

from __future__ import annotations

from typing import Any

from notsodeep.experiments.reproduction.catalogue import NAMES, study
from notsodeep.experiments.reproduction.study import Study

_HEAD = ("name", "what it shows", "data", "units", "core minutes")


def listing() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows of a table of the studies at full size."""
    return _HEAD, [tuple(str(cell) for cell in _line(found).values()) for found in map(study, NAMES)]


def listing_document() -> list[dict[str, Any]]:
    """Return the same as JSON data."""
    return [_line(found) | {"question": found.question} for found in map(study, NAMES)]


def _line(found: Study) -> dict[str, Any]:
    units = found.units(found.full)
    minutes = sum(unit.work for unit in units) / 60.0
    cells = found.name, found.title, ", ".join(found.full.datasets), len(units), max(round(minutes), 1)
    return dict(zip(_HEAD, cells, strict=True))
