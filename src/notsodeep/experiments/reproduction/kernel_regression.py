"""Ridge regression with the exact kernels of DEQs, and with those of the networks matched to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from notsodeep.checks import FloatArray
from notsodeep.experiments.centred import centred_mlp
from notsodeep.experiments.readout import accuracy, targets
from notsodeep.experiments.reproduction.kernels import CK, NTK, exact_kernel, matched
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.experiments.samples import LabelledSamples, load_samples
from notsodeep.networks import fit_ridge
from notsodeep.networks.ridge import RIDGE
from notsodeep.spec import DEQ, MLP, Parallel

MODELS = ("deq", "twin", "plain", "linear")
"""The DEQ; the network matched to this kernel of it; as many centred layers of its own activation; no network at all"""
_NAMES = {"ck": CK, "ntk": NTK}


@dataclass(frozen=True)
class KernelRegressionConfig(Config):
    """Which kernels regress on how many samples."""

    activations: tuple[str, ...]
    sizes: tuple[int, ...]
    """Training samples; with one seed, the smaller sets are parts of the larger ones"""
    n_test: int
    ridges: tuple[float, ...] = (RIDGE, 1e-5, 1e-1)
    """Relative to the mean diagonal of the training samples' kernel; only the first seed has more than the first one"""
    kernels: tuple[str, ...] = ("ck", "ntk")
    """The neural tangent kernel trains all weights"""
    heavy: int = 5000
    """Sets that are larger are drawn once, and regressed on with the first ridge alone"""
    sigma_a2: float = 0.2
    sigma_b2: float = 0.8


FULL = KernelRegressionConfig(
    seeds=3,
    datasets=("mnist", "fashion_mnist", "cifar10_features"),
    activations=("relu", "tanh", "silu"),
    sizes=(500, 1000, 2000, 5000, 10_000),
    n_test=2000,
)
QUICK = KernelRegressionConfig(
    seeds=2, datasets=("gmm", "digits"), activations=("relu", "tanh"), sizes=(100, 300), n_test=200, heavy=100
)


def units(config: KernelRegressionConfig) -> list[Unit]:
    """Return a unit for each kernel of each DEQ on each draw; those of one draw, loaded once, follow one another."""
    found: list[Unit] = []
    for dataset, n in product(config.datasets, config.sizes):
        heavy = n > config.heavy
        for seed in range(1 if heavy else config.seeds):
            ridges = config.ridges[: 1 if heavy or seed else None]
            draw: dict[str, Value] = {"dataset": dataset, "n": n, "n_test": config.n_test, "seed": seed}
            for activation, kernel in product(config.activations, config.kernels):
                model: dict[str, Value] = {
                    "activation": activation,
                    "sigma_a2": config.sigma_a2,
                    "sigma_b2": config.sigma_b2,
                }
                at: dict[str, Value] = {**draw, **model, "kernel": kernel, "ridges": " ".join(map(repr, ridges))}
                found.append(Unit(at, _work(n, config.n_test, len(ridges))))
    return found


def _work(n: int, n_test: int, ridges: int) -> float:
    """Loading and matching; of three kernels, the entries (twice as dear off the training samples) and Cholesky."""
    return 1.0 + 3.0 * (8e-8 * n * (n + 2 * n_test) + 5e-12 * ridges * n**3)


