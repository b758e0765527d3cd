"""First derivatives of the bivariate expectations in both variances and in the covariance.

``V = E[phi(u) phi(v)]`` and ``D = E[phi'(u) phi'(v)]`` are functions of ``q = var(u)``, ``q' = var(v)`` and
``c = cov(u, v)``. Every Gaussian expectation solves the heat equation: ``dV/dq = E[phi''(u) phi(v)] / 2`` and
``dV/dc = D``; the same holds for ``D`` with ``phi'`` for ``phi``.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import NamedTuple

import numpy as np
import torch

from notsodeep.activations.activation import Activation
from notsodeep.activations.duals.closed import closed_form
from notsodeep.activations.duals.curvature import by_quadrature, curvature_square
from notsodeep.activations.duals.masses import Partials, of_polygon
from notsodeep.activations.forms import Blurred, ErrorFunction, PiecewiseLinear, Wave
from notsodeep.activations.hermite import coefficients
from notsodeep.activations.moments import moments_of_many
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

TERMS = (16, 48, 128, 512, 2048)
TOLERANCE = 1e-11  # of the remainder of a series, of its Cauchy-Schwarz bound
_LONGEST_FOR_ALL = 128  # terms that a whole block gets at most
_NEARLY_ALL = 0.98  # share of a block that a series must cover before the whole block gets it
_WORTH = 8  # terms that cost as much as the quadrature of a pair
_BATCH = 4_000_000  # coefficients gathered at a time
_UNKNOWN = 4e-14  # a share below this is rounding of a table: it may be anything up to this
_TOO_MUCH = 1e-6  # by which coefficients may exceed the norm that they are a part of


@singledispatch
def closed_partials(
    form: object, offset: float, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor
) -> Partials | None:
    """Return the derivatives in elementary functions where ``form`` has them."""
    return None


@closed_partials.register
def _piecewise_linear(
    form: PiecewiseLinear, offset: float, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor
) -> Partials:
    return of_polygon(form, offset, s, t, rho)


@closed_partials.register
def _blurred(form: Blurred, offset: float, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Partials:
    """A blur adds to the variances: the derivatives in them, and in the covariance, are those of the polygon."""
    return of_polygon(form.polygon, offset, *form.lengthened(s, t, rho))


@closed_partials.register
def _error_function(
    form: ErrorFunction, offset: float, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor
) -> Partials:
    """Derivatives of the arc-sine law; an odd function has ``E[phi''] = 0``, so that the offset does not enter."""
    rate2 = 2.0 * form.rate**2
    q, p, cross = 1.0 + rate2 * s * s, 1.0 + rate2 * t * t, rate2 * s * t * rho
    power = q + rate2 * t * t * (1.0 + rate2 * s * s * (1.0 - rho) * (1.0 + rho))  # q p - cross^2, without cancellation
    root, scale = power.sqrt(), rate2 / math.pi
    slope_covariance = 2.0 * scale * rate2 * cross / (power * root)
    return Partials(
        -scale * cross / (q * root),
        -scale * cross / (p * root),
        slope_covariance,
        -scale * rate2 * p / (power * root),
        -scale * rate2 * q / (power * root),
    )


@closed_partials.register
def _wave(form: Wave, offset: float, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Partials:
    """``phi'' = -w^2 phi``."""
    w2 = form.frequency**2
    law = closed_form(form)
    if law is None:
        raise ValueError("a wave has a closed form")
    value, slope = law(s, t, rho)
    means = [offset * form.even * torch.exp(-0.5 * w2 * scale * scale) for scale in (s, t)]
    return Partials(
        -0.5 * w2 * (value + means[0]),
        -0.5 * w2 * (value + means[1]),
        w2 * w2 * value,
        -0.5 * w2 * slope,
        -0.5 * w2 * slope,
    )


class PairPartials:
    """The derivatives for chosen pairs of rows and columns.

    Parameters
    ----------
    activation : Activation
        ``phi``, continuous.
    rows, columns : tensor
        Standard deviations (> 0) of ``u`` for each row and of ``v`` for each column; float64.
    """

    def __init__(self, activation: Activation, rows: torch.Tensor, columns: torch.Tensor) -> None:
        self._activation, self._rows, self._columns = activation, rows, columns
        self._known: dict[int, tuple[_Expansion, _Expansion]] = {}

    def __call__(self, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Partials:
        """Return the derivatives of a block; ``i`` and ``j`` broadcast to ``rho``.

        For a ``phi`` with a kink, ``dD/dc`` has no limit at correlation 1 or -1; there the derivatives of ``D`` are
        those along the pairs of that correlation (``dD/dc = 0``).
        """
        phi = self._activation
        closed = closed_partials(phi.form, phi.offset, self._rows[i], self._columns[j], rho)
        if closed is not None:
            return closed
        log_rho = torch.log(rho.abs() + 1e-300)
        for terms in TERMS:
            covered = self._covers(terms, i, j, log_rho)
            if terms >= _LONGEST_FOR_ALL or covered.sum() >= _NEARLY_ALL * rho.numel():
                break
        found = self._series(terms, i, j, rho)
        left = torch.nonzero(~covered, as_tuple=True)
        if left[0].numel():
            single = self._one_by_one(i.expand_as(rho)[left], j.expand_as(rho)[left], rho[left])
            for whole, part in zip(found, single, strict=True):
                whole[left] = part
        return found

    def _one_by_one(self, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Partials:
        """Give each pair the shortest long series that covers it; quadrature serves those that none does."""
        out = Partials(*(torch.empty_like(rho) for _ in Partials._fields))
        todo, log_rho = torch.arange(rho.numel(), device=rho.device), torch.log(rho.abs() + 1e-300)
        for terms in TERMS:
            if terms <= _LONGEST_FOR_ALL or (terms not in self._known and todo.numel() * _WORTH < terms):
                continue
            covered = self._covers(terms, i[todo], j[todo], log_rho[todo])
            for part in todo[covered].split(max(1, _BATCH // terms)):
                _put(out, part, self._series(terms, i[part], j[part], rho[part]))
            todo = todo[~covered]
        if todo.numel():
            s, t = self._rows[i[todo]], self._columns[j[todo]]
            _put(out, todo, by_quadrature(self._activation, s, t, rho[todo]))
        return out

    def _covers(self, terms: int, i: torch.Tensor, j: torch.Tensor, log_rho: torch.Tensor) -> torch.Tensor:
        """Bound what a series leaves out, by what ``phi'`` has beyond it and by what ``phi''`` has."""
        left, right = self._at(terms)
        power = (terms - 2) * log_rho
        slope = left.slope_tail[i] + right.slope_tail[j] + power + math.log(terms)  # k |rho|^k falls from there on
        curvature = left.curvature_tail[i] + right.curvature_tail[j] + power
        limit = math.log(TOLERANCE)
        return ((slope <= limit) & (terms * log_rho <= -1.0)) | (curvature <= limit)

    def _at(self, terms: int) -> tuple[_Expansion, _Expansion]:
        if terms not in self._known:
            left = _expand(self._activation, self._rows, terms)
            same = self._columns is self._rows
            self._known[terms] = left, left if same else _expand(self._activation, self._columns, terms)
        return self._known[terms]

    def _series(self, terms: int, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Partials:
        """With ``V = sum_k a_k b_k rho^k``: ``2 q dV/dq = sum_k sqrt((k + 1)(k + 2)) a_(k+2) b_k rho^k``.

        That is ``s da_k/ds = k a_k + sqrt((k + 1)(k + 2)) a_(k+2)`` at a fixed covariance.
        """
        s, t = self._rows[i], self._columns[j]
        left, right = self._at(terms)
        a, b = left.coefficients[:, i], right.coefficients[:, j]
        a_raised, b_raised = left.raised[:, i], right.raised[:, j]
        k = torch.arange(terms, dtype=a.dtype, device=a.device).reshape(-1, *(1 for _ in a.shape[1:]))
        return Partials(
            _sum(a_raised, b[:-2], rho) / (2.0 * s * s),
            _sum(b_raised, a[:-2], rho) / (2.0 * t * t),
            _sum((k * (k - 1.0) * a)[2:], b[2:], rho) / (s * t) ** 2,
            _sum((k[:-2] * a_raised)[1:], b[1:-2], rho) / (2.0 * s**3 * t),
            _sum((k[:-2] * b_raised)[1:], a[1:-2], rho) / (2.0 * t**3 * s),
        )


class _Expansion(NamedTuple):
    """Hermite coefficients at many scales, and logs of the relative norms of what they leave out."""

    coefficients: torch.Tensor
    """``a_k``, ``(terms, n)``"""
    raised: torch.Tensor
    """``sqrt((k + 1)(k + 2)) a_(k+2)``, ``(terms - 2, n)``: the coefficients of ``s^2 phi''``"""
    slope_tail: torch.Tensor
    curvature_tail: torch.Tensor


def _expand(activation: Activation, scales: torch.Tensor, terms: int) -> _Expansion:
    s = scales.cpu().numpy()
    a, k = coefficients(activation, s, terms), np.arange(terms)
    slope_square = s**2 * moments_of_many(activation, s).slope_square
    bend_square = s**4 * curvature_square(activation, s)
    if ((k * (k - 1) * a**2).sum(axis=1) > (1.0 + _TOO_MUCH) * bend_square + _TOO_MUCH**2 * slope_square).any():
        raise ConvergenceError(
            f"{activation!r} bends more than its second derivative says: declare every kink, and check the derivatives"
        )
    slope, curvature = _log_tail(slope_square, k * a**2), _log_tail(bend_square, k * (k - 1) * a**2)
    raised = np.sqrt((k[:-2] + 1.0) * (k[:-2] + 2.0)) * a[:, 2:]
    parts = (a.T, raised.T, slope, curvature)
    return _Expansion(*(torch.from_numpy(np.ascontiguousarray(part)).to(scales) for part in parts))


def _log_tail(whole: FloatArray, parts: FloatArray) -> FloatArray:
    """Half the log of the share of ``whole`` that ``parts`` do not explain; 0 where the whole is infinite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1.0 - parts.sum(axis=1) / whole
    return 0.5 * np.log(np.clip(np.nan_to_num(share, nan=0.0), _UNKNOWN, 1.0))


def _sum(a: torch.Tensor, b: torch.Tensor, rho: torch.Tensor) -> torch.Tensor:
    """Return ``sum_k a_k b_k rho^k`` by Horner's rule; k is the first axis."""
    total = a[-1] * b[-1] * torch.ones_like(rho)
    for k in range(a.shape[0] - 2, -1, -1):
        total.mul_(rho).addcmul_(a[k], b[k])
    return total


def _put(whole: Partials, places: torch.Tensor, part: Partials) -> None:
    for to, values in zip(whole, part, strict=True):
        to[places] = values
