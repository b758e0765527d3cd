"""Test accuracy of finite DEQs, of networks matched to them and of networks that are not, against the width."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from notsodeep.data import Scaler, load_dataset
from notsodeep.equivalents import coefficients
from notsodeep.errors import DataError
from notsodeep.experiments.centred import centred_mlp
from notsodeep.experiments.reproduction.published_networks import training_deq, training_design
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.matching import match
from notsodeep.networks import DEQNetwork, TrainSettings, cached_features, class_indices
from notsodeep.networks.training.readouts import fit_readouts
from notsodeep.spec import DEQ, MLP

MODELS = ("deq", "matched", "plain")
OFFICIAL = ("official_deq", "official_matched")
"""The first two as the published code has them: with other variances in the equations and another centring"""
RESCALED = "plain_rescaled"
"""The plain network with a learning rate of SGD as if its kernel had the DEQ's diagonal: the scale of a kernel counts
like that rate where the readout does not converge"""
CONTROLS = (*OFFICIAL, RESCALED)
_SEEDS = {"deq": 0, "matched": 1, "plain": 2, RESCALED: 2, "official_deq": 10**6, "official_matched": 10**6 + 1}
_PLAIN_DEPTH = {"relu": 2, "tanh": 1}  # the baselines of the paper
_EVALUATION = 4096  # samples whose scores are computed at once


@dataclass(frozen=True)
class AccuracyConfig(Config):
    """What is trained, and on how much; the protocol is that of arXiv:2402.02697 where nothing else is said."""

    activations: tuple[str, ...] = ("relu", "tanh")
    widths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048, 4096)
    train_per_class: int = 5000
    test_per_class: int = 800
    epochs: int = 100
    batch_size: int = 128
    sgd: float = 1.0
    """Learning rate of SGD"""
    sgd_on_features: float = 0.1
    """The same on the CIFAR-10 features"""
    adam: float = 0.01
    """Learning rate of Adam, which the paper does not use"""
    sigma_a2: float = 0.2
    sigma_b2: float = 0.8
    tolerance: float = 1e-2
    """Relative step at which the iteration of a DEQ ends"""
    control_datasets: tuple[str, ...] = ()
    control_widths: tuple[int, ...] = ()
    """What is trained of :data:`CONTROLS` too"""


FULL = AccuracyConfig(
    seeds=3,
    datasets=("mnist", "fashion_mnist", "cifar10_features"),
    control_datasets=("mnist", "fashion_mnist"),
    control_widths=(512, 1024),
)
QUICK = AccuracyConfig(
    seeds=2, datasets=("digits",), widths=(32, 256), train_per_class=120, test_per_class=25, epochs=40
)


class Balanced(NamedTuple):
    """As many samples of each class: for training, centred and of mean squared norm 1; for the test, moved alike."""

    X: torch.Tensor
    y: torch.Tensor
    X_test: torch.Tensor
    y_test: torch.Tensor
    classes: int


def units(config: AccuracyConfig) -> list[Unit]:
    """Return one unit a data set, activation, model, width and seed."""
    protocol: dict[str, Value] = {
        name: value for name, value in asdict(config).items() if not isinstance(value, tuple) and name != "seeds"
    }
    del protocol["sgd_on_features"]
    cases = [
        *product(config.datasets, config.activations, MODELS, config.widths),
        *product(config.control_datasets, config.activations, CONTROLS, config.control_widths),
    ]
    return [
        Unit(
            protocol
            | {"dataset": dataset, "activation": phi, "model": model, "width": width, "seed": seed}
            | ({"sgd": config.sgd_on_features} if dataset == "cifar10_features" else {}),
            _work(config, phi, model, width),
        )
        for (dataset, phi, model, width), seed in product(cases, range(config.seeds))
        if (phi, model) != ("tanh", "official_deq")  # the same as ours
    ]


def _work(config: AccuracyConfig, phi: str, model: str, width: int) -> float:
    """Seconds of a core: matrix products of the features, then steps of the readouts."""
    squares = 5 if model in ("deq", "official_deq") else _PLAIN_DEPTH[phi] - 1
    samples = 10 * (config.train_per_class + config.test_per_class)
    features = samples * width * (2e3 + 2.0 * squares * width) / 50e9
    steps = config.epochs * 10 * config.train_per_class / config.batch_size
    return 1.0 + features + steps * (1.5e-4 + 4e-7 * width)


def run(unit: Unit, data_dir: Path | None) -> list[Row]:
    """Return the accuracies with the readouts of both optimisers, which begin at 0; with SGD's alone if rescaled."""
    at: Any = unit.at
    samples = balanced(at["dataset"], at["train_per_class"], at["test_per_class"], data_dir)
    spec = model_spec(at)
    net = spec.to_torch(samples.X.shape[1], at["width"], samples.classes, seed=_weights_seed(at)).float()
    if isinstance(net, DEQNetwork):
        net.tol = at["tolerance"]
    inside, across = cached_features(net, samples.X), cached_features(net, samples.X_test)
    shared = {"epochs": at["epochs"], "batch_size": at["batch_size"], "seed": at["seed"]}
    rates = {"sgd": at["sgd"], "adam": at["adam"]}
    if at["model"] == RESCALED:
        rates = {"sgd": diagonal_gain(at) * at["sgd"]}
    settings = [TrainSettings(optimizer=name, lr=rate, **shared) for name, rate in rates.items()]
    readouts = fit_readouts(inside, samples.y, torch.zeros_like(net.readout.weight), settings)
    return [
        dict(at)
        | {
            "sgd": rates["sgd"],
            "optimizer": each.optimizer,
            "test_accuracy": _share_right(across, weight, samples.y_test),
            "train_accuracy": _share_right(inside, weight, samples.y),
        }
        for each, weight in zip(settings, readouts, strict=True)
    ]


