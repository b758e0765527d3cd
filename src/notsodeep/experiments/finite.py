"""A finite DEQ and a finite network on data: accuracy, cost and memory at equal width."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from notsodeep.experiments.readout import accuracy, fitted_readout
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork, memory_bits
from notsodeep.networks.memory import Bits
from notsodeep.spec import DEQ, MLP, Parallel, layers_of

LARGEST_SEED = 2**62 - 1
_REPEATS = 3
_MOST_ITERATIONS = 200  # of a finite DEQ: one that contracts needs about a dozen


@dataclass(frozen=True)
class Forward:
    """Cost of one forward pass of the hidden layers on the test samples."""

    seconds: float
    """Median of three"""
    products: int
    """Matrix products with the weights of a hidden layer"""
    unconverged: int = 0
    """Test samples that did not reach the equilibrium of a DEQ"""


@dataclass(frozen=True)
class Finite:
    """Finite networks of equal width in float32, the precision that networks run in."""

    accuracy: dict[str, float | None]
    """Test accuracy of ``deq`` and ``network``, readout fitted by ridge regression; None without equilibrium"""
    forward: dict[str, Forward]
    memory: dict[str, Bits]
    """Bits of the weights of the hidden layers"""
    network: ExplicitNetwork | ParallelNetwork = field(repr=False)
    """The shallow network, its readout fitted: column c of its output belongs to class c"""


def finite_networks(
    deq: DEQ, spec: MLP | Parallel, samples: LabelledSamples, width: int, seed: int, **options: Any
) -> Finite:
    """Draw both networks from ``seed``, fit their readouts and time them; ``options`` are of the shallow one."""
    sizes: dict[str, Any] = {"in_features": samples.train.p, "width": width, "out_features": len(samples.train.classes)}
    other_seed = seed + LARGEST_SEED + 1  # other weights than the network's, of which it would share some
    model = DEQNetwork(deq, **sizes, seed=other_seed, dtype=torch.float32, max_iter=_MOST_ITERATIONS)
    network = spec.to_torch(**sizes, seed=seed, **options).float()
    train, test = (torch.from_numpy(part.X).float() for part in (samples.train, samples.test))
    with torch.no_grad():
        (inside, at_train), (across, at_test) = (model.solve(X, on_failure="return") for X in (train, test))
        seconds = _seconds(lambda: model.solve(test, on_failure="return"))
        forward = {
            "deq": Forward(seconds, 1 + at_test.iterations, at_test.unconverged),
            "network": Forward(_seconds(lambda: network.features(test)), len(layers_of(spec))),
        }
        readout = fitted_readout(inside, samples) if at_train.converged and at_test.converged else None
        network.readout.weight.copy_(fitted_readout(network.features(train), samples))
        accuracies = {
            "deq": None if readout is None else accuracy((across @ readout.T).numpy(), samples),
            "network": accuracy(network(test).numpy(), samples),
        }
    memory = {name: memory_bits(net).hidden for name, net in (("deq", model), ("network", network))}
    return Finite(accuracies, forward, memory, network)


def _seconds(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
