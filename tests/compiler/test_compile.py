"""``compile``: from weights to a network, its readout, its fidelity, and the verdict on the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.compiler import Compiled, ImplicitLayer
from notsodeep.errors import ConvergenceError
from notsodeep.networks import DEQNetwork, ExplicitNetwork
from tests.compiler.models import Looped, Normalised, trained
from tests.tolerances import FLOAT32_READOUT, FORWARD, assert_close


@pytest.fixture(scope="module")
def digits():
    return nsd.load_dataset("digits", n=600, seed=0)


@pytest.fixture(scope="module")
def ours(digits):
    deq = nsd.DEQ("relu").to_torch(in_features=64, width=300, out_features=10, seed=0)
    return deq, nsd.compile(deq, digits.X, digits.y)


@pytest.fixture(scope="module")
def theirs(digits):
    """A GELU layer of a user's own with biases, in single precision, on samples of norm 28."""
    model = Looped(64, 250, 10, torch.nn.GELU())
    X = torch.as_tensor(28.0 * digits.X, dtype=torch.float32)
    return model, X, nsd.compile(model, X, digits.y)


@pytest.fixture(scope="module")
def learned(digits):
    model = trained(Looped(64, 70, 10, torch.nn.Tanh(), loops=25), 8.0 * digits.X, digits.y)
    X = torch.as_tensor(8.0 * digits.X, dtype=torch.float32)
    return model, X, nsd.compile(model, X, digits.y, readout="distilled", on_failure="return")


def test_variances_are_read_off_the_weights(ours):
    deq, found = ours
    spec, values = deq.spec, found.variances
    assert_close(values.sigma_a2, spec.sigma_a2 * float((deq.A.detach() ** 2).mean()), FORWARD)
    assert_close(values.sigma_b2, spec.sigma_b2 * float((deq.B.detach() ** 2).mean()), FORWARD)
    assert (values.sigma_c2, found.match.deq.activation) == (0.0, deq.activation)
    assert abs(values.tau0 - 1.0) < 1e-9


def test_those_of_a_module_are_in_the_units_of_its_samples(theirs):
    model, X, found = theirs
    values = found.variances
    with torch.no_grad():
        assert_close(values.sigma_a2, 250 * float(model.W.weight.double().square().mean()), FORWARD)
        assert_close(values.sigma_b2, float(model.U.weight.double().square().mean()), FORWARD)
        assert_close(values.sigma_c2, float((model.W.bias + model.U.bias).double().square().mean()), FORWARD)
    assert_close(values.tau0, float(X.double().square().sum(1).mean().sqrt()), FORWARD)
    assert abs(values.sigma_a2 - 1.0 / 3.0) < 0.01  # of torch's usual initialisation


def test_random_weights_are_covered(ours, theirs):
    assert ours[1].covered
    assert ours[1].weights.verdict == "gaussian"
    assert "The theory covers this DEQ: the weights look like independent Gaussian ones." in ours[1].verdict
    assert theirs[2].covered
    assert theirs[2].weights.verdict == "independent"
    assert "though not Gaussian" in theirs[2].verdict


def test_the_network_has_the_kernel(ours, theirs):
    assert ours[1].fidelity.kernel.exact.centred.frobenius < 1e-3
    assert theirs[2].fidelity.kernel.exact.centred.frobenius < 0.03
    for found in (ours[1], theirs[2]):
        kernel = found.fidelity.kernel
        # other random weights: the network's kernel is about as far from the DEQ's as that of another DEQ
        assert kernel.network.centred.frobenius < 1.5 * max(gap.centred.frobenius for gap in kernel.redrawn)


def test_predictions_agree_on_held_out_samples(ours, theirs):
    for found in (ours[1], theirs[2]):
        compared = found.fidelity.predictions
        assert compared.n == 120
        assert compared.agreement["refitted"] > 0.9
        assert compared.accuracy["network"] > compared.accuracy["refitted"] - 0.05
        assert compared.accuracy["own"] < 0.4  # a readout as it was drawn


def test_the_module_predicts_what_the_record_says(theirs, digits):
    _, X, found = theirs
    assert found.module(X).dtype == torch.float32
    held = np.sort(np.random.default_rng(0).permutation(600)[:120])
    right = np.array(found.classes)[found.module(X[held]).argmax(1).numpy()] == digits.y[held]
    assert right.mean() == found.fidelity.predictions.accuracy["network"]


