"""Mehler's expansion ``E[phi(u) phi(v)] = sum_k a_k(s) a_k(t) rho^k`` with a bound on its remainder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from notsodeep.activations.activation import Activation
from notsodeep.activations.hermite import HermiteTable
from notsodeep.activations.moments import MomentsTable
from notsodeep.checks import FloatArray

TERMS = (16, 48, 128, 384, 1024, 4096)
UNKNOWN = 4e-14  # a share below this is rounding of a table: it may be anything up to this
TOLERANCE = 1e-14  # of the remainder, relative to sqrt(E[phi(u)^2] E[phi(v)^2])


@dataclass(frozen=True)
class Expansion:
    """Hermite coefficients of ``phi(s xi)`` at many scales, up to one of :data:`TERMS`."""

    coefficients: torch.Tensor
    """``(terms, n)``"""
    log_tail: torch.Tensor
    """``(n,)``: log of the part of ``phi`` and ``phi'`` beyond the last term, the larger one, relative to the whole."""

    @property
    def terms(self) -> int:
        """Number of terms."""
        return int(self.coefficients.shape[0])


class Mehler:
    """Expansions of one activation for all scales (standard deviations) of ``[low, high]``."""

    def __init__(self, activation: Activation, low: float, high: float) -> None:
        self.activation = activation
        self.hermite = HermiteTable(activation, low, high)
        self.moments = MomentsTable(activation, low, high)

    @classmethod
    def over(cls, activation: Activation, *scales: torch.Tensor) -> Mehler:
        """Return the expansions for the range of ``scales``."""
        low, high = min(float(s.min()) for s in scales), max(float(s.max()) for s in scales)
        return cls(activation, low, high)

    def expand(self, scales: torch.Tensor, terms: int) -> Expansion:
        """Return the first ``terms`` coefficients at each scale, with what they leave out."""
        s = scales.cpu().numpy()
        a = self.hermite(s, terms)
        m = self.moments(s)
        k = np.arange(1, terms)
        tail = _relative_tail(m.square - m.mean**2, np.square(a[:, 1:]))
        slope_tail = _relative_tail(m.slope_square, k * np.square(a[:, 1:]) / s[:, None] ** 2)
        log_tail = 0.5 * np.log(np.maximum(np.maximum(tail, slope_tail), UNKNOWN))
        return Expansion(torch.from_numpy(np.ascontiguousarray(a.T)).to(scales), torch.from_numpy(log_tail).to(scales))


def _relative_tail(whole: FloatArray, parts: FloatArray) -> FloatArray:
    """Share of ``whole`` that ``parts`` do not explain; 1 where the whole is infinite, 0 where it is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1.0 - parts.sum(axis=1) / whole
    return np.clip(np.nan_to_num(share, nan=0.0), 0.0, 1.0)


def covers(log_tails: torch.Tensor, terms: int, log_rho: torch.Tensor) -> torch.Tensor:
    """Tell where the remainder after ``terms`` is below :data:`TOLERANCE`, by Cauchy and Schwarz.

    ``log_tails`` is the sum of both log tails; the remainder is at most ``|rho|^(terms - 1)`` times both tails.
    """
    return log_tails + (terms - 1) * log_rho <= np.log(TOLERANCE)


def evaluate(a: torch.Tensor, b: torch.Tensor, rho: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``sum_k a_k b_k rho^k`` and its derivative in ``rho`` by Horner's rule; k is the first axis."""
    value = a[-1] * b[-1] * torch.ones_like(rho)
    slope = torch.zeros_like(rho)
    for k in range(a.shape[0] - 2, -1, -1):
        slope.mul_(rho).add_(value)
        value.mul_(rho).addcmul_(a[k], b[k])
    return value, slope
