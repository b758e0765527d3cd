"""Train a finite DEQ, its shallow twin or a plain network on data, and test it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from notsodeep.checks import choice, integer
from notsodeep.experiments.centred import centred_mlp
from notsodeep.experiments.readout import accuracy
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.files import StrPath
from notsodeep.kernels.scalar import rest_point
from notsodeep.matching import match
from notsodeep.networks import DEQNetwork, ExplicitNetwork, TrainResult, TrainSettings, class_indices, train
from notsodeep.networks.training.samples import EVALUATION
from notsodeep.spec import DEQ, MLP, trainable_weights

MODELS = ("deq", "twin", "plain")
_PLAIN_DEPTH = 2


@dataclass(frozen=True)
class TrainingConfig:
    """What to train and how; the data are given apart.

    Raises
    ------
    ValueError
        When a value is illegal.
    """

    deq: DEQ
    model: str = "deq"
    """``"deq"``; ``"twin"``, the explicit network with its conjugate kernel; or ``"plain"``, two layers of its
    activation, centred, whose kernel is another one"""
    width: int = 1024
    settings: TrainSettings = field(default_factory=TrainSettings)
    """Their seed is that of the initial weights too"""

    def __post_init__(self) -> None:
        choice("model", self.model, MODELS)
        integer("width", self.width, low=1)


@dataclass(frozen=True)
class TrainingResult:
    """Everything that the tables, the picture and the files of a training run are made of."""

    config: TrainingConfig
    spec: DEQ | MLP
    samples: LabelledSamples
    training: TrainResult
    test_accuracy: float
    network: DEQNetwork | ExplicitNetwork = field(repr=False)
    """Trained; column c of its output belongs to class c"""

    @property
    def standard_error(self) -> float:
        """Of the test accuracy, as independent test samples give it."""
        return math.sqrt(self.test_accuracy * (1.0 - self.test_accuracy) / self.samples.test.n)


def model_spec(config: TrainingConfig) -> DEQ | MLP:
    """Return the model that is trained.

    Raises
    ------
    ValueError
        When the DEQ has no stable fixed point or, for ``"twin"``, no network has its conjugate kernel, or the settings
        train weights that the model does not have.
    """
    rest_point(config.deq)
    spec: DEQ | MLP = config.deq
    if config.model == "twin":
        found = match(config.deq)
        if found.status != "matched":
            raise ValueError(f"model must be 'deq' or 'plain' for {config.deq!r}, which has no twin: {found.reason}")
        spec = found.spec  # type: ignore[assignment]  # one kernel makes no parallel branches
    elif config.model == "plain":
        spec = centred_mlp([config.deq.activation] * _PLAIN_DEPTH, config.deq.tau0)
    trainable_weights(spec, config.settings.trainable)
    return spec


def run_training(
    config: TrainingConfig,
    samples: LabelledSamples,
    folder: StrPath | None = None,
    *,
    restart: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> TrainingResult:
    """Train the model in float32 on the training samples, and count its right answers on the test samples.

    ``folder``, ``restart`` and ``progress`` are those of :func:`notsodeep.networks.train`.

    Raises
    ------
    ValueError
        When an argument is illegal.
    DataError
        When the folder holds the checkpoint of another run, or a damaged one.
    ConvergenceError
        When training diverges, or an equilibrium is not reached.
    """
    spec = model_spec(config)
    network = spec.to_torch(samples.train.p, config.width, len(samples.train.classes), config.settings.seed).float()
    targets = class_indices(samples.train.y, samples.train.classes)
    trained = train(
        network, samples.train.X, targets, config.settings, folder=folder, restart=restart, progress=progress
    )
    with torch.no_grad():
        scores = torch.cat([network(rows) for rows in torch.from_numpy(samples.test.X).split(EVALUATION)])
    return TrainingResult(config, spec, samples, trained, accuracy(scores.numpy(), samples), network)
