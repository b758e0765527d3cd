"""Exact kernels of a DEQ: the elementwise fixed point ``Lambda = sigma_a2 G(Lambda) + sigma_b2 X Y' + sigma_c2``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from notsodeep.activations import moments
from notsodeep.activations.duals import Dual
from notsodeep.activations.duals.series import Mehler
from notsodeep.activations.tabulate import Table
from notsodeep.checks import FloatArray
from notsodeep.kernels.model import Record, Values
from notsodeep.kernels.samples import Block, correlation, norms_between
from notsodeep.kernels.scalar import check_stable, rest_point, sample_variances
from notsodeep.spec import DEQ

_BULK_STEPS = 6  # Newton steps of a whole block; pairs that need more are treated one by one
_NEWTON_STEPS = 40
_TOLERANCE = 4e-15  # of a Newton step, relative to sqrt(q_i q_j)
_ROUNDING = 1e-11  # below this, a step that no longer shrinks is rounding
_SAME = 2e-15  # relative difference of the squared norms of copies, which is rounding
_FEW = 0.02  # share of unsettled pairs that a block may leave behind


@dataclass(frozen=True)
class ImplicitSide:
    """Samples with what depends on one of them alone."""

    squared_norms: torch.Tensor
    """``|x_i|^2``"""
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

    @property
    def layers(self) -> tuple[torch.Tensor, ...]:
        """The scales, as of a model of one layer."""
        return (self.scales,)


class ImplicitModel:
    """A DEQ prepared for samples with norms from ``low`` to ``high`` (a :class:`~notsodeep.kernels.model.Model`)."""

    def __init__(self, deq: DEQ, trained: frozenset[str], low: float, high: float) -> None:
        self.deq, self.trained = deq, trained
        self.activation = rest_point(deq).activation
        self._table = Table(self._of_norms, low, high)
        norms = norms_between(low, high)
        scales = norms * self._of_norms(norms)[:, 0]
        self.mehlers = (Mehler(self.activation, float(scales.min()), float(scales.max())),)

    def _of_norms(self, norms: FloatArray) -> FloatArray:
        """Scale and moments of samples, in units of their natural powers of norm and scale."""
        scales = np.sqrt(sample_variances(self.deq, norms**2))
        m = moments(self.activation, scales)
        columns = (scales / norms, m.square / scales**2, m.slope_square, m.mean / scales, m.slope)
        return np.stack(columns, axis=1)

    def side(self, block: Block) -> ImplicitSide:
        """Return the samples with their scales and moments."""
        norms = np.sqrt(block.squared_norms.cpu().numpy())
        relative, square, slope_square, mean, slope = self._table(norms).T
        scales = relative * norms
        check_stable(self.deq, norms**2, self.deq.sigma_a2 * slope_square if self.deq.sigma_a2 else 0.0 * norms)
        columns = (scales, square * scales**2, slope_square, mean * scales, slope)
        tensors = (torch.from_numpy(np.ascontiguousarray(c)).to(block.squared_norms) for c in columns)
        return ImplicitSide(block.squared_norms, *tensors)

    def pair(
        self, left: ImplicitSide, right: ImplicitSide, names: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> ImplicitPairs:
        """Return the kernels of pairs of samples, which messages call by the numbers ``names``."""
        return ImplicitPairs(self, left, right, names)

    def diagonals(self, side: ImplicitSide) -> Values:
        """Return both kernels of each sample with itself."""
        return self.values(side.square, side.slope_square, side.squared_norms)

    @property
    def tangent(self) -> tuple[float, float, float, float]:
        """Weights in ``K = [0] G + ([1] G + [2] x.y + [3]) D / (1 - sigma_a2 D)``: what the trained weights bring."""
        deq, trained = self.deq, self.trained
        sources = (("recurrent", deq.sigma_a2), ("input", deq.sigma_b2), ("bias", deq.sigma_c2))
        recurrent, inputs, bias = (variance * (name in trained) for name, variance in sources)
        return float("readout" in trained), recurrent, inputs, bias

    def values(self, value: torch.Tensor, slope: torch.Tensor, gram: torch.Tensor) -> Values:
        """Return both kernels, given ``G``, ``D`` and the products of samples."""
        if self.trained == {"readout"}:  # then nothing depends on the slope, which may be infinite
            return Values(value, value)
        readout, recurrent, inputs, bias = self.tangent
        inner = recurrent * value + inputs * gram + bias
        return Values(value, readout * value + inner * slope / (1.0 - self.deq.sigma_a2 * slope))


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


class ImplicitPairs:
    """The kernels of a DEQ on pairs of samples (a :class:`~notsodeep.kernels.model.PairKernel`)."""

    def __init__(
        self,
        model: ImplicitModel,
        left: ImplicitSide,
        right: ImplicitSide,
        names: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> None:
        self._model, self._left, self._right, self._names = model, left, right, names
        self._a2 = model.deq.sigma_a2
        self._dual = Dual(model.activation, left.scales, right.scales, model.mehlers[0])

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor, Record]:
        """Solve a block by a few Newton steps with short series; the mask tells where that was enough."""
        pairs = self._start(i, j, gram)
        for count in range(_BULK_STEPS):
            rho = correlation(pairs.covariance, pairs.bound)
            value, slope, covered = self._dual.bulk(i, j, rho, rough=count == 0)
            residual = self._residual(pairs, value)
            pairs, moving = self._step(pairs, value, slope)
            if count and (moving & covered).sum() <= _FEW * moving.numel():
                break
        right = covered & ~moving
        worst = float(residual[right].max()) if bool(right.any()) else 0.0
        return self._model.values(value, slope, gram), right, Record(worst, count + 1)

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, Record]:
        """Solve single pairs by as many Newton steps as they need."""
        value, slope, record = self._newton(self._start(i, j, gram), _NEWTON_STEPS)
        return self._model.values(value, slope, gram), record

    def _start(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> _Pairs:
        """First-order guess; copies of a sample, and of its opposite, start where they belong."""
        left, right, deq = self._left, self._right, self._model.deq
        source = deq.sigma_b2 * gram + deq.sigma_c2
        bound = left.scales[i] * right.scales[j]
        covariance = source + self._a2 * left.mean[i] * right.mean[j]
        covariance = (covariance / (1.0 - self._a2 * left.slope[i] * right.slope[j])).clamp(-bound, bound)
        # Newton's method would stop a rounding short of +-1, which the derivative of a kinked phi would feel.
        norms = left.squared_norms[i], right.squared_norms[j]
        cosine = correlation(gram, torch.sqrt(norms[0]) * torch.sqrt(norms[1]))
        copies = (cosine.abs() == 1.0) & ((norms[0] - norms[1]).abs() <= _SAME * norms[1])
        covariance = torch.where(copies, cosine * bound, covariance)
        return _Pairs(i, j, source, bound, covariance, torch.full_like(bound, torch.inf), copies)

    def _residual(self, pairs: _Pairs, value: torch.Tensor) -> torch.Tensor:
        return (pairs.source + self._a2 * value - pairs.covariance).abs() / pairs.bound

    def _step(self, pairs: _Pairs, value: torch.Tensor, slope: torch.Tensor) -> tuple[_Pairs, torch.Tensor]:
        """Take a Newton step; the mask tells which pairs were not at rest before it."""
        step = (pairs.source + self._a2 * value - pairs.covariance) / (1.0 - self._a2 * slope)
        size = step.abs() / pairs.bound
        # A copy that rounding alone would move stays: E[phi' phi'] of a kinked phi feels the square root of the step.
        copies = pairs.copies & (pairs.covariance.abs() == pairs.bound)
        stuck = (size <= _ROUNDING) & (copies | (size >= 0.5 * pairs.last_step))
        step = step.masked_fill(copies & stuck, 0.0)
        covariance = torch.clamp(pairs.covariance + step, -pairs.bound, pairs.bound)
        return pairs._replace(covariance=covariance, last_step=size), ~(stuck | (size <= _TOLERANCE))

    def _newton(self, pairs: _Pairs, steps: int) -> tuple[torch.Tensor, torch.Tensor, Record]:
        """The map is convex in the covariance where that is positive: the iterates rise to the solution."""
        value, slope = self._dual(pairs.i, pairs.j, correlation(pairs.covariance, pairs.bound))
        residual = self._residual(pairs, value)
        pairs, moving = self._step(pairs, value, slope)
        rest = ~moving
        record = Record(float(residual[rest].max()) if bool(rest.any()) else 0.0, _NEWTON_STEPS - steps + 1)
        if not moving.any():
            return value, slope, record
        if not steps:
            value[moving], slope[moving] = torch.nan, torch.nan
            return value, slope, Record(failure=self._unsettled(pairs, moving))
        value[moving], slope[moving], later = self._newton(pairs.only(moving), steps - 1)
        return value, slope, record.and_then(later)

    def _unsettled(self, pairs: _Pairs, moving: torch.Tensor) -> str:
        worst = int(pairs.last_step.argmax())
        row, column = int(pairs.i[worst]), int(pairs.j[worst])
        if self._names is not None:
            row, column = int(self._names[0][row]), int(self._names[1][column])
        return (
            f"the kernel fixed point of {int(moving.sum())} pairs did not settle in {_NEWTON_STEPS} Newton steps "
            f"(relative step {float(pairs.last_step[worst]):.1e} at row {row}, column {column}): "
            "lower sigma_a2, or rescale the data closer to tau0"
        )
