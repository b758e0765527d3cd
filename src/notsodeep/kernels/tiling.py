"""Kernels tile by tile: what bounds the memory, what other code can wrap, and where symmetric work is done once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from notsodeep.errors import ConvergenceError
from notsodeep.kernels.explicit import ExplicitModel
from notsodeep.kernels.implicit import ImplicitModel
from notsodeep.kernels.model import Model, PairKernel, Record, Values
from notsodeep.kernels.samples import Block, Samples
from notsodeep.kernels.target import Target
from notsodeep.spec import DEQ, Spec

COMPILED_FROM = 1 << 22  # pairs that make up for loading (and once, compiling) the loops
_SMALL, _LARGE = 512, 1024  # rows and columns of a tile
_MANY = 16_384  # samples from which tiles are large
_KEPT = 32  # sides that are kept ready
_STRIP = 1 << 17  # pairs that the uncompiled route holds at a time: a dozen arrays of them stay in cache
_PART = 1 << 16  # single pairs treated together
_WORTH_LONGER = 50_000  # single pairs, over the whole matrix, that are worth longer series


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


@dataclass
class _Ready:
    """A block of samples with its side, ready for products and for the loops."""

    block: Block
    side: Any
    rows: torch.Tensor
    """In the precision of the Gram matrix"""
    packed: dict[int, Any]


class Tiler:
    """Evaluates the tiles of a model on samples; keeps the sides of blocks that come again."""

    def __init__(
        self, spec: Spec, x: Samples, y: Samples, trained: frozenset[str], dtype: torch.dtype, size: int | None = None
    ) -> None:
        low, high = min(x.low, y.low), max(x.high, y.high)
        self.model: Model = (
            ImplicitModel(spec, trained, low, high)
            if isinstance(spec, DEQ)
            else ExplicitModel(spec, trained, low, high)
        )
        self.x, self.y, self.dtype, self.square = x, y, dtype, y is x
        self.size = size or (_LARGE if max(x.n, y.n) >= _MANY else _SMALL)
        self._kept: OrderedDict[tuple[bool, int, int], _Ready] = OrderedDict()
        self._longer, self._singled_out = 0, 0
        self._engine = self._make_engine()

    def _make_engine(self) -> Any:
        """Return the compiled loops where they pay, else None: compiling and loading them takes a while."""
        if self.x.device.type != "cpu" or self.x.n * self.y.n < COMPILED_FROM:
            return None
        from notsodeep.kernels.compiled import Engine

        return Engine(self.model)

    def places(self) -> list[tuple[slice, slice]]:
        """Return rows and columns of the tiles; in a square call, those on and above the diagonal."""
        found = []
        for first in range(0, self.x.n, self.size):
            rows = slice(first, min(self.x.n, first + self.size))
            for start in range(first if self.square else 0, self.y.n, self.size):
                found.append((rows, slice(start, min(self.y.n, start + self.size))))
        return found

    def close(self) -> None:
        """End the threads."""
        if self._engine:
            self._engine.close()

    def evaluate(self, rows: slice, columns: slice, target: Target) -> Record:
        """Fill the target with the kernels of a tile; NaN where the record tells of a failure."""
        left, right = self._ready(rows, False), self._ready(columns, not self.square)
        gram = _product(left.rows, right.rows)
        kernel = self.model.pair(left.side, right.side, (rows.start, columns.start))
        if self._engine:
            record, hard = self._loops(left, right, gram, target)
        else:
            record, hard = _strips(kernel, gram, target)
        on_diagonal = self.square and rows == columns
        if on_diagonal:
            hard = hard[hard[:, 0] < hard[:, 1]]  # the diagonal and what is below it come otherwise
        record = record.and_then(_singly(kernel, left.block, right.block, hard, target))
        if on_diagonal:
            for matrix, diagonal in zip(target.views, self.model.diagonals(left.side), strict=True):
                if matrix is not None:
                    _make_symmetric(matrix, diagonal)
        return record

    def diagonals(self) -> Values:
        """Return the kernels of each row sample with itself."""
        starts = range(0, self.x.n, _MANY)
        parts = [self.model.diagonals(self.model.side(self.x.block(a, min(self.x.n, a + _MANY)))) for a in starts]
        return Values(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def mirror(self, matrix: torch.Tensor, rows: slice, columns: slice) -> None:
        """Copy a tile above the diagonal to its place below."""
        if self._engine:
            self._engine.mirror(matrix, rows, columns)
        else:
            matrix[columns, rows] = matrix[rows, columns].T

    def _ready(self, part: slice, of_y: bool) -> _Ready:
        key = (of_y, part.start, part.stop)
        if key not in self._kept:
            block = (self.y if of_y else self.x).block(part.start, part.stop)
            self._kept[key] = _Ready(block, self.model.side(block), block.rows.to(self.dtype), {})
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _loops(self, left: _Ready, right: _Ready, gram: torch.Tensor, target: Target) -> tuple[Record, torch.Tensor]:
        from notsodeep.kernels.compiled import TERMS, pack

        for ready in (left, right):
            if self._longer not in ready.packed:
                ready.packed = {self._longer: pack(self.model.mehlers, ready.side.layers, TERMS[self._longer])}
        count, record = self._engine.evaluate(left.packed[self._longer], right.packed[self._longer], gram, target)
        self._singled_out += count
        expected = self._singled_out * self.x.n * self.y.n / gram.numel()
        if expected > _WORTH_LONGER and self._longer + 1 < len(TERMS):
            self._longer += 1
        if not count:
            return record, torch.empty((0, 2), dtype=torch.int64)
        view = next(v for v in target.views if v is not None)
        return record, torch.nonzero(view.isnan())


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return ``left right'``; on the CPU by NumPy, whose product is the quicker one."""
    if left.device.type == "cpu":
        return torch.from_numpy(left.numpy() @ right.numpy().T)
    return left @ right.T


