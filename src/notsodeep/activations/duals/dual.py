"""The bivariate expectations of an activation for many pairs of scales and correlations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from notsodeep.activations.activation import Activation
from notsodeep.activations.duals import polar, polygon, series
from notsodeep.activations.duals.closed import closed_form
from notsodeep.activations.forms import PiecewiseLinear
from notsodeep.activations.moments import moments
from notsodeep.activations.tabulate import tabulate

Pair = tuple[torch.Tensor, torch.Tensor]
_MOSTLY = 0.6  # share of a block that a series must cover before the whole block gets it
_LONGEST_FOR_ALL = 128  # terms that a whole block gets at most
_BATCH = 4_000_000  # coefficients gathered at a time


class Dual:
    """``G = E[phi(u) phi(v)]`` and its slope ``E[phi'(u) phi'(v)] = dG / d cov(u, v)`` (Price's theorem).

    Exact to about 1e-13 of ``sqrt(G_uu G_vv)`` for every correlation in [-1, 1]: closed forms where
    there are any, else Mehler's series where its remainder is provably negligible, else Owen's T
    (piecewise linear) or polar quadrature.

    Parameters
    ----------
    activation : Activation
        ``phi``.
    rows, columns : tensor
        Standard deviations (> 0) of ``u`` for each row and of ``v`` for each column; float64.
    """

    def __init__(self, activation: Activation, rows: torch.Tensor, columns: torch.Tensor) -> None:
        self._rows, self._columns = rows, columns
        self._offset = activation.offset
        self._bare = activation.shifted(-activation.offset) if activation.offset else activation
        self._means = [self._mean(rows), self._mean(columns)] if self._offset else None
        exact = closed_form(activation.form)
        self._evaluate = self._closed(exact) if exact else partial(_by_series, _Expansions(self._bare, rows, columns))

    def __call__(self, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
        """Return ``(G, slope)`` for rows ``i`` and columns ``j`` (indices that broadcast to ``rho``)."""
        value, slope = self._evaluate(i, j, rho)
        if self._means is not None:
            value = value + self._offset * (self._means[0][i] + self._means[1][j] + self._offset)
        return value, slope

    def _closed(self, exact: Callable[..., Pair]) -> Callable[..., Pair]:
        return lambda i, j, rho: exact(self._rows[i], self._columns[j], rho)

    def _mean(self, scales: torch.Tensor) -> torch.Tensor:
        s = scales.cpu().numpy()
        mean = tabulate(lambda x: moments(self._bare, x).mean[:, None] / x[:, None], s)[:, 0] * s
        return torch.from_numpy(mean).to(scales)


class _Expansions:
    """Series of growing length for the rows and the columns, made when first needed."""

    def __init__(self, activation: Activation, rows: torch.Tensor, columns: torch.Tensor) -> None:
        self.activation, self.rows, self.columns = activation, rows, columns
        self._known: dict[int, tuple[series.Expansion, series.Expansion]] = {}

    def at(self, terms: int) -> tuple[series.Expansion, series.Expansion]:
        if terms not in self._known:
            left = series.expand(self.activation, self.rows, terms)
            same = self.columns is self.rows
            self._known[terms] = left, left if same else series.expand(self.activation, self.columns, terms)
        return self._known[terms]

    def covers(self, terms: int, i: torch.Tensor, j: torch.Tensor, log_rho: torch.Tensor) -> torch.Tensor:
        left, right = self.at(terms)
        return series.covers(left.log_tail[i] + right.log_tail[j], terms, log_rho)

    def evaluate(self, terms: int, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
        left, right = self.at(terms)
        value, slope = series.evaluate(left.coefficients[:, i], right.coefficients[:, j], rho)
        return value, slope / (self.rows[i] * self.columns[j])


def _by_series(expansions: _Expansions, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
    """Give the whole block the series that covers most of it, then treat the other pairs one by one."""
    log_rho = torch.log(rho.abs() + 1e-300)
    for level, terms in enumerate(series.TERMS):  # noqa: B007  # both are used after the loop
        covered = expansions.covers(terms, i, j, log_rho)
        if covered.sum() >= _MOSTLY * rho.numel() or terms >= _LONGEST_FOR_ALL:
            break
    value, slope = expansions.evaluate(terms, i, j, rho)
    if covered.all():
        return value, slope
    i, j = i.expand(rho.shape), j.expand(rho.shape)
    todo = torch.nonzero(~covered.flatten()).flatten()
    for terms in series.TERMS[level + 1 :]:
        place = _flat(todo, i, j, rho)
        covered = expansions.covers(terms, place[0], place[1], torch.log(place[2].abs()))
        for part in _chunks(todo[covered], _BATCH // terms):
            value.view(-1)[part], slope.view(-1)[part] = expansions.evaluate(terms, *_flat(part, i, j, rho))
        todo = todo[~covered]
        if not todo.numel():
            return value, slope
    value.view(-1)[todo], slope.view(-1)[todo] = _one_by_one(expansions, *_flat(todo, i, j, rho))
    return value, slope


def _one_by_one(expansions: _Expansions, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
    """Pairs so close to correlation 1 (or -1) that no series is short enough."""
    s, t, r = (x.cpu().numpy() for x in (expansions.rows[i], expansions.columns[j], rho))
    phi = expansions.activation
    if isinstance(phi.form, PiecewiseLinear):
        value, slope = polygon.evaluate(phi.form, s, t, r)
    else:
        value, slope = polar.evaluate(phi, s, t, r)
    return torch.from_numpy(value).to(rho), torch.from_numpy(slope).to(rho)


def _flat(place: torch.Tensor, *blocks: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(block.reshape(-1)[place] for block in blocks)


def _chunks(place: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    return place.split(max(1, size)) if place.numel() else ()
