"""Runs that are interrupted: they end as if nothing had happened, or leave what was there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from notsodeep.errors import ConvergenceError, DataError
from notsodeep.networks import DEQNetwork, ExplicitNetwork, train
from notsodeep.networks.training import checkpoint, loop, run
from notsodeep.spec import DEQ, MLP, Layer
from tests.networks.training.kit import CLASSES, P, data, deq, mlp, same, settings, weights_of, without_seconds

STEPS = 12  # three epochs of four batches


def short():
    """Some iterations fewer."""
    return deq(dtype=torch.float32)


RUNS = {
    "readout": (short, {"momentum": 0.9}),
    "all": (short, {"trainable": "all", "momentum": 0.9}),
    "adam": (mlp, {"trainable": "all", "optimizer": "adam", "lr": 0.01, "validation": 0.2, "patience": 2}),
}


class Stop(Exception):
    pass


def stop_at(count, error=Stop):
    """Progress that ends a run after so many steps."""
    seen = 0

    def progress(words, done, total):
        nonlocal seen
        seen += words.startswith("epoch")
        if seen == count:
            raise error

    return progress


@pytest.fixture
def each_step(monkeypatch):
    """A checkpoint after every step."""
    for name in ("BETWEEN", "WITHIN"):
        monkeypatch.setattr(loop, name, 0.0)
    monkeypatch.setattr(checkpoint, "_TIMES", 0)


def uninterrupted(make, given):
    net = make()
    return train(net, *data(), given), weights_of(net)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(name, each_step, tmp_path):
    make, options = RUNS[name]
    given = settings(**options)
    whole, weights = uninterrupted(make, given)
    steps = 9 if given.validation else STEPS
    for stop in range(1, steps + 1):
        folder = tmp_path / str(stop)
        with pytest.raises(Stop):
            train(make(), *data(), given, folder=folder, progress=stop_at(stop))
        net, left = make(), []
        result = train(net, *data(), given, folder=folder, progress=lambda words, *at, left=left: left.append(words))
        assert len([words for words in left if words.startswith("epoch")]) == steps - stop
        assert same(weights_of(net), weights)
        assert without_seconds(result.history) == without_seconds(whole.history)
        assert result.best == whole.best


@pytest.mark.parametrize("name", RUNS)
def test_a_run_may_be_interrupted_after_every_step(name, each_step, tmp_path):
    make, options = RUNS[name]
    given = settings(**options)
    whole, weights = uninterrupted(make, given)
    for _ in range(9 if given.validation else STEPS):
        with pytest.raises(Stop):
            train(make(), *data(), given, folder=tmp_path, progress=stop_at(1))
    net = make()
    result = train(net, *data(), given, folder=tmp_path)
    assert same(weights_of(net), weights)
    assert without_seconds(result.history) == without_seconds(whole.history)


def test_without_a_checkpoint_on_disk_the_run_begins_anew(tmp_path, monkeypatch):
    """The run is too short for one: nothing of it is kept but the features."""
    monkeypatch.setattr("notsodeep.networks.training.loop.BETWEEN", 1e9)
    monkeypatch.setattr("notsodeep.networks.training.loop.WITHIN", 1e9)
    with pytest.raises(Stop):
        train(deq(), *data(), settings(), folder=tmp_path, progress=stop_at(5))
    assert {path.name for path in tmp_path.iterdir()} == {"features.npy", "features.npy.json"}
    net = deq()
    train(net, *data(), settings(), folder=tmp_path)
    assert same(weights_of(net), uninterrupted(deq, settings())[1])
    assert {path.name for path in tmp_path.iterdir()} == set(run.FILES)


def test_checkpoints_wait_for_their_time(tmp_path, monkeypatch):
    """One at the end alone; or one an epoch; or one a step but not while writing takes much of the time."""

    def written(times, **seconds):
        for name, value in seconds.items():
            monkeypatch.setattr(loop, name, value)
        monkeypatch.setattr(checkpoint, "_TIMES", times)
        calls, usual = [], checkpoint.Checkpoint.write
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint.Checkpoint, "write", lambda *a: (calls.append(a[1]["step"]), usual(*a)))
            train(deq(), *data(), settings(), folder=tmp_path, restart=True)
        return calls

    assert written(20, BETWEEN=1e9, WITHIN=1e9) == [0]
    assert written(0, BETWEEN=0.0, WITHIN=1e9) == [0, 0, 0]
    assert written(0, BETWEEN=0.0, WITHIN=0.0) == [1, 2, 3, 4, 0] * 3
    assert written(10**9, BETWEEN=0.0, WITHIN=0.0) == [1, 0]


def test_a_finished_run_is_not_repeated(tmp_path):
    net = deq()
    first = train(net, *data(), settings(), folder=tmp_path)
    (tmp_path / "features.npy").unlink()
    again, seen = deq(), []
    result = train(again, *data(), settings(), folder=tmp_path, progress=lambda *at: seen.append(at))
    assert result == first
    assert same(weights_of(again), weights_of(net))
    assert not seen
    assert not (tmp_path / "features.npy").exists()


@pytest.mark.parametrize("name", RUNS)
def test_more_epochs_go_on_where_fewer_ended(name, tmp_path):
    make, options = RUNS[name]
    whole, weights = uninterrupted(make, settings(**options))
    for epochs in (1, 2, 3):
        net, left = make(), []
        given = settings(**options, epochs=epochs)
        result = train(net, *data(), given, folder=tmp_path, progress=lambda words, *at, left=left: left.append(words))
        assert {words.split(",")[0] for words in left if words.startswith("epoch")} == {f"epoch {epochs} of {epochs}"}
    assert same(weights_of(net), weights)
    assert without_seconds(result.history) == without_seconds(whole.history)
    with pytest.raises(DataError, match="of epoch 3 already, and epochs is 2: begin anew with restart"):
        train(make(), *data(), settings(**options, epochs=2), folder=tmp_path)


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_after_an_interrupt_the_network_is_as_it_was(error, each_step, tmp_path):
    net = deq()
    before = weights_of(net)
    with pytest.raises(error):
        train(net, *data(), settings(trainable="all"), folder=tmp_path, progress=stop_at(6, error))
    assert same(weights_of(net), before)
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())
    train(net, *data(), settings(trainable="all"), folder=tmp_path)
    assert same(weights_of(net), uninterrupted(deq, settings(trainable="all"))[1])


def test_restart_begins_anew(each_step, tmp_path):
    with pytest.raises(Stop):
        train(deq(), *data(), settings(), folder=tmp_path, progress=stop_at(6))
    other, given, seen = mlp(), settings(seed=9), []
    train(other, *data(), given, folder=tmp_path, restart=True, progress=lambda *at: seen.append(at))
    assert len(seen) == 1 + STEPS
    assert same(weights_of(other), uninterrupted(mlp, given)[1])


def test_restart_uses_features_of_the_same_weights_again(tmp_path, monkeypatch):
    sizes, usual = [], DEQNetwork.features
    monkeypatch.setattr(DEQNetwork, "features", lambda self, X: (sizes.append(len(X)), usual(self, X))[1])
    for seed in (0, 0, 1):
        net = deq(seed=seed)
        train(net, *data(), settings(lr=0.1), folder=tmp_path, restart=True)
    assert sizes == [23, 23]
    alone = deq(seed=1)
    train(alone, *data(), settings(lr=0.1))
    assert same(weights_of(net), weights_of(alone))


def moved():
    net = deq()
    with torch.no_grad():
        net.readout.weight[0, 0] += 1.0
    return net


@pytest.mark.parametrize(
    ("net", "samples", "given", "message"),
    [
        (deq(), data(), settings(lr=0.25), r"lr is 0\.5 there and 0\.25 here"),
        (deq(), data(), settings(epochs=1), "of epoch 2 already, and epochs is 1"),
        (deq(), data(), settings(trainable="all"), "trainable is"),
        (deq(seed=1), data(), settings(), "another network"),
        (moved(), data(), settings(), "another network"),
        (mlp(), data(), settings(), "another network"),
        (deq(), data(seed=1), settings(), "another data"),
        (deq(), (data()[0], (data()[1] + 1) % CLASSES), settings(), r"\(another data\)"),
        (deq(seed=1), data(seed=1), settings(lr=0.25), "lr is .*; another network; another data"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(each_step, tmp_path, net, samples, given, message):
    with pytest.raises(Stop):
        train(deq(), *data(), settings(), folder=tmp_path, progress=stop_at(6))
    before, files = weights_of(net), contents(tmp_path)
    with pytest.raises(DataError, match=message):
        train(net, *samples, given, folder=tmp_path)
    assert same(weights_of(net), before)
    assert contents(tmp_path) == files


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_refused(each_step, tmp_path, keep):
    train(deq(), *data(), settings(), folder=tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match="cannot be read"):
        train(deq(), *data(), settings(), folder=tmp_path)


def test_a_changed_checkpoint_is_refused(tmp_path):
    """Each bit is of the header, the state or a tensor; one that is turned shows."""
    train(deq(), *data(), settings(momentum=0.5), folder=tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    whole = file.read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=60):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(place) % 7
        if changed.isspace() or bytes(changed).replace(b" ", b"") == whole.replace(b" ", b""):
            continue  # padding
        file.write_bytes(changed)
        with pytest.raises(DataError, match="begin anew with restart"):
            train(deq(), *data(), settings(momentum=0.5), folder=tmp_path)


def test_what_a_kill_leaves_half_written_is_cleared_away(tmp_path):
    (tmp_path / ".checkpoint.safetensors.00ff00ff.part").write_bytes(b"half")
    train(deq(), *data(), settings(), folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(run.FILES)


def test_a_loss_that_is_not_finite_ends_the_run(each_step, tmp_path):
    """The readout's error grows with each step of a rate this large, until it overflows."""
    net, given = mlp(dtype=torch.float32), settings(loss="mse", lr=1e12, epochs=50)
    before = weights_of(net)
    with pytest.raises(ConvergenceError, match=r"the loss is (inf|nan) in epoch \d+, step \d; lower lr \(now 1e\+12\)"):
        train(net, *data(), given, folder=tmp_path)
    assert same(weights_of(net), before)
    kept = contents(tmp_path)["checkpoint.safetensors"]
    with pytest.raises(ConvergenceError, match="lower lr"):
        train(net, *data(), given, folder=tmp_path)
    assert contents(tmp_path)["checkpoint.safetensors"] == kept


