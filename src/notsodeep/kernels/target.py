"""Where the values of a tile go."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Target:
    """Contiguous matrices (None where not wanted), and the rows and columns that a tile fills in them."""

    ck: torch.Tensor | None
    ntk: torch.Tensor | None
    rows: slice
    columns: slice

    @property
    def views(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return the parts that the tile fills."""
        ck, ntk = (None if m is None else m[self.rows, self.columns] for m in (self.ck, self.ntk))
        return ck, ntk
