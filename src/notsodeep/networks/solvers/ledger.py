"""What is known about each row of a batch while its fixed points are iterated for."""

from __future__ import annotations

import math

import torch

from notsodeep.networks.solvers.record import SolveRecord


class Ledger:
    """Images, relative steps and counts of all rows, of which some are iterated further."""

    def __init__(self, start: torch.Tensor, tol: float) -> None:
        self.iterations = 0
        self.open = len(start)
        """Rows that are iterated, above the tolerance and finite"""
        self._tol = tol
        self._states = self._image = start
        self._residuals = start.new_full((len(start),), math.inf)
        self._steps = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        self._rows: torch.Tensor | None = None  # those that are iterated; None: all
        self._history: list[float] = []

    def enter(self, state: torch.Tensor, image: torch.Tensor) -> None:
        """Note the images of the states of the rows that are iterated."""
        self.iterations += 1
        move = torch.linalg.vector_norm(image - state, dim=1)
        relative = torch.where(move == 0, move, move / torch.linalg.vector_norm(image, dim=1))
        self._image, self._relative, self._open = image, relative, relative > self._tol  # NaN is not open
        worst, count = torch.stack([relative.max(), self._open.sum().to(relative.dtype)]).tolist()  # one transfer
        self.open = int(count)
        self._history.append(worst)
        rows = slice(None) if self._rows is None else self._rows
        self._residuals[rows] = relative
        self._steps[rows] = torch.where(self._open, self.iterations + 1, self._steps[rows])

    def leave_out(self) -> torch.Tensor:
        """Put the rows that are not open aside, and return the others as indices into those iterated so far."""
        self._put()
        keep = torch.nonzero(self._open)[:, 0]
        self._rows = keep if self._rows is None else self._rows[keep]
        return keep

    @property
    def states(self) -> torch.Tensor:
        """The last image of every row."""
        self._put()
        return self._states

    def record(self) -> SolveRecord:
        """Return how it ended."""
        residual, unconverged = float(self._residuals.max()), int((~(self._residuals <= self._tol)).sum())
        return SolveRecord(
            converged=unconverged == 0,
            iterations=self.iterations,
            residual=residual,
            unconverged=unconverged,
            tolerance=self._tol,
            residuals=self._residuals,
            steps=self._steps.clamp(1, self.iterations),
            history=tuple(self._history),
        )

    def _put(self) -> None:
        rows = self._rows
        self._states = self._image if rows is None else self._states.index_copy(0, rows, self._image)
