"""Cost of the forward pass of a finite DEQ and of its explicit twin, at equal width and at equal accuracy."""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from notsodeep.experiments.finite import LARGEST_SEED
from notsodeep.experiments.readout import accuracy, fitted_readout
from notsodeep.experiments.reproduction.measuring import interleaved, median_ratio, peak
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.experiments.samples import LabelledSamples, load_samples
from notsodeep.matching import match
from notsodeep.networks import DEQNetwork, ExplicitNetwork, memory_bits
from notsodeep.networks.solvers import SolveRecord
from notsodeep.spec import DEQ, MLP

LADDER = tuple(2.0 ** (step / 4) for step in range(-2, 3))
"""Widths of twins whose accuracies are measured, over the width of the DEQ"""
MEASURED = ("products", "flops", "iterations", "tolerance", "weights", "seconds", "ratio")
LOOSE = "deq, loose"
"""Role of the DEQ whose states are computed to :data:`LOOSE_TOLERANCE` only, as in the study of accuracies"""
LOOSE_TOLERANCE = 1e-2
_APART = 1000  # between the seeds of the twins of two draws
_FURTHEST = 4.0  # times wider or narrower than the DEQ: the line through the ladder is followed no further
_MIB = 8 * 2**20

Network: TypeAlias = DEQNetwork | ExplicitNetwork


@dataclass(frozen=True)
class CostConfig(Config):
    """Which networks are timed; a seed draws the samples and the weights."""

    activations: tuple[str, ...]
    widths: tuple[int, ...]
    """Of the DEQs"""
    n: int
    """Training samples of the readouts"""
    n_test: int
    batch: int = 512
    """Samples of a forward pass that is timed"""
    rounds: int = 7
    """In each of which every network runs once"""
    widest: int = 1024
    """The widest DEQ that a twin of equal accuracy is looked for"""
    sigma_a2: float = 0.2
    sigma_b2: float = 0.8


FULL = CostConfig(
    seeds=3, datasets=("mnist",), activations=("relu", "tanh"), widths=(256, 1024, 4096), n=8000, n_test=4000
)
QUICK = CostConfig(
    seeds=1, datasets=("digits",), activations=("relu",), widths=(64,), n=800, n_test=400, batch=256, widest=64
)


def units(config: CostConfig) -> list[Unit]:
    """Return a unit for each DEQ."""
    return [
        Unit(
            {
                "dataset": dataset,
                "n": config.n,
                "n_test": config.n_test,
                "seed": seed,
                "activation": activation,
                "sigma_a2": config.sigma_a2,
                "sigma_b2": config.sigma_b2,
                "deq_width": width,
                "batch": config.batch,
                "rounds": config.rounds,
                "equal_accuracy": width <= config.widest,
            },
            work=_work(config, width),
        )
        for dataset, width, activation, seed in product(
            config.datasets, config.widths, config.activations, range(config.seeds)
        )
    ]


def _work(config: CostConfig, width: int) -> float:
    """Loading and fresh processes; a pass of every round; those of the DEQ and of the ladder for the readouts."""
    readouts = 4.0 * (config.n + config.n_test) if width <= config.widest else 0.0
    return 10.0 + 3e-10 * (config.batch * (1 + config.rounds) + readouts) * width**2


def run(unit: Unit, data_dir: Path | None) -> list[Row]:
    """Return a row for each network: the DEQ, its twin of equal width, that of equal accuracy, and those of the ladder.

    All in float32. The DEQ is there twice: at the default tolerance of the states, and at :data:`LOOSE_TOLERANCE`.
    ``seconds`` (of a forward pass of the hidden layers on a batch of training samples, the median of interleaved
    rounds), ``ratio`` (of the DEQ's time to it, the median over rounds) and ``peak`` (MiB of resident memory in a fresh
    process, beyond weights and samples) are measured, and **differ from run to run**; all else is the same whenever it
    is called, but for rounding. ``products`` are those with the weights of a hidden layer, ``flops`` two for each
    multiplication in them, without activations, for the rows of the batch that are still iterated. ``accuracy`` is
    that of a readout by ridge regression on ``n`` samples.

    The width of equal accuracy is where the straight line through the accuracies of the ladder, in the logarithm of the
    width, reaches the accuracy of the DEQ; at most four times the DEQ's either way.
    """
    at: dict[str, Any] = dict(unit.at)
    samples = load_samples(at["dataset"], n=at["n"], n_test=at["n_test"], seed=at["seed"], data_dir=data_dir)
    p, width, seed = samples.train.p, at["deq_width"], at["seed"]
    networks = {role: draw(at, role, p, width) for role in ("deq", LOOSE, "equal width")}
    right: dict[str, float | None] = dict.fromkeys(networks)
    ladder: dict[int, float] = {}
    if at["equal_accuracy"]:
        right |= {role: readout_accuracy(network, samples) for role, network in networks.items()}
        other = at | {"seed": (1 + seed) * _APART}
        for rung, factor in enumerate(LADDER):
            twin = draw(other | {"seed": other["seed"] + rung}, "ladder", p, round(factor * width))
            ladder[twin.width] = readout_accuracy(twin, samples)
        equal = equal_width(ladder, right["deq"] or 0.0, width)
        networks["equal accuracy"] = draw(other | {"seed": other["seed"] + len(LADDER)}, "equal accuracy", p, equal)
        right["equal accuracy"] = readout_accuracy(networks["equal accuracy"], samples)
    X = torch.from_numpy(samples.train.X[: at["batch"]]).float()
    measured = _measured(networks, X, at["rounds"])
    peaks = _peaks([at | {"role": role, "p": p, "width": network.width} for role, network in networks.items()])
    rows: list[Row] = [
        at | {"role": role, "width": network.width, "accuracy": right[role]} | measured[role] | {"peak": top}
        for (role, network), top in zip(networks.items(), peaks, strict=True)
    ]
    for wide, share in ladder.items():
        rows.append(at | {"role": "ladder", "width": wide, "accuracy": share} | dict.fromkeys((*MEASURED, "peak")))
    return rows


