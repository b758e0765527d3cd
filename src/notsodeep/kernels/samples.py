"""Samples with their norms, and the correlations that belong to them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_ROUNDING = 16 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Samples:
    """Rows of data with their squared norms."""

    rows: torch.Tensor
    squared_norms: torch.Tensor

    @classmethod
    def of(cls, rows: torch.Tensor) -> Samples:
        """Return the samples with their norms."""
        return cls(rows, rows.square().sum(dim=1))


def correlation(covariance: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
    """Return ``covariance / bound`` in [-1, 1], ``bound = s t``; what rounding cannot tell from +-1 is +-1.

    Without that, the copies of a sample would differ from it by ``sqrt(rounding)`` in the derivative
    kernel of a kinked activation.
    """
    rho = (covariance / bound).clamp(-1.0, 1.0)
    return torch.where(1.0 - rho.abs() <= _ROUNDING, torch.sign(rho), rho)
