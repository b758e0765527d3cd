"""Blocks of samples with what depends on them alone, kept ready for the tiles that they take part in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch

from notsodeep.kernels.model import Model
from notsodeep.kernels.samples import Block, Samples

_KEPT = 64  # blocks that are kept, of 2 MiB each
_WORTH_LEAVING_OUT = 0.95  # share of used features below which the others are left out of the products


@dataclass
class Ready:
    """A block of samples with its side, ready for products and for the loops."""

    block: Block
    side: Any
    rows: torch.Tensor
    """In the precision of the Gram matrix, and without features that add nothing to it"""
    packed: tuple[int, Any] = (0, None)
    """Number of terms, and the coefficients for the compiled loops"""


class Sides:
    """Makes blocks ready, and keeps the last ones; threads may share it."""

    def __init__(self, model: Model, x: Samples, y: Samples, dtype: torch.dtype) -> None:
        self._model, self._x, self._y, self._dtype = model, x, y, dtype
        used = torch.nonzero(x.used & y.used)[:, 0]
        self._features = used if len(used) < _WORTH_LEAVING_OUT * x.p else None
        self._kept: OrderedDict[tuple[bool, int, int], Ready] = OrderedDict()
        self._lock = Lock()

    def rows(self, part: slice) -> Ready:
        """Return some of the rows' samples."""
        return self._get(part, False)

    def columns(self, part: slice) -> Ready:
        """Return some of the columns' samples."""
        return self._get(part, self._y is not self._x)

    def packed(self, ready: Ready, terms: int) -> Any:
        """Return the coefficients of a block for the compiled loops, so many of them; the last ones are kept."""
        from notsodeep.kernels.compiled import pack

        with self._lock:
            if ready.packed[0] != terms:
                ready.packed = terms, pack(self._model.mehlers, ready.side.layers, terms)
            return ready.packed[1]

    def _get(self, part: slice, of_y: bool) -> Ready:
        key = (of_y, part.start, part.stop)
        with self._lock:
            ready = self._kept.get(key) or self._make(part, of_y)
            self._kept[key] = ready
            self._kept.move_to_end(key)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return ready

    def _make(self, part: slice, of_y: bool) -> Ready:
        block = (self._y if of_y else self._x).block(part.start, part.stop)
        rows = block.rows if self._features is None else block.rows[:, self._features]
        return Ready(block, self._model.side(block), rows.to(self._dtype))
