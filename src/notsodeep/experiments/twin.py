"""The main job: from a DEQ and data to its shallow twin, with the evidence that they are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from notsodeep.checks import choice, integer
from notsodeep.equivalents import coefficients
from notsodeep.experiments import evidence
from notsodeep.experiments.evidence import Evidence, compare
from notsodeep.experiments.finite import LARGEST_SEED, Finite, finite_networks
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.kernels.distance import Distance
from notsodeep.matching import Match, match
from notsodeep.matching.match import check_family
from notsodeep.matching.target import KERNELS
from notsodeep.networks.explicit import WEIGHTS, checked_sparsity
from notsodeep.spec import DEQ, trainable_weights

STAGES = ("solving the equations", *evidence.STAGES, "finite networks")
"""What :func:`run_twin` does, in order."""
_MOST_BRANCHES = 2


@dataclass(frozen=True)
class TwinConfig:
    """What to match and how to look at it; the data are given apart."""

    deq: DEQ
    kernel: str = "ck"
    trainable: Any = "all"
    family: str = "auto"
    max_depth: int = 2
    error: float | None = None
    width: int = 1024
    weights: str = "gaussian"
    sparsity: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        choice("kernel", self.kernel, KERNELS)
        integer("max_depth", self.max_depth, low=1, high=3)
        integer("width", self.width, low=_MOST_BRANCHES if self.kernel == "both" else 1)
        integer("seed", self.seed, low=0, high=LARGEST_SEED)
        choice("weights", self.weights, WEIGHTS)
        check_family(self.family, self.kernel, trainable_weights(self.deq, self.trainable), self.error)
        checked_sparsity(self.weights, self.sparsity)


@dataclass(frozen=True)
class TwinResult:
    """Everything that the tables, the picture and the files of the main job are made of."""

    config: TwinConfig
    match: Match
    samples: LabelledSamples
    evidence: dict[str, Evidence]
    """Of the exact kernels: ``ck``, ``ntk`` or both"""
    finite: Finite
    """Of networks of finite width"""

    @property
    def distance(self) -> Distance:
        """Network to DEQ; of two kernels the larger distances."""
        each = [evidence.distance for evidence in self.evidence.values()]
        return Distance(max(one.spectral for one in each), max(one.frobenius for one in each))


def check_model(config: TwinConfig) -> None:
    """Raise ``ValueError`` for a DEQ that cannot be matched, whatever the data; quick."""
    for kernel in ("ck", "ntk") if config.kernel == "both" else (config.kernel,):
        coefficients(config.deq, kernel, trainable=config.trainable)


def run_twin(
    config: TwinConfig, samples: LabelledSamples, progress: Callable[[str], None] = lambda stage: None
) -> TwinResult:
    """Match a DEQ for the data, compare the exact kernels on them, and build the finite networks.

    ``progress`` is told each stage (:data:`STAGES`) before it starts.

    Raises
    ------
    ValueError
        When an argument is illegal or the DEQ has no stable fixed point.
    ConvergenceError
        When the match or a kernel did not settle.
    """
    progress(STAGES[0])
    found = match(
        config.deq,
        config.kernel,
        config.family,
        config.max_depth,
        config.trainable,
        stats=samples.statistics,
        error=config.error,
    )
    compared = compare(found, samples, progress)
    progress(STAGES[-1])
    options = {"weights": config.weights, "sparsity": config.sparsity}
    finite = finite_networks(config.deq, found.spec, samples, config.width, config.seed, **options)
    return TwinResult(config, found, samples, compared, finite)