def test_weights_that_the_last_step_makes_infinite_end_the_run(tmp_path):
    net = ExplicitNetwork(MLP(Layer("relu")), P, 12, CLASSES, dtype=torch.float32)
    given = settings(lr=3e38, epochs=1, batch_size=100)
    with pytest.raises(ConvergenceError, match=r"readout\.weight has values that are not finite in epoch 1, step 1"):
        train(net, 1e5 * data()[0], data()[1], given, folder=tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_lost_equilibrium_ends_the_run(each_step, tmp_path):
    """Recurrent weights that grow, until nothing contracts any more."""
    spec = DEQ("relu", sigma_a2=0.2, sigma_b2=0.8)
    net, given = DEQNetwork(spec, P, 12, CLASSES, max_iter=200), settings(trainable="all", lr=30.0, epochs=50)
    before = weights_of(net)
    with pytest.raises(ConvergenceError, match=r"was not reached .* in epoch \d+, step \d; lower lr"):
        train(net, *data(), given, folder=tmp_path)
    assert same(weights_of(net), before)
    kept = contents(tmp_path)["checkpoint.safetensors"]
    with pytest.raises(ConvergenceError):
        train(net, *data(), given, folder=tmp_path)
    assert contents(tmp_path)["checkpoint.safetensors"] == kept


def test_features_that_overflow_end_the_run():
    net = ExplicitNetwork(MLP(Layer("relu")), P, 12, CLASSES, dtype=torch.float32)
    with pytest.raises(ConvergenceError, match="overflow"):
        train(net, 3e38 * data()[0].clip(-1, 1), data()[1], settings())
