"""The bivariate expectations as functions that torch can differentiate once, through a fixed point where there is one.

The derivatives are the exact ones of :mod:`~notsodeep.activations.duals.partials`: nothing is unrolled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from notsodeep.activations.activation import Activation
from notsodeep.activations.duals.dual import Dual
from notsodeep.activations.duals.partials import PairPartials
from notsodeep.activations.gaussian import expect
from notsodeep.activations.moments import jumps, moments_of_many
from notsodeep.activations.tabulate import tabulate
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

Pair = tuple[torch.Tensor, torch.Tensor]
_BLOCK = 1 << 16  # pairs held at a time
_ROUNDING = 16 * torch.finfo(torch.float64).eps


def dual(
    activation: Activation,
    rows: torch.Tensor,
    columns: torch.Tensor | None,
    covariance: torch.Tensor,
    offset: torch.Tensor | None = None,
) -> Pair:
    """Return ``V = E[phi(u) phi(v)]`` and ``D = E[phi'(u) phi'(v)]`` of correlated Gaussians, with a graph.

    Parameters
    ----------
    activation : Activation
        ``phi``, continuous.
    rows, columns : tensor (n,), (m,)
        Variances (> 0) of ``u`` and of ``v``. Without columns the pairs are those of the rows among themselves:
        what is above the diagonal of ``covariance`` serves, and the diagonals of the results are 0
        (:func:`squares` has them).
    covariance : tensor (n, m)
        ``cov(u, v)``.
    offset : tensor (), optional
        ``activation.offset``, where gradients in it are wanted.

    Returns
    -------
    tuple of tensor (n, m)

    Raises
    ------
    ValueError
        When ``phi`` itself jumps.
    ConvergenceError
        When an integral does not settle, in the derivatives (``backward``) too.

    Notes
    -----
    Source: Price's theorem and the heat equation; the derivatives are exact to about 1e-11, or 1e-9 where the second
    derivative of ``phi`` has to be interpolated. At a correlation of 1 or -1 (rounding counts as equal) a kink of
    ``phi`` makes ``dD/dc`` infinite: D has the tip of a cone there, and its gradient is that along the pairs that stay
    at this correlation, ``dD/dc = 0``.

    Examples
    --------
    >>> import torch, notsodeep as nsd
    >>> from notsodeep.activations.duals.differentiable import dual
    >>> c = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    >>> one = torch.ones(1, dtype=torch.float64)
    >>> value, slope = dual(nsd.activation("relu"), one, one, c)
    >>> value.sum().backward()
    >>> bool(torch.isclose(c.grad, slope))
    True
    """
    zero = covariance.new_zeros(())
    return _Implicit.apply(activation, rows, columns, covariance, zero, offset, covariance.detach())


def fixed_point(
    activation: Activation,
    rows: torch.Tensor,
    columns: torch.Tensor | None,
    source: torch.Tensor,
    feedback: torch.Tensor,
    covariance: torch.Tensor,
    offset: torch.Tensor | None = None,
) -> Pair:
    """Return :func:`dual` at the solution of ``covariance = feedback * V(covariance) + source``, with a graph.

    Parameters
    ----------
    activation, rows, columns, offset
        As for :func:`dual`.
    source : tensor (n, m)
        The inhomogeneity, differentiable.
    feedback : tensor ()
        The factor, differentiable.
    covariance : tensor (n, m)
        The solution, without a graph. Gradients come from the implicit function theorem there.
    """
    return _Implicit.apply(activation, rows, columns, source, feedback, offset, covariance.detach())


def squares(activation: Activation, variances: torch.Tensor, offset: torch.Tensor | None = None) -> Pair:
    """Return ``E[phi(u)^2]`` and ``E[phi'(u)^2]`` for each variance ``(n,)`` of ``u``, with a graph."""
    return _Squares.apply(activation, variances, offset)


class _Implicit(torch.autograd.Function):
    """:func:`fixed_point`; :func:`dual` is the one of no feedback."""

    @staticmethod
    def forward(
        ctx: Any,
        activation: Activation,
        rows: torch.Tensor,
        columns: torch.Tensor | None,
        source: torch.Tensor,
        feedback: torch.Tensor,
        offset: torch.Tensor | None,
        covariance: torch.Tensor,
    ) -> Pair:
        broken = [kink for kink in activation.kinks if jumps(activation, kink)]
        if broken:
            raise ValueError(f"{activation!r} itself jumps, at {broken[0]:g}: its kernels have no gradients here")
        pairs = _Pairs(rows, columns, covariance)
        of_pair = Dual(activation, pairs.left, pairs.right)
        value, slope = torch.zeros_like(covariance), torch.zeros_like(covariance)
        for block in pairs.blocks():
            value[block], slope[block] = _exact(of_pair, *pairs.inside(*block))
        if columns is None:
            value, slope = (upper + upper.T for upper in (value.triu_(1), slope.triu_(1)))
        ctx.activation, ctx.square = activation, columns is None
        ctx.save_for_backward(rows, rows if columns is None else columns, feedback, covariance, value, slope)
        return value, slope

    @staticmethod
    def backward(ctx: Any, value_grad: torch.Tensor, slope_grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _refuse_second_order()
        rows, columns, feedback, covariance, value, slope = ctx.saved_tensors
        pairs = _Pairs(rows, None if ctx.square else columns, covariance)
        partials = PairPartials(ctx.activation, pairs.left, pairs.right)
        means = [_mean(ctx.activation, scales) for scales in (pairs.left, pairs.right)]
        to_rows, to_columns = torch.zeros_like(rows), torch.zeros_like(columns)
        to_source, to_feedback, to_offset = torch.zeros_like(covariance), 0.0 * feedback, 0.0 * feedback
        for block in pairs.blocks():
            i, j, rho = pairs.inside(*block)
            part = partials(i, j, rho)
            _check_finite(ctx.activation, part)
            a, b = pairs.gradient(value_grad, *block), pairs.gradient(slope_grad, *block)
            adjoint = (a * slope[block] + b * part.slope_covariance) / (1.0 - feedback * slope[block])
            through = a + feedback * adjoint
            to_source[block] = adjoint
            to_feedback = to_feedback + (adjoint * value[block]).sum()
            to_rows[block[0]] += (through * part.value_rows + b * part.slope_rows).sum(dim=1)
            to_columns[block[1]] += (through * part.value_columns + b * part.slope_columns).sum(dim=0)
            to_offset = to_offset + (through * (means[0][i] + means[1][j])).sum()
        sides = (to_rows + to_columns, None) if ctx.square else (to_rows, to_columns)
        return None, *sides, to_source, to_feedback, to_offset if ctx.needs_input_grad[5] else None, None


def _exact(of_pair: Dual, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
    """Evaluate a block together, and single pairs where that is not exact."""
    value, slope, right = of_pair.bulk(i, j, rho)
    left = torch.nonzero(~right, as_tuple=True)
    if left[0].numel():
        value[left], slope[left] = of_pair(i.expand_as(rho)[left], j.expand_as(rho)[left], rho[left])
    return value, slope


class _Pairs:
    """Pairs in blocks of rows; of a square matrix, those above the diagonal."""

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor | None, covariance: torch.Tensor) -> None:
        self.left, self.square, self._covariance = rows.detach().sqrt(), columns is None, covariance
        self.right = self.left if columns is None else columns.detach().sqrt()

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        n, m = self._covariance.shape
        start = 0
        while start < n:
            first = start if self.square else 0
            stop = min(n, start + max(1, _BLOCK // (m - first)))
            yield slice(start, stop), slice(first, m)
            start = stop

    def inside(self, rows: slice, columns: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return indices that broadcast, and the correlations: 0 for pairs of a square matrix that do not serve."""
        device = self.left.device
        i = torch.arange(rows.start, rows.stop, device=device)[:, None]
        j = torch.arange(columns.start, columns.stop, device=device)[None, :]
        rho = (self._covariance[rows, columns] / (self.left[i] * self.right[j])).clamp(-1.0, 1.0)
        rho = torch.where(1.0 - rho.abs() <= _ROUNDING, torch.sign(rho), rho)
        return i, j, rho.masked_fill(j <= i, 0.0) if self.square else rho

    def gradient(self, whole: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        """Return the part of a gradient that belongs to a block, both triangles of a square one together."""
        part = whole[rows, columns]
        return torch.triu(part + whole[columns, rows].T, diagonal=1) if self.square else part


class _Squares(torch.autograd.Function):
    """:func:`squares`: ``d E[f(u)] / dq = E[f(u) (xi^2 - 1)] / (2 q)`` needs no derivative of ``f``."""

    @staticmethod
    def forward(ctx: Any, activation: Activation, variances: torch.Tensor, offset: torch.Tensor | None) -> Pair:
        ctx.activation = activation
        ctx.save_for_backward(variances)
        _, square, slope_square, _, _ = _moments(activation, variances.sqrt())
        return square, slope_square

    @staticmethod
    def backward(ctx: Any, value_grad: torch.Tensor, slope_grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _refuse_second_order()
        (variances,) = ctx.saved_tensors
        mean, _, _, square_curvature, slope_square_rate = _moments(ctx.activation, variances.sqrt())
        to_variances = value_grad * 0.5 * square_curvature + slope_grad * slope_square_rate / variances
        to_offset = (2.0 * value_grad * mean).sum() if ctx.needs_input_grad[2] else None
        return None, to_variances, to_offset


def _moments(activation: Activation, scales: torch.Tensor) -> list[torch.Tensor]:
    """``E[phi]``, ``E[phi^2]``, ``E[phi'^2]``, ``E[(phi^2)'']`` and ``q d E[phi'^2] / dq``."""
    s = scales.detach().cpu().numpy()
    m = moments_of_many(activation, s)
    rate = tabulate(lambda part: _slope_square_rate(activation, part)[:, None], s)[:, 0]
    parts = (m.mean, m.square, m.slope_square, m.square_curvature, rate)
    return [torch.from_numpy(np.ascontiguousarray(part)).to(scales) for part in parts]


def _mean(activation: Activation, scales: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(moments_of_many(activation, scales.cpu().numpy()).mean).to(scales)


def _slope_square_rate(activation: Activation, scales: FloatArray) -> FloatArray:
    return 0.5 * expect(activation, scales, lambda x, u: [activation.derivative(u) ** 2 * (x * x - 1.0)])[0]


def _refuse_second_order() -> None:
    if torch.is_grad_enabled():
        raise RuntimeError("the exact kernels can be differentiated once, not twice: do without create_graph")


def _check_finite(activation: Activation, partials: Any) -> None:
    if not all(bool(torch.isfinite(part).all()) for part in partials):
        raise ConvergenceError(
            f"a derivative of E[phi(u) phi(v)] of {activation!r} is not finite: rescale the data closer to tau0, or "
            "use an activation whose second derivative is bounded beside its kinks"
        )
