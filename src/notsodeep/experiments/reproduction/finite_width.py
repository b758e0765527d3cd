"""Kernels of finite networks against the exact ones of the DEQ: width, and number of networks averaged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from notsodeep.checks import FloatArray
from notsodeep.data import load_dataset
from notsodeep.experiments.reproduction.averages import Averages, Averaging
from notsodeep.experiments.reproduction.kernels import CK, KERNELS, exact_kernel, matched
from notsodeep.experiments.reproduction.rows import significant
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.experiments.samples import ASPECT, MIXTURE, unit_mixture
from notsodeep.kernels.distance import relative_distance
from notsodeep.networks.base import FiniteNetwork
from notsodeep.networks.weight import Factor
from notsodeep.spec import DEQ, Spec, trainable_weights

MODELS = ("DEQ", "twin")
_SECONDS = {"DEQ": 2.5e-7, "twin": 2.2e-7}  # of a draw, per width^2: equilibria and adjoints, or three networks
_READOUT = frozenset({"readout"})  # the CK is the NTK of these weights
_DIGITS = 7  # significant ones of a cell: float32 has no more
_SECONDS_OF_NORMS = 0.045  # of a draw, of its kernels and their averages, at 300 samples


@dataclass(frozen=True)
class FiniteWidthConfig(Config):
    """Which networks are drawn for which samples."""

    activations: tuple[str, ...]
    sigma_a2: float
    """Of the DEQs; ``sigma_b2 = 1 - sigma_a2``"""
    n: int
    """Samples"""
    widths: tuple[int, ...]
    draws: tuple[int, ...]
    """Networks of each width: powers of two, 8 at least"""


FULL = FiniteWidthConfig(
    seeds=1,
    datasets=("mnist", MIXTURE),
    activations=("relu", "tanh"),
    sigma_a2=0.2,
    n=300,
    widths=(64, 128, 256, 512, 1024, 2048, 4096),
    draws=(1024, 512, 512, 256, 64, 32, 16),
)
QUICK = FiniteWidthConfig(
    seeds=1,
    datasets=(MIXTURE,),
    activations=("relu", "tanh"),
    sigma_a2=0.2,
    n=40,
    widths=(32, 64, 128),
    draws=(16, 8, 8),
)


class Design(NamedTuple):
    """A model that networks are drawn of, and the weights that their kernels are the NTKs of."""

    spec: Spec
    trained: dict[str, frozenset[str]]
    """By the name of the kernel (:data:`~notsodeep.experiments.reproduction.kernels.KERNELS`)"""


def units(config: FiniteWidthConfig) -> list[Unit]:
    """Return a unit for each width of each model."""
    cases = product(range(config.seeds), config.datasets, config.activations, MODELS)
    return [
        Unit(
            {
                "dataset": dataset,
                "n": config.n,
                "seed": seed,
                "activation": phi,
                "sigma_a2": config.sigma_a2,
                "model": model,
                "width": width,
                "draws": draws,
            },
            work=2.0 + draws * (_SECONDS[model] * width**2 + _SECONDS_OF_NORMS * (config.n / 300.0) ** 2),
        )
        for seed, dataset, phi, model in cases
        for width, draws in zip(config.widths, config.draws, strict=True)
    ]


def run(unit: Unit, data_dir: Path | None = None) -> list[Row]:
    """Return the errors of averages of 1, 2, 4, ... networks, for each kernel.

    Errors are relative to the exact kernel of the DEQ, for its twins as well: each twin is matched for the kernel that
    is looked at, and ``design`` is what its own exact kernel is off (Frobenius). The networks are in float32.
    """
    at: Any = unit.at
    where = at["dataset"], at["n"], at["seed"], data_dir
    model = at["activation"], at["sigma_a2"]
    X, exact = samples(*where), exact_kernels("DEQ", *model, *where)
    own = exact if at["model"] == "DEQ" else exact_kernels("twin", *model, *where)
    rows: list[Row] = []
    for number, design in enumerate(designs(at["model"], *model)):
        averaging = {kernel: Averaging(exact[kernel], at["draws"]) for kernel in design.trained}
        for k in range(at["draws"]):
            net = design.spec.to_torch(X.shape[1], at["width"], seed=_seed(at, number, k)).to(torch.float32)
            for kernel, drawn in empirical_kernels(net, X, design.trained).items():
                averaging[kernel].add(drawn)
        for kernel in design.trained:
            off = relative_distance(exact[kernel], own[kernel]).frobenius
            rows += _rows(at | {"kernel": kernel}, averaging[kernel].averages(), off)
    return rows


@lru_cache(maxsize=1)
def samples(dataset: str, n: int, seed: int, data_dir: Path | None) -> FloatArray:
    """Return ``n`` samples of mean squared norm 1."""
    if dataset == MIXTURE:
        return unit_mixture(round(n / ASPECT)).sample(n, seed=seed).X
    return load_dataset(dataset, n=n, n_test=0, seed=seed, data_dir=data_dir).X


@lru_cache(maxsize=2)
def exact_kernels(
    model: str, phi: str, sigma_a2: float, dataset: str, n: int, seed: int, data_dir: Path | None
) -> dict[str, FloatArray]:
    """Return the kernels of a model at infinite width, by name."""
    X = samples(dataset, n, seed, data_dir)
    return {
        kernel: exact_kernel(design.spec, kernel, X, trainable=chosen)
        for design in designs(model, phi, sigma_a2)
        for kernel, chosen in design.trained.items()
    }


@lru_cache(maxsize=4)
def designs(model: str, phi: str, sigma_a2: float) -> list[Design]:
    """Return what is drawn of a model: the DEQ once for all kernels, a twin for each kernel."""
    deq = DEQ(phi, sigma_a2, 1.0 - sigma_a2)
    if model == "DEQ":
        trained = {kernel: trainable_weights(deq, trainable) for kernel, (_, trainable) in KERNELS.items()}
        return [Design(deq, trained | {CK: _READOUT})]
    twins = {kernel: matched(deq, kernel) for kernel in KERNELS}
    return [
        Design(twin.spec, {kernel: _READOUT if kernel == CK else twin.network_trainable})
        for kernel, twin in twins.items()
    ]


def _seed(at: Any, number: int, k: int) -> int:
    """Return the seed of draw ``k``; that of another width, model or seed is another one."""
    words = [at["seed"], at["width"], MODELS.index(at["model"]), number, k]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def empirical_kernels(net: FiniteNetwork, X: FloatArray, trained: dict[str, frozenset[str]]) -> dict[str, FloatArray]:
    """Return several NTKs of one network, whose equilibria and gradients are solved for once.

    See :func:`notsodeep.networks.empirical_ntk`; all samples are one batch.
    """
    grams = {name: _gram(factor) for name, factor in net.factors(X).items()}
    return {kernel: sum(grams[name] for name in sorted(chosen)) for kernel, chosen in trained.items()}


def _gram(factor: Factor) -> Any:
    parts = (part.double() for part in factor if part is not None)
    return reduce(torch.mul, (part @ part.T for part in parts)).numpy()


def _rows(at: dict[str, Any], found: Averages, off: float) -> Iterator[Row]:
    last = max(found.errors)
    for networks, errors in found.errors.items():
        groups = len(errors)
        means = errors.mean(axis=0)
        spread = errors.std(axis=0, ddof=1) / math.sqrt(groups) if groups > 1 else np.full(2, math.nan)
        named = zip(("spectral", "frobenius"), means, spread, strict=True)
        yield at | {
            "networks": networks,
            "groups": groups,
            **{
                column: value
                for norm, mean, error in named
                for column, value in ((norm, _cell(mean)), (f"{norm}_error", _cell(error)))
            },
            "bias_square": _cell(found.bias_square) if networks == last else None,
            "bias_square_error": _cell(found.bias_square_error) if networks == last else None,
            "design": _cell(off) if networks == last else None,
        }


def _cell(value: float) -> Value:
    return significant(value, _DIGITS)


STUDY = Study(
    name="finite-width",
    title="Kernels of finite networks",
    question=(
        "How fast do the kernels of finite DEQs and of finite networks matched to them tend to the exact ones as the "
        "width m grows, and as the kernels of k networks are averaged? Theory: like (m k)^(-1/2), until a bias of "
        "finite width shows."
    ),
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
