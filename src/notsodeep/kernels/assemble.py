"""Whole kernel matrices from tiles."""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch

from notsodeep.kernels.model import Record
from notsodeep.kernels.progress import Progress
from notsodeep.kernels.target import Target
from notsodeep.kernels.tiling import Tiler, require


def assemble(
    tiler: Tiler, wanted: tuple[str, ...], on_failure: str = "raise"
) -> tuple[dict[str, torch.Tensor], Record]:
    """Return the wanted kernels (``ck``, ``ntk``), symmetric work done once, and the record of all tiles."""
    out = {name: _empty((tiler.x.n, tiler.y.n), tiler.dtype, tiler.x.device) for name in wanted}
    places = tiler.places()
    targets = [Target(out.get("ck"), out.get("ntk"), *place, tiler.square and place[0] != place[1]) for place in places]
    records: list[Record] = []

    def done(record: Record) -> None:
        records.append(record)
        progress.advance()

    with Progress(len(places)) as progress:
        records.append(tiler.run(places, targets, done))
    record = reduce(Record.and_then, records)
    require(record, on_failure)
    return out, record


def _empty(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if device.type == "cpu":  # NumPy asks for large pages, which saves most of the time of touching new memory
        return torch.from_numpy(np.empty(shape, dtype=str(dtype).removeprefix("torch.")))
    return torch.empty(shape, dtype=dtype, device=device)