def _strips(kernel: PairKernel, gram: torch.Tensor, target: Target) -> tuple[Record, torch.Tensor]:
    """Fill the target by the uncompiled route; return the places of the pairs that it is not right for."""
    record, hard = Record(), []
    columns = torch.arange(gram.shape[1], device=gram.device)[None, :]
    step = max(1, _STRIP // gram.shape[1])
    for start in range(0, len(gram), step):
        part = slice(start, min(len(gram), start + step))
        rows = torch.arange(part.start, part.stop, device=gram.device)[:, None]
        values, right, found = kernel.bulk(rows, columns, gram[part].to(torch.float64))
        record = record.and_then(found)
        for matrix, value in zip(target.views, values, strict=True):
            if matrix is not None:
                matrix[part] = value
        hard.append(torch.nonzero(~right) + torch.tensor([start, 0], device=gram.device))
    return record, torch.cat(hard)


def _singly(kernel: PairKernel, left: Block, right: Block, places: torch.Tensor, target: Target) -> Record:
    """Fill in single pairs, by whatever route is exact for them."""
    record = Record(singled_out=len(places))
    for part in places.split(_PART) if len(places) else ():
        i, j = part.unbind(dim=1)
        gram = torch.linalg.vecdot(left.rows[i], right.rows[j])
        try:
            values, found = kernel.pairs(i, j, gram)
        except ConvergenceError as error:
            nothing = torch.full_like(gram, torch.nan)
            values, found = Values(nothing, nothing), Record(failure=str(error))
        record = record.and_then(found)
        for matrix, value in zip(target.views, values, strict=True):
            if matrix is not None:
                matrix[i, j] = value.to(matrix.dtype)
    return record


def _make_symmetric(matrix: torch.Tensor, diagonal: torch.Tensor) -> None:
    """Copy what is above the diagonal below it."""
    upper = torch.triu(matrix, diagonal=1)
    matrix.copy_(upper + upper.T)
    matrix.diagonal().copy_(diagonal)


def iterate(tiler: Tiler, wanted: tuple[str, ...], on_failure: str) -> Iterator[Tile]:
    """Yield tiles with the wanted kernels, in arrays of their own."""
    try:
        for rows, columns in tiler.places():
            shape = rows.stop - rows.start, columns.stop - columns.start
            arrays = {name: torch.empty(shape, dtype=tiler.dtype, device=tiler.x.device) for name in wanted}
            whole = slice(0, shape[0]), slice(0, shape[1])
            record = tiler.evaluate(rows, columns, Target(arrays.get("ck"), arrays.get("ntk"), *whole))
            require(record, on_failure)
            mirrored = tiler.square and rows != columns
            yield Tile(rows, columns, arrays.get("ck"), arrays.get("ntk"), record, mirrored)
    finally:
        tiler.close()


def require(record: Record, on_failure: str) -> None:
    """Raise ``ConvergenceError`` for a failure, unless it is to be returned."""
    if record.failure and on_failure == "raise":
        raise ConvergenceError(record.failure)
