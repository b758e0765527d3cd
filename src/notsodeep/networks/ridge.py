"""Linear readouts in closed form: ridge regression from sums over batches, however many samples there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch

from notsodeep.checks import integer, number
from notsodeep.errors import ConvergenceError

RIDGE = 1e-3
"""Usual ridge, relative to the mean squared norm of the features: the mean diagonal of their n x n kernel"""

_SINGULAR = "the ridge regression is singular: some features are constant, or depend on others linearly; raise ridge"


@dataclass(frozen=True)
class RidgeChoice:
    """Best of several ridges on held-out samples, and its readout."""

    ridge: float
    """The one with the least error"""
    errors: tuple[float, ...]
    """Mean squared error (sum over the outputs) of each ridge on the held-out samples, in the order asked for"""
    weight: torch.Tensor = field(repr=False)
    bias: torch.Tensor | None = field(repr=False)


@final
class RidgeReadout:
    """Ridge regression of ``outputs`` targets on ``width`` features, samples coming in batches.

    Minimises, with ``F (n, width)`` and ``Y (n, outputs)``, over ``W`` and (with an intercept) ``b``::

        |F W^T + b - Y|^2 + ridge * s * |W|^2,    s = mean squared norm of the rows of F

    Parameters
    ----------
    width, outputs : int
        Numbers of features and of targets of a sample.
    intercept : bool
        Fit ``b``; features and targets count from their means then, in ``s`` too.
    device : torch.device or str, optional
        Where the sums lie and are worked on; the CPU when not given.

    Raises
    ------
    ValueError
        When an argument is illegal.

    Notes
    -----
    Only the float64 sums ``F^T F``, ``F^T Y``, ``|Y|^2`` and the means are kept: ``O(width^2)`` memory for any ``n``.
    With an intercept the sums are of deviations from the means, updated batch by batch [1]_, so that means that are
    large beside the deviations cost no digits.

    ``s`` is the trace of the second moments ``F^T F / n``, and at the same time the mean diagonal of the kernel
    ``F F^T``: a ridge means the same number here, in :func:`fit_ridge` and in regression with a kernel of infinite
    width, for every width and form. Relative to the mean eigenvalue of ``F^T F`` it is ``ridge * width / n``.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
       variances", COMPSTAT 1982.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import RidgeReadout
    >>> F = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> readout = RidgeReadout(width=3, outputs=1)
    >>> for rows in F.split(30):
    ...     readout.update(rows, rows @ torch.tensor([[1.0], [2.0], [3.0]]) + 5.0)
    >>> weight, bias = readout.solve(ridge=1e-9)
    >>> weight.round(decimals=4), bias.round(decimals=4)
    (tensor([[1., 2., 3.]], dtype=torch.float64), tensor([5.], dtype=torch.float64))
    """

    def __init__(
        self, width: int, outputs: int, *, intercept: bool = True, device: torch.device | str | None = None
    ) -> None:
        self.width = integer("width", width, low=1)
        self.outputs = integer("outputs", outputs, low=1)
        self.intercept = bool(intercept)
        self.n = 0

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device="cpu" if device is None else device)

        self._means = zeros(self.width), zeros(self.outputs)
        self._inner, self._across = zeros(self.width, self.width), zeros(self.width, self.outputs)
        self._square = zeros(self.outputs)

    def update(self, features: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch: ``features (b, width)`` and ``targets (b, outputs)``, of any real dtype.

        Raises
        ------
        ValueError
            When the shapes do not fit, or a value is not finite; nothing is added then.
        """
        device = self._inner.device
        F, Y = _rows("features", features, self.width, device), _rows("targets", targets, self.outputs, device)
        _same_number(F, Y)
        self._shift(len(F), (_centre(F, self.intercept), _centre(Y, self.intercept)))
        self._inner.addmm_(F.T, F)
        self._across.addmm_(F.T, Y)
        self._square += Y.square().sum(dim=0)

    def merge(self, other: RidgeReadout) -> None:
        """Add the samples that another readout, of the same sizes, has seen.

        Raises
        ------
        ValueError
            When the sizes or the intercepts differ.
        """
        self._same_kind("other", other)
        self._shift(other.n, tuple(mean.to(self._inner.device) for mean in other._means))
        self._inner += other._inner.to(self._inner.device)
        self._across += other._across.to(self._inner.device)
        self._square += other._square.to(self._inner.device)

    def solve(self, ridge: float = RIDGE) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return ``W (outputs, width)`` and ``b (outputs,)``, in float64; ``b`` is None without an intercept.

        Raises
        ------
        ValueError
            When no samples were seen, or ``ridge`` is negative.
        ConvergenceError
            When the regularised matrix is singular to working precision.
        """
        penalty = self._penalty(number("ridge", ridge, low=0.0))
        inner = self._inner.clone()
        inner.diagonal().add_(penalty)
        weight = _solved(inner, self._across).T
        return weight, self._bias(weight)

    def choose(self, ridges: Sequence[float], held_out: RidgeReadout) -> RidgeChoice:
        """Return the one of several ridges with the least squared error on other samples, from one factorisation.

        Parameters
        ----------
        ridges : sequence of float
            Candidates (> 0).
        held_out : RidgeReadout
            Has seen the samples that the errors are taken on, which this readout has not.

        Raises
        ------
        ValueError
            When there is no candidate or one is not above 0, the sizes differ, or either has seen no samples.
        ConvergenceError
            When the features have no spread at all.
        """
        candidates = [number("ridges", ridge, low=0.0, strict=True) for ridge in ridges]
        if not candidates:
            raise ValueError("ridges must have at least one number")
        self._same_kind("held_out", held_out)
        if not held_out.n:
            raise ValueError("held_out must have seen samples")
        penalties = [self._penalty(ridge) for ridge in candidates]
        if not penalties[0] > 0.0:
            raise ConvergenceError(_SINGULAR)
        values, basis = torch.linalg.eigh(self._inner)
        across = basis.T @ self._across
        weights = [(basis @ (across / (values.clamp(min=0.0) + penalty)[:, None])).T for penalty in penalties]
        errors = [held_out._error(weight, self._bias(weight)) for weight in weights]
        best = min(range(len(errors)), key=errors.__getitem__)
        return RidgeChoice(candidates[best], tuple(errors), weights[best], self._bias(weights[best]))

    def _same_kind(self, name: str, other: RidgeReadout) -> None:
        mine, others = ((each.width, each.outputs, each.intercept) for each in (self, other))
        if mine != others:
            raise ValueError(f"{name} must have the same (width, outputs, intercept), {mine}, got {others}")

    def _shift(self, n: int, means: tuple[torch.Tensor, ...]) -> None:
        """Count ``n`` samples more, with these means; their deviations from them are added elsewhere."""
        if not n:
            return
        gap_f, gap_y = (new - old for new, old in zip(means, self._means, strict=True))
        joint = self.n * n / (self.n + n)
        self._inner.addr_(gap_f, gap_f, alpha=joint)
        self._across.addr_(gap_f, gap_y, alpha=joint)
        self._square += joint * gap_y.square()
        self._means[0].add_(gap_f, alpha=n / (self.n + n))
        self._means[1].add_(gap_y, alpha=n / (self.n + n))
        self.n += n

    def _penalty(self, ridge: float) -> float:
        if not self.n:
            raise ValueError("update must have seen samples before")
        return ridge * float(self._inner.trace()) / self.n

    def _bias(self, weight: torch.Tensor) -> torch.Tensor | None:
        return self._means[1] - weight @ self._means[0] if self.intercept else None

    def _error(self, weight: torch.Tensor, bias: torch.Tensor | None) -> float:
        """Mean squared error of a readout on the samples seen."""
        moments = self._square - 2.0 * (weight.T * self._across).sum(dim=0) + ((weight @ self._inner) * weight).sum(1)
        error = float(moments.sum()) / self.n
        if bias is None:
            return error
        return error + float((weight @ self._means[0] + bias - self._means[1]).square().sum())


def fit_ridge(
    features: torch.Tensor, targets: torch.Tensor, ridge: float = RIDGE, *, intercept: bool = True
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the readout of :class:`RidgeReadout` for features that are at hand, through the smaller matrix.

    With more features than samples that is the ``n x n`` kernel: ``W = Y^T (F F^T + ridge s)^-1 F``.

    Parameters
    ----------
    features : torch.Tensor
        ``(n, width)``.
    targets : torch.Tensor
        ``(n, outputs)``.
    ridge : float
        Relative to the mean squared norm ``s`` of the (centred) features.
    intercept : bool
        Fit a bias too.

    Raises
    ------
    ValueError
        When an argument is illegal.
    ConvergenceError
        When the regularised matrix is singular to working precision.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import fit_ridge
    >>> weight, bias = fit_ridge(torch.eye(2), torch.tensor([[1.0], [3.0]]), ridge=1e-9)
    >>> weight.round(decimals=4), round(bias.item(), 4)
    (tensor([[-1.,  1.]], dtype=torch.float64), 2.0)
    """
    ridge = number("ridge", ridge, low=0.0)
    device = features.device if isinstance(features, torch.Tensor) else torch.device("cpu")
    F, Y = _rows("features", features, None, device), _rows("targets", targets, None, device)
    _same_number(F, Y)
    n, width = F.shape
    if n >= width:
        sums = RidgeReadout(width, Y.shape[1], intercept=intercept, device=F.device)
        sums.update(F, Y)
        return sums.solve(ridge)
    mean_f, mean_y = _centre(F, intercept), _centre(Y, intercept)
    kernel = F @ F.T
    kernel.diagonal().add_(ridge * kernel.diagonal().mean())
    weight = _solved(kernel, Y).T @ F
    return weight, mean_y - weight @ mean_f if intercept else None


