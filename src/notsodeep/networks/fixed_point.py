"""Plain iteration ``z <- F(z)`` of a batch of states, and the record of how it went."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from notsodeep.errors import ConvergenceError

_EPS_PER_TOLERANCE = 100.0  # rounding alone keeps the relative step of equilibria of width 100-1500 near 1-6 eps


@dataclass(frozen=True)
class SolveRecord:
    """How the iteration of a batch ended."""

    converged: bool
    """Whether every sample reached the tolerance"""
    iterations: int
    """Applications of the map, one matrix product each"""
    residual: float
    """Largest ``|z_new - z| / |z_new|`` over the samples in the last application; NaN after an overflow"""
    unconverged: int
    """Number of samples above the tolerance"""
    tolerance: float
    """The tolerance asked for"""


def default_tolerance(dtype: torch.dtype) -> float:
    """Return the relative step at which iteration in ``dtype`` stops: 2.2e-14 in float64, 1.2e-5 in float32."""
    return _EPS_PER_TOLERANCE * torch.finfo(dtype).eps


def iterate(
    step: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, *, tol: float, max_iter: int
) -> tuple[torch.Tensor, SolveRecord]:
    """Apply ``step`` to ``start (n, m)`` until every row moves by at most ``tol`` times its own norm.

    It stops early when a row overflows. Rows that are done go on with the others, so a row's result depends
    on its neighbours in the batch, within the tolerance. How it ended is in the record; nothing is raised.
    """
    state, iterations = start, 0
    while True:
        last, state = state, step(state)
        iterations += 1
        move = _row_norms(state - last)
        relative = torch.where(move == 0, move, move / _row_norms(state))
        worst = float(relative.max())  # the only value that is fetched from the device
        if worst <= tol or math.isnan(worst) or iterations == max_iter:
            unconverged = int((~(relative <= tol)).sum())
            return state, SolveRecord(unconverged == 0, iterations, worst, unconverged, tol)


def require_convergence(record: SolveRecord, what: str, n: int, cause: str) -> None:
    """Raise :class:`~notsodeep.errors.ConvergenceError` unless all ``n`` samples of ``record`` converged.

    ``what`` was iterated for; ``cause`` names the number to lower.
    """
    if record.converged:
        return
    if math.isnan(record.residual):
        raise ConvergenceError(f"{what} diverged (overflow in iteration {record.iterations}); lower {cause}")
    raise ConvergenceError(
        f"{what} was not reached for {record.unconverged} of {n} samples: relative step {record.residual:.2g} after "
        f"{record.iterations} iterations (tolerance {record.tolerance:.2g}); lower {cause}, or raise max_iter or tol"
    )


def _row_norms(Z: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(Z, dim=1)
