from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.data import Scaler
from notsodeep.experiments.twin import Forward
from notsodeep.report import twin_document
from notsodeep.report.document import plain
from notsodeep.spec import from_dict
from tests.tolerances import ROUNDING, assert_close


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
    document = twin_document(replace(relu, forward=relu.forward | {"deq": Forward(math.nan, 3)}))
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


@pytest.mark.parametrize(("name", "numbers"), [("relu", "alpha1 alpha2 alpha3 gamma2"), ("tanh_ntk", "beta1 kappa2")])
def test_coefficients(name, numbers, request):
    result = request.getfixturevalue(name)
    found = twin_document(result)["coefficients"]
    expected = nsd.coefficients(result.config.deq, result.config.kernel)
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
    assert document["distance"]["network"] == {
        "spectral": any_twin.distance.spectral,
        "frobenius": any_twin.distance.frobenius,
    }
    assert document["distance"]["equivalent"]["spectral"] == any_twin.equivalent_distance.spectral
    assert document["accuracy"] == {"kernel_ridge": any_twin.kernel_accuracy, "finite": any_twin.finite_accuracy}
    assert document["forward"]["network"]["products"] == found.spec.depth
    assert (document["width"], document["seed"]) == (32, 3)
    data, train = document["data"], any_twin.samples.train
    assert (data["name"], data["n"], data["p"]) == (train.name, train.n, train.p)
    assert data["n_test"] == any_twin.samples.test.n
    assert tuple(data["classes"]) == train.classes


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
