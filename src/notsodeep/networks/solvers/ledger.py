"""What is known about each row of a batch while its fixed points are iterated for."""

from __future__ import annotations

import math

import torch

from notsodeep.networks.solvers.record import SolveRecord

_SHARE = 0.7  # of the iterations that are left, as predicted, that pass without a look at the states


class Ledger:
    """Images, relative steps and counts of all rows, of which some are iterated further.

    Looking at the states costs a few per cent of a matrix product. Where steps shrink steadily, as those of plain
    iteration do, the number of iterations that are left is predicted from the last two looks, and most of them, at
    most as many as are behind, pass without one.
    """

    def __init__(self, start: torch.Tensor, tol: float, max_iter: int, steady: bool) -> None:
        self.iterations = 0
        self.open = len(start)
        """Rows that are iterated, above the tolerance and finite"""
        self._tol, self._max_iter, self._steady = tol, max_iter, steady
        self._due = 1
        self._states = self._image = start
        self._residuals = start.new_full((len(start),), math.inf)
        self._steps = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        self._rows: torch.Tensor | None = None  # those that are iterated; None: all
        self._history: list[tuple[int, float]] = []

    def enter(self, state: torch.Tensor, image: torch.Tensor) -> None:
        """Note the images of the states of the rows that are iterated, if it is time to look at them."""
        self.iterations += 1
        if self.iterations < min(self._due, self._max_iter):
            return
        move = torch.linalg.vector_norm(image - state, dim=1)
        relative = torch.where(move == 0, move, move / torch.linalg.vector_norm(image, dim=1))
        self._image, self._relative, self._open = image, relative, relative > self._tol  # NaN is not open
        worst, count = torch.stack([relative.max(), self._open.sum().to(relative.dtype)]).tolist()  # one transfer
        self.open = int(count)
        self._history.append((self.iterations, worst))
        self._due = self.iterations + self._left()
        rows = slice(None) if self._rows is None else self._rows
        unsettled = self._open | (self._residuals[rows] > self._tol)  # now, or at the last look
        self._steps[rows] = torch.where(unsettled, self.iterations, self._steps[rows])
        self._residuals[rows] = relative

    @property
    def done(self) -> bool:
        """Whether no row is left to iterate, or no iteration."""
        return not self.open or self.iterations == self._max_iter

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
            steps=self._steps,
            history=tuple(self._history),
        )

    def _left(self) -> int:
        """Return the number of iterations to the next look."""
        if not self._steady or len(self._history) < 2:
            return 1
        (before, larger), (now, step) = self._history[-2:]
        if not 0.0 < step < larger:
            return 1
        decay = math.log(larger / step) / (now - before)
        return max(1, min(int(_SHARE * math.log(step / self._tol) / decay), now))

    def _put(self) -> None:
        rows = self._rows
        self._states = self._image if rows is None else self._states.index_copy(0, rows, self._image)
