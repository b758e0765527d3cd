"""Networks on disk: exact round trips, atomic writes, and a clear error for every kind of bad file."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from notsodeep.activations import Activation, activation
from notsodeep.errors import DataError
from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork, load, memory_bits, save
from notsodeep.spec import DEQ, MLP, Layer, Parallel, to_dict

KEY = "notsodeep.network"
TWO_LAYERS = MLP((Layer("tanh"), Layer("silu", bias_var=0.1)))
BRANCHES = Parallel((TWO_LAYERS, MLP(Layer("relu", 0.7, 0.1))))
BIASED = DEQ("silu", sigma_a2=0.3, sigma_c2=0.1 / 3)
NETWORKS = {
    "deq": lambda: DEQNetwork(DEQ("silu", sigma_a2=0.3, tau0=1.1, center=False), 5, 12, 3, seed=2),
    "deq, float32, options": lambda: DEQNetwork(
        DEQ("elu:alpha=0.5"), 5, 12, dtype=torch.float32, tol=1e-4, max_iter=77
    ),
    "biased deq": lambda: DEQNetwork(BIASED, 5, 12, 3, seed=2),
    "biased explicit": lambda: ExplicitNetwork(
        MLP((Layer("tanh"), Layer("relu", bias_var=0.3), Layer("silu", 2.0, 0.5, 0.1))), 5, 12, 3, seed=2
    ),
    "explicit": lambda: ExplicitNetwork(
        MLP((Layer("hermite:scale=2", 0.7, 0.1), Layer(activation("softplus").shifted(-0.8)))), 5, 12, 3, seed=2
    ),
    "ternary": lambda: ExplicitNetwork(TWO_LAYERS, 5, 13, 3, seed=2, weights="ternary"),
    "ternary, float32, half of them zero": lambda: ExplicitNetwork(
        TWO_LAYERS, 5, 13, 3, seed=2, dtype=torch.float32, weights="ternary", sparsity=0.5
    ),
    "parallel": lambda: ParallelNetwork(BRANCHES, 5, 13, 3, seed=2),
    "ternary parallel, float32": lambda: ParallelNetwork(
        BRANCHES, 5, 13, 3, seed=2, dtype=torch.float32, weights="ternary", sparsity=0.5
    ),
    "one unit, one input": lambda: ExplicitNetwork(MLP((Layer("tanh"),)), 1, 1, weights="ternary", sparsity=0.0),
}


def batch():
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture
def saved(path):
    save(NETWORKS["deq"](), path)
    return path


def header(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[KEY])


def rewrite(path, *, weights=None, **changes):
    """Write the file again with a changed description or changed weights; None drops an entry."""
    with safe_open(path, framework="pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    plain = {k: v for k, v in (header(path) | changes).items() if v is not None}
    kept = {k: v for k, v in (kept | (weights or {})).items() if v is not None}
    save_file(kept, path, metadata={KEY: json.dumps(plain)})


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
def test_round_trip_is_exact(make, path):
    net = make()
    with torch.no_grad():
        net.readout.weight.add_(0.1)  # not the weights that the seed gives
    save(net, path)
    again = load(path)
    assert type(again) is type(net)
    assert to_dict(again.spec) == to_dict(net.spec)
    assert again.options == net.options
    assert (again.in_features, again.width, again.out_features) == (net.in_features, net.width, net.out_features)
    assert again.state_dict().keys() == net.state_dict().keys()
    for name, weight in net.state_dict().items():
        assert again.state_dict()[name].dtype == weight.dtype
        assert torch.equal(again.state_dict()[name], weight)
    assert torch.equal(again(batch()[:, : net.in_features]), net(batch()[:, : net.in_features]))


def test_ternary_weights_take_two_bits_each(path):
    net = ExplicitNetwork(TWO_LAYERS, 300, 400, 10, dtype=torch.float32, weights="ternary")
    save(net, path)
    with safe_open(path, framework="pt") as file:
        sizes = {name: file.get_tensor(name).nbytes for name in file.keys()}  # noqa: SIM118
    assert sizes["layers.0.codes"] * 16 == 300 * 400 * 4
    assert sizes["layers.1.codes"] * 16 == 400 * 400 * 4
    assert 8 * sum(sizes.values()) == memory_bits(net).total.codes
    assert path.stat().st_size < sum(sizes.values()) + 2000  # the names and the description
    assert header(path)["version"] == 2


def test_trained_ternary_weights_are_floats(path):
    net = NETWORKS["ternary"]()
    with torch.no_grad():
        net.layers[1][0, 0] += 1e-9
    save(net, path)
    with safe_open(path, framework="pt") as file:
        assert {"layers.0.codes", "layers.0.scale", "layers.1"} < set(file.keys())
    again = load(path)
    assert again.options == net.options
    for one, other in zip(again.parameters(), net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_files_written_before_there_were_ternary_weights(path):
    net = NETWORKS["explicit"]()
    save(net, path)
    assert header(path)["version"] == 1
    rewrite(path, options={})
    again = load(path)
    assert again.options == net.options == {"weights": "gaussian", "sparsity": None}
    assert torch.equal(again(batch()), net(batch()))


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"layers.0.scale": None}, "layers.0.codes has no scale"),
        ({"layers.0.codes": None}, "Missing key"),
        ({"layers.0.codes": torch.zeros(16, dtype=torch.uint8)}, "must be 17 bytes for a matrix of shape (13, 5)"),
        ({"layers.0.scale": torch.tensor(1.0)}, "2 different dtypes"),
        ({"layers.2.codes": torch.zeros(16, dtype=torch.uint8)}, "layers.2.codes has no matrix"),
    ],
)
def test_damaged_codes(path, weights, reason):
    save(NETWORKS["ternary"](), path)
    rewrite(path, weights=weights)
    refused(path, "does not describe a network", reason)


def test_metadata_say_what_is_inside(saved):
    found = header(saved)
    spec = {"kind": "DEQ", "activation": {"name": "silu", "params": {}, "offset": 0.0}}
    numbers = {"sigma_a2": 0.3, "sigma_b2": 0.8, "tau0": 1.1, "sigma_c2": 0.0}
    assert found.pop("spec") == spec | numbers | {"center": False}
    assert found == {
        "version": 1,
        "kind": "DEQNetwork",
        "options": {"tol": None, "max_iter": 1000, "solver": "plain", "gradient": "implicit"},
        "in_features": 5,
        "width": 12,
        "out_features": 3,
    }


def test_files_written_before_there_were_biases(path):
    for kind in ("deq", "explicit"):
        net = NETWORKS[kind]()
        save(net, path)
        spec = header(path)["spec"]
        for written in (spec, *spec.get("layers", ())):
            written.pop("sigma_c2", None)
            written.pop("bias_var", None)
        assert "bias" not in json.dumps(spec)
        rewrite(path, spec=spec)
        again = load(path)
        assert again.spec == net.spec
        assert torch.equal(again(batch()), net(batch()))


def test_a_bias_and_its_spec_belong_together(saved):
    rewrite(saved, weights={"c": torch.zeros(12, dtype=torch.float64)})
    refused(saved, "does not describe a network", 'Unexpected key(s) in state_dict: "c"')
    save(DEQNetwork(BIASED, 5, 12, 3), saved)
    rewrite(saved, weights={"c": None})
    refused(saved, "does not describe a network", 'Missing key(s) in state_dict: "c"')


def test_a_file_is_replaced_and_nothing_is_left_beside_it(saved):
    save(NETWORKS["explicit"](), saved)
    assert isinstance(load(saved), ExplicitNetwork)
    assert os.listdir(saved.parent) == [saved.name]


def test_an_interrupted_write_keeps_the_old_file(saved, monkeypatch):
    def stop(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("notsodeep.files.os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        save(NETWORKS["explicit"](), saved)
    assert isinstance(load(saved), DEQNetwork)
    assert os.listdir(saved.parent) == [saved.name]


def test_the_file_is_as_readable_as_others(path):
    save(ExplicitNetwork(MLP((Layer("tanh"),)), 5, 12), path)
    other = path.with_name("other")
    other.write_bytes(b"")
    assert path.stat().st_mode == other.stat().st_mode


def test_what_cannot_be_saved(path):
    with pytest.raises(ValueError, match="made from a callable and cannot be written down"):
        save(ExplicitNetwork(MLP((Layer(Activation(torch.atan)),)), 5, 4), path)
    with pytest.raises(
        ValueError, match="net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got Linear"
    ):
        save(torch.nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match=r"path must lie in an existing folder, got .*nowhere"):
        save(NETWORKS["deq"](), path.parent / "nowhere" / "net.safetensors")
    assert not list(path.parent.iterdir())


def refused(path, *reasons):
    """Load ``path``, which must fail with its name and every one of ``reasons`` in the message."""
    with pytest.raises(DataError) as caught:
        load(path)
    for text in (str(path), *reasons):
        assert text in str(caught.value)


def test_missing_file_and_folder(path):
    refused(path, "cannot be read")
    refused(path.parent, "cannot be read")


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"not a network " * 100], ids=["empty", "pickle", "text"])
def test_files_of_another_kind(path, content):
    path.write_bytes(content)
    refused(path, "damaged or not a safetensors file")


@pytest.mark.parametrize("kept", [4, 100, -8])
def test_truncated_files(saved, kept):
    saved.write_bytes(saved.read_bytes()[:kept])
    refused(saved, "damaged or not a safetensors file")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_foreign_safetensors(path, metadata):
    save_file({"A": torch.zeros(2)}, path, metadata=metadata)
    refused(path, "notsodeep.networks.save did not write it")


@pytest.mark.parametrize("text", ["{", "[]", "3", "null"])
def test_a_description_that_is_no_description(path, text):
    save_file({"A": torch.zeros(2)}, path, metadata={KEY: text})
    refused(path, "does not describe a network")


@pytest.mark.parametrize("name", ["version", "kind", "spec", "options", "in_features", "width", "out_features"])
def test_an_incomplete_description(saved, name):
    rewrite(saved, **{name: None})
    refused(saved, "does not describe a network", name)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 3}, "format version 3; this version of notsodeep reads 1 and 2"),
        ({"kind": "Sequential"}, "Sequential"),
        ({"kind": "ExplicitNetwork", "options": {}}, "spec must be an MLP"),
        ({"spec": {"kind": "CNN"}}, "not the description of a spec"),
        ({"width": 13}, "size mismatch"),
        ({"width": "wide"}, "width must be an integer"),
        ({"options": {"speed": 1}}, "speed"),
        ({"options": {"max_iter": 0}}, "max_iter must be"),
    ],
)
def test_a_wrong_description(saved, changes, reason):
    rewrite(saved, **changes)
    refused(saved, "does not describe a network", reason)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"A": None}, "Missing key"),
        ({"C": torch.zeros(2, dtype=torch.float64)}, "Unexpected key"),
        ({"A": torch.zeros(12, 12)}, "2 different dtypes"),
        ({"A": torch.zeros(12, 11, dtype=torch.float64)}, "size mismatch"),
        (dict.fromkeys(("A", "B", "readout.weight")), "0 different dtypes"),
        ({k: torch.zeros(2, dtype=torch.int64) for k in ("A", "B", "readout.weight")}, "dtype must be"),
    ],
)
def test_wrong_weights(saved, weights, reason):
    rewrite(saved, weights=weights)
    refused(saved, "does not describe a network", reason)
