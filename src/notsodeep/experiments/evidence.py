"""How the exact kernels of a DEQ and of its network compare on data: spectra, distances, predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.equivalents import equivalent
from notsodeep.experiments.readout import kernel_accuracy
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.kernels.distance import Distance, relative_distance
from notsodeep.matching import Match
from notsodeep.matching.fidelity import kernel_pairs

STAGES = ("exact kernels", "random-matrix equivalent", "eigenvalues", "kernel ridge regression")
"""What :func:`compare` does, in order."""


@dataclass(frozen=True)
class Evidence:
    """One exact kernel of a DEQ and of its network, on training and test samples."""

    kernels: tuple[FloatArray, FloatArray] = field(repr=False)
    """Training kernels of the DEQ and of the network"""
    eigenvalues: dict[str, FloatArray] = field(repr=False)
    """Of the training kernels ``deq``, ``equivalent`` and ``network``, ascending"""
    distance: Distance
    """Network to DEQ"""
    equivalent_distance: Distance
    """Random-matrix equivalent to DEQ"""
    accuracy: dict[str, float]
    """Test accuracy of kernel ridge regression with the kernel of ``deq`` and ``network``"""


def compare(found: Match, samples: LabelledSamples, progress: Callable[[str], None]) -> dict[str, Evidence]:
    """Return the evidence for each kernel that was matched, by its name; ``progress`` is told each stage."""
    X = samples.train.X
    progress(STAGES[0])
    inside = kernel_pairs(found, X)
    progress(STAGES[1])
    stand_ins = {
        name: equivalent(found.deq, X, samples.statistics, name, trainable=found.trainable).dense() for name in inside
    }
    progress(STAGES[2])
    eigenvalues = {name: _eigenvalues(*pair, stand_ins[name]) for name, pair in inside.items()}
    progress(STAGES[3])
    across = kernel_pairs(found, X, samples.test.X)
    return {
        name: Evidence(
            kernels=pair,
            eigenvalues=eigenvalues[name],
            distance=relative_distance(*pair),
            equivalent_distance=relative_distance(pair[0], stand_ins[name]),
            accuracy={
                model: kernel_accuracy(own, to_test.T, samples)
                for model, own, to_test in zip(("deq", "network"), pair, across[name], strict=True)
            },
        )
        for name, pair in inside.items()
    }


def _eigenvalues(deq: Any, network: Any, stand_in: Any) -> dict[str, FloatArray]:
    matrices = {"deq": deq, "equivalent": stand_in, "network": network}
    return {name: np.linalg.eigvalsh(matrix) for name, matrix in matrices.items()}
