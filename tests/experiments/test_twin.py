"""The main job, against the pieces that it is made of and against plain linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.experiments.readout import RIDGE
from notsodeep.experiments.samples import load_samples
from notsodeep.experiments.twin import STAGES, TwinConfig, run_twin
from notsodeep.networks import DEQNetwork
from tests.tolerances import CENTRAL, FLOAT32_READOUT, ROUNDING, assert_close


@pytest.fixture(scope="module")
def samples():
    return load_samples("digits", n=150, n_test=60)


@pytest.fixture(scope="module")
def result(samples):
    stages: list[str] = []
    found = run_twin(TwinConfig(nsd.DEQ("relu"), width=64), samples, stages.append)
    assert tuple(stages) == STAGES
    return found


def test_distances_and_eigenvalues_are_those_of_the_exact_kernels(result, samples):
    deq, network = nsd.ck(nsd.DEQ("relu"), samples.train.X), nsd.ck(result.match.spec, samples.train.X)
    assert_close(result.kernels[0], deq, ROUNDING)
    gap = np.linalg.svd(deq - network, compute_uv=False)[0] / np.linalg.svd(deq, compute_uv=False)[0]
    assert_close(result.distance.spectral, gap, CENTRAL)
    assert_close(result.distance.frobenius, np.linalg.norm(deq - network) / np.linalg.norm(deq), CENTRAL)
    assert_close(result.eigenvalues["network"].sum(), np.trace(network), ROUNDING * 10)
    assert result.equivalent_distance.spectral > 10 * result.distance.spectral


def test_kernel_accuracy_is_that_of_a_linear_solve(result, samples):
    deq = nsd.DEQ("relu")
    inside, across = nsd.ck(deq, samples.train.X), nsd.ck(deq, samples.test.X, samples.train.X)
    targets = np.eye(10)[samples.train.y] - 0.1
    weights = np.linalg.solve(inside + RIDGE * inside.diagonal().mean() * np.eye(len(inside)), targets)
    accuracy = np.mean((across @ weights).argmax(axis=1) == samples.test.y)
    assert result.kernel_accuracy["deq"] == pytest.approx(accuracy)
    assert accuracy > 0.8


def test_the_network_predicts_classes(result, samples):
    predicted = result.network(samples.test.X).argmax(dim=1).numpy()
    assert np.mean(predicted == samples.test.y) == pytest.approx(result.finite_accuracy["network"])
    assert result.finite_accuracy["network"] > 0.6


def test_the_readout_is_a_ridge_regression(result, samples):
    X = torch.from_numpy(samples.train.X).float()
    Z = result.network.features(X).detach().double().numpy()
    ridge = RIDGE * np.square(Z).sum(axis=1).mean()
    weights = np.linalg.solve(Z.T @ Z + ridge * np.eye(64), Z.T @ (np.eye(10)[samples.train.y] - 0.1))
    assert_close(result.network.readout.weight.detach().numpy(), weights.T, FLOAT32_READOUT, what="float32 readout")


def test_the_cost_counts_products(result, samples):
    deq = DEQNetwork(nsd.DEQ("relu"), 64, 64, dtype=torch.float32)
    _, record = deq.solve(torch.from_numpy(samples.test.X).float())
    assert result.forward["deq"].products == record.iterations + 1
    assert result.forward["network"].products == 2
    assert result.forward["deq"].unconverged == 0


def test_a_finite_network_without_equilibrium_is_said_so(samples, monkeypatch):
    monkeypatch.setattr("notsodeep.experiments.twin._MOST_ITERATIONS", 2)
    found = run_twin(TwinConfig(nsd.DEQ("tanh"), width=32), samples)
    assert found.forward["deq"].unconverged > 0
    assert found.finite_accuracy["deq"] is None
    assert found.finite_accuracy["network"] is not None


def test_ntk_of_the_paper(samples):
    found = run_twin(TwinConfig(nsd.DEQ("tanh"), kernel="ntk", trainable=("recurrent", "readout"), width=32), samples)
    want = nsd.ntk(nsd.DEQ("tanh"), samples.train.X, trainable=("recurrent", "readout"))
    assert_close(found.kernels[0], want, ROUNDING)
    assert found.match.status == "matched"
    assert found.distance.spectral < 0.05


@pytest.mark.parametrize(
    ("change", "words"), [({"width": 0}, "width"), ({"kernel": "cnk"}, "kernel"), ({"family": "x"}, "family")]
)
def test_bad_input_comes_before_work(samples, change, words):
    stages: list[str] = []
    with pytest.raises(ValueError, match=words):
        run_twin(TwinConfig(nsd.DEQ("relu"), **change), samples, stages.append)
    assert len(stages) <= 1
