"""What reports say beyond the fields of a result: derived from it, and the same everywhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from notsodeep.equivalents.coefficients import Coefficients
from notsodeep.errors import StabilityWarning
from notsodeep.experiments.twin import TwinResult
from notsodeep.kernels.scalar import RestPoint, rest_point
from notsodeep.matching.target import Target

NAMES = {"ck": ("alpha1", "alpha2", "alpha3", "gamma2"), "ntk": ("beta1", "beta2", "beta3", "kappa2")}
"""The four numbers that a kernel depends on, in the order of ``Coefficients.numbers``"""


@dataclass(frozen=True)
class Facts:
    """The scalars behind a match."""

    rest: RestPoint
    """Fixed point of the DEQ"""
    deq: Coefficients
    network: Coefficients
    differences: tuple[float, ...]
    """Network minus DEQ for each of the four numbers, relative to the DEQ; where its number is 0, to its diagonal"""

    @classmethod
    def of(cls, result: TwinResult) -> Facts:
        """Return the facts of ``result``; what was warned about when it was made is not repeated."""
        found = result.match
        with _warned_before():
            target = Target.of(found.deq, found.kernel, found.trainable)
            deq, network = found.target, found.achieved
            rest = rest_point(found.deq)
        differences = tuple(map(float, target.residuals(network.numbers)))
        return cls(rest, deq, network, differences)


@contextmanager
def _warned_before() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        yield
