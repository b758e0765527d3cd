"""How the solution of a batch of fixed-point equations went: for the batch, for each sample, for each iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from notsodeep.errors import ConvergenceError

_EPS_PER_TOLERANCE = 100.0  # rounding alone keeps the relative step of equilibria of width 100-1500 near 1-6 eps


@dataclass(frozen=True)
class SolveRecord:
    """How the iteration of a batch ended."""

    converged: bool
    """Whether every sample reached the tolerance"""
    iterations: int
    """Applications of the map to the batch, one matrix product each"""
    residual: float
    """Largest of ``residuals``; NaN after an overflow"""
    unconverged: int
    """Number of samples above the tolerance"""
    tolerance: float
    """The tolerance asked for"""
    residuals: torch.Tensor = field(compare=False, repr=False)
    """``|f(z) - z| / |f(z)|`` of each sample in the last application of the map ``f`` to it, shape ``(n,)``"""
    steps: torch.Tensor = field(compare=False, repr=False)
    """Applications until each sample was found within the tolerance, ``iterations`` if it was not; shape ``(n,)``"""
    history: tuple[tuple[int, float], ...] = field(compare=False, repr=False)
    """Numbers of iterations, and the largest relative step then of the samples that were still iterated. Plain
    iteration is looked at where it may end, not after every step"""


def default_tolerance(dtype: torch.dtype) -> float:
    """Return the relative step at which iteration in ``dtype`` stops: 2.2e-14 in float64, 1.2e-5 in float32."""
    return _EPS_PER_TOLERANCE * torch.finfo(dtype).eps


def require_convergence(record: SolveRecord, what: str, cause: str) -> None:
    """Raise :class:`~notsodeep.errors.ConvergenceError` unless all samples of ``record`` converged.

    ``what`` was iterated for; ``cause`` names the number to lower.
    """
    if record.converged:
        return
    if math.isnan(record.residual):
        raise ConvergenceError(f"{what} diverged (overflow in iteration {record.iterations}); lower {cause}")
    raise ConvergenceError(
        f"{what} was not reached for {record.unconverged} of {len(record.residuals)} samples: relative step "
        f"{record.residual:.2g} after {record.iterations} iterations (tolerance {record.tolerance:.2g}); "
        f"lower {cause}, raise max_iter or tol, or take another solver"
    )
