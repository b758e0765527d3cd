"""The main job, against the pieces that it is made of and against plain linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.experiments.finite import LARGEST_SEED
from notsodeep.experiments.samples import load_samples
from notsodeep.experiments.twin import STAGES, TwinConfig, check_model, run_twin
from notsodeep.networks import DEQNetwork, ParallelNetwork
from notsodeep.networks.ridge import RIDGE
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
    (evidence,) = result.evidence.values()
    assert_close(evidence.kernels[0], deq, ROUNDING)
    gap = np.linalg.svd(deq - network, compute_uv=False)[0] / np.linalg.svd(deq, compute_uv=False)[0]
    assert_close(evidence.distance.spectral, gap, CENTRAL)
    assert_close(evidence.distance.frobenius, np.linalg.norm(deq - network) / np.linalg.norm(deq), CENTRAL)
    assert_close(evidence.eigenvalues["network"].sum(), np.trace(network), ROUNDING * 10)
    assert evidence.equivalent_distance.spectral > 10 * evidence.distance.spectral
    assert result.distance == evidence.distance


def test_kernel_accuracy_is_that_of_a_linear_solve(result, samples):
    accuracy = solved_accuracy(samples, lambda X, Y: nsd.ck(nsd.DEQ("relu"), X, Y))
    assert result.evidence["ck"].accuracy["deq"] == pytest.approx(accuracy)
    assert accuracy > 0.8


def solved_accuracy(samples, kernel):
    inside, across = kernel(samples.train.X, samples.train.X), kernel(samples.test.X, samples.train.X)
    targets = np.eye(10)[samples.train.y] - 0.1
    weights = np.linalg.solve(inside + RIDGE * inside.diagonal().mean() * np.eye(len(inside)), targets)
    return np.mean((across @ weights).argmax(axis=1) == samples.test.y)


def test_the_match_is_for_the_data(result, samples):
    assert result.match == nsd.match(nsd.DEQ("relu"), stats=samples.statistics)
    assert result.match.distance != nsd.match(nsd.DEQ("relu")).distance


def test_samples_of_equal_norm_make_a_number_idle():
    sphere = load_samples("digits", n=150, n_test=60, scale="sample")
    found = run_twin(TwinConfig(nsd.DEQ("gelu"), family="soft_slopes", max_depth=1, width=32), sphere)
    assert (found.match.idle, found.match.status, found.match.spec.depth) == (("alpha2",), "matched", 1)


def test_both_kernels(samples):
    deq = nsd.DEQ("relu")
    found = run_twin(TwinConfig(deq, kernel="both", width=33), samples)
    X, spec = samples.train.X, found.match.spec
    pairs = {"ck": (nsd.ck(deq, X), nsd.ck(spec, X)), "ntk": (nsd.ntk(deq, X), nsd.ntk(spec, X))}
    assert list(found.evidence) == list(pairs)
    gaps = []
    for name, (exact, shallow) in pairs.items():
        evidence = found.evidence[name]
        assert_close(evidence.kernels[0], exact, ROUNDING)
        assert_close(evidence.kernels[1], shallow, ROUNDING)
        gaps.append(np.linalg.norm(exact - shallow, 2) / np.linalg.norm(exact, 2))
        assert_close(evidence.distance.spectral, gaps[-1], CENTRAL)
    assert_close(found.distance.spectral, max(gaps), CENTRAL)
    assert found.evidence["ntk"].accuracy["network"] == solved_accuracy(samples, lambda X, Y: nsd.ntk(spec, X, Y))
    assert isinstance(found.finite.network, ParallelNetwork)
    assert found.finite.forward["network"].products == 3


def test_the_network_predicts_classes(result, samples):
    predicted = result.finite.network(samples.test.X).argmax(dim=1).numpy()
    assert np.mean(predicted == samples.test.y) == pytest.approx(result.finite.accuracy["network"])
    assert result.finite.accuracy["network"] > 0.6


def test_the_readout_is_a_ridge_regression(result, samples):
    X = torch.from_numpy(samples.train.X).float()
    network = result.finite.network
    Z = network.features(X).detach().double().numpy()
    ridge = RIDGE * np.square(Z).sum(axis=1).mean()
    weights = np.linalg.solve(Z.T @ Z + ridge * np.eye(64), Z.T @ (np.eye(10)[samples.train.y] - 0.1))
    assert_close(network.readout.weight.detach().numpy(), weights.T, FLOAT32_READOUT, what="float32 readout")


def test_the_cost_counts_products(result, samples):
    deq = DEQNetwork(nsd.DEQ("relu"), 64, 64, 10, seed=LARGEST_SEED + 1, dtype=torch.float32)
    _, record = deq.solve(torch.from_numpy(samples.test.X).float())
    assert result.finite.forward["deq"].products == record.iterations + 1
    assert result.finite.forward["network"].products == 2
    assert result.finite.forward["deq"].unconverged == 0
    assert {name: bits.weights for name, bits in result.finite.memory.items()} == dict.fromkeys(
        ("deq", "network"), 64 * 64 + 64 * 64
    )


def test_ternary_weights(samples):
    found = run_twin(TwinConfig(nsd.DEQ("tanh"), weights="ternary", sparsity=0.5, width=32), samples).finite
    (W,) = found.network.layers
    assert set(np.unique(W.detach().abs().numpy())) == {0.0, np.float32(2.0**0.5)}
    assert found.memory["network"].codes == 2 * 32 * 64 + 32
    assert found.memory["deq"].codes == 32 * (32 * 64 + 32 * 32)
    assert found.network.readout.weight.dtype == torch.float32


def test_a_finite_network_without_equilibrium_is_said_so(samples, monkeypatch):
    monkeypatch.setattr("notsodeep.experiments.finite._MOST_ITERATIONS", 2)
    found = run_twin(TwinConfig(nsd.DEQ("tanh"), width=32), samples).finite
    assert found.forward["deq"].unconverged > 0
    assert found.accuracy["deq"] is None
    assert found.accuracy["network"] is not None


def test_ntk_of_the_paper(samples):
    found = run_twin(TwinConfig(nsd.DEQ("tanh"), kernel="ntk", trainable=("recurrent", "readout"), width=32), samples)
    want = nsd.ntk(nsd.DEQ("tanh"), samples.train.X, trainable=("recurrent", "readout"))
    assert_close(found.evidence["ntk"].kernels[0], want, ROUNDING)
    assert found.match.status == "matched"
    assert found.distance.spectral < 0.05


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 0}, "width must be an integer >= 1"),
        ({"width": 1, "kernel": "both"}, "width must be an integer >= 2"),
        ({"kernel": "cnk"}, "kernel must be one of"),
        ({"family": "x"}, "family must be one of 'auto', 'hard_tanh'"),
        ({"max_depth": 0}, "max_depth must be an integer >= 1"),
        ({"max_depth": 4}, "max_depth must be an integer <= 3"),
        ({"error": 0.1}, "error goes with family='hermite'"),
        ({"family": "hermite", "kernel": "both"}, "family='hermite' has one kernel at a time"),
        ({"weights": "binary"}, "weights must be one of 'gaussian', 'ternary'"),
        ({"kernel": "ntk", "trainable": "input", "family": "hermite"}, "family='hermite' trains its readout"),
        ({"sparsity": 0.5}, "sparsity is of ternary weights"),
        ({"weights": "ternary", "sparsity": 1.0}, r"sparsity must be a number in \[0, 1\)"),
        ({"weights": "ternary", "sparsity": -0.5}, "sparsity must be a finite number >= 0"),
        ({"trainable": ("everything",)}, "trainable must be 'all'"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_bad_options(change, words):
    with pytest.raises(ValueError, match=words):
        TwinConfig(nsd.DEQ("relu"), **change)


@pytest.mark.parametrize("kernel", ["ck", "ntk", "both"])
def test_a_model_that_cannot_be_matched_shows_before_the_data(kernel):
    check_model(TwinConfig(nsd.DEQ("relu"), kernel=kernel))
    with pytest.raises(ValueError, match="no stable kernel fixed point"):
        check_model(TwinConfig(nsd.DEQ("relu", sigma_a2=3.0), kernel=kernel))
    with pytest.raises(ValueError, match="set center=True"):
        check_model(TwinConfig(nsd.DEQ("relu", center=False), kernel=kernel))
