"""What training refuses, before any work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from notsodeep.activations import Activation
from notsodeep.networks import DEQNetwork, ExplicitNetwork, TrainSettings, train
from notsodeep.spec import DEQ, MLP, Layer
from tests.networks.training.kit import CLASSES, N, P, data, deq, mlp, settings

X, Y = data()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"optimizer": "lbfgs"}, "optimizer must be one of"),
        ({"parametrization": "mup"}, "parametrization must be one of"),
        ({"lr": 0.0}, "lr must be"),
        ({"lr": float("nan")}, "lr must be"),
        ({"momentum": -0.1}, "momentum must be"),
        ({"momentum": 1.0}, "momentum must be less than 1"),
        ({"momentum": 0.9, "optimizer": "adam"}, "momentum is of sgd"),
        ({"weight_decay": -1.0}, "weight_decay must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": 1.5}, "epochs must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": -1}, "seed must be"),
        ({"validation": 1.0}, "validation must be less than 1"),
        ({"validation": -0.1}, "validation must be"),
        ({"patience": 3}, "patience needs samples"),
        ({"patience": 0, "validation": 0.1}, "patience must be"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings(**options)


def test_names_may_be_one_or_many():
    assert TrainSettings(trainable="input").trainable == ("input",)
    assert TrainSettings(trainable=["input", "readout"]).trainable == ("input", "readout")
    assert TrainSettings(trainable="all").trainable == "all"


def one_output():
    return DEQNetwork(DEQ("tanh"), P, 12, 1)


@pytest.mark.parametrize(
    ("net", "samples", "targets", "given", "message"),
    [
        (torch.nn.Linear(P, CLASSES), X, Y, settings(), "net must be"),
        (deq(), X, Y, {"lr": 1.0}, "settings must be TrainSettings"),
        (deq(), X[:, 1:], Y, settings(), "X must have shape"),
        (deq(), X * np.nan, Y, settings(), "X has NaN"),
        (deq(), X, Y[1:], settings(), f"y must be {N} integers"),
        (deq(), X, Y.astype(float), settings(), f"y must be {N} integers"),
        (deq(), X, Y + 1, settings(), "y must be classes from 0 to 2"),
        (deq(), X, Y - 1, settings(), "y must be classes from 0 to 2"),
        (deq(), X, np.zeros((N, CLASSES)), settings(), f"y must be {N} integers"),
        (deq(), X, np.zeros((N, 1)), settings(loss="mse"), r"y must be real numbers of shape \(23, 3\)"),
        (deq(), X, np.full((N, CLASSES), np.inf), settings(loss="mse"), "y must be finite"),
        (deq(), X, Y.astype(float), settings(loss="mse"), r"or real numbers of shape \(23, 3\)"),
        (one_output(), X, np.zeros(N, dtype=int), settings(), "at least 2 outputs"),
        (deq(), X, Y, settings(trainable="layer1"), "trainable must be"),
        (mlp(), X, Y, settings(trainable=("layer1", "recurrent")), "trainable must be"),
        (deq(), X, Y, settings(trainable=()), "trainable must be"),
        (deq(), X, Y, settings(validation=0.01), "validation must leave at least one"),
        (deq(), X, Y, settings(validation=0.99), "validation must leave at least one"),
    ],
)
def test_arguments_that_cannot_be(tmp_path, net, samples, targets, given, message):
    with pytest.raises(ValueError, match=message):
        train(net, samples, targets, given, folder=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_activations_must_be_known_where_a_folder_is_to_tell_runs_apart(tmp_path):
    net = ExplicitNetwork(MLP(Layer(Activation(np.cos))), P, 12, CLASSES)
    with pytest.raises(ValueError, match="callable"):
        train(net, X, Y, settings(), folder=tmp_path / "out")
    assert not list(tmp_path.iterdir())
