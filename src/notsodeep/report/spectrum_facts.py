"""What a report of a spectrum says beyond the fields of its result: which eigenvalues lie in which stretch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.experiments.spectrum import IsolatedPair, SpectrumResult


class Stretch(NamedTuple):
    """A part of the predicted bulk: an interval and the atoms in it, or an atom apart from all intervals."""

    low: float
    high: float
    predicted: float
    """Share of all eigenvalues that is predicted here"""
    found: float
    """Share of all eigenvalues that are here or nearer to here than to another stretch, without isolated ones"""


@dataclass(frozen=True)
class SpectrumFacts:
    """The eigenvalues of a result in groups."""

    apart: NDArray[np.bool_]
    """Whether each exact eigenvalue is one of the isolated ones"""
    bulk: FloatArray
    """The exact eigenvalues that are not"""
    stretches: tuple[Stretch, ...]
    paired: tuple[IsolatedPair, ...]
    """Isolated eigenvalues that are predicted and found"""
    missed: tuple[IsolatedPair, ...]
    """Those found alone"""
    absent: tuple[IsolatedPair, ...]
    """Those predicted alone"""

    @classmethod
    def of(cls, result: SpectrumResult) -> SpectrumFacts:
        """Return the facts of ``result``."""
        apart = _apart(result)
        bulk = result.eigenvalues[~apart]
        pairs = result.isolated
        return cls(
            apart=apart,
            bulk=bulk,
            stretches=_stretches(result, bulk),
            paired=tuple(pair for pair in pairs if pair.error is not None),
            missed=tuple(pair for pair in pairs if pair.predicted is None),
            absent=tuple(pair for pair in pairs if pair.found is None),
        )


def _apart(result: SpectrumResult) -> NDArray[np.bool_]:
    apart = np.zeros(len(result.eigenvalues), dtype=bool)
    for pair in result.isolated:
        if pair.found is not None:
            apart[np.abs(result.eigenvalues - pair.found).argmin()] = True
    return apart


def _stretches(result: SpectrumResult, bulk: FloatArray) -> tuple[Stretch, ...]:
    law, n = result.prediction.bulk, len(result.eigenvalues)
    alone = [(x, x) for x, _ in law.atoms if not any(low <= x <= high for low, high in law.intervals)]
    ends = sorted([*law.intervals, *alone])
    cuts = [0.5 * (left[1] + right[0]) for left, right in pairwise(ends)]
    below = np.concatenate(([0.0], law.cdf(np.array(cuts)), [1.0]))
    counted = np.concatenate(([0], np.searchsorted(bulk, cuts), [len(bulk)]))
    shares = zip(np.diff(below).tolist(), (np.diff(counted) / n).tolist(), strict=True)
    return tuple(Stretch(*interval, *share) for interval, share in zip(ends, shares, strict=True))
