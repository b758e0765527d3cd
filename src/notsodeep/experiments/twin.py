"""The main job: from a DEQ and data to its shallow twin, with the evidence that they are the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from notsodeep.checks import FloatArray, choice, integer
from notsodeep.equivalents import equivalent
from notsodeep.equivalents.coefficients import KERNELS
from notsodeep.experiments.readout import accuracy, fitted_readout, kernel_accuracy
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.kernels.distance import Distance, relative_distance
from notsodeep.matching import Match, match
from notsodeep.matching.fidelity import kernel_pair
from notsodeep.networks import DEQNetwork, ExplicitNetwork
from notsodeep.spec import DEQ

_REPEATS = 3
_LARGEST_SEED = 2**62 - 1
_MOST_ITERATIONS = 200  # of a finite DEQ: one that contracts needs about a dozen


@dataclass(frozen=True)
class TwinConfig:
    """What to match and how to look at it; the data are given apart."""

    deq: DEQ
    kernel: str = "ck"
    trainable: Any = "all"
    family: str = "auto"
    width: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        choice("kernel", self.kernel, KERNELS)
        integer("width", self.width, low=1)
        integer("seed", self.seed, low=0, high=_LARGEST_SEED)


@dataclass(frozen=True)
class Forward:
    """Cost of one forward pass of the hidden layers on the test samples."""

    seconds: float
    """Median of three"""
    products: int
    """Matrix products with a square or input weight matrix"""
    unconverged: int = 0
    """Test samples that did not reach the equilibrium of a DEQ"""


@dataclass(frozen=True)
class TwinResult:
    """Everything that the table, the picture and the files of the main job are made of."""

    config: TwinConfig
    match: Match
    samples: LabelledSamples
    eigenvalues: dict[str, FloatArray] = field(repr=False)
    """Of the training kernels ``deq``, ``equivalent`` and ``network``, ascending"""
    kernels: tuple[FloatArray, FloatArray] = field(repr=False)
    """Exact training kernels of the DEQ and of the network"""
    distance: Distance
    """Network to DEQ"""
    equivalent_distance: Distance
    """Random-matrix equivalent to DEQ"""
    kernel_accuracy: dict[str, float]
    """Test accuracy of kernel ridge regression with the exact kernel of ``deq`` and ``network``"""
    finite_accuracy: dict[str, float | None]
    """Test accuracy of the finite networks, readout fitted by ridge regression; None for a DEQ without equilibrium"""
    forward: dict[str, Forward]
    network: ExplicitNetwork = field(repr=False)
    """The finite shallow network, its readout fitted: column c of its output belongs to class c"""


def run_twin(
    config: TwinConfig,
    samples: LabelledSamples,
    progress: Callable[[str], None] = lambda stage: None,
    found: Match | None = None,
) -> TwinResult:
    """Match, compare the exact kernels on the data, and build the finite networks.

    ``progress`` is told each stage (:data:`STAGES`) before it starts; ``found`` is what :func:`solve` gave, if
    the equations are solved already.

    Raises
    ------
    ValueError
        When an argument is illegal or the DEQ has no stable fixed point.
    ConvergenceError
        When the match or a kernel did not settle.
    """
    progress(STAGES[0])
    found = solve(config) if found is None else found
    progress(STAGES[1])
    X = samples.train.X
    pair = kernel_pair(found, X)
    progress(STAGES[2])
    stand_in = equivalent(config.deq, X, samples.statistics, config.kernel, trainable=config.trainable).dense()
    matrices = {"deq": pair[0], "equivalent": stand_in, "network": pair[1]}
    progress(STAGES[3])
    eigenvalues = {name: np.linalg.eigvalsh(matrix) for name, matrix in matrices.items()}
    progress(STAGES[4])
    across = {name: k.T for name, k in zip(("deq", "network"), kernel_pair(found, X, samples.test.X), strict=True)}
    by_kernel = {name: kernel_accuracy(matrices[name], across[name], samples) for name in across}
    progress(STAGES[5])
    finite_accuracy, forward, network = _finite(config, found, samples)
    return TwinResult(
        config=config,
        match=found,
        samples=samples,
        eigenvalues=eigenvalues,
        kernels=pair,
        distance=relative_distance(*pair),
        equivalent_distance=relative_distance(pair[0], stand_in),
        kernel_accuracy=by_kernel,
        finite_accuracy=finite_accuracy,
        forward=forward,
        network=network,
    )


def solve(config: TwinConfig) -> Match:
    """Return the match that ``config`` asks for."""
    return match(config.deq, config.kernel, config.family, trainable=config.trainable)


STAGES = (
    "solving the equations",
    "exact kernels",
    "random-matrix equivalent",
    "eigenvalues",
    "kernel ridge regression",
    "finite networks",
)
"""What :func:`run_twin` does, in order."""


def _finite(
    config: TwinConfig, found: Match, samples: LabelledSamples
) -> tuple[dict[str, float | None], dict[str, Forward], ExplicitNetwork]:
    """Finite networks of equal width in float32, the precision that networks run in."""
    sizes: dict[str, Any] = {
        "in_features": samples.train.p,
        "width": config.width,
        "out_features": len(samples.train.classes),
    }
    other_seed = config.seed + _LARGEST_SEED + 1  # other weights than the network's, of which it would share some
    deq = DEQNetwork(config.deq, **sizes, seed=other_seed, dtype=torch.float32, max_iter=_MOST_ITERATIONS)
    network = ExplicitNetwork(found.spec, **sizes, seed=config.seed, dtype=torch.float32)
    train, test = (torch.from_numpy(part.X).float() for part in (samples.train, samples.test))
    with torch.no_grad():
        (inside, at_train), (across, at_test) = (deq.solve(X, on_failure="return") for X in (train, test))
        seconds = _seconds(lambda: deq.solve(test, on_failure="return"))
        forward = {
            "deq": Forward(seconds, 1 + at_test.iterations, at_test.unconverged),
            "network": Forward(_seconds(lambda: network.features(test)), found.spec.depth),
        }
        readout = fitted_readout(inside, samples) if at_train.converged and at_test.converged else None
        network.readout.weight.copy_(fitted_readout(network.features(train), samples))
        accuracies = {
            "deq": None if readout is None else accuracy((across @ readout.T).numpy(), samples),
            "network": accuracy(network(test).numpy(), samples),
        }
    return accuracies, forward, network


def _seconds(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