def _rows(name: str, rows: Any, columns: int | None, device: torch.device) -> torch.Tensor:
    """Return a float64 copy of a table of numbers."""
    shape = f"(b, {columns or '>= 1'})"
    if not isinstance(rows, torch.Tensor) or rows.is_complex():
        got = rows.dtype if isinstance(rows, torch.Tensor) else type(rows).__name__
        raise ValueError(f"{name} must be a real tensor of shape {shape}, got {got}")
    if rows.ndim != 2 or not rows.numel() or rows.shape[1] != (columns or rows.shape[1]):
        raise ValueError(f"{name} must have shape {shape} with b >= 1, got {tuple(rows.shape)}")
    rows = rows.detach().to(device, torch.float64, copy=True)
    if not torch.isfinite(rows).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return rows


def _same_number(features: torch.Tensor, targets: torch.Tensor) -> None:
    if len(features) != len(targets):
        raise ValueError(f"targets must have a row for each of the {len(features)} of features, got {len(targets)}")


def _centre(rows: torch.Tensor, intercept: bool) -> torch.Tensor:
    """Take the mean off the rows, in place, and return it; without an intercept it counts as 0."""
    if not intercept:
        return rows.new_zeros(rows.shape[1])
    mean = rows.mean(dim=0)
    rows -= mean
    return mean


def _solved(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solve with a symmetric positive definite matrix; one that is singular to rounding is refused."""
    if not torch.isfinite(matrix).all():
        raise ConvergenceError("the ridge regression overflowed; divide the features by a constant")
    largest = float(matrix.diagonal().max())
    factor, failed = torch.linalg.cholesky_ex(matrix)
    least = float(factor.diagonal().min()) ** 2
    if int(failed) or not least > len(matrix) * torch.finfo(matrix.dtype).eps * largest:
        raise ConvergenceError(_SINGULAR)
    return torch.cholesky_solve(right, factor)
