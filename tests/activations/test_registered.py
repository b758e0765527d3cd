"""The conformance kit on every registered activation, and what the registry itself promises."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from mpmath import findroot

import notsodeep as nsd
from notsodeep import spec
from notsodeep.activations import Activation, activation, names
from notsodeep.activations.lipschitz import lipschitz
from tests.activations.conformance import ActivationConformance
from tests.reference.make_moments import CASES, gelu, mish, silu, through_sigmoid
from tests.tolerances import EXACT, SAMPLED, assert_close


def build(case):
    return activation(case.name, **case.params)


@pytest.fixture(params=CASES, ids=lambda case: f"{case.name}{list(case.params.values()) or ''}")
def case(request):
    return request.param


class TestRegistered(ActivationConformance):
    @pytest.fixture
    def phi(self, case):
        return build(case)

    @pytest.fixture
    def naive(self, case):
        return case.functions

    @pytest.fixture
    def cancelling(self, case):
        return case.cancelling

    def test_kinks_are_those_of_the_formula(self, phi, case):
        assert phi.kinks == case.kinks

    def test_name_and_parameters_build_it_again(self, phi):
        again = activation(phi.name, **dict(phi.params))
        assert again == phi
        assert hash(again) == hash(phi)

    @pytest.mark.parametrize("by", [0.0, -0.3])
    def test_round_trip_through_json(self, phi, by):
        phi = phi.shifted(by)
        deq = nsd.DEQ(phi, sigma_a2=0.1)
        mlp = nsd.MLP((nsd.Layer(phi, 0.7, 0.0), nsd.Layer("relu")))
        for given in (deq, mlp):
            assert spec.from_dict(json.loads(json.dumps(spec.to_dict(given)))) == given


def test_names_are_those_of_the_reference_cases():
    assert set(names()) == {case.name for case in CASES}
    assert list(names()) == sorted(names())


STEEPEST = {
    "abs": 1.0,
    "cos": 1.0,
    "cos:frequency=3": 3.0,
    "elu": 1.0,
    "elu:alpha=2": 2.0,
    "erf:rate=0.7": 1.4 / math.sqrt(math.pi),
    "gelu": float(gelu(findroot(lambda x: gelu(x)[2], 1.4))[1]),
    "hardtanh:scale=-1.5,clip=0.7": 1.5,
    "hermite": 1.0,
    "identity": 1.0,
    "leaky_relu:slope=-2": 2.0,
    "mish": float(through_sigmoid(mish)(findroot(lambda x: through_sigmoid(mish)(x)[2], 1.5))[1]),
    "relu": 1.0,
    "selu": 1.0507009873554805 * 1.6732632423543772,
    "sigmoid": 0.25,
    "silu": float(through_sigmoid(silu)(findroot(lambda x: through_sigmoid(silu)(x)[2], 2.4))[1]),
    "sin:frequency=2": 2.0,
    "soft_slopes:left=0.2,middle=0.3,right=-1.3,width=0.1": 1.3,
    "softplus": 1.0,
    "softsign": 1.0,
    "tanh": 1.0,
    "three_slope:left=0.2,middle=1.1,right=-1.3": 1.3,
    "two_slope:a=0.4,b=-1.3": 1.3,
}


@pytest.mark.parametrize("name", STEEPEST)
def test_lipschitz_constants(name):
    assert_close(lipschitz(activation(name)), STEEPEST[name], SAMPLED)


def test_lipschitz_is_infinite_where_no_line_bounds_the_function():
    assert lipschitz(activation("hermite", coefficients=(0, 0, 1))) == math.inf
    assert lipschitz(Activation(np.sign, lambda x: 0 * x, (0.0,), lambda x: 0 * x)) == math.inf


def test_parameters_by_keyword_and_in_the_name_are_the_same():
    assert activation("leaky_relu:slope=0.1") == activation("leaky_relu", slope=0.1)
    assert activation(" HardTanh:clip=2, scale=0.5") == activation("hardtanh", scale=0.5, clip=2.0)
    assert activation("leaky_relu:slope=0.1", slope=0.3) == activation("leaky_relu", slope=0.3)
    assert activation("elu") == activation("elu", alpha=1)
    assert activation("hermite", coefficients=[0, 1]) == activation("hermite", coefficients=np.array([0.0, 1.0]))
    assert activation("relu:") is activation("relu")


def test_different_parameters_are_different():
    assert activation("leaky_relu", slope=0.1) != activation("leaky_relu", slope=0.2)
    assert activation("relu") != activation("leaky_relu", slope=0.0)


def test_an_activation_is_returned_as_it_is():
    phi = Activation(np.tanh)
    assert activation(phi) is phi
    with pytest.raises(ValueError, match=r"parameters \['slope'\] go with a name"):
        activation(phi, slope=0.1)


def test_repr_says_how_to_build_it():
    assert repr(activation("hardtanh", clip=0.5)) == "hardtanh(scale=1.0, clip=0.5)"
    assert repr(activation("relu").shifted(-0.4)) == "relu(offset=-0.4)"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("swoosh", {}, "unknown activation 'swoosh'; legal names: abs, cos"),
        ("", {}, "unknown activation ''"),
        (3, {}, "activation must be a name or an Activation, got 3"),
        (np.tanh, {}, "activation must be a name or an Activation"),
        ("relu", {"slope": 0.1}, "activation 'relu' has no parameter 'slope'; legal parameters: none"),
        ("hardtanh", {"slope": 0.1}, "legal parameters: scale, clip"),
        ("leaky_relu:slop=0.1", {}, "no parameter 'slop'"),
        ("leaky_relu:slope", {}, "written name:key=value,key=value; got 'leaky_relu:slope'"),
        ("leaky_relu:slope=steep", {}, "slope must be a number, got 'steep'"),
        ("leaky_relu", {"slope": math.nan}, "slope must be a finite number, got nan"),
        ("leaky_relu", {"slope": None}, "slope must be a number, got None"),
        ("hardtanh", {"clip": 0.0}, "clip must be a finite number > 0"),
        ("three_slope", {"knot": -1.0}, "knot must be a finite number > 0"),
        ("soft_slopes", {"knot": -1.0}, "knot must be a finite number >= 0"),
        ("soft_slopes", {"width": 0.0}, "width must be a finite number > 0"),
        ("two_slope", {"tau": -1.0}, "tau must be a finite number >= 0"),
        ("hermite", {"scale": 0.0}, "scale must be a finite number > 0"),
        ("hermite", {"coefficients": []}, "coefficients must be a sequence of at least one number"),
        ("hermite", {"coefficients": 3.0}, "coefficients must be a sequence of at least one number, got 3.0"),
        ("hermite", {"coefficients": [1.0, math.inf]}, "coefficients must be a finite number"),
        ("hermite", {"coefficients": ["a"]}, "coefficients must be a number, got 'a'"),
    ],
)
def test_illegal_names_and_parameters(name, params, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below, as plain text
        activation(name, **params)
    assert message in str(caught.value)


def test_two_slope_is_centred_at_its_scale():
    phi = activation("two_slope", a=1.3, b=-0.4, tau=0.9)
    assert_close(nsd.activations.moments(phi, 0.9).mean, 0.0, EXACT, scale=1.0)
    assert_close(phi(np.array([1.0, -1.0])) - phi(0.0), [1.3, 0.4], 4 * EXACT)


def test_slopes_may_be_given_in_either_order():
    x = np.linspace(-2, 2, 9)
    assert_close(activation("two_slope", a=-0.4, b=1.3)(x), np.maximum(-0.4 * x, 1.3 * x), 4 * EXACT)


@pytest.mark.parametrize("name", [name for name in names() if activation(name).kinks])
def test_autograd_at_a_kink_gives_the_slope_on_its_left(name):
    """As ``derivative`` does; pieces that meet there must not both count."""
    phi = activation(name)
    x = torch.tensor(phi.kinks, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(phi(x).sum(), x)
    assert_close(slope, phi.derivative(np.array(phi.kinks)), EXACT)
    assert_close(slope, phi.derivative(np.nextafter(phi.kinks, -np.inf)), 4 * EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_without_gradients(dtype):
    x = torch.cat([10.0 ** torch.linspace(-30.0, 1.0, 4000, dtype=torch.float64), torch.linspace(1.0, 30.0, 3000)])
    x = torch.cat([x, -x]).to(dtype)
    with torch.no_grad():
        found = activation("tanh")(x).numpy()
        ends = activation("tanh")(torch.tensor([-0.0, math.inf, -math.inf, math.nan], dtype=dtype))
    want = np.tanh(x.numpy().astype(np.longdouble))
    assert np.abs(found / want - 1.0).max() < 2.0 * torch.finfo(dtype).eps
    assert str(ends.tolist()) == "[-0.0, 1.0, -1.0, nan]"


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own forward mode
def test_forward_mode_sees_tanh_without_gradients():
    x = torch.tensor([0.0, 0.3, -2.0, 25.0], dtype=torch.float64)
    with torch.no_grad():
        value, slope = torch.func.jvp(activation("tanh"), (x,), (torch.ones_like(x),))
    assert_close(value, torch.tanh(x), EXACT)
    assert_close(slope, 1.0 - torch.tanh(x) ** 2, EXACT)


def test_numpy_use_leaves_torch_alone():
    code = (
        "import sys; from notsodeep.activations import activation, moments; "
        "moments(activation('tanh'), 1.0); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_coefficients_are_written_with_slashes():
    assert activation("hermite:coefficients=0/1/0.2,scale=2") == activation(
        "hermite", coefficients=(0, 1, 0.2), scale=2
    )