def test_the_readout_is_the_ridge_regression_on_the_other_samples(ours, digits):
    _, found = ours
    fit = np.sort(np.random.default_rng(0).permutation(600)[120:])
    F = found.module.features(digits.X[fit]).detach().numpy()
    Y = np.eye(10)[digits.y[fit]]
    centred = F - F.mean(0)
    ridge = 1e-3 * np.mean((centred**2).sum(1))
    weight = np.linalg.solve(centred.T @ centred + ridge * np.eye(300), centred.T @ (Y - Y.mean(0))).T
    assert_close(found.module.readout.weight, weight, FLOAT32_READOUT)
    assert_close(found.module.readout.bias, Y.mean(0) - weight @ F.mean(0), FLOAT32_READOUT)


def test_the_network_is_saved_with_its_intercept(theirs, tmp_path):
    _, X, found = theirs
    nsd.save(found.module, tmp_path / "net.safetensors")
    again = nsd.load(tmp_path / "net.safetensors")
    assert torch.equal(again(X[:20]), found.module(X[:20]))
    assert again.readout.bias is not None


def test_the_network_is_explicit_and_cheaper(ours):
    _, found = ours
    assert isinstance(found.module, ExplicitNetwork)
    assert (found.module.width, found.module.in_features, found.module.out_features) == (300, 64, 10)
    cost = found.fidelity.cost
    assert cost["network"].products == found.module.spec.depth
    assert cost["deq"].products > 5 * cost["network"].products
    assert cost["deq"].memory == 64 * (300 * 300 + 300 * 64 + 300 * 10)


def test_a_trained_model_is_not_covered_but_measured(learned, digits):
    _, _, found = learned
    assert not found.covered
    assert found.weights.verdict == "not random"
    kernel = found.fidelity.kernel
    assert kernel.own.centred.frobenius > 1.5 * max(gap.centred.frobenius for gap in kernel.drawn)
    assert "The theory does not cover this DEQ: the weights are no longer random: " in found.verdict
    assert f"{found.weights.worst.value:.4g}" in found.verdict
    compared = found.fidelity.predictions
    assert compared.accuracy["own"] > 0.85
    assert compared.agreement["own"] > 0.7
    assert f"{100 * compared.agreement['own']:.3g} %" in found.verdict


def test_each_finding_alone_uncovers_a_model(ours, learned):
    found, other = ours[1], learned[2]
    assert not replace(found, weights=other.weights).covered
    assert not replace(found, fidelity=other.fidelity).covered
    assert not replace(found, variances=replace(found.variances, matched_sigma_a2=0.1)).covered
    kernel = found.fidelity.kernel
    drawn = float(np.median([gap.centred.frobenius for gap in kernel.drawn]))
    assert not replace(found, fidelity=replace(found.fidelity, kernel=replace(kernel, drawn=()))).covered

    def at(times):
        distance = replace(kernel.own.centred, frobenius=times * drawn)
        return replace(kernel, own=replace(kernel.own, centred=distance))

    assert at(1.4).covered
    assert not at(1.6).covered


def test_distilled_readouts_need_no_labels(theirs):
    model, X, _ = theirs
    found = nsd.compile(model, X)
    assert (found.readout, found.classes) == ("distilled", None)
    compared = found.fidelity.predictions
    assert compared.error["own"] < 0.6  # of outputs that a readout of random weights makes
    assert set(compared.accuracy.values()) == {None}
    assert compared.agreement["refitted"] is None


def test_a_learned_function_is_distilled(digits):
    """A readout fitted to a task makes outputs that vary slowly: they carry over."""
    deq = nsd.DEQ("tanh").to_torch(in_features=64, width=400, out_features=10, seed=3)
    Z = deq.features(digits.X).detach()
    Y = torch.eye(10, dtype=torch.float64)[torch.as_tensor(digits.y)]
    with torch.no_grad():
        deq.readout.weight.copy_(torch.linalg.solve(Z.T @ Z + 0.5 * torch.eye(400, dtype=torch.float64), Z.T @ Y).T)
    found = nsd.compile(deq, digits.X, digits.y, readout="distilled")
    compared = found.fidelity.predictions
    assert compared.agreement["own"] > 0.95
    assert compared.error["own"] < 0.3
    assert abs(compared.accuracy["own"] - compared.accuracy["network"]) < 0.05


