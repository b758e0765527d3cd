"""Tiles by compiled loops on the CPU: pack their sides, choose the lengths of the series, share the rows out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from notsodeep.activations.duals.series import TOLERANCE, UNKNOWN, Mehler
from notsodeep.activations.forms import PiecewiseLinear
from notsodeep.checks import FloatArray
from notsodeep.kernels import loops
from notsodeep.kernels.explicit import ExplicitModel
from notsodeep.kernels.implicit import ImplicitModel
from notsodeep.kernels.model import Record
from notsodeep.kernels.target import Target

TERMS = (128, 384)
"""Lengths of the series: the second one where the first leaves too many pairs."""
_PER_BLOCK = 2 * loops.BLOCK  # terms of a block of even and a block of odd coefficients
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
    found = []
    for layer, mehler in enumerate(mehlers):
        values, slopes = (
            np.sqrt(a[layer] * b[layer]) for a, b in ((left.values, right.values), (left.slopes, right.slopes))
        )
        grid, powers = _powers(len(values) - 1)
        remainder = np.maximum(_remainders(values, powers), _remainders(slopes, _lowered(powers, 1)))
        reach, rough = (_reach(grid, remainder, tolerance) for tolerance in (TOLERANCE, _ROUGH))
        k = np.arange(len(values) - 1)
        fourth = np.interp(reach, grid, _lowered(powers, 4) @ ((k - 1) * (k - 2) * (k - 3) * slopes[:-1]))
        slack = np.cbrt(6.0 * _FINISH / np.maximum(fourth, 1e-3))
        nonzero = [np.flatnonzero(values[parity:-1:2]).max(initial=-1) + 1 for parity in (0, 1)]
        blocks = -(-np.array(nonzero) // loops.BLOCK)
        found.append((blocks, reach, rough, slack, _arc(mehler)))
    return loops.Laws(*(np.stack(column) for column in zip(*found, strict=True)))


@lru_cache(maxsize=8)
def _powers(terms: int) -> tuple[FloatArray, FloatArray]:
    """Return correlations from 0 to nearly 1, and their powers."""
    grid = 1.0 - np.geomspace(1.0, 5e-4, 160)
    return grid, grid[:, None] ** np.arange(terms)


def _lowered(powers: FloatArray, by: int) -> FloatArray:
    """Return ``r^(k - by)``, and 0 where ``k < by``: the powers of a derivative."""
    return np.pad(powers[:, :-by], ((0, 0), (by, 0)))


def _remainders(shares: FloatArray, powers: FloatArray) -> FloatArray:
    """Return what is left out after each number of blocks (from 0), for each correlation."""
    blocks = (powers * shares[:-1]).reshape(len(powers), -1, _PER_BLOCK).sum(axis=2)
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
    """Runs the loops of one model in threads."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._workers = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._workers)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def evaluate(self, left: Packed, right: Packed, gram: torch.Tensor, target: Target) -> tuple[int, Record]:
        """Fill the target with the kernels of a tile.

        Returns the number of pairs that were left, as NaN, to other routes, and the record of the others.
        """
        program, padded = _program(self._model, left, right), _padded(gram, right)
        place = np.array([target.rows.start, target.columns.start, gram.shape[1]])
        nothing = np.empty((0, 0), dtype=padded.dtype)
        ck, ntk = (nothing if m is None else m.numpy() for m in (target.ck, target.ntk))

        def run(start: int, stop: int) -> FloatArray:
            record, scratch = np.zeros(3), np.zeros(loops.SLOTS * loops.LANES)
            program(padded, start, stop, (ck, ntk, place, record, scratch))
            return record

        found = np.array(self._share(len(gram), run))
        return int(found[:, 0].sum()), Record(float(found[:, 1].max()), int(found[:, 2].max()))

    def mirror(self, matrix: torch.Tensor, rows: slice, columns: slice) -> None:
        """Copy a tile above the diagonal to its place below."""
        array = matrix.numpy()
        self._share(
            rows.stop - rows.start,
            lambda a, b: loops.mirror(array, rows.start + a, rows.start + b, columns.start, columns.stop),
        )

    def _share(self, n: int, run: Callable[[int, int], Any]) -> list[Any]:
        """Return what ``run(start, stop)`` gives for parts of ``range(n)``, one a thread."""
        bounds = [round(n * k / self._workers) for k in range(self._workers + 1)]
        jobs = [self._pool.submit(run, a, b) for a, b in pairwise(bounds)]
        return [job.result() for job in jobs]


def _padded(gram: torch.Tensor, right: Packed) -> Any:
    """Return the Gram matrix in strips, filled up with zeros."""
    array, strips = gram.numpy(), right.columns.scales.shape[1]
    missing = strips * loops.LANES - array.shape[1]
    return (np.pad(array, ((0, 0), (0, missing))) if missing else array).reshape(len(array), strips, loops.LANES)


def _program(model: Any, left: Packed, right: Packed) -> Callable[..., None]:
    """Return the compiled loop with what it knows of the model: a function of Gram matrix, rows and target."""
    sides = left.rows, right.columns, laws(model.mehlers, left, right)
    if isinstance(model, ImplicitModel):
        variances = np.array([model.deq.sigma_b2, model.deq.sigma_c2])
        constants = model.deq.sigma_a2, variances, np.array(model.tangent)
        return lambda gram, start, stop, target: loops.implicit(gram, start, stop, *sides, *constants, *target)
    if isinstance(model, ExplicitModel):
        rates, readout = np.array(model.rates), model.readout
        return lambda gram, start, stop, target: loops.explicit(gram, start, stop, *sides, rates, readout, *target)
    raise TypeError(f"no compiled loops for {type(model).__name__}")
