"""Pairs that are treated one by one, gathered from many tiles: what their samples need is then made once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from notsodeep.errors import ConvergenceError
from notsodeep.kernels.model import Model, Record, Values
from notsodeep.kernels.samples import Samples
from notsodeep.kernels.target import Target

MOST = 1 << 16  # pairs that are treated together


@dataclass(frozen=True)
class _Left:
    """Pairs that a tile has left, counted within it."""

    places: torch.Tensor
    target: Target
    first: tuple[int, int]
    """First row and column of the tile"""
    on_diagonal: bool


class Singles:
    """Gathers pairs of samples and fills their values in."""

    def __init__(self, model: Model, x: Samples, y: Samples) -> None:
        self._model, self._x, self._y = model, x, y
        self._waiting: list[_Left] = []

    @property
    def count(self) -> int:
        """Number of pairs that wait."""
        return sum(len(left.places) for left in self._waiting)

    def add(self, places: torch.Tensor, target: Target, first: tuple[int, int], on_diagonal: bool) -> None:
        """Gather the pairs at ``places (k, 2)`` of a tile."""
        if len(places):
            self._waiting.append(_Left(places, target, first, on_diagonal))

    def fill(self) -> Record:
        """Treat the pairs that wait, and write them to their targets; NaN where the record tells of a failure."""
        if not self._waiting:
            return Record()
        lefts, self._waiting = self._waiting, []
        places = torch.cat([left.places + torch.tensor(left.first, device=left.places.device) for left in lefts])
        parts = [self._values(part) for part in places.split(MOST)]
        values = Values(*(torch.cat(column) for column in zip(*(found for found, _ in parts), strict=True)))
        start = 0
        for left in lefts:
            own = Values(*(column[start : start + len(left.places)] for column in values))
            left.target.put(left.places[:, 0], left.places[:, 1], own, left.on_diagonal)
            start += len(left.places)
        record = Record()
        for _, found in parts:
            record = record.and_then(found)
        return record

    def _values(self, places: torch.Tensor) -> tuple[Values, Record]:
        rows, i = torch.unique(places[:, 0], return_inverse=True)
        columns, j = torch.unique(places[:, 1], return_inverse=True)
        left, right = self._x.gather(rows), self._y.gather(columns)
        kernel = self._model.pair(self._model.side(left), self._model.side(right), (rows, columns))
        gram = torch.linalg.vecdot(left.rows[i], right.rows[j])
        try:
            return kernel.pairs(i, j, gram)
        except ConvergenceError as error:
            nothing = torch.full_like(gram, torch.nan)
            return Values(nothing, nothing), Record(failure=str(error))