def test_without_readout_and_labels_there_are_features(digits):
    found = nsd.compile(Looped(64, 120, 0, torch.nn.Tanh()), digits.X[:200].astype(np.float32))
    assert (found.readout, found.fidelity.predictions) == ("none", None)
    assert found.module.features(digits.X[:3]).shape == (3, 120)
    assert "kernels are all that is compared" in found.verdict


def test_a_layer_with_a_function(digits):
    torch.manual_seed(0)
    W, U = torch.nn.Linear(80, 80, bias=False), torch.nn.Linear(64, 80)
    layer = ImplicitLayer(W, U, torch.tanh, function=lambda z, x: torch.tanh(W(z) + U(x)))
    found = nsd.compile(layer, digits.X[:200], digits.y[:200], width=90)
    assert isinstance(found, Compiled)
    assert (found.module.width, found.module.out_features, found.readout) == (90, 10, "labels")


def test_a_function_of_another_form_is_refused_at_the_samples(digits):
    torch.manual_seed(0)
    W, U = torch.nn.Linear(80, 80, bias=False), torch.nn.Linear(64, 80)
    layer = ImplicitLayer(W, U, torch.tanh, function=lambda z, x: torch.tanh(W(z) + U(x.clamp(-5.0, 5.0))))
    with pytest.raises(ValueError, match="function is not phi"):
        nsd.compile(layer, 100.0 * digits.X[:200])


def test_a_layer_norm_is_refused(digits):
    with pytest.raises(ValueError, match="its outputs differ by"):
        nsd.compile(Normalised(64, 50, 10, torch.nn.Tanh()), digits.X[:50])


def test_other_kernels_and_families(digits):
    deq = nsd.DEQ("tanh").to_torch(in_features=64, width=60, out_features=10)
    assert nsd.compile(deq, digits.X[:100], kernel="ntk").match.match.kernel == "ntk"
    found = nsd.compile(deq, digits.X[:100], family="hard_tanh")
    assert found.match.match.family == "hard_tanh"


def test_the_seed_makes_split_and_weights(digits):
    deq, X = nsd.DEQ("tanh").to_torch(in_features=64, width=60), digits.X[:100]
    found, same, other = nsd.compile(deq, X), nsd.compile(deq, X), nsd.compile(deq, X, seed=1)
    assert torch.equal(same.module.layers[0], found.module.layers[0])
    assert same.fidelity.kernel == found.fidelity.kernel
    assert not torch.equal(other.module.layers[0], found.module.layers[0])
    assert other.fidelity.kernel.own != found.fidelity.kernel.own


def test_no_weights_are_shared_with_a_model_of_the_same_seed(ours):
    deq, found = ours
    first = found.module.layers[0].detach().flatten()
    assert not np.intersect1d(first.numpy(), torch.cat([deq.A.flatten(), deq.B.flatten()]).detach().numpy()).size
    gaps = found.fidelity.kernel
    assert min(gap.plain.frobenius for gap in gaps.redrawn) > 0.5 * gaps.own.plain.frobenius


def test_states_are_kept(digits, tmp_path):
    deq = nsd.DEQ("tanh").to_torch(in_features=64, width=60, out_features=10)
    first = nsd.compile(deq, digits.X[:100], cache=tmp_path)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    again = nsd.compile(deq, digits.X[:100], cache=tmp_path)
    assert set(files) == {"fit.npy", "held-out.npy"}
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")} == files
    assert torch.equal(first.module.readout.weight, again.module.readout.weight)
    assert torch.equal(first.module.readout.weight, nsd.compile(deq, digits.X[:100]).module.readout.weight)


def test_stages_are_told(digits):
    told = []
    nsd.compile(nsd.DEQ("tanh").to_torch(64, 20), digits.X[:30], progress=told.append)
    assert told == ["the weights", "solving the equations", "states of the DEQ", "fitting the readout", "fidelity"]


