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
    mirrored: bool = False
    """Whether the tile also fills, transposed, the place on the other side of the diagonal"""

    @property
    def matrices(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Both matrices."""
        return self.ck, self.ntk

    @property
    def views(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The parts that the tile fills."""
        ck, ntk = (None if m is None else m[self.rows, self.columns] for m in self.matrices)
        return ck, ntk

    @property
    def failed(self) -> bool:
        """Whether an entry of the tile is NaN."""
        return any(bool(view.isnan().any()) for view in self.views if view is not None)

    def put(self, i: torch.Tensor, j: torch.Tensor, values: tuple[torch.Tensor, torch.Tensor], both: bool) -> None:
        """Write values of single pairs, counted within the tile; ``both`` for a tile on the diagonal."""
        rows, columns = i + self.rows.start, j + self.columns.start
        for matrix, value in zip(self.matrices, values, strict=True):
            if matrix is not None:
                matrix[rows, columns] = value.to(matrix.dtype)
                if both or self.mirrored:
                    matrix[columns, rows] = value.to(matrix.dtype)

    def reflect(self, on_diagonal: bool) -> None:
        """Copy what is above the diagonal below it: within the tile, or to the mirrored place."""
        for matrix, view in zip(self.matrices, self.views, strict=True):
            if matrix is None or view is None:
                continue
            if on_diagonal:
                upper = torch.triu(view, diagonal=1)
                view.copy_(upper + upper.T)
            elif self.mirrored:
                matrix[self.columns, self.rows] = view.T
