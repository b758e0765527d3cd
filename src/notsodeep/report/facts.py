"""What reports say beyond the fields of a result: derived from it, and the same everywhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from notsodeep.equivalents import coefficients
from notsodeep.equivalents.coefficients import Coefficients
from notsodeep.errors import StabilityWarning
from notsodeep.experiments.twin import TwinResult
from notsodeep.kernels.scalar import RestPoint, rest_point
from notsodeep.matching import Match
from notsodeep.matching.target import Target, units


@dataclass(frozen=True)
class KernelFacts:
    """The four numbers of one kernel."""

    deq: Coefficients
    network: Coefficients
    differences: tuple[float, ...]
    """Network minus DEQ for each of the four, relative to the DEQ; where its number is 0, to its diagonal"""

    @classmethod
    def of(cls, found: Match, kernel: str) -> KernelFacts:
        """Return those of a match."""
        deq = coefficients(found.deq, kernel, trainable=found.trainable)
        network = coefficients(found.spec, kernel, tau0=found.deq.tau0, trainable=found.network_trainable)
        numbers = np.array(network.numbers) * units(found.deq.tau0)
        differences = Target.of(found.deq, kernel, found.trainable).misses(numbers, numbers)
        return cls(deq, network, tuple(map(float, differences)))


@dataclass(frozen=True)
class Facts:
    """The scalars behind a match."""

    rest: RestPoint
    """Fixed point of the DEQ"""
    kernels: dict[str, KernelFacts]
    """By name: of the kernels that were matched"""

    @classmethod
    def of(cls, result: TwinResult) -> Facts:
        """Return the facts of ``result``; what was warned about when it was made is not repeated."""
        found = result.match
        with _warned_before():
            return cls(rest_point(found.deq), {name: KernelFacts.of(found, name) for name in result.evidence})


@contextmanager
def _warned_before() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        yield
