"""Exact kernels of a DEQ: the elementwise fixed point ``Lambda = sigma_a2 G(Lambda) + sigma_b2 X Y'``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from notsodeep.activations.duals import Dual
from notsodeep.activations.moments import moments_of_many
from notsodeep.errors import ConvergenceError
from notsodeep.kernels.assemble import Values
from notsodeep.kernels.samples import Samples, correlation
from notsodeep.kernels.scalar import RestPoint, rest_point, sample_variances
from notsodeep.spec import DEQ

_BULK_STEPS = 6  # Newton steps of a whole block; pairs that need more are treated one by one
_NEWTON_STEPS = 40
_TOLERANCE = 4e-15  # of a Newton step, relative to sqrt(q_i q_j)
_ROUNDING = 1e-11  # below this, a step that no longer shrinks is rounding
_FEW = 0.02  # share of unsettled pairs that a block may leave behind


@dataclass(frozen=True)
class _Side:
    """Samples with what depends on one of them alone."""

    norms: torch.Tensor
    """``|x_i|``"""
    scales: torch.Tensor
    """Standard deviations ``sqrt(q_i)`` of the pre-activations."""
    square: torch.Tensor
    """``E[phi^2]``"""
    slope_square: torch.Tensor
    """``E[phi'^2]``"""
    mean: torch.Tensor
    """``E[phi]``"""
    slope: torch.Tensor
    """``E[phi']``"""


class _Pairs(NamedTuple):
    """Pairs whose covariance is being solved for; shapes broadcast."""

    i: torch.Tensor
    j: torch.Tensor
    source: torch.Tensor
    bound: torch.Tensor
    covariance: torch.Tensor
    last_step: torch.Tensor
    copies: torch.Tensor

    def only(self, mask: torch.Tensor) -> _Pairs:
        return _Pairs(*(part.expand(mask.shape)[mask] for part in self))


class ImplicitKernel:
    """The kernels of a DEQ on pairs of given samples (a :class:`~notsodeep.kernels.assemble.PairKernel`)."""

    def __init__(self, deq: DEQ, x: Samples, y: Samples, trained: frozenset[str]) -> None:
        rest = rest_point(deq)
        self._deq, self._trained, self._x = deq, trained, x
        self._left = _side(deq, rest, x)
        self._right = self._left if y is x else _side(deq, rest, y)
        self._dual = Dual(rest.activation, self._left.scales, self._right.scales)

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor]:
        """Solve a block by a few Newton steps with short series; the mask tells where that was enough."""
        pairs = self._start(i, j, gram)
        for count in range(_BULK_STEPS):
            value, slope, covered = self._dual.bulk(i, j, correlation(pairs.covariance, pairs.bound), rough=count == 0)
            pairs, moving = self._step(pairs, value, slope)
            if count and (moving & covered).sum() <= _FEW * moving.numel():
                break
        return self._values(value, slope, gram), covered & ~moving

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> Values:
        """Solve single pairs by as many Newton steps as they need."""
        value, slope = self._newton(self._start(i, j, gram), _NEWTON_STEPS)
        return self._values(value, slope, gram)

    def diagonals(self) -> Values:
        """Return both kernels of each sample with itself."""
        return self._values(self._left.square, self._left.slope_square, self._x.squared_norms)

    def _values(self, value: torch.Tensor, slope: torch.Tensor, gram: torch.Tensor) -> Values:
        deq, trained = self._deq, self._trained
        if not trained:
            return Values(value, torch.zeros_like(value))
        inner = deq.sigma_a2 * ("recurrent" in trained) * value + deq.sigma_b2 * ("input" in trained) * gram
        return Values(value, ("readout" in trained) * value + inner * slope / (1.0 - deq.sigma_a2 * slope))

    def _start(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> _Pairs:
        """First-order guess; copies of a sample, and of its opposite, start where they belong."""
        left, right, a2 = self._left, self._right, self._deq.sigma_a2
        source = self._deq.sigma_b2 * gram
        bound = left.scales[i] * right.scales[j]
        covariance = source + a2 * left.mean[i] * right.mean[j]
        covariance = (covariance / (1.0 - a2 * left.slope[i] * right.slope[j])).clamp(-bound, bound)
        # Newton's method would stop a rounding short of +-1, which the derivative of a kinked phi would feel.
        cosine = correlation(gram, left.norms[i] * right.norms[j])
        copies = (cosine.abs() == 1.0) & torch.isclose(left.norms[i], right.norms[j], rtol=1e-15, atol=0.0)
        covariance = torch.where(copies, cosine * bound, covariance)
        return _Pairs(i, j, source, bound, covariance, torch.full_like(bound, torch.inf), copies)

    def _step(self, pairs: _Pairs, value: torch.Tensor, slope: torch.Tensor) -> tuple[_Pairs, torch.Tensor]:
        """Take a Newton step; the mask tells which pairs were not at rest before it."""
        step = (pairs.source + self._deq.sigma_a2 * value - pairs.covariance) / (1.0 - self._deq.sigma_a2 * slope)
        size = step.abs() / pairs.bound
        # A copy that rounding alone would move stays: E[phi' phi'] of a kinked phi feels the square root of the step.
        copies = pairs.copies & (pairs.covariance.abs() == pairs.bound)
        stuck = (size <= _ROUNDING) & (copies | (size >= 0.5 * pairs.last_step))
        step = step.masked_fill(copies & stuck, 0.0)
        covariance = torch.clamp(pairs.covariance + step, -pairs.bound, pairs.bound)
        return pairs._replace(covariance=covariance, last_step=size), ~(stuck | (size <= _TOLERANCE))

    def _newton(self, pairs: _Pairs, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The map is convex in the covariance where that is positive: the iterates rise to the solution."""
        value, slope = self._dual(pairs.i, pairs.j, correlation(pairs.covariance, pairs.bound))
        pairs, moving = self._step(pairs, value, slope)
        if not moving.any():
            return value, slope
        if not steps:
            raise ConvergenceError(_unsettled(pairs, moving))
        value[moving], slope[moving] = self._newton(pairs.only(moving), steps - 1)
        return value, slope


def _unsettled(pairs: _Pairs, moving: torch.Tensor) -> str:
    worst = int(pairs.last_step.argmax())
    return (
        f"the kernel fixed point of {int(moving.sum())} pairs did not settle in {_NEWTON_STEPS} Newton steps (relative "
        f"step {float(pairs.last_step[worst]):.1e} at row {int(pairs.i[worst])}, column {int(pairs.j[worst])}): "
        "lower sigma_a2, or rescale the data closer to tau0"
    )


def _side(deq: DEQ, rest: RestPoint, x: Samples) -> _Side:
    scales = np.sqrt(sample_variances(deq, x.squared_norms.cpu().numpy()))
    m = moments_of_many(rest.activation, scales)
    columns = (scales, m.square, m.slope_square, m.mean, m.slope)
    return _Side(x.squared_norms.sqrt(), *(torch.from_numpy(np.ascontiguousarray(c)).to(x.rows) for c in columns))
