"""Kernels tile by tile: what bounds the memory, what other code can wrap, and where symmetric work is done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from notsodeep.errors import ConvergenceError
from notsodeep.kernels.diagonal import model_of
from notsodeep.kernels.model import PairKernel, Record, Values
from notsodeep.kernels.samples import Samples
from notsodeep.kernels.sides import Sides
from notsodeep.kernels.singles import MOST, Singles
from notsodeep.kernels.target import Target
from notsodeep.spec import Spec

COMPILED_FROM = 1 << 21  # pairs that make up for loading (and once, compiling) the loops
_SMALL, _LARGE = 768, 1024  # rows and columns of a tile
_MANY = 16_384  # samples from which tiles are large
_STRIP = 1 << 17  # pairs that the uncompiled route holds at a time: a dozen arrays of them stay in cache

Place = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """Kernels of some rows with some columns, and how well they were solved."""

    rows: slice
    columns: slice
    ck: Any
    """``(rows, columns)``, or None when it was not asked for"""
    ntk: Any
    record: Record
    mirrored: bool
    """Whether the transpose belongs at ``(columns, rows)`` too: a square call has each pair in one tile"""


class Tiler:
    """Evaluates the tiles of a model on samples."""

    def __init__(
        self, spec: Spec, x: Samples, y: Samples, trained: frozenset[str], dtype: torch.dtype, size: int | None = None
    ) -> None:
        low, high = min(x.low, y.low), max(x.high, y.high)
        self.model = model_of(spec, trained, low, high)
        self.x, self.y, self.dtype, self.square = x, y, dtype, y is x
        self._size = size or (_LARGE if max(x.n, y.n) >= _MANY else _SMALL)
        self._sides = Sides(self.model, x, y, dtype)
        self._engine = self._make_engine()

    def _make_engine(self) -> Any:
        """Return the compiled loops where they pay, else None: compiling and loading them takes a while."""
        pairs = self.x.n * self.y.n
        if self.x.device.type != "cpu" or pairs < COMPILED_FROM:
            return None
        from notsodeep.kernels.compiled import Engine

        return Engine(self.model, self._sides, pairs)

    @property
    def batch(self) -> int:
        """Number of tiles that are worked on at a time."""
        return self._engine.workers if self._engine else 1

    def places(self) -> list[Place]:
        """Return rows and columns of the tiles; in a square call, those on and above the diagonal."""
        found = []
        for first in range(0, self.x.n, self._size):
            rows = slice(first, min(self.x.n, first + self._size))
            for start in range(first if self.square else 0, self.y.n, self._size):
                found.append((rows, slice(start, min(self.y.n, start + self._size))))
        return found

    def run(self, places: Sequence[Place], targets: Sequence[Target], done: Callable[[Record], None]) -> Record:
        """Fill the targets with the kernels at the places; ``done`` gets the record of each, in their order.

        Returns the record of the pairs that were treated one by one. Entries are NaN where it tells of a failure.
        """
        singles, later = Singles(self.model, self.x, self.y), Record()
        bulk = self._engine.run(places, targets, self.square) if self._engine else self._plainly(places, targets)
        for place, target, (record, hard) in zip(places, targets, bulk, strict=True):
            if self._on_diagonal(place):
                self._fill_diagonal(place, target)
            singles.add(hard, target, (place[0].start, place[1].start), self._on_diagonal(place))
            done(replace(record, singled_out=len(hard)))
            if singles.count >= MOST:
                later = later.and_then(singles.fill())
        return later.and_then(singles.fill())

    def diagonals(self) -> Values:
        """Return the kernels of each row sample with itself."""
        starts = range(0, self.x.n, _MANY)
        parts = [self.model.diagonals(self.model.side(self.x.block(a, min(self.x.n, a + _MANY)))) for a in starts]
        return Values(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _plainly(self, places: Sequence[Place], targets: Sequence[Target]) -> Iterator[tuple[Record, torch.Tensor]]:
        """Fill the targets by the uncompiled route; yield records and the places of pairs that it is not right for."""
        for place, target in zip(places, targets, strict=True):
            left, right = self._sides.rows(place[0]), self._sides.columns(place[1])
            kernel, on_diagonal = self.model.pair(left.side, right.side), self._on_diagonal(place)
            record, hard = _strips(kernel, left.rows @ right.rows.T, target)
            target.reflect(on_diagonal)
            yield record, hard[hard[:, 0] < hard[:, 1]] if on_diagonal else hard

    def _on_diagonal(self, place: Place) -> bool:
        return self.square and place[0] == place[1]

    def _fill_diagonal(self, place: Place, target: Target) -> None:
        for view, diagonal in zip(target.views, self.model.diagonals(self._sides.rows(place[0]).side), strict=True):
            if view is not None:
                view.diagonal().copy_(diagonal)


def _strips(kernel: PairKernel, gram: torch.Tensor, target: Target) -> tuple[Record, torch.Tensor]:
    record, hard = Record(), []
    columns = torch.arange(gram.shape[1], device=gram.device)[None, :]
    step = max(1, _STRIP // gram.shape[1])
    for start in range(0, len(gram), step):
        part = slice(start, min(len(gram), start + step))
        rows = torch.arange(part.start, part.stop, device=gram.device)[:, None]
        values, right, found = kernel.bulk(rows, columns, gram[part].to(torch.float64))
        record = record.and_then(found)
        for view, value in zip(target.views, values, strict=True):
            if view is not None:
                view[part] = value
        hard.append(torch.nonzero(~right) + torch.tensor([start, 0], device=gram.device))
    return record, torch.cat(hard)


def iterate(tiler: Tiler, wanted: tuple[str, ...], on_failure: str) -> Iterator[Tile]:
    """Yield tiles with the wanted kernels, in arrays of their own."""
    places = tiler.places()
    for first in range(0, len(places), tiler.batch):
        part = places[first : first + tiler.batch]
        targets = [_target(tiler, place, wanted) for place in part]
        records: list[Record] = []
        later = tiler.run(part, targets, records.append)
        require(later, on_failure)
        for (rows, columns), target, record in zip(part, targets, records, strict=True):
            whole = record.and_then(later if target.failed else replace(later, failure=None))
            yield Tile(rows, columns, target.ck, target.ntk, whole, tiler.square and rows != columns)


def _target(tiler: Tiler, place: Place, wanted: tuple[str, ...]) -> Target:
    height, width = (part.stop - part.start for part in place)
    arrays = {name: torch.empty((height, width), dtype=tiler.dtype, device=tiler.x.device) for name in wanted}
    return Target(arrays.get("ck"), arrays.get("ntk"), slice(0, height), slice(0, width))


def require(record: Record, on_failure: str) -> None:
    """Raise ``ConvergenceError`` for a failure, unless it is to be returned."""
    if record.failure and on_failure == "raise":
        raise ConvergenceError(record.failure)
