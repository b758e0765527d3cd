"""What training does to the weights and what it reports, against loops written out by hand."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
import torch

from notsodeep.networks import DEQNetwork, TrainSettings, train
from notsodeep.spec import weight_names
from tests.networks.training.kit import (
    CLASSES,
    N,
    P,
    batches,
    data,
    deq,
    mlp,
    parallel,
    same,
    settings,
    weights_of,
    without_seconds,
)
from tests.tolerances import TRAINED, assert_close

ROWS = np.arange(N)


def softmax(scores):
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def gradient(loss, F, targets, W):
    """Mean loss and its gradient in the readout, by hand."""
    scores = F @ W.T
    if loss == "cross_entropy":
        chances = softmax(scores)
        return -np.log((chances * targets).sum(axis=1)).mean(), (chances - targets).T @ F / len(F)
    error = scores - targets
    return np.square(error).mean(), 2.0 * error.T @ F / error.size


def sgd(given):
    speed = 0.0

    def step(W, slope):
        nonlocal speed
        speed = given.momentum * speed + slope + given.weight_decay * W
        return W - given.lr * speed

    return step


def adam(given):
    mean, square, count = 0.0, 0.0, 0

    def step(W, slope):
        nonlocal mean, square, count
        slope, count = slope + given.weight_decay * W, count + 1
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        return W - given.lr * mean / (1 - 0.9**count) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)

    return step


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("make", [deq, mlp, parallel])
@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.9, "weight_decay": 0.1}, {"optimizer": "adam", "lr": 0.02, "weight_decay": 0.1}],
    ids=["sgd", "momentum", "adam"],
)
def test_training_the_readout_is_a_loop_over_features(loss, make, options):
    (X, y), net, given = data(), make(), settings(loss=loss, **options)
    F, W, before = (
        net.features(torch.from_numpy(X)).detach().numpy(),
        net.readout.weight.detach().numpy(),
        weights_of(net),
    )
    step, targets, W = {"sgd": sgd, "adam": adam}[given.optimizer](given), np.eye(CLASSES)[y], W.copy()
    losses, hits = [], []
    for epoch in range(1, 4):
        total, right = 0.0, 0
        for rows in batches(ROWS, given.seed, epoch, given.batch_size):
            mean, slope = gradient(loss, F[rows], targets[rows], W)
            total, right = total + mean * len(rows), right + (np.argmax(F[rows] @ W.T, axis=1) == y[rows]).sum()
            W = step(W, slope)
        losses.append(total / N)
        hits.append(right / N)
    result = train(net, X, y, given)
    assert_close(net.readout.weight.detach().numpy(), W, TRAINED)
    assert_close(np.array([epoch.loss for epoch in result.history]), np.array(losses), TRAINED)
    assert [epoch.accuracy for epoch in result.history] == hits
    assert [epoch.number for epoch in result.history] == [1, 2, 3]
    assert (result.best, result.stopped_early) == (3, False)
    del before["readout.weight"]
    assert all(torch.equal(net.state_dict()[name], weight) for name, weight in before.items())


@pytest.mark.parametrize("make", [deq, mlp, parallel])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_training_all_weights_is_gradient_descent_with_a_rate_for_each(make, loss):
    """By gradients of torch and steps written out; the rates are those of the spec."""
    (X, y), net, other, given = data(), make(), make(), settings(loss=loss, trainable="all", weight_decay=0.01)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    rates = {id(group["params"][0]): group["lr"] for group in other.parameter_groups(given.lr)}
    for rows in chain(*(batches(ROWS, given.seed, epoch, given.batch_size) for epoch in (1, 2, 3))):
        log = torch.log_softmax(other(X[rows]), dim=1)
        exact = torch.eye(CLASSES, dtype=torch.float64)[y[rows]]
        mean = -(log * exact).sum() / len(rows) if loss == "cross_entropy" else (other(X[rows]) - exact).square().mean()
        weights = list(other.parameters())
        slopes = torch.autograd.grad(mean, weights)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                weight -= rates[id(weight)] * (slope + given.weight_decay * weight)
    before = weights_of(net)
    train(net, X, y, given)
    for name, weight in other.state_dict().items():
        assert_close(net.state_dict()[name].numpy(), weight.numpy(), TRAINED)
        assert not torch.equal(before[name], weight)


@pytest.mark.parametrize("make", [deq, mlp, parallel])
def test_only_the_named_weights_are_trained(make):
    (X, y), names = data(), weight_names(make().spec)
    for name in names:
        net = make()
        before = weights_of(net)
        (group,) = net.parameter_groups(1.0, name)
        train(net, X, y, settings(trainable=name))
        moved = {key for key, weight in net.state_dict().items() if not torch.equal(weight, before[key])}
        assert moved == {key for key, weight in net.named_parameters() if weight is group["params"][0]}
        assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())


class Standard(torch.nn.Module):
    """The DEQ with weights ``V = sigma W / sqrt(fan-in)``: the state unrolled until it stands."""

    def __init__(self, net):
        super().__init__()
        spec = net.spec
        self.scales = {
            "A": (spec.sigma_a2 / net.width) ** 0.5,
            "B": (spec.sigma_b2 / P) ** 0.5,
            "c": spec.sigma_c2**0.5,
            "readout.weight": net.width**-0.5,
        }
        self.V = torch.nn.ParameterList(
            self.scales[name] * weight.detach().clone() for name, weight in named(net).items()
        )
        self.phi = net.activation

    def forward(self, X):
        A, B, c, R = self.V
        inside = P**0.5 * X @ B.T + c
        y = torch.zeros_like(inside)
        for _ in range(80):
            y = self.phi(y @ A.T + inside)
        return y @ R.T


def named(net):
    return {name: dict(net.named_parameters())[name] for name in ("A", "B", "c", "readout.weight")}


@pytest.mark.parametrize(
    "options",
    [{"lr": 0.05, "weight_decay": 0.2, "momentum": 0.5}, {"optimizer": "adam", "lr": 0.003, "weight_decay": 0.2}],
    ids=["sgd", "adam"],
)
def test_the_standard_parametrization_trains_weights_of_small_variance(options):
    (X, y), net, given = data(), deq(), settings(trainable="all", parametrization="standard", **options)
    other = Standard(net)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[given.optimizer]
    extra = {"momentum": given.momentum} if given.optimizer == "sgd" else {}
    optimizer = kind(other.parameters(), lr=given.lr, weight_decay=given.weight_decay, **extra)
    for rows in chain(*(batches(ROWS, given.seed, epoch, given.batch_size) for epoch in (1, 2, 3))):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(other(torch.from_numpy(X[rows])), torch.from_numpy(y[rows])).backward()
        optimizer.step()
    start = weights_of(net)
    train(net, X, y, given)
    for (name, weight), V in zip(named(net).items(), other.V, strict=True):
        moved = (weight - start[name]).detach().numpy() * other.scales[name]
        assert_close(moved, (V.detach() - other.scales[name] * start[name]).numpy(), 100 * TRAINED, what=name)


def test_real_targets_are_fitted():
    (X, _), net, given = data(), mlp(), settings(loss="mse")
    F, W = net.features(torch.from_numpy(X)).detach().numpy(), net.readout.weight.detach().numpy().copy()
    targets = np.random.default_rng(3).standard_normal((N, CLASSES))
    for rows in chain(*(batches(ROWS, given.seed, epoch, given.batch_size) for epoch in (1, 2, 3))):
        W -= given.lr * gradient("mse", F[rows], targets[rows], W)[1]
    result = train(net, X, targets, given)
    assert_close(net.readout.weight.detach().numpy(), W, TRAINED)
    assert {epoch.accuracy for epoch in result.history} == {None}


def held_out(n, share, seed):
    """Row numbers that are held out, and the others, written out."""
    order = np.random.default_rng((seed, 0)).permutation(n)
    count = round(share * n)
    return np.sort(order[:count]), np.sort(order[count:])


def test_samples_are_held_out():
    (X, y), net, given = data(), mlp(), settings(validation=0.3)
    outside, inside = held_out(N, 0.3, given.seed)
    alone, result = mlp(), train(net, X, y, given)
    F, targets, W = alone.features(X).detach().numpy(), np.eye(CLASSES)[y], alone.readout.weight.detach().numpy().copy()
    for epoch in range(1, 4):
        for rows in batches(inside, given.seed, epoch, given.batch_size):
            W -= given.lr * gradient("cross_entropy", F[rows], targets[rows], W)[1]
        found = result.history[epoch - 1]
        assert_close(found.validation_loss, gradient("cross_entropy", F[outside], targets[outside], W)[0], TRAINED)
        assert found.validation_accuracy == (np.argmax(F[outside] @ W.T, axis=1) == y[outside]).mean()
    assert_close(net.readout.weight.detach().numpy(), W, TRAINED)


def test_early_stopping_goes_back_to_the_best_weights():
    """Labels that nothing can be learnt from: the loss on what is held out rises while that of training falls."""
    X, _ = data(60)
    y = np.random.default_rng(1).integers(CLASSES, size=60)
    given = settings(trainable="all", validation=0.5, patience=4, epochs=200, lr=2.0)
    net = mlp()
    result = train(net, X, y, given)
    losses = [epoch.validation_loss for epoch in result.history]
    assert result.stopped_early
    assert result.best == 1 + int(np.argmin(losses)) == len(losses) - 4
    outside, _ = held_out(60, 0.5, given.seed)
    scores = torch.log_softmax(net(torch.from_numpy(X[outside])), dim=1).detach().numpy()
    assert_close(-scores[np.arange(30), y[outside]].mean(), min(losses), TRAINED)


def test_without_patience_nothing_stops():
    X, _ = data(60)
    y = np.random.default_rng(1).integers(CLASSES, size=60)
    result = train(mlp(), X, y, settings(trainable="all", validation=0.5, epochs=40, lr=2.0))
    losses = [epoch.validation_loss for epoch in result.history]
    assert np.argmin(losses) < 30
    assert (len(losses), result.best) == (40, 40)


def test_features_are_computed_once(monkeypatch, tmp_path):
    sizes, usual = [], DEQNetwork.features
    monkeypatch.setattr(DEQNetwork, "features", lambda self, X: (sizes.append(len(X)), usual(self, X))[1])
    X, y = data()
    for folder in (None, tmp_path):
        train(deq(), X, y, settings(), folder=folder)
    assert sizes == [N, N]


def test_progress_counts_batches():
    seen = []
    train(deq(), *data(), settings(epochs=2), progress=lambda *at: seen.append(at))
    words, done, total = zip(*seen, strict=True)
    assert (words[0], done[0], total[0]) == ("computing features", N, N)
    assert list(zip(done[1:], total[1:], strict=True)) == [(step, 8) for step in range(1, 9)]
    assert words[1].startswith("epoch 1 of 2")
    assert words[-1].startswith("epoch 2 of 2, loss ")


def test_seeds_decide_the_order_and_nothing_else_does():
    runs = [(mlp(), settings(seed=seed)) for seed in (1, 1, 2)]
    histories = []
    for net, given in runs:
        np.random.seed(0)  # noqa: NPY002
        before = torch.get_rng_state()
        histories.append(without_seconds(train(net, *data(), given).history))
        assert torch.equal(before, torch.get_rng_state())
        torch.manual_seed(len(histories))
    assert histories[0] == histories[1] != histories[2]
    assert same(weights_of(runs[0][0]), weights_of(runs[1][0]))


def test_the_defaults_are_the_protocol_of_the_paper():
    given = TrainSettings()
    assert (given.trainable, given.loss, given.optimizer, given.lr) == (("readout",), "cross_entropy", "sgd", 1.0)
    assert (given.momentum, given.weight_decay, given.epochs, given.batch_size) == (0.0, 0.0, 100, 128)
    assert (given.validation, given.patience, given.parametrization) == (0.0, None, "ntk")


def test_float32_networks_are_trained_in_float32():
    (X, y), net = data(), mlp(dtype=torch.float32)
    result = train(net, X, y, settings(trainable="all"))
    assert net.readout.weight.dtype == torch.float32
    exact = train(mlp(), X, y, settings(trainable="all"))
    assert math.isclose(result.history[-1].loss, exact.history[-1].loss, rel_tol=1e-4)
