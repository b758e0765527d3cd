"""Specs: every argument is checked, equal specs are equal, and what is written down comes back."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.spec import branches_of, from_dict, layers_of, to_dict, trainable_weights, weight_names

TWO = nsd.MLP((nsd.Layer("tanh", 0.5, 2.0), nsd.Layer("relu")))
BIASED = nsd.MLP((nsd.Layer("tanh"), nsd.Layer("relu", bias_var=0.3), nsd.Layer("silu", 2.0, 0.5, 1e-3)))

SIDE_BY_SIDE = nsd.Parallel((TWO, BIASED))


def test_defaults():
    deq = nsd.DEQ()
    assert deq == nsd.DEQ("relu", 0.2, 0.8, 1.0, True, 0.0)
    assert deq.activation is nsd.activation("relu")
    assert nsd.Layer() == nsd.Layer(nsd.activation("relu"), 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "swoosh"}, "unknown activation 'swoosh'"),
        ({"activation": np.tanh}, "activation must be a name or an Activation"),
        ({"sigma_a2": -0.1}, "sigma_a2 must be a finite number >= 0, got -0.1"),
        ({"sigma_a2": math.nan}, "sigma_a2 must be a finite number >= 0, got nan"),
        ({"sigma_a2": math.inf}, "sigma_a2 must be a finite number >= 0, got inf"),
        ({"sigma_a2": "much"}, "sigma_a2 must be a number, got 'much'"),
        ({"sigma_a2": None}, "sigma_a2 must be a number, got None"),
        ({"sigma_b2": 0.0}, "sigma_b2 must be a finite number > 0, got 0.0"),
        ({"sigma_b2": -1.0}, "sigma_b2 must be a finite number > 0"),
        ({"tau0": 0.0}, "tau0 must be a finite number > 0, got 0.0"),
        ({"tau0": [1.0, 2.0]}, "tau0 must be a number, got [1.0, 2.0]"),
        ({"sigma_c2": -1e-9}, "sigma_c2 must be a finite number >= 0, got -1e-09"),
        ({"sigma_c2": math.inf}, "sigma_c2 must be a finite number >= 0, got inf"),
        ({"sigma_c2": 2e12}, "sigma_c2 must be a number <= 1e+12, got 2000000000000.0"),
        ({"sigma_c2": None}, "sigma_c2 must be a number, got None"),
        ({"center": 1}, "center must be True or False, got 1"),
        ({"center": None}, "center must be True or False, got None"),
    ],
)
def test_illegal_deq(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below, as plain text
        nsd.DEQ(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": 3}, "activation must be a name or an Activation, got 3"),
        ({"weight_var": 0.0}, "weight_var must be a finite number > 0, got 0.0"),
        ({"weight_var": math.nan}, "weight_var must be a finite number > 0"),
        ({"learning_rate": -1e-9}, "learning_rate must be a finite number >= 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
        ({"bias_var": -0.1}, "bias_var must be a finite number >= 0, got -0.1"),
        ({"bias_var": math.nan}, "bias_var must be a finite number >= 0"),
        ({"bias_var": "some"}, "bias_var must be a number, got 'some'"),
    ],
)
def test_illegal_layer(arguments, message):
    with pytest.raises(ValueError, match=message):
        nsd.Layer(**arguments)


@pytest.mark.parametrize("layers", [(), [], "relu", None, 3, ("relu",), (nsd.Layer(), "relu"), (nsd.DEQ(),)])
def test_illegal_mlp(layers):
    with pytest.raises(ValueError, match="layers must be"):
        nsd.MLP(layers)


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ((), "branches must be one or more MLP, got 'none'"),
        ("relu", "branches must be a sequence of MLP, got 'relu'"),
        (None, "branches must be a sequence of MLP, got None"),
        ((TWO, nsd.Layer("relu")), "branches must be one or more MLP, got Layer"),
        ((nsd.DEQ(),), "branches must be one or more MLP, got DEQ"),
        ((TWO, SIDE_BY_SIDE), "branches must be one or more MLP, got Parallel"),
        (SIDE_BY_SIDE, "branches must be a sequence of MLP, got Parallel"),
    ],
)
def test_illegal_branches(branches, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        nsd.Parallel(branches)


def test_branches_may_come_in_any_sequence_or_alone():
    assert nsd.Parallel(TWO) == nsd.Parallel([TWO]) == nsd.Parallel(iter((TWO,))) == nsd.Parallel(branches=(TWO,))
    assert nsd.Parallel((BIASED, TWO)) != SIDE_BY_SIDE
    assert (nsd.Parallel(TWO).depth, SIDE_BY_SIDE.depth, nsd.Parallel((BIASED, TWO)).depth) == (2, 3, 3)


def test_layers_may_come_in_any_sequence_or_alone():
    layer = nsd.Layer("tanh")
    assert nsd.MLP(layer) == nsd.MLP([layer]) == nsd.MLP(iter((layer,))) == nsd.MLP((layer,))
    assert nsd.MLP((layer, layer)).depth == 2


def test_numbers_are_floats_whatever_they_were():
    deq = nsd.DEQ(sigma_a2=np.float32(0.5), sigma_b2=1, tau0=np.int64(2), sigma_c2=3)
    assert (deq.sigma_a2, deq.sigma_b2, deq.tau0, deq.sigma_c2) == (0.5, 1.0, 2.0, 3.0)
    assert {type(v) for v in (deq.sigma_a2, deq.sigma_b2, deq.tau0, deq.sigma_c2)} == {float}
    assert type(nsd.Layer(bias_var=np.int64(1)).bias_var) is float


@pytest.mark.parametrize("spec", [nsd.DEQ("elu"), nsd.Layer("elu"), TWO, SIDE_BY_SIDE])
def test_specs_are_frozen(spec):
    for field in fields(spec):
        with pytest.raises(FrozenInstanceError):
            setattr(spec, field.name, getattr(spec, field.name))


def test_equal_specs_are_equal_and_serve_as_keys():
    table = {nsd.DEQ("leaky_relu:slope=0.1"): 1, TWO: 2, nsd.DEQ("leaky_relu:slope=0.1", sigma_c2=0.5): 3, BIASED: 4}
    assert table[nsd.DEQ(nsd.activation("leaky_relu", slope=0.1), 0.2, 0.8)] == 1
    assert table[nsd.MLP([nsd.Layer("tanh", 0.5, 2.0), nsd.Layer()])] == 2
    assert table[nsd.DEQ(nsd.activation("leaky_relu", slope=0.1), 0.2, 0.8, 1.0, True, 0.5)] == 3
    assert table[nsd.MLP(BIASED.layers)] == 4
    assert {SIDE_BY_SIDE: 5}[nsd.Parallel((nsd.MLP(TWO.layers), nsd.MLP(BIASED.layers)))] == 5


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "tanh"},
        {"sigma_a2": 0.3},
        {"sigma_b2": 0.7},
        {"tau0": 2.0},
        {"center": False},
        {"sigma_c2": 0.1},
    ],
)
def test_a_deq_differs_in_every_field(change):
    assert replace(nsd.DEQ(), **change) != nsd.DEQ()


@pytest.mark.parametrize(
    "change", [{"activation": "tanh"}, {"weight_var": 0.3}, {"learning_rate": 0.0}, {"bias_var": 0.1}]
)
def test_a_layer_differs_in_every_field(change):
    assert replace(nsd.Layer(), **change) != nsd.Layer()


def test_repr_builds_the_same_when_the_activation_is_named():
    assert repr(nsd.DEQ("tanh")) == "DEQ(activation=tanh(), sigma_a2=0.2, sigma_b2=0.8, tau0=1.0, center=True)"
    assert repr(nsd.Layer("tanh", 0.5)) == "Layer(activation=tanh(), weight_var=0.5, learning_rate=1.0)"


def test_repr_of_branches():
    layer = "Layer(activation=tanh(), weight_var=1.0, learning_rate=1.0)"
    assert repr(nsd.Parallel(nsd.MLP(nsd.Layer("tanh")))) == f"Parallel(branches=(MLP(layers=({layer},)),))"


def test_a_bias_is_shown_where_there_is_one():
    assert repr(nsd.DEQ("tanh", sigma_a2=0.0, center=False, sigma_c2=0.5)) == (
        "DEQ(activation=tanh(), sigma_a2=0.0, sigma_b2=0.8, tau0=1.0, center=False, sigma_c2=0.5)"
    )
    assert repr(nsd.MLP(nsd.Layer("tanh", learning_rate=0.0, bias_var=0.1))) == (
        "MLP(layers=(Layer(activation=tanh(), weight_var=1.0, learning_rate=0.0, bias_var=0.1),))"
    )


@pytest.mark.parametrize(
    ("spec", "field"), [(nsd.DEQ("tanh", 0.3), "sigma_c2"), (nsd.Layer("tanh", 0.3), "bias_var")], ids=["DEQ", "Layer"]
)
def test_specs_pickled_before_there_were_biases_have_none(spec, field):
    before = type(spec).__new__(type(spec))
    before.__dict__.update({name: value for name, value in vars(spec).items() if name != field})
    again = pickle.loads(pickle.dumps(before))  # noqa: S301
    assert again == spec
    assert getattr(again, field) == 0.0
    assert repr(again) == repr(spec)


@pytest.mark.parametrize(
    "spec",
    [
        nsd.DEQ("tanh", 0.1, 0.3, 1.7, False),
        nsd.DEQ("silu", sigma_c2=0.1 / 3),
        BIASED,
        nsd.DEQ(nsd.activation("elu", alpha=0.3).shifted(-0.123456789012345), 1 / 3),
        TWO,
        SIDE_BY_SIDE,
        nsd.MLP(nsd.Layer(nsd.activation("hermite", coefficients=(0.1, 0.2), scale=3.0).shifted(0.1), 1e-3, 0.0)),
        nsd.MLP(nsd.Layer(nsd.activation("two_slope", a=1.3, b=-0.4, tau=0.9))),
    ],
)
def test_what_is_written_comes_back(spec):
    written = json.dumps(to_dict(spec))
    assert from_dict(json.loads(written)) == spec
    assert json.dumps(to_dict(from_dict(json.loads(written)))) == written


def test_the_written_form_is_plain_and_complete():
    assert to_dict(nsd.DEQ("leaky_relu")) == {
        "kind": "DEQ",
        "activation": {"name": "leaky_relu", "params": {"slope": 0.01}, "offset": 0.0},
        "sigma_a2": 0.2,
        "sigma_b2": 0.8,
        "tau0": 1.0,
        "center": True,
        "sigma_c2": 0.0,
    }
    assert to_dict(BIASED)["layers"][2] == {
        "activation": {"name": "silu", "params": {}, "offset": 0.0},
        "weight_var": 2.0,
        "learning_rate": 0.5,
        "bias_var": 1e-3,
    }


def test_branches_are_written_as_the_networks_they_are():
    assert to_dict(SIDE_BY_SIDE) == {"kind": "Parallel", "branches": [to_dict(TWO), to_dict(BIASED)]}


def test_what_was_written_before_there_were_biases_has_none():
    plain = {"activation": RELU, "sigma_a2": 0.2, "sigma_b2": 0.8, "tau0": 1.0, "center": True}
    assert from_dict({"kind": "DEQ"} | plain) == nsd.DEQ("relu")
    layer = {"activation": RELU, "weight_var": 0.5, "learning_rate": 2.0}
    assert from_dict({"kind": "MLP", "layers": [layer]}) == nsd.MLP(nsd.Layer("relu", 0.5, 2.0))


def test_from_dict_leaves_its_argument_alone():
    given = to_dict(TWO)
    before = json.dumps(given)
    from_dict(given)
    assert json.dumps(given) == before


RELU = {"name": "relu", "params": {}, "offset": 0.0}


@pytest.mark.parametrize(
    "data",
    [
        {},
        None,
        [],
        "DEQ",
        {"kind": "CNN"},
        {"kind": "DEQ"},
        {"kind": "DEQ", "activation": "relu"},
        {"kind": "DEQ", "activation": {"name": "relu"}},
        {"kind": "DEQ", "activation": RELU | {"name": "swoosh"}},
        {"kind": "DEQ", "activation": RELU, "sigma_d2": 1.0},
        {"kind": "DEQ", "activation": RELU, "sigma_a2": -1.0},
        {"kind": "MLP"},
        {"kind": "MLP", "layers": []},
        {"kind": "MLP", "layers": 3},
        {"kind": "MLP", "layers": [{"weight_var": 1.0}]},
        {"kind": "MLP", "layers": [{"activation": RELU, "bias": 1.0}]},
        {"kind": "Parallel"},
        {"kind": "Parallel", "branches": []},
        {"kind": "Parallel", "branches": 3},
        {"kind": "Parallel", "branches": to_dict(TWO)},
        {"kind": "Parallel", "branches": [to_dict(TWO), to_dict(nsd.DEQ())]},
        {"kind": "Parallel", "branches": [to_dict(SIDE_BY_SIDE)]},
    ],
)
def test_what_is_no_spec_is_refused(data):
    with pytest.raises(ValueError, match=r"\S"):
        from_dict(data)


def test_what_is_no_spec_is_not_written():
    for thing in (None, "relu", nsd.Layer(), nsd.activation("relu")):
        with pytest.raises(ValueError, match="spec must be a DEQ, an MLP or a Parallel"):
            to_dict(thing)


def test_names_of_the_weights():
    assert weight_names(nsd.DEQ()) == ("recurrent", "input", "readout")
    assert weight_names(TWO) == ("layer1", "layer2", "readout")
    assert weight_names(nsd.DEQ(sigma_c2=0.1)) == ("recurrent", "input", "bias", "readout")
    assert weight_names(BIASED) == ("layer1", "layer2", "bias2", "layer3", "bias3", "readout")


def test_names_of_the_weights_of_branches():
    assert weight_names(SIDE_BY_SIDE) == (
        *("branch1.layer1", "branch1.layer2"),
        *("branch2.layer1", "branch2.layer2", "branch2.bias2", "branch2.layer3", "branch2.bias3"),
        "readout",
    )


def test_layers_have_their_places():
    assert [place for place, _ in layers_of(BIASED)] == ["layer 1", "layer 2", "layer 3"]
    found = layers_of(SIDE_BY_SIDE)
    assert [layer for _, layer in found] == [*TWO.layers, *BIASED.layers]
    assert [place for place, _ in found][1:3] == ["layer 2 of branch 1", "layer 1 of branch 2"]


def test_branches_have_their_own_trained_weights():
    assert branches_of(TWO, frozenset({"layer2", "readout"})) == ((TWO, {"layer2", "readout"}),)
    some = frozenset({"branch1.layer2", "branch2.layer1", "branch2.bias3"})
    assert branches_of(SIDE_BY_SIDE, some) == ((TWO, {"layer2"}), (BIASED, {"layer1", "bias3"}))
    assert [own for _, own in branches_of(SIDE_BY_SIDE, frozenset({"readout"}))] == [{"readout"}, {"readout"}]


def test_trainable_weights():
    assert trainable_weights(nsd.DEQ(), "all") == {"recurrent", "input", "readout"}
    assert trainable_weights(nsd.DEQ(), "readout") == {"readout"}
    assert trainable_weights(nsd.DEQ(), ["readout", "recurrent", "readout"]) == {"recurrent", "readout"}
    assert trainable_weights(TWO, iter(("layer2",))) == {"layer2"}
    assert trainable_weights(nsd.DEQ(sigma_c2=0.1), "all") == {"recurrent", "input", "bias", "readout"}
    assert trainable_weights(nsd.DEQ(sigma_c2=0.1), "bias") == {"bias"}
    assert trainable_weights(BIASED, "all") == {"layer1", "layer2", "bias2", "layer3", "bias3", "readout"}


@pytest.mark.parametrize(
    ("spec", "trainable", "message"),
    [
        (nsd.DEQ(), (), "one or more of ('recurrent', 'input', 'readout'), got none"),
        (nsd.DEQ(), "layer1", "got 'layer1'"),
        (nsd.DEQ(), "", "got ''"),
        (nsd.DEQ(), ("readout", "A"), "got 'A'"),
        (nsd.DEQ(), None, "trainable must be 'all' or names among"),
        (nsd.DEQ(), 3, "got 3"),
        (nsd.DEQ(), (1,), "got 1"),
        (TWO, "recurrent", "one or more of ('layer1', 'layer2', 'readout'), got 'recurrent'"),
        (TWO, ("layer3",), "got 'layer3'"),
        (nsd.DEQ(), "bias", "'readout'), got 'bias': this DEQ has no bias, its sigma_c2 is 0"),
        (nsd.DEQ(sigma_c2=0.1), "bias1", "one or more of ('recurrent', 'input', 'bias', 'readout'), got 'bias1'"),
        (BIASED, ("bias2", "bias1"), "got 'bias1': layer 1 has no bias, its bias_var is 0"),
        (SIDE_BY_SIDE, "layer1", "'branch2.bias3', 'readout'), got 'layer1'"),
        (SIDE_BY_SIDE, ("branch3.layer1",), "got 'branch3.layer1'"),
        (SIDE_BY_SIDE, "branch1.readout", "got 'branch1.readout'"),
        (SIDE_BY_SIDE, "branch2.bias1", "got 'branch2.bias1': layer 1 of branch 2 has no bias, its bias_var is 0"),
        ("relu", "all", "spec must be a DEQ, an MLP or a Parallel, got 'relu'"),
    ],
)
def test_illegal_trainable_weights(spec, trainable, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below, as plain text
        trainable_weights(spec, trainable)
    assert message in str(caught.value)
