"""Ridge readouts by plain linear algebra; what the accuracy of a twin with ternary weights is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.experiments.readout import accuracy, fitted_readout
from notsodeep.experiments.samples import load_samples
from notsodeep.networks import ExplicitNetwork
from notsodeep.networks.ridge import RIDGE
from tests.tolerances import LINEAR_SOLVE, SAME_ACCURACY, assert_close


@pytest.fixture(scope="module")
def samples():
    return load_samples("digits", n=600)


def test_a_readout_is_a_ridge_regression(samples):
    Z = np.tanh(samples.train.X @ np.random.default_rng(0).standard_normal((64, 30)))
    ridge = RIDGE * np.square(Z).sum(axis=1).mean()
    weights = np.linalg.solve(Z.T @ Z + ridge * np.eye(30), Z.T @ (np.eye(10)[samples.train.y] - 0.1))
    condition = np.linalg.norm(Z, 2) ** 2 / ridge
    assert_close(fitted_readout(torch.from_numpy(Z), samples), weights.T, LINEAR_SOLVE * condition)


def test_accuracy_counts_hits(samples):
    scores = np.eye(10)[samples.test.y]
    scores[:7] = -scores[:7]
    assert accuracy(scores, samples) == pytest.approx(1 - 7 / samples.test.n)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_ternary_twins_classify_like_gaussian_ones(samples, activation):
    """Nine tenths of the weights are zero. With 64 inputs tanh loses 0.9 ± 0.1 points (30 networks), ReLU none."""
    spec, found = nsd.match(nsd.DEQ(activation)).spec, {}
    for weights in ("gaussian", "ternary"):
        nets = [ExplicitNetwork(spec, 64, 1024, 10, seed=s, dtype=torch.float32, weights=weights) for s in range(4)]
        found[weights] = np.array([fitted_accuracy(net, samples) for net in nets])
    assert found["gaussian"].mean() > 0.95
    assert_close(found["ternary"].mean(), found["gaussian"].mean(), SAME_ACCURACY, scale=1.0)


@torch.no_grad()
def fitted_accuracy(net, samples):
    net.readout.weight.copy_(fitted_readout(net.features(samples.train.X), samples))
    return accuracy(net(samples.test.X).numpy(), samples)
