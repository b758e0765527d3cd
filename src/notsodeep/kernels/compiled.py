"""Tiles by compiled loops on the CPU: pack their sides, choose the lengths of the series, share the rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import local
from typing import Any

import numpy as np
import torch

from notsodeep.activations.duals.series import TOLERANCE, UNKNOWN, Mehler
from notsodeep.activations.forms import PiecewiseLinear
from notsodeep.checks import FloatArray
from notsodeep.kernels import loops
from notsodeep.kernels.blas import one_thread
from notsodeep.kernels.explicit import ExplicitModel
from notsodeep.kernels.implicit import ImplicitModel
from notsodeep.kernels.model import Record
from notsodeep.kernels.parallel import ParallelModel
from notsodeep.kernels.sides import Sides
from notsodeep.kernels.target import Target

TERMS = (128, 384)
"""Lengths of the series: the second one where the first leaves too many pairs."""
_PER_BLOCK = 2 * loops.BLOCK  # terms of a block of even and a block of odd coefficients
_WORTH_LONGER = 50_000  # pairs treated one by one, over the whole matrix, that are worth longer series
_ROUGH = 1e-6  # remainder that does for a first step
_FINISH = 2e-14  # of D, what finishing a step by Taylor's formula leaves out
_NOTHING = 1e-15  # a coefficient below this, relative to the root mean square, is rounding of zero


@dataclass(frozen=True)
class Packed:
    """The samples of one side of tiles, ready for the loops, as rows and as columns."""

    rows: loops.Rows
    columns: loops.Columns
    values: FloatArray
    """``(L, K)``: largest ``a_k^2 / E[phi^2]`` of the samples; behind the last, the largest share left out"""
    slopes: FloatArray
    """``(L, K)``: the same for ``k a_k^2 / s^2`` and ``E[phi'^2]``"""


def pack(mehlers: tuple[Mehler, ...], layers: tuple[torch.Tensor, ...], terms: int) -> Packed:
    """Return the coefficients of samples with the given scales in every layer."""
    parts = [_pack(mehler, s.cpu().numpy(), terms) for mehler, s in zip(mehlers, layers, strict=True)]
    stacked = [np.stack(column) for column in zip(*parts, strict=True)]
    return Packed(loops.Rows(*stacked[:3]), loops.Columns(*stacked[3:7]), *stacked[7:])


def _pack(mehler: Mehler, scales: FloatArray, terms: int) -> tuple[FloatArray, ...]:
    a = mehler.hermite(scales, terms)
    m = mehler.moments(scales)
    a[:, np.abs(a).max(axis=0) <= _NOTHING * np.sqrt(m.square).max()] = 0.0
    slopes = np.arange(float(terms)) * np.square(a / scales[:, None])
    whole = np.where(np.isinf(m.slope_square), slopes.sum(axis=1), m.slope_square)
    shares = _shares(np.square(a), m.square), _shares(slopes, whole, np.isinf(m.slope_square))
    even, odd = (_descending(part / scales[:, None]) for part in (a[:, 0::2], a[:, 1::2]))
    rows = (part.reshape(len(scales), -1, loops.BLOCK) for part in (even, odd))
    return scales, *rows, *_strips(scales, even, odd), *shares


def _shares(parts: FloatArray, whole: FloatArray, endless: Any = False) -> FloatArray:
    """Return the largest share of the whole that each term has, and that of all that is left out."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(parts / whole[:, None], nan=0.0)
    rest = np.where(endless, 1.0, np.clip(1.0 - share.sum(axis=1), UNKNOWN, 1.0))
    return np.append(share.max(axis=0), rest.max())


def _descending(a: FloatArray) -> FloatArray:
    return np.ascontiguousarray(a[:, ::-1])


def _strips(scales: FloatArray, even: FloatArray, odd: FloatArray) -> tuple[FloatArray, ...]:
    count = -(-len(scales) // loops.LANES)
    padding = count * loops.LANES - len(scales)
    padded = np.pad(scales, (0, padding), constant_values=np.inf).reshape(count, loops.LANES)
    found = [np.where(np.isinf(padded), 0.0, padded), 1.0 / padded]
    for part in (even, odd):
        lanes = np.pad(part, ((0, padding), (0, 0))).reshape(count, loops.LANES, -1)
        found.append(np.ascontiguousarray(lanes.transpose(0, 2, 1)).reshape(count, -1, loops.BLOCK * loops.LANES))
    return tuple(found)


def laws(mehlers: tuple[Mehler, ...], left: Packed, right: Packed) -> loops.Laws:
    """Return how far series of every length are exact for pairs of two sides (Cauchy-Schwarz, term by term)."""
    values, slopes = np.sqrt(left.values * right.values), np.sqrt(left.slopes * right.slopes)
    grid, powers, lowered, fourth = _powers(values.shape[1] - 1)
    found = []
    for layer, mehler in enumerate(mehlers):
        remainder = np.maximum(_remainders(values[layer], powers), _remainders(slopes[layer], lowered))
        reach, rough = (_reach(grid, remainder, tolerance) for tolerance in (TOLERANCE, _ROUGH))
        bend = np.interp(reach, grid, fourth @ slopes[layer, :-1])
        slack = np.cbrt(6.0 * _FINISH / np.maximum(bend, 1e-3))
        nonzero = [np.flatnonzero(values[layer, parity:-1:2]).max(initial=-1) + 1 for parity in (0, 1)]
        found.append((-(-np.array(nonzero) // loops.BLOCK), reach, rough, slack, _arc(mehler)))
    return loops.Laws(*(np.stack(column) for column in zip(*found, strict=True)))


@lru_cache(maxsize=8)
def _powers(terms: int) -> tuple[FloatArray, ...]:
    """Return correlations from 0 to nearly 1, and powers as in a series, its slope, the slope's third derivative."""
    grid = 1.0 - np.geomspace(1.0, 5e-4, 128)
    k = np.arange(float(terms))
    powers = grid[:, None] ** k
    lowered, fourth = (np.pad(powers[:, :-by], ((0, 0), (by, 0))) for by in (1, 4))
    return grid, powers, lowered, fourth * ((k - 1) * (k - 2) * (k - 3))


def _remainders(shares: FloatArray, powers: FloatArray) -> FloatArray:
    """Return what is left out after each number of blocks (from 0), for each correlation."""
    by_block = powers.reshape(len(powers), -1, _PER_BLOCK)
    blocks = np.einsum("rbk,bk->rb", by_block, shares[:-1].reshape(-1, _PER_BLOCK))
    beyond = shares[-1] * powers[:, -1:]
    return np.cumsum(np.concatenate([beyond, blocks[:, ::-1]], axis=1), axis=1)[:, ::-1]


def _reach(grid: FloatArray, remainders: FloatArray, tolerance: float) -> FloatArray:
    return grid[np.maximum((remainders <= tolerance).sum(axis=0) - 1, 0)]


def _arc(mehler: Mehler) -> FloatArray:
    form = mehler.activation.form
    if not isinstance(form, PiecewiseLinear) or any(form.knots):
        return np.zeros(3)
    left, right = form.slopes[0], form.slopes[-1]
    return np.array([1.0, (0.5 * (left + right)) ** 2, (0.5 * (right - left)) ** 2])


class Engine:
    """Runs the loops of one model in threads, a tile each; products take one thread meanwhile."""

    def __init__(self, model: Any, sides: Sides, pairs: int) -> None:
        self._model, self._sides, self._pairs = model, sides, pairs
        self._terms, self._singled_out, self._seen = TERMS[0], 0, 0
        self._buffers = local()
        self.workers = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self.workers)  # its threads end with it

    def run(self, places: Sequence[Any], targets: Sequence[Target], square: bool) -> Iterator[tuple[Record, Any]]:
        """Fill the targets; yield records and the places of the pairs that are left, as NaN, to other routes."""
        with one_thread():
            found = self._pool.map(partial(self._tile, square), places, targets)
            first = self._sides.rows(places[0][0])
            self._sides.packed(first, self._terms)  # while products are taken; what it warns of, it warns here
            yield from found

    def _tile(self, square: bool, place: Any, target: Target) -> tuple[Record, Any]:
        left, right, terms = self._sides.rows(place[0]), self._sides.columns(place[1]), self._terms
        gram = self._gram(left.rows.numpy(), right.rows.numpy())
        packed = self._sides.packed(left, terms), self._sides.packed(right, terms)
        record, scratch = np.zeros(3), np.zeros(loops.SLOTS * loops.LANES)
        where = np.array([target.rows.start, target.columns.start, place[1].stop - place[1].start])
        nothing = np.empty((0, 0), dtype=gram.dtype)
        ck, ntk = (nothing if m is None else m.numpy() for m in target.matrices)
        on_diagonal = square and place[0] == place[1]
        program = _program(self._model, *packed)
        program(gram, on_diagonal, (ck, ntk, where, record, scratch))
        hard = self._left(int(record[0]), gram.size, target, on_diagonal)
        self._reflect(target, on_diagonal)
        return Record(float(record[1]), int(record[2])), hard

    def _gram(self, left: Any, right: Any) -> Any:
        """Return products of samples in strips ``(R, S, LANES)``, filled up with zeros; a thread has one buffer."""
        shape = len(left), -(-len(right) // loops.LANES), loops.LANES
        buffer = getattr(self._buffers, "gram", None)
        if buffer is None or buffer.shape != shape:
            buffer = self._buffers.gram = np.zeros(shape, dtype=left.dtype)
        np.matmul(left, right.T, out=buffer.reshape(len(left), -1)[:, : len(right)])
        return buffer

    def _left(self, count: int, pairs: int, target: Target, on_diagonal: bool) -> torch.Tensor:
        """Return the places of the pairs that are left; many of them make the series longer from now on."""
        self._seen += pairs
        if not count:
            return torch.empty((0, 2), dtype=torch.int64)
        view = next(view for view in target.views if view is not None)
        found = np.argwhere(np.isnan(view.numpy()))
        if on_diagonal:
            found = found[found[:, 0] < found[:, 1]]  # the diagonal and what is below it come otherwise
        self._singled_out += len(found)
        if self._singled_out * self._pairs > _WORTH_LONGER * max(self._seen, self._pairs // 20):
            self._terms = TERMS[-1]
        return torch.from_numpy(found)

    @staticmethod
    def _reflect(target: Target, on_diagonal: bool) -> None:
        rows, columns = target.rows, target.columns
        for matrix in target.matrices:
            if matrix is not None and on_diagonal:
                loops.symmetrize(matrix.numpy(), rows.start, columns.start, rows.stop - rows.start)
            elif matrix is not None and target.mirrored:
                loops.mirror(matrix.numpy(), rows.start, rows.stop, columns.start, columns.stop)


def _program(model: Any, left: Packed, right: Packed) -> Callable[..., None]:
    """Return the compiled loop of the model: a function of Gram matrix, whether its lower half is idle, target."""
    sides = left.rows, right.columns, laws(model.mehlers, left, right)
    if isinstance(model, ImplicitModel):
        variances = np.array([model.deq.sigma_b2, model.deq.sigma_c2])
        constants = model.deq.sigma_a2, variances, np.array(model.tangent)
        return lambda gram, upper, target: loops.implicit(gram, upper, *sides, *constants, *target)
    if isinstance(model, ExplicitModel | ParallelModel):
        branches = model.branches if isinstance(model, ParallelModel) else (model,)
        layers = np.array([layer for branch in branches for layer in branch.rates])
        depths, readout = np.array([branch.mlp.depth for branch in branches]), branches[0].readout
        return lambda gram, upper, target: loops.explicit(gram, upper, *sides, layers, depths, readout, *target)
    raise TypeError(f"no compiled loops for {type(model).__name__}")
