"""Cached features: what is computed, what is kept after an interruption, and which files are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.errors import ConvergenceError, DataError
from notsodeep.networks import DEQNetwork, ExplicitNetwork, cached_features, feature_cache

N, P, WIDTH = 25, 3, 16


class Stop(Exception):
    pass


def network(seed=0, **options):
    return DEQNetwork(nsd.DEQ("tanh"), P, WIDTH, 2, seed=seed, **options)


def samples(seed=0):
    return np.random.default_rng(seed).standard_normal((N, P))


def by_batches(net, X, size):
    with torch.no_grad():
        return torch.cat([net.features(rows) for rows in torch.from_numpy(X).split(size)])


@pytest.fixture
def counted(monkeypatch):
    """Numbers of samples that go through a DEQ, batch by batch."""
    sizes, usual = [], DEQNetwork.features

    def features(self, X):
        sizes.append(len(X))
        return usual(self, X)

    monkeypatch.setattr(DEQNetwork, "features", features)
    return sizes


def stop_after(rows):
    def progress(done, total):
        if done >= rows:
            raise Stop

    return progress


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_are_the_features_of_the_network(tmp_path, dtype):
    net, X, seen = network(dtype=dtype), samples(), []
    expected = by_batches(net, X, 10)
    assert torch.equal(cached_features(net, X, batch_size=10), expected)
    found = cached_features(net, X, tmp_path / "F.npy", batch_size=10, progress=lambda *at: seen.append(at))
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert seen == [(10, N), (20, N), (25, N)]
    assert np.array_equal(np.load(tmp_path / "F.npy"), expected.numpy())
    assert {path.name for path in tmp_path.iterdir()} == {"F.npy", "F.npy.json"}


def test_a_finished_file_is_read_again(tmp_path, counted):
    net, X = network(), samples()
    first = cached_features(net, X, tmp_path / "F.npy")
    assert counted == [N]
    assert torch.equal(cached_features(network(), torch.from_numpy(X), tmp_path / "F.npy"), first)
    assert counted == [N]


def test_changes_do_not_reach_the_file(tmp_path):
    net, X = network(), samples()
    first = cached_features(net, X, tmp_path / "F.npy")
    kept = first.clone()
    first.zero_()
    assert torch.equal(cached_features(net, X, tmp_path / "F.npy"), kept)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("rows", [4, 8, 24, 25])
def test_an_interrupted_run_goes_on(tmp_path, counted, monkeypatch, rows, seconds):
    monkeypatch.setattr(feature_cache, "_SECONDS", seconds)
    net, X = network(), samples()
    with pytest.raises(Stop):
        cached_features(net, X, tmp_path / "F.npy", batch_size=4, progress=stop_after(rows))
    done = sum(counted)
    assert done == rows
    found = cached_features(net, X, tmp_path / "F.npy", batch_size=4)
    assert sum(counted) == N
    assert torch.equal(found, by_batches(net, X, 4))


def test_rows_that_were_not_recorded_are_computed_again(tmp_path, counted):
    """As after a kill: rows may be in the file and not in the record, and files half written lie beside them."""
    net, X, path = network(), samples(), tmp_path / "F.npy"
    expected = cached_features(net, X, path, batch_size=5).clone()
    record = json.loads((tmp_path / "F.npy.json").read_text())
    (tmp_path / "F.npy.json").write_text(json.dumps(record | {"done": 10}))
    (tmp_path / ".F.npy.json.0a0a0a0a.part").write_text("{")
    (tmp_path / ".F.npy.0a0a0a0a.part").write_text("")
    rows = np.load(path, mmap_mode="r+")
    rows[10:] = np.nan
    rows.flush()
    counted.clear()
    assert torch.equal(cached_features(net, X, path, batch_size=5), expected)
    assert sum(counted) == 15
    assert {path.name for path in tmp_path.iterdir()} == {"F.npy", "F.npy.json"}


def test_a_record_without_its_table_begins_anew(tmp_path, counted, monkeypatch):
    monkeypatch.setattr("notsodeep.networks.feature_cache._SECONDS", 1e9)
    net, X = network(), samples()
    expected = cached_features(net, X, tmp_path / "F.npy").clone()
    (tmp_path / "F.npy").unlink()
    recorded = []

    def progress(done, total):
        recorded.append(json.loads((tmp_path / "F.npy.json").read_text())["done"])

    assert torch.equal(cached_features(net, X, tmp_path / "F.npy", progress=progress), expected)
    assert recorded == [0]


def test_another_readout_has_the_same_features(tmp_path, counted):
    net, X = network(), samples()
    cached_features(net, X, tmp_path / "F.npy")
    with torch.no_grad():
        net.readout.weight.zero_()
    cached_features(net, X, tmp_path / "F.npy")
    cached_features(DEQNetwork(nsd.DEQ("tanh"), P, WIDTH, 5), X, tmp_path / "F.npy")
    assert counted == [N]


def trained():
    net = network()
    with torch.no_grad():
        net.B[0, 0] += 1.0
    return net


@pytest.mark.parametrize(
    "other",
    [
        lambda: (network(seed=1), samples()),
        lambda: (trained(), samples()),
        lambda: (network(tol=1e-3), samples()),
        lambda: (network(dtype=torch.float32), samples()),
        lambda: (network(), samples(seed=1)),
        lambda: (network(), samples()[:-1]),
        lambda: (DEQNetwork(nsd.DEQ("tanh", sigma_a2=0.3), P, WIDTH), samples()),
        lambda: (ExplicitNetwork(nsd.MLP(nsd.Layer("tanh")), P, WIDTH), samples()),
    ],
)
def test_features_of_something_else_are_refused(tmp_path, counted, other):
    kept = cached_features(network(), samples(), tmp_path / "F.npy").clone()
    with pytest.raises(DataError, match="other weights, options or samples: delete both files"):
        cached_features(*other(), tmp_path / "F.npy")
    assert counted == [N]
    assert torch.equal(cached_features(network(), samples(), tmp_path / "F.npy"), kept)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("F.npy", b"\x93NUMPY", "cannot be read"),
        ("F.npy", b"", "cannot be read"),
        ("F.npy.json", b"{", "cannot be read"),
        ("F.npy.json", b"[]", "cannot be read"),
        ("F.npy.json", b'{"version": 1}', "cannot be read"),
        ("F.npy.json", b'{"version": 1, "sha256": "", "done": 9}', "other weights"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content, message):
    cached_features(network(), samples(), tmp_path / "F.npy")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        cached_features(network(), samples(), tmp_path / "F.npy")


@pytest.mark.parametrize(("change", "message"), [({"done": 99}, "done must be"), ({"version": 2}, "other weights")])
def test_records_that_cannot_be_are_refused(tmp_path, change, message):
    cached_features(network(), samples(), tmp_path / "F.npy")
    record = json.loads((tmp_path / "F.npy.json").read_text())
    (tmp_path / "F.npy.json").write_text(json.dumps(record | change))
    with pytest.raises(DataError, match=message):
        cached_features(network(), samples(), tmp_path / "F.npy")


def test_a_truncated_table_and_one_of_another_shape_are_refused(tmp_path):
    cached_features(network(), samples(), tmp_path / "F.npy")
    whole = (tmp_path / "F.npy").read_bytes()
    (tmp_path / "F.npy").write_bytes(whole[:-1])
    with pytest.raises(DataError, match="cannot be read"):
        cached_features(network(), samples(), tmp_path / "F.npy")
    np.save(tmp_path / "F.npy", np.zeros((N, WIDTH + 1)))
    with pytest.raises(DataError, match="another shape"):
        cached_features(network(), samples(), tmp_path / "F.npy")


def test_a_file_of_unknown_origin_is_refused_and_kept(tmp_path):
    np.save(tmp_path / "F.npy", np.zeros((N, WIDTH)))
    with pytest.raises(DataError, match=r"F\.npy\.json does not"):
        cached_features(network(), samples(), tmp_path / "F.npy")
    assert not np.load(tmp_path / "F.npy").any()


def test_what_reaches_no_equilibrium_is_not_passed_off_as_done(tmp_path):
    lost = network(max_iter=1)
    for _ in range(2):
        with pytest.raises(ConvergenceError):
            cached_features(lost, samples(), tmp_path / "F.npy", batch_size=5)
    assert json.loads((tmp_path / "F.npy.json").read_text())["done"] == 0


def test_overflow_is_refused():
    net = ExplicitNetwork(nsd.MLP(nsd.Layer("relu")), P, WIDTH, dtype=torch.float32)
    with pytest.raises(ConvergenceError, match="samples 5 to 9 overflow"):
        cached_features(net, np.vstack([np.ones((7, P)), np.full((3, P), 3e38)]), batch_size=5)


@pytest.mark.parametrize(
    ("net", "X", "options", "message"),
    [
        (torch.nn.Linear(P, 2), samples(), {}, "net must be"),
        (network(), samples()[:, 1:], {}, "X must have shape"),
        (network(), samples() * np.nan, {}, "X has NaN"),
        (network(), samples(), {"batch_size": 0}, "batch_size"),
    ],
)
def test_misuse_is_refused_before_any_work(tmp_path, counted, net, X, options, message):
    with pytest.raises(ValueError, match=message):
        cached_features(net, X, tmp_path / "F.npy", **options)
    assert not counted
    assert not list(tmp_path.iterdir())


def test_folders_must_exist_and_activations_be_known_for_a_file(tmp_path):
    with pytest.raises(ValueError, match="existing folder"):
        cached_features(network(), samples(), tmp_path / "no" / "F.npy")
    own = ExplicitNetwork(nsd.MLP(nsd.Layer(nsd.Activation(np.cos))), P, WIDTH)
    with pytest.raises(ValueError, match="callable"):
        cached_features(own, samples(), tmp_path / "F.npy")
    assert not list(tmp_path.iterdir())