def draw(at: Mapping[str, Any], role: str, p: int, width: int) -> Network:
    """Return the DEQ of a unit for the roles of one, else its twin, with ``p`` inputs, in float32."""
    spec = DEQ(at["activation"], at["sigma_a2"], at["sigma_b2"])
    if role in ("deq", LOOSE):  # other weights than a twin's, of which it would share some
        tol = LOOSE_TOLERANCE if role == LOOSE else None
        return DEQNetwork(spec, p, width, seed=at["seed"] + LARGEST_SEED + 1, dtype=torch.float32, tol=tol)
    twin: MLP = match(spec).spec  # type: ignore[assignment]  # one kernel makes no parallel branches
    return ExplicitNetwork(twin, p, width, seed=at["seed"], dtype=torch.float32)


@torch.no_grad()
def readout_accuracy(network: Network, samples: LabelledSamples) -> float:
    """Return the test accuracy of a network with a readout by ridge regression, in its own precision and place."""
    weight = next(network.parameters())
    train, test = (network.features(torch.as_tensor(part.X).to(weight)) for part in (samples.train, samples.test))
    readout = fitted_readout(train, samples).to(weight)
    return accuracy((test @ readout.T).cpu().numpy(), samples)


def equal_width(ladder: Mapping[int, float], wanted: float, width: int) -> int:
    """Return where the line through accuracies by the logarithm of the width reaches ``wanted``, near ``width``.

    At most four times further either way; where wider networks are no better, ``width`` itself.

    Examples
    --------
    >>> equal_width({50: 0.80, 100: 0.82, 200: 0.84}, 0.84, width=100)
    200
    """
    steps = [math.log2(wide / width) for wide in ladder]
    slope, middle = np.polyfit(steps, list(ladder.values()), 1)
    step = (wanted - middle) / slope if slope > 0.0 else 0.0
    return round(width * float(np.clip(2.0**step, 1.0 / _FURTHEST, _FURTHEST)))


@torch.no_grad()
def _measured(networks: Mapping[str, Network], X: torch.Tensor, rounds: int) -> dict[str, dict[str, Value]]:
    times = interleaved({role: _call(network, X) for role, network in networks.items()}, rounds)
    return {
        role: {
            **_operations(network, X),
            "weights": memory_bits(network).hidden.floats / _MIB,
            "seconds": statistics.median(times[role]),
            "ratio": median_ratio(times["deq"], times[role]),
        }
        for role, network in networks.items()
    }


def _call(network: Network, X: torch.Tensor) -> Callable[[], Any]:
    return lambda: network.features(X)


def _operations(network: Network, X: torch.Tensor) -> dict[str, Value]:
    if isinstance(network, DEQNetwork):
        record = network.solve(X)[1]
        flops = 2 * network.width * (len(X) * network.in_features + network.width * sum(batches(record)))
        state: dict[str, Value] = {"iterations": record.iterations, "tolerance": record.tolerance}
        return {"products": 1 + record.iterations, "flops": flops} | state
    inputs = [network.in_features] + [network.width] * (network.spec.depth - 1)
    flops = 2 * len(X) * network.width * sum(inputs)
    return {"products": network.spec.depth, "flops": flops, "iterations": None, "tolerance": None}


def batches(record: SolveRecord) -> list[int]:
    """Return how many samples each of the iterations of plain iteration was applied to.

    Samples that are done leave the batch when they are half of it.
    """
    steps = record.steps.cpu()
    sizes, rows = [], len(steps)
    for step in range(1, record.iterations + 1):
        sizes.append(rows)
        left = int((steps > step).sum())
        rows = left if 2 * left <= rows else rows
    return sizes


def _peaks(probes: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Return the peak of memory of a forward pass of each network, in MiB; None where the system does not tell."""
    if sys.platform != "linux":
        return [None] * len(probes)
    given = json.dumps({"threads": torch.get_num_threads(), "probes": [dict(probe) for probe in probes]})
    command = [sys.executable, "-c", f"from {__name__} import write_peaks; write_peaks()"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: list[float | None] = json.loads(done.stdout)
    return found


def write_peaks() -> None:
    """Read networks from the standard input, and write the peaks of their forward passes to the standard output.

    This process is fresh, and each pass runs in a copy of it, so that none finds memory that another has freed.
    """
    given = json.load(sys.stdin)
    torch.set_num_threads(given["threads"])
    context, found = multiprocessing.get_context("fork"), []
    for probe in given["probes"]:
        queue = context.SimpleQueue()
        process = context.Process(target=_put_peak, args=(probe, queue))
        process.start()
        process.join()
        found.append(queue.get() if process.exitcode == 0 else None)
    json.dump(found, sys.stdout)


@torch.no_grad()
def _put_peak(probe: Mapping[str, Any], queue: Any) -> None:
    network = draw(probe, probe["role"], probe["p"], probe["width"])
    X = np.random.default_rng(0).standard_normal((probe["batch"], probe["p"])) / math.sqrt(probe["p"])
    batch = torch.from_numpy(X).float()
    network.features(batch[:1])  # what is set up once
    queue.put(peak(_call(network, batch)))


STUDY = Study(
    name="cost",
    title="Cost of a forward pass",
    question="How much time, memory and arithmetic does a DEQ take, against its explicit twin of the same width, and "
    "against a twin just wide enough for the same accuracy?",
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
    alone=True,
)