def run(unit: Unit, data_dir: Path | None) -> list[Row]:
    """Return a row for each ridge and model.

    ``accuracy`` is the share of test samples whose largest score is that of their class. The others compare with the
    DEQ: ``agreement``, the share of test samples of the same predicted class; ``scores``, the relative difference
    ``|S - S_deq| / |S_deq|`` of the scores ``S (n_test, classes)``; ``distance``, that of the kernels of test with
    training samples, each divided by the mean diagonal of its training part, to which the ridge is relative. Norms are
    Frobenius ones.
    """
    at: dict[str, Any] = dict(unit.at)
    ridges = [float(ridge) for ridge in at.pop("ridges").split()]
    samples = _samples(at["dataset"], at["n"], at["n_test"], at["seed"], data_dir)
    deq = DEQ(at["activation"], at["sigma_a2"], at["sigma_b2"])
    rows: list[Row] = []
    reference: Prediction | None = None
    for model in MODELS:
        found = _prediction(model, deq, at["kernel"], samples, ridges)
        reference = found if reference is None else reference
        distance = _apart(found.across, reference.across)
        for ridge, scores in found.scores.items():
            wanted = reference.scores[ridge]
            compared = {
                "accuracy": accuracy(scores, samples),
                "agreement": float((scores.argmax(axis=1) == wanted.argmax(axis=1)).mean()),
                "scores": _apart(scores, wanted),
                "distance": distance,
            }
            rows.append(at | {"ridge": ridge, "model": model} | compared)
    return rows


@lru_cache(maxsize=1)
def _samples(name: str, n: int, n_test: int, seed: int, data_dir: Path | None) -> LabelledSamples:
    return load_samples(name, n=n, n_test=n_test, seed=seed, data_dir=data_dir)


class Prediction(NamedTuple):
    """What regression with one kernel gives."""

    across: FloatArray
    """Kernel of test with training samples ``(n_test, n)``, over the mean diagonal of the training part"""
    scores: Mapping[float, FloatArray]
    """By ridge: of the test samples ``(n_test, classes)``"""


def _prediction(model: str, deq: DEQ, kernel: str, samples: LabelledSamples, ridges: Sequence[float]) -> Prediction:
    train, test = samples.train.X, samples.test.X
    if model == "linear":
        return _linear(train, test, targets(samples), ridges)
    inside, across = _kernels(model, deq, _NAMES[kernel], train, test)
    scale = float(inside.diagonal().mean())
    inside /= scale
    across /= scale
    return Prediction(across, kernel_scores(inside, across, targets(samples), ridges))


def _linear(train: FloatArray, test: FloatArray, wanted: FloatArray, ridges: Sequence[float]) -> Prediction:
    """Regress on the samples themselves: the kernel is their Gram matrix."""
    scores = {}
    for ridge in ridges:
        weight, _ = fit_ridge(torch.from_numpy(train), torch.from_numpy(wanted), ridge, intercept=False)
        scores[ridge] = test @ weight.numpy().T
    return Prediction(test @ train.T / float(np.square(train).sum(axis=1).mean()), scores)


def _kernels(model: str, deq: DEQ, kernel: str, train: FloatArray, test: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the exact kernel of a model of the training samples, and of test with training samples."""
    twin = matched(deq, kernel)
    spec: DEQ | MLP | Parallel = deq
    if model == "twin":
        spec = twin.spec
    elif model == "plain":
        spec = centred_mlp([deq.activation] * twin.spec.depth, deq.tau0)
    trainable = twin.network_trainable if model == "twin" else None
    return exact_kernel(spec, kernel, train, None, trainable), exact_kernel(spec, kernel, test, train, trainable)


def kernel_scores(
    inside: FloatArray, across: FloatArray, wanted: FloatArray, ridges: Sequence[float]
) -> dict[float, FloatArray]:
    """Return ``across (inside + ridge I)^-1 wanted`` for each ridge, by a Cholesky factor each."""
    scores = {}
    for ridge in ridges:
        matrix = inside.copy()
        matrix.flat[:: len(matrix) + 1] += ridge
        factor = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
        scores[ridge] = across @ cho_solve(factor, wanted, check_finite=False)
    return scores


def _apart(A: FloatArray, B: FloatArray) -> float:
    return float(np.linalg.norm(A - B) / np.linalg.norm(B))


STUDY = Study(
    name="kernel-regression",
    title="Regression with exact kernels",
    question="Do the exact kernel of a DEQ and that of the network matched to it predict the same classes? That is the "
    "sharpest test of whether the two are almost equivalent; a plain network of the same depth and a linear model are "
    "the controls.",
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
