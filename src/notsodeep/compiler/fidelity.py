"""How well a compiled network stands for its DEQ, and whether theory covers that DEQ at all: on held-out samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from notsodeep.checks import FloatArray
from notsodeep.compiler.subject import Subject
from notsodeep.kernels import api
from notsodeep.kernels.distance import Distance, relative_distance
from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork, memory_bits
from notsodeep.spec import MLP, Parallel, layers_of

MOST = 1000
"""Held-out samples that kernels and times are taken on, at most"""
DRAWS = 3
"""Networks with the same variances that are drawn for comparison"""
FARTHER = 1.5
"""Times the median distance of drawn networks beyond which the kernel of a DEQ is not that of its variances"""
_REPEATS = 3


@dataclass(frozen=True)
class Gap:
    """Relative distances of two kernel matrices."""

    plain: Distance
    centred: Distance
    """Without what is constant in the features: all that a readout with an intercept sees"""

    @classmethod
    def between(cls, A: Any, B: Any) -> Gap:
        """Return how far ``B`` is from ``A``, relative to ``A``."""
        return cls(relative_distance(A, B), relative_distance(_centred(A), _centred(B)))


@dataclass(frozen=True)
class KernelFidelity:
    """Conjugate kernels on n held-out samples."""

    n: int
    exact: Gap
    """At infinite width: of the network to that of the DEQ's variances"""
    own: Gap
    """The DEQ's own kernel, of its states, to that of infinite width with its variances"""
    drawn: tuple[Gap, ...]
    """The same for freshly drawn DEQs of its variances and width, of those that reached their equilibria"""
    network: Gap
    """The compiled network's own kernel, of its features, to the DEQ's own"""
    redrawn: tuple[Gap, ...]
    """Those of the freshly drawn DEQs to the DEQ's own: what other random weights alone make"""

    @property
    def covered(self) -> bool:
        """Whether the DEQ's own kernel is that of its variances about as nearly as those of drawn networks are."""
        drawn = [gap.centred.frobenius for gap in self.drawn]
        return bool(drawn) and self.own.centred.frobenius <= FARTHER * float(np.median(drawn))


@dataclass(frozen=True)
class Predictions:
    """Outputs on all n held-out samples."""

    n: int
    agreement: dict[str, float | None]
    """Share of samples that get the class that the DEQ gives them: by its own readout (``own``), or by one that was
    fitted as the network's was (``refitted``); None where there is none, or it has no column for each class"""
    error: dict[str, float | None]
    """Root mean squared difference of the outputs, relative to the spread of the DEQ's; None where that is 0"""
    accuracy: dict[str, float | None]
    """Share of right classes: of the DEQ (``own``, ``refitted``) and of the ``network``; None without labels"""


@dataclass(frozen=True)
class Cost:
    """One forward pass of up to 1000 samples, and the weights."""

    seconds: float
    """Median of three"""
    products: int
    """Matrix products with hidden weights"""
    memory: int
    """Bits of all weights"""


@dataclass(frozen=True)
class CompiledFidelity:
    """All that was measured."""

    kernel: KernelFidelity
    predictions: Predictions | None
    """None where neither has a readout"""
    cost: dict[str, Cost]
    """Of ``deq`` and ``network``"""
    unconverged: int
    """Held-out samples whose equilibrium was not reached"""


def kernel_fidelity(
    subject: Subject,
    spec: MLP | Parallel,
    states: torch.Tensor,
    features: torch.Tensor,
    X: torch.Tensor,
    seeds: Sequence[int],
) -> KernelFidelity:
    """Compare kernels on samples ``X``, at which ``states`` and ``features`` are those of the DEQ and the network.

    ``seeds`` are those of the DEQs that are drawn for comparison.
    """
    samples = X.double().cpu().numpy()
    exact = api.ck(subject.spec, samples)
    own = _gram(states)
    solved = (_drawn(subject, seed).solve(X, on_failure="return") for seed in seeds)
    drawn = [_gram(states) for states, record in solved if record.converged]
    return KernelFidelity(
        n=len(samples),
        exact=Gap.between(exact, api.ck(spec, samples)),
        own=Gap.between(exact, own),
        drawn=tuple(Gap.between(exact, one) for one in drawn),
        network=Gap.between(own, _gram(features)),
        redrawn=tuple(Gap.between(own, one) for one in drawn),
    )


def predictions(outputs: Mapping[str, torch.Tensor | None], targets: torch.Tensor | None, classes: int) -> Predictions:
    """Compare outputs ``own``, ``refitted`` and ``network``; ``targets`` are places among so many classes, if any."""
    network = outputs["network"]
    if network is None:
        raise ValueError("outputs must have those of the network")
    others = {name: outputs[name] for name in ("own", "refitted")}
    alike = {name: None if one is None or one.shape != network.shape else one for name, one in others.items()}
    several = network.shape[1] > 1

    def right(one: torch.Tensor | None) -> float | None:
        return None if targets is None or one is None or one.shape[1] != classes else _share(one.argmax(1) == targets)

    return Predictions(
        n=len(network),
        agreement={
            name: _share(one.argmax(1) == network.argmax(1)) if several and one is not None else None
            for name, one in alike.items()
        },
        error={name: None if one is None else _relative(one, network) for name, one in alike.items()},
        accuracy={name: right(one) for name, one in outputs.items()},
    )


def costs(subject: Subject, network: ExplicitNetwork | ParallelNetwork, X: torch.Tensor) -> dict[str, Cost]:
    """Time both on the samples ``X``."""
    with torch.no_grad():
        _, record = subject.net.solve(X, on_failure="return")
        seconds = _seconds(lambda: subject.net.readout(subject.net.solve(X, on_failure="return")[0]))
        found = Cost(seconds, 1 + record.iterations, memory_bits(subject.net).total.floats)
        other = Cost(_seconds(lambda: network(X)), len(layers_of(network.spec)), memory_bits(network).total.floats)
    return {"deq": found, "network": other}


def _drawn(subject: Subject, seed: int) -> DEQNetwork:
    net, like = subject.net, subject.like
    drawn = DEQNetwork(
        subject.spec,
        net.in_features,
        net.width,
        seed=seed,
        dtype=like.dtype,
        tol=net.tol,
        max_iter=net.max_iter,
        solver=net.solver,
    )
    return drawn.to(like.device)


def _gram(features: torch.Tensor) -> FloatArray:
    wide = features.detach().double()
    return (wide @ wide.T).cpu().numpy()


def _centred(kernel: Any) -> FloatArray:
    rows = np.asarray(kernel) - np.mean(kernel, axis=0)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def _share(right: torch.Tensor) -> float:
    return float(right.double().mean())


def _relative(reference: torch.Tensor, other: torch.Tensor) -> float | None:
    spread = float((reference - reference.mean(dim=0)).double().norm())
    return float((other - reference).double().norm()) / spread if spread > 0.0 else None


def _seconds(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        float(call().sum())  # waits for the device
        times.append(time.perf_counter() - start)
    return float(np.median(times))