def model_spec(at: Any) -> DEQ | MLP:
    """Return the model of a unit: the DEQ, the network with its conjugate kernel, the plain one, or a published one."""
    deq = DEQ(at["activation"], at["sigma_a2"], at["sigma_b2"])
    if at["model"] == "deq":
        return deq
    if at["model"] in OFFICIAL:
        return training_deq(deq) if at["model"] == "official_deq" else training_design(deq)
    if at["model"] in ("plain", RESCALED):
        return centred_mlp([at["activation"]] * _PLAIN_DEPTH[at["activation"]])
    found: Any = match(deq).spec
    return found


def diagonal_gain(at: Any) -> float:
    """Return the diagonal of the DEQ's conjugate kernel over that of the plain network's, for samples of norm 1."""
    deq, plain = (model_spec({**at, "model": model}) for model in ("deq", "plain"))
    return coefficients(deq, "ck").gamma2 / coefficients(plain, "ck", tau0=1.0).gamma2


def _weights_seed(at: Any) -> int:
    """No two models share their weights, but for one with another learning rate."""
    return 3 * int(at["seed"]) + _SEEDS[at["model"]]


@lru_cache(maxsize=1)
def balanced(name: str, train_per_class: int, test_per_class: int, data_dir: Path | None) -> Balanced:
    """Return so many samples of each class, drawn from the two parts of a data set; always the same ones.

    Raises
    ------
    DataError
        When a class has fewer samples.
    """
    data = load_dataset(name, data_dir=data_dir)
    if data.test is None:
        raise DataError(f"{name}: has no test samples")
    rng = np.random.default_rng(0)
    inside, across = (
        np.concatenate([_chosen(rng, part.y, label, n, name) for label in data.classes])
        for part, n in ((data, train_per_class), (data.test, test_per_class))
    )
    scaler = Scaler.fit(data.X[inside])
    X, X_test = (torch.from_numpy(scaler.apply(rows)).float() for rows in (data.X[inside], data.test.X[across]))
    y, y_test = (class_indices(labels, data.classes) for labels in (data.y[inside], data.test.y[across]))
    return Balanced(X, y, X_test, y_test, len(data.classes))


def _chosen(rng: np.random.Generator, y: Any, label: Any, n: int, name: str) -> Any:
    rows = np.flatnonzero(y == label)
    if len(rows) < n:
        raise DataError(f"{name}: class {label} has {len(rows)} samples, not {n}")
    return np.sort(rng.permutation(rows)[:n])


def _share_right(features: torch.Tensor, weight: torch.Tensor, y: torch.Tensor) -> float:
    right = sum(
        int(((rows @ weight.T).argmax(dim=1) == classes).sum())
        for rows, classes in zip(features.split(_EVALUATION), y.split(_EVALUATION), strict=True)
    )
    return right / len(y)


STUDY = Study(
    name="accuracy",
    title="Accuracy of DEQs, matched and plain networks against the width",
    question="Does a shallow network with the conjugate kernel of a DEQ classify as the DEQ does, and a plain one not?",
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
