"""The study of accuracies: balanced samples, one unit by hand, and units that tell everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.errors import DataError
from notsodeep.experiments.reproduction.accuracy import (
    FULL,
    MODELS,
    OFFICIAL,
    QUICK,
    RESCALED,
    balanced,
    diagonal_gain,
    model_spec,
    run,
    units,
)
from notsodeep.experiments.reproduction.published_accuracy import published_accuracy
from notsodeep.kernels.scalar import rest_point
from notsodeep.networks import TrainSettings
from notsodeep.networks.training.readouts import fit_readouts
from tests.tolerances import ROUNDING, assert_close


def unit(**at):
    (found,) = [each for each in units(QUICK) if all(each.at[name] == value for name, value in at.items())]
    return found


def test_units_are_the_product_of_what_is_declared():
    found = units(FULL)
    assert len({each.key for each in found}) == len(found) == 3 * 6 * 8 * 3 + 2 * (3 + 2) * 2 * 3
    rates = {each.at["dataset"]: each.at["sgd"] for each in found}
    assert rates == {"mnist": 1.0, "fashion_mnist": 1.0, "cifar10_features": 0.1}
    assert all(each.at["adam"] == 0.01 and each.at["epochs"] == 100 and each.at["batch_size"] == 128 for each in found)
    heavier = [each.work for each in found if each.at["model"] == "deq" and each.at["seed"] == 0]
    assert heavier[7] > 20 * heavier[0]


def test_samples_are_balanced_centred_and_scaled_by_those_of_training():
    samples = balanced("digits", 120, 25, None)
    X, X_test = samples.X.double(), samples.X_test.double()
    assert torch.bincount(samples.y).tolist() == [120] * 10
    assert torch.bincount(samples.y_test).tolist() == [25] * 10
    assert X.mean(dim=0).abs().max() < 1e-6
    assert abs(float(X.square().sum(dim=1).mean()) - 1.0) < 1e-6
    assert abs(float(X_test.square().sum(dim=1).mean()) - 1.0) > 1e-4
    assert not {tuple(row) for row in X.tolist()} & {tuple(row) for row in X_test.tolist()}
    with pytest.raises(DataError, match=r"digits: class \d has \d+ samples, not 1000"):
        balanced("digits", 1000, 25, None)


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_models(phi):
    deq, matched, plain = (model_spec(unit(activation=phi, model=name, width=32, seed=0).at) for name in MODELS)
    assert (deq.sigma_a2, deq.sigma_b2) == (0.2, 0.8)
    wanted, found = nsd.coefficients(deq, "ck"), nsd.coefficients(matched, "ck", tau0=1.0)
    assert_close([found.alpha1, found.gamma2], [wanted.alpha1, wanted.gamma2], 1e-10)
    assert plain.depth == matched.depth == {"relu": 2, "tanh": 1}[phi]
    assert abs(nsd.coefficients(plain, "ck", tau0=1.0).alpha1 / wanted.alpha1 - 1.0) > 0.05
    assert rest_point(deq).contraction < 1.0


def test_models_of_the_published_code():
    at = unit(activation="relu", model="deq", width=32, seed=0).at
    deq, matched = (model_spec(at | {"model": name}) for name in OFFICIAL)
    assert abs(float(deq.activation(-1.0)) + 0.38509) < 1e-5
    wanted, found = nsd.coefficients(nsd.DEQ("relu", 0.3, 0.7), "ck"), matched.layers
    assert len(found) == 2
    assert abs(
        np.prod([layer.activation.derivative(1.0) + layer.activation.derivative(-1.0) for layer in found]) / 4
    ) ** 2 == (pytest.approx(wanted.alpha1, abs=1e-3))
    assert model_spec(at | {"activation": "tanh", "model": OFFICIAL[0]}) == nsd.DEQ("tanh", 0.2, 0.8)


def test_a_unit_by_hand():
    """Plain one-layer network, SGD and Adam written out in NumPy."""
    at = unit(activation="tanh", model="plain", width=32, seed=1).at | {"epochs": 2}
    rows = run(replace(unit(activation="tanh", model="plain", width=32, seed=1), at=at), None)
    assert [row["optimizer"] for row in rows] == ["sgd", "adam"]
    samples = balanced("digits", 120, 25, None)
    net = nsd.MLP((nsd.Layer("tanh"),)).to_torch(64, 32, 10, seed=3 + 2)
    W = next(weight for name, weight in net.named_parameters() if "readout" not in name).detach().numpy()
    F, T = (np.tanh(part.double().numpy() @ W.T) / 32**0.5 for part in (samples.X, samples.X_test))
    y, y_test = samples.y.numpy(), samples.y_test.numpy()
    for row in rows:
        V, first, second, t = np.zeros((10, 32)), 0.0, 0.0, 0
        for epoch in (1, 2):
            order = np.random.default_rng((1, epoch)).permutation(1200)
            for start in range(0, 1200, 128):
                rows_of = order[start : start + 128]
                scores = np.exp(F[rows_of] @ V.T)
                errors = scores / scores.sum(axis=1, keepdims=True) - np.eye(10)[y[rows_of]]
                gradient, t = errors.T @ F[rows_of] / len(rows_of), t + 1
                first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
                adam = 0.01 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
                V -= 1.0 * gradient if row["optimizer"] == "sgd" else adam
        right = ((T @ V.T).argmax(axis=1) == y_test).mean()
        right_inside = ((F @ V.T).argmax(axis=1) == y).mean()
        assert abs(row["test_accuracy"] - right) <= 1 / 250 + ROUNDING  # one sample may lie between two classes
        assert abs(row["train_accuracy"] - right_inside) <= 2 / 1200 + ROUNDING
        assert 0.3 < right < 0.95


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_the_rescaled_network_is_the_plain_one_at_the_scale_of_the_deq(phi):
    """Features times s with the usual rate classify as features with s^2 times the rate, from readouts that are 0."""
    chosen = unit(activation=phi, model="plain", width=32, seed=1)
    gain = diagonal_gain(chosen.at)
    diagonals = []
    for model in ("deq", "plain"):
        spec = model_spec({**chosen.at, "model": model})
        diagonals.append(nsd.ck(spec, np.eye(3))[0, 0])
    assert_close(gain, diagonals[0] / diagonals[1], 1e-12)
    (row,) = run(replace(chosen, at={**chosen.at, "model": RESCALED}), None)
    assert row["sgd"] == gain * chosen.at["sgd"]
    samples = balanced("digits", 120, 25, None)
    net = model_spec(chosen.at).to_torch(64, 32, 10, seed=3 + 2).float()
    settings = [TrainSettings(epochs=40, batch_size=128, seed=1, lr=1.0)]
    with torch.no_grad():
        inside, across = (gain**0.5 * net.features(X) for X in (samples.X, samples.X_test))
    (weight,) = fit_readouts(inside, samples.y, torch.zeros_like(net.readout.weight), settings)
    right = ((across @ weight.T).argmax(dim=1) == samples.y_test).double().mean()
    assert abs(row["test_accuracy"] - float(right)) <= 1 / 250 + ROUNDING  # one sample may lie between two classes


def test_the_same_unit_gives_the_same_rows():
    chosen = unit(activation="relu", model="deq", width=32, seed=0)
    assert run(chosen, None) == run(chosen, None)
    assert run(chosen, None) != run(unit(activation="relu", model="deq", width=32, seed=1), None)


def test_published_accuracies():
    assert published_accuracy("mnist", "relu", "deq", 1024) == 0.934
    assert published_accuracy("fashion_mnist", "tanh", "matched", 32) == 0.757
    assert published_accuracy("cifar10_features", "relu", "plain", 4096) == 0.76
    assert published_accuracy("digits", "relu", "deq", 1024) is None
    assert published_accuracy("mnist", "relu", "deq", 100) is None
