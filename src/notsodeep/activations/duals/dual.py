"""The bivariate expectations of an activation for many pairs of scales and correlations."""

from __future__ import annotations

import torch

from notsodeep.activations.activation import Activation
from notsodeep.activations.duals import polar, polygon, series
from notsodeep.activations.duals.closed import closed_form
from notsodeep.activations.forms import Blurred, PiecewiseLinear

Pair = tuple[torch.Tensor, torch.Tensor]
_NEARLY_ALL = 0.98  # share of a block that a series must cover before the whole block gets it
_LONGEST_FOR_ALL = 128  # terms that a whole block gets at most
_LONGEST_BESIDE_TABLES = 384  # terms where the quadrature has tables, which cost less than a longer series
_WORTH = 32  # terms that cost as much as the polar quadrature of a pair, at every step of Newton's method
_BATCH = 4_000_000  # coefficients gathered at a time


class Dual:
    """``G = E[phi(u) phi(v)]`` and its slope ``E[phi'(u) phi'(v)] = dG / d cov(u, v)`` (Price's theorem).

    Exact to about 1e-13 of ``sqrt(G_uu G_vv)`` for every correlation in [-1, 1]: closed forms where
    there are any, else Mehler's series where its remainder is provably negligible, else Owen's T
    (piecewise linear, blurred or not) or polar quadrature.

    Parameters
    ----------
    activation : Activation
        ``phi``.
    rows, columns : tensor
        Standard deviations (> 0) of ``u`` for each row and of ``v`` for each column; float64.
    mehler : Mehler, optional
        Expansions of ``phi`` over a range that holds these scales, where several duals share them.
    """

    def __init__(
        self, activation: Activation, rows: torch.Tensor, columns: torch.Tensor, mehler: series.Mehler | None = None
    ) -> None:
        self._rows, self._columns = rows, columns
        self._exact = closed_form(activation.form)
        self._expansions = _Expansions(mehler or series.Mehler.over(activation, rows, columns), rows, columns)
        self._offset = activation.offset if self._exact else 0.0  # closed forms are those of phi without it
        self._means = [self._expansions.mean(scales) for scales in (rows, columns)] if self._offset else None

    def __call__(self, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
        """Return ``(G, slope)`` for pairs of rows ``i`` and columns ``j``, all three of one 1-D shape."""
        if self._exact:
            return self._closed(i, j, rho)
        return _pair_by_pair(self._expansions, i, j, rho)

    def bulk(
        self, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor, rough: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ``(G, slope, mask)`` of a block, ``i`` and ``j`` broadcasting to ``rho``.

        The mask tells where the values are exact; elsewhere (few pairs, near correlation 1) they are
        approximate and :meth:`__call__` has the exact ones. ``rough`` settles for the shortest series.
        """
        if self._exact:
            return *self._closed(i, j, rho), torch.ones_like(rho, dtype=torch.bool)
        terms, covered = _terms_for(self._expansions, i, j, rho, rough)
        return *self._expansions.evaluate(terms, i, j, rho), covered

    def _closed(self, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
        value, slope = self._exact(self._rows[i], self._columns[j], rho)  # type: ignore[misc]  # callers have checked
        if self._means is not None:
            value = value + self._offset * (self._means[0][i] + self._means[1][j] - self._offset)
        return value, slope


class _Expansions:
    """Series of growing length for the rows and the columns, made when first needed."""

    def __init__(self, mehler: series.Mehler, rows: torch.Tensor, columns: torch.Tensor) -> None:
        self.activation, self.rows, self.columns = mehler.activation, rows, columns
        self._mehler = mehler
        self._known: dict[int, tuple[series.Expansion, series.Expansion]] = {}

    def at(self, terms: int) -> tuple[series.Expansion, series.Expansion]:
        if terms not in self._known:
            left = self._mehler.expand(self.rows, terms)
            same = self.columns is self.rows
            self._known[terms] = left, left if same else self._mehler.expand(self.columns, terms)
        return self._known[terms]

    def mean(self, scales: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._mehler.moments(scales.cpu().numpy()).mean).to(scales)

    def pays(self, terms: int, pairs: int) -> bool:
        """Tell whether a series of ``terms`` is made already, or cheaper than ``pairs`` without one."""
        if terms in self._known or terms <= _LONGEST_FOR_ALL:
            return True
        if terms > _LONGEST_BESIDE_TABLES and not any(self.activation.kinks):
            return False
        return not isinstance(self.activation.form, (PiecewiseLinear, Blurred)) and pairs * _WORTH >= terms

    def covers(self, terms: int, i: torch.Tensor, j: torch.Tensor, log_rho: torch.Tensor) -> torch.Tensor:
        left, right = self.at(terms)
        return series.covers(left.log_tail[i] + right.log_tail[j], terms, log_rho)

    def evaluate(self, terms: int, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
        left, right = self.at(terms)
        value, slope = series.evaluate(left.coefficients[:, i], right.coefficients[:, j], rho)
        return value, slope / (self.rows[i] * self.columns[j])


def _terms_for(
    expansions: _Expansions, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor, rough: bool
) -> tuple[int, torch.Tensor]:
    """Return the shortest series that covers nearly all of a block, and the mask of what it covers."""
    log_rho = torch.log(rho.abs() + 1e-300)
    for terms in series.TERMS:
        covered = expansions.covers(terms, i, j, log_rho)
        if rough or covered.sum() >= _NEARLY_ALL * rho.numel() or terms >= _LONGEST_FOR_ALL:
            break
    return terms, covered


def _pair_by_pair(expansions: _Expansions, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
    """Give each pair the shortest series that covers it; those that none covers, or too few to make it, go without."""
    value, slope = torch.empty_like(rho), torch.empty_like(rho)
    todo, log_rho = torch.arange(rho.numel(), device=rho.device), torch.log(rho.abs() + 1e-300)
    for terms in series.TERMS:
        if not expansions.pays(terms, todo.numel()):
            break
        covered = expansions.covers(terms, i[todo], j[todo], log_rho[todo])
        for part in todo[covered].split(max(1, _BATCH // terms)):
            value[part], slope[part] = expansions.evaluate(terms, i[part], j[part], rho[part])
        todo = todo[~covered]
        if not todo.numel():
            return value, slope
    value[todo], slope[todo] = _one_by_one(expansions, i[todo], j[todo], rho[todo])
    return value, slope


def _one_by_one(expansions: _Expansions, i: torch.Tensor, j: torch.Tensor, rho: torch.Tensor) -> Pair:
    """Pairs so close to correlation 1 (or -1) that no series is short enough."""
    s, t, r = (x.cpu().numpy() for x in (expansions.rows[i], expansions.columns[j], rho))
    phi = expansions.activation
    if isinstance(phi.form, Blurred):
        value, slope = polygon.evaluate(phi.form.polygon, *phi.form.lengthened(s, t, r), phi.offset)
    elif isinstance(phi.form, PiecewiseLinear):
        value, slope = polygon.evaluate(phi.form, s, t, r, phi.offset)
    else:
        value, slope = polar.evaluate(phi, s, t, r)
    return torch.from_numpy(value).to(rho), torch.from_numpy(slope).to(rho)
