"""Whole kernel matrices from tiles."""

from __future__ import annotations

import numpy as np
import torch

from notsodeep.kernels.model import Record
from notsodeep.kernels.progress import shown
from notsodeep.kernels.target import Target
from notsodeep.kernels.tiling import Tiler, require


def assemble(
    tiler: Tiler, wanted: tuple[str, ...], on_failure: str = "raise"
) -> tuple[dict[str, torch.Tensor], Record]:
    """Return the wanted kernels (``ck``, ``ntk``), symmetric work done once, and the record of all tiles."""
    out = {name: _empty((tiler.x.n, tiler.y.n), tiler.dtype, tiler.x.device) for name in wanted}
    record = Record()
    try:
        for rows, columns in shown(tiler.places()):
            target = Target(out.get("ck"), out.get("ntk"), rows, columns)
            record = record.and_then(tiler.evaluate(rows, columns, target))
            require(record, on_failure)
            if tiler.square and rows != columns:
                for matrix in out.values():
                    tiler.mirror(matrix, rows, columns)
    finally:
        tiler.close()
    return out, record


def _empty(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if device.type == "cpu":  # NumPy asks for large pages, which saves most of the time of touching new memory
        return torch.from_numpy(np.empty(shape, dtype=str(dtype).removeprefix("torch.")))
    return torch.empty(shape, dtype=dtype, device=device)
