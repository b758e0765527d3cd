from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.data import Scaler
from notsodeep.experiments.finite import Forward
from notsodeep.report import twin_document
from notsodeep.report.document import plain
from notsodeep.report.facts import KernelFacts
from notsodeep.spec import from_dict
from tests.tolerances import COEFFICIENTS, DRAWN_ENTROPY, ROUNDING, assert_close


def leaves(value):
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        value = value.values()
    if not hasattr(value, "__iter__") or isinstance(value, str):
        return [value]
    return [leaf for item in value for leaf in leaves(item)]


def test_only_json_comes_out(any_twin):
    document = twin_document(any_twin)
    assert {type(leaf) for leaf in leaves(document)} <= {str, int, float, bool, type(None)}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_not_a_number_is_null(relu):
    finite = replace(relu.finite, forward=relu.finite.forward | {"deq": Forward(math.nan, 3)})
    document = twin_document(replace(relu, finite=finite))
    assert document["forward"]["deq"] == {"seconds": None, "products": 3, "unconverged": 0}
    json.dumps(document, allow_nan=False)


def test_specs_can_be_built_again(any_twin):
    document = json.loads(json.dumps(twin_document(any_twin)))
    assert from_dict(document["network"]) == any_twin.match.spec
    if any_twin.config.deq.activation.is_registered:
        assert from_dict(document["deq"]) == any_twin.config.deq


def test_an_activation_that_is_code_is_described(own):
    deq = twin_document(own)["deq"]
    assert deq == {"kind": "DEQ", "repr": repr(own.config.deq)}
    with pytest.raises(ValueError, match="not the description of a spec"):
        from_dict(deq)


@pytest.mark.parametrize(
    ("name", "kernel", "numbers"),
    [
        ("relu", "ck", "alpha1 alpha2 alpha3 gamma2"),
        ("both", "ck", "alpha1 alpha2 alpha3 gamma2"),
        ("both", "ntk", "beta1 beta2 beta3 kappa2"),
        ("tanh_ntk", "ntk", "beta1 kappa2"),
    ],
)
def test_coefficients(name, kernel, numbers, request):
    result = request.getfixturevalue(name)
    document = twin_document(result)["coefficients"]
    assert list(document) == {"ck": ["ck"], "ntk": ["ntk"], "both": ["ck", "ntk"]}[result.config.kernel]
    found = document[kernel]
    expected = nsd.coefficients(result.config.deq, kernel)
    for number in (*numbers.split(), "tau_star"):
        assert found["deq"][number] == getattr(expected, number)
    for number in numbers.split():
        relative = found["network"][number] / found["deq"][number] - 1.0
        assert_close(found["relative_difference"][number], relative, ROUNDING, scale=1.0)


def test_the_rest_is_what_the_result_says(any_twin):
    document, found = twin_document(any_twin), any_twin.match
    for name in ("kernel", "family", "status", "reason", "residual"):
        assert document[name] == getattr(found, name)
    assert set(document["trainable"]) == found.trainable
    assert document["version"] == nsd.__version__
    for name, evidence in any_twin.evidence.items():
        expected = {"spectral": evidence.distance.spectral, "frobenius": evidence.distance.frobenius}
        assert document["distance"][name]["network"] == expected
        assert document["distance"][name]["equivalent"]["spectral"] == evidence.equivalent_distance.spectral
        assert document["accuracy"]["kernel_ridge"][name] == evidence.accuracy
    assert document["accuracy"]["finite"] == any_twin.finite.accuracy
    assert document["forward"]["network"]["products"] == any_twin.finite.forward["network"].products
    assert document["kernel_distance"] == found.distance
    assert (document["width"], document["seed"]) == (32, 3)
    data, train = document["data"], any_twin.samples.train
    assert (data["name"], data["n"], data["p"]) == (train.name, train.n, train.p)
    assert data["n_test"] == any_twin.samples.test.n
    assert tuple(data["classes"]) == train.classes


def test_idle_numbers_are_named(relu, sphere):
    assert twin_document(relu)["idle"] == []
    assert twin_document(sphere)["idle"] == ["beta2"]


def test_the_other_networks_have_the_same_coefficients(gelu, relu):
    others = json.loads(json.dumps(twin_document(gelu)["others"]))
    assert others
    target = nsd.coefficients(gelu.config.deq, "ntk").numbers
    for other in others:
        spec = from_dict(other["network"])
        assert other["layers"] == [spec.depth]
        assert other["kernel_distance"] >= 0.0
        assert_close(nsd.coefficients(spec, "ntk", tau0=1.0).numbers, target, COEFFICIENTS)
    assert [from_dict(other["network"]) for other in others] != [gelu.match.spec] * len(others)
    assert len(twin_document(relu)["others"]) == len(relu.match.solutions) - 1


def test_memory_is_that_of_the_hidden_weights(relu, softplus):
    weights = 32 * 64 + 32 * 32
    found = twin_document(relu)
    assert (found["weights"], found["sparsity"]) == ("gaussian", None)
    assert found["memory"]["network"] == dict.fromkeys(("floats", "codes", "entropy"), 32 * weights) | {
        "weights": weights
    }
    assert found["memory"]["deq"] == found["memory"]["network"]
    found = twin_document(softplus)
    assert (found["weights"], found["sparsity"]) == ("ternary", 0.75)
    assert found["memory"]["network"]["codes"] == 2 * weights + 2 * 32
    entropy = (found["memory"]["network"]["entropy"] - 2 * 32) / weights
    assert_close(entropy, 0.75 * np.log2(4 / 3) + 0.25 * 3, DRAWN_ENTROPY)


def test_the_scaler_scales_new_samples(relu, mixture):
    scaler = Scaler(**json.loads(json.dumps(twin_document(relu)["data"]["scaler"])))
    train = relu.samples.train
    raw = np.round(train.X * train.scaler.scale + train.scaler.center)
    assert raw.min() == 0.0
    assert raw.max() == 16.0
    assert_close(scaler.apply(raw), train.X, ROUNDING)
    assert twin_document(mixture)["data"]["scaler"] is None


def test_plain_refuses_what_json_does_not_have():
    assert plain({1: np.int64(2), "a": (np.bool_(True), np.array([np.inf, 1.0]))}) == {"1": 2, "a": [True, [None, 1.0]]}
    with pytest.raises(TypeError, match="complex is no JSON data"):
        plain([1j])


@pytest.mark.parametrize("trainable", ["recurrent", "input", ("recurrent", "input")])
def test_differences_are_those_of_the_weights_that_are_trained(trainable):
    """Without a trained readout the network's is not trained either."""
    found = nsd.match(nsd.DEQ("silu"), "ntk", trainable=trainable)
    assert max(map(abs, KernelFacts.of(found, "ntk").differences)) == found.residual
    assert found.status == "matched"