def test_variances_without_a_stable_kernel(digits):
    """A ReLU layer far beyond sigma_a2 = 2 whose states exist all the same: its weights push them below zero."""
    torch.manual_seed(0)
    W = torch.randn(60, 60, dtype=torch.float64) * (3.0 / 60) ** 0.5 - 0.3
    U = torch.randn(60, 64, dtype=torch.float64)
    found = nsd.compile(ImplicitLayer(W, U, "relu"), digits.X[:150], digits.y[:150], on_failure="return")
    values = found.variances
    assert_close(values.sigma_a2, 60 * float((W**2).mean()), FORWARD)
    assert values.matched_sigma_a2 < 2.0 < values.sigma_a2
    assert abs(values.contraction - 0.9) < 1e-4  # half of it, for a ReLU
    assert abs(values.matched_sigma_a2 - 1.8) < 1e-4
    assert not found.covered
    assert "there is no stable kernel of infinite width, so that 1.8 is taken" in found.verdict
    assert found.fidelity.predictions.agreement["refitted"] > 0.35  # of 30 samples in 10 classes


@pytest.fixture(scope="module")
def restless():
    """A DEQ that plain iteration leaves behind at some samples."""
    return DEQNetwork(nsd.DEQ("tanh", sigma_a2=0.9), 64, 100, 10, max_iter=12, tol=2e-3)


def test_samples_without_equilibrium(restless, digits):
    X = digits.X[:400]
    with pytest.raises(ConvergenceError, match="was not reached"):
        nsd.compile(restless, X)
    y = digits.y[:400]
    found = nsd.compile(restless, X, y, family="hard_tanh", on_failure="return")
    held = np.sort(np.random.default_rng(0).permutation(400)[:80])
    _, record = restless.solve(X[held], on_failure="return")
    assert found.fidelity.unconverged == record.unconverged > 0
    assert found.fidelity.predictions.n == 80 - record.unconverged
    there = held[(record.residuals <= 2e-3).numpy()]
    right = np.array(found.classes)[found.module(X[there]).argmax(1).numpy()] == y[there]
    assert found.fidelity.predictions.accuracy["network"] == right.mean() > 0.6
    impossible = DEQNetwork(nsd.DEQ("tanh", sigma_a2=0.9), 64, 100, max_iter=1)
    with pytest.raises(ConvergenceError, match="no equilibrium at 320 of 320 samples"):
        nsd.compile(impossible, X, on_failure="return")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deq": nsd.DEQ("relu")}, "deq must be a DEQNetwork, an ImplicitLayer or a torch module, got DEQ"),
        (
            {"deq": nsd.MLP(nsd.Layer("relu")).to_torch(6, 20)},
            "deq must be a DEQ, got a network that is explicit already",
        ),
        ({"X": np.ones((20, 5))}, "X must have 6 features, as many as deq has inputs, got 5"),
        ({"X": np.ones((9, 6))}, "X must have n >= 10"),
        ({"X": np.full((20, 6), np.nan)}, "X has NaN"),
        ({"y": np.zeros(20)}, "y must have labels of two classes or more, got 0 alone"),
        ({"y": np.arange(19)}, r"y must have shape \(20,\)"),
        ({"y": np.linspace(0, 1, 20)}, "y must be class labels"),
        ({"kernel": "rbf"}, "kernel must be one of"),
        ({"width": 1}, "width must be an integer >= 2"),
        ({"readout": "own"}, "readout must be one of"),
        ({"readout": "labels"}, "readout='labels' needs labels y"),
        ({"family": "cubist"}, "family must be one of"),
        ({"holdout": 0.0}, "holdout must be a finite number > 0"),
        ({"holdout": 1.0}, "holdout must be a share below 1, got 1.0"),
        ({"ridge": -1.0}, "ridge must be a finite number >= 0"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"on_failure": "ignore"}, "on_failure must be one of"),
        ({"cache": "no/such/folder"}, "cache must be an existing folder"),
        ({"cache": ".", "on_failure": "return"}, "cache goes with on_failure='raise'"),
    ],
)
def test_wrong_arguments(change, message):
    deq = nsd.DEQ("tanh").to_torch(6, 20)
    given = {"deq": deq, "X": np.random.default_rng(0).standard_normal((20, 6))} | change
    with pytest.raises(ValueError, match=message):
        nsd.compile(given.pop("deq"), given.pop("X"), **given)


def test_distillation_needs_a_readout(digits):
    with pytest.raises(ValueError, match="readout='distilled' needs a DEQ with a readout"):
        nsd.compile(Looped(64, 50, 0, torch.nn.Tanh()), digits.X[:50], readout="distilled")
