"""Eigenvalues that a low-rank part separates from the bulk, and how far others are from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from notsodeep.checks import FloatArray
from notsodeep.spectra.bulk import Bulk
from notsodeep.spectra.response import Response

_NULL = 1e-14  # eigenvalues of the core up to this, of the largest, are zero
_ROOM = 1e-9  # distance to an atom or a hard edge, of the scale, up to which eigenvalues are looked for
_SAME = 1e-9  # distance of eigenvalues, of the scale, up to which they are one
_DIVERGES = 3.0  # growth of a strength towards an atom or a hard edge, at a hundredth of the distance


@dataclass(frozen=True, eq=False)
class IsolatedEigenvalue:
    """An eigenvalue outside the bulk, in the limit.

    Parameters
    ----------
    value : float
        Where it is. An eigenvalue of some multiplicity is listed as often.
    side : {"right", "left", "inner"}
        Whether it is beyond the bulk and all atoms, on which side, or in a gap between.
    gap : (float, float)
        The ends of the gap it lies in.
    alignments : array (K,)
        ``|<u, j_a>|^2 / n_a`` for its unit eigenvector u and the indicator ``j_a`` of class a (of group a, where the
        classes of the model are grouped); zero for an empty one. For a multiple eigenvalue the mean over an
        orthonormal basis.
    strength : float or None
        How far it is from the transition: see :class:`Isolated`; None in inner gaps.
    """

    value: float
    side: str
    gap: tuple[float, float]
    alignments: FloatArray
    strength: float | None

    @property
    def alignment(self) -> float:
        """Return the share of the eigenvector in the span of the class indicators."""
        return float(self.alignments.sum())


@dataclass(frozen=True, eq=False)
class Isolated:
    """The isolated eigenvalues, and the strengths of all directions of the low-rank part.

    Parameters
    ----------
    eigenvalues : tuple of IsolatedEigenvalue
        In increasing order.
    right, left : array
        Strengths at the outermost edges, the largest first: the positive eigenvalues of
        ``|G|^{1/2} B |G|^{1/2}`` (right) and of its negative (left), with the response G at the edge. One eigenvalue
        leaves the bulk for each strength above one; infinite strengths belong to edges at which G is infinite.
    """

    eigenvalues: tuple[IsolatedEigenvalue, ...]
    right: FloatArray
    left: FloatArray


def isolated(response: Response, bulk: Bulk) -> Isolated:
    """Return the isolated eigenvalues: roots of ``det(I + B G(x))`` outside the support, G the response.

    ``[[-B, I], [I, G(x)]]`` is singular at the same points, and it increases with x in every gap: its inertia at the
    ends of a gap tells the number of roots, and each is where one of its eigenvalues changes sign. Roots closer than
    1e-9 of the width of the spectrum to an atom or a hard edge are not told from it.

    Raises
    ------
    ConvergenceError
        When the equations do not settle at a point.

    Notes
    -----
    Source: Benaych-Georges and Nadakuditi, Advances in Mathematics 227 (2011), for low-rank changes of random
    matrices; the alignments are the residues of ``J' (Kbar - x)^-1 J / p``.
    """
    search = _Search(response, bulk)
    found = [one for low, high in search.gaps for one in search.inside(low, high)]
    low, high = bulk.support()
    return Isolated(tuple(found), search.strengths(high, 1), search.strengths(low, -1))


class _Search:
    def __init__(self, response: Response, bulk: Bulk) -> None:
        self._response, self._bulk = response, bulk
        self._core = response.model.core
        self._used = np.flatnonzero(self._core.any(axis=0))
        low, high = bulk.support()
        self._reach = float(np.linalg.norm(self._core, 2) * np.linalg.norm(response.gram, 2))
        self._scale = high - low + self._reach

    @cached_property
    def gaps(self) -> list[tuple[float, float]]:
        """Return what is between intervals and atoms, the outermost infinite; none where there is no low-rank part."""
        if not self._used.size:
            return []
        blocks = [*self._bulk.intervals, *((position, position) for position, _ in self._bulk.atoms)]
        ends = [(-math.inf, -math.inf), *sorted(blocks), (math.inf, math.inf)]
        gaps, reached = [], -math.inf
        for (_, before), (low, _) in pairwise(ends):
            reached = max(reached, before)
            if low > reached:
                gaps.append((reached, low))
        return gaps

    def inside(self, low: float, high: float) -> list[IsolatedEigenvalue]:
        """Return the isolated eigenvalues in one gap."""
        first, last = self._first(low, high), self._last(low, high)
        if not first < last:
            return []
        before, after = (int((self._values(x) < 0.0).sum()) for x in (first, last))
        roots = [self._root(index, first, last) for index in range(after, before)][::-1]
        side = "left" if math.isinf(low) else "right" if math.isinf(high) else "inner"
        strengths = self._ranked(side, low, high, len(roots))
        return [
            IsolatedEigenvalue(roots[i], side, (low, high), self._alignments(roots, i), strengths[i])
            for i in range(len(roots))
        ]

    def strengths(self, edge: float, side: int) -> FloatArray:
        """Return the strengths at an outermost edge, on its right (1) or left (-1)."""
        if not self._used.size:
            return np.empty(0)
        if not self._response.is_wall(edge):
            return self._strengths_at(edge, side)
        far, near = (self._strengths_at(edge + side * room * self._scale, side) for room in (100 * _ROOM, _ROOM))
        return np.where(near > _DIVERGES * far, np.inf, near)

    def _strengths_at(self, x: float, side: int) -> FloatArray:
        values, vectors = np.linalg.eigh(self._response.at(x)[0])
        root = vectors * np.sqrt(np.maximum(-side * values, 0.0)) @ vectors.T
        return np.linalg.eigvalsh(side * root @ self._core @ root)[::-1][: self._positive(side)]

    def _positive(self, side: int) -> int:
        values = np.linalg.eigvalsh(self._core)
        return int((side * values > _NULL * np.abs(values).max()).sum())

    def _ranked(self, side: str, low: float, high: float, count: int) -> Sequence[float | None]:
        if side == "inner":
            return [None] * count
        if side == "left":
            return [float(x) for x in self.strengths(high, -1)[:count]]
        return [float(x) for x in self.strengths(low, 1)[:count][::-1]]

    def _first(self, low: float, high: float) -> float:
        if math.isinf(low):
            return high - self._scale
        return low + _ROOM * self._scale if self._response.is_wall(low) else low

    def _last(self, low: float, high: float) -> float:
        if math.isinf(high):
            return low + self._scale
        return high - _ROOM * self._scale if self._response.is_wall(high) else high

    def _matrix(self, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``[[-B, I], [I, G]]``, scaled from both sides to entries of order one, and the scales of G."""
        gamma, core = (part[np.ix_(self._used, self._used)] for part in (gamma, self._core))
        inner, outer = 1.0 / np.sqrt(np.abs(core).max(axis=0)), 1.0 / np.sqrt(1.0 + np.abs(np.diagonal(gamma)))
        corner = np.diag(inner * outer)
        return np.block([[-core * np.outer(inner, inner), corner], [corner, gamma * np.outer(outer, outer)]]), outer

    def _values(self, x: float) -> FloatArray:
        return np.asarray(np.linalg.eigvalsh(self._matrix(self._response.at(x)[0])[0]))

    def _root(self, index: int, first: float, last: float) -> float:
        return float(brentq(lambda x: self._values(x)[index], first, last, xtol=1e-15 * self._scale, rtol=1e-15))

    def _alignments(self, roots: Sequence[float], i: int) -> FloatArray:
        """Return the alignments of one of the roots of a gap, the mean over those that coincide with it."""
        model = self._response.model
        counts = np.bincount(model.groups, model.counts)
        multiplicity = sum(abs(root - roots[i]) <= _SAME * self._scale for root in roots)
        gamma, slope = self._response.at(roots[i])
        matrix, scales = self._matrix(gamma)
        values, vectors = np.linalg.eigh(matrix)
        null = np.zeros((len(gamma), multiplicity))
        null[self._used] = scales[:, None] * vectors[len(scales) :, np.argsort(np.abs(values))[:multiplicity]]
        indicators = np.zeros((len(counts), null.shape[1]))
        np.add.at(indicators, model.groups, (gamma @ null)[: model.n_classes])
        residue = np.einsum("am,ma->a", indicators, np.linalg.solve(null.T @ slope @ null, indicators.T))
        share = model.p / np.maximum(counts, 1) / multiplicity
        return np.where(counts > 0, share * residue, 0.0)
