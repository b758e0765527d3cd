"""Fixed points ``z = f(z)`` of a batch of states, row by row, by one of several methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from notsodeep.networks.solvers.anderson import Anderson
from notsodeep.networks.solvers.broyden import Broyden
from notsodeep.networks.solvers.ledger import Ledger
from notsodeep.networks.solvers.record import SolveRecord


class Plain:
    """The next state is the image of the last."""

    def next(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return ``f(z)``."""
        return image

    def keep(self, rows: torch.Tensor) -> None:
        """Forget nothing: there is no memory."""


class Method(Protocol):
    """How the next states follow from the last ones and their images; it may remember earlier ones."""

    def next(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return the states ``(n, m)`` at which the map is to be evaluated next."""

    def keep(self, rows: torch.Tensor) -> None:
        """Restrict what is remembered to these rows of the batch."""


SOLVERS: dict[str, Callable[[], Method]] = {"plain": Plain, "anderson": Anderson, "broyden": Broyden}


@dataclass(frozen=True)
class RowMap:
    """A map of states ``(n, m)`` that acts row by row: ``fn(states, *data)`` with ``data`` by rows as well."""

    fn: Callable[..., torch.Tensor]
    data: tuple[Any, ...] = ()

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Return the images of the states."""
        return self.fn(states, *self.data)

    def rows(self, keep: torch.Tensor) -> RowMap:
        """Return the map of these rows alone."""
        return RowMap(self.fn, tuple(each[keep] for each in self.data))


def fixed_point(
    step: RowMap, start: torch.Tensor, *, solver: str = "plain", tol: float, max_iter: int
) -> tuple[torch.Tensor, SolveRecord]:
    """Solve ``z = step(z)`` from ``start (n, m)``, until no row's image is farther than ``tol`` times its own norm.

    Rows that are done, or have overflowed, go on with the others until they are half of the batch, and are then left
    out: a row's result depends on its neighbours, within the tolerance. How it ended is in the record; nothing
    is raised.
    """
    method, state, ledger = SOLVERS[solver](), start, Ledger(start, tol, max_iter, steady=solver == "plain")
    while True:
        image = step(state)
        ledger.enter(state, image)
        if ledger.done:
            return ledger.states, ledger.record()
        if 2 * ledger.open <= len(image):
            keep = ledger.leave_out()
            state, image, step = state[keep], image[keep], step.rows(keep)
            method.keep(keep)
        state = method.next(state, image)
