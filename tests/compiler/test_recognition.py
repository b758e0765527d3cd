"""Functions of torch are told by their values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import notsodeep as nsd
from notsodeep.compiler.recognition import recognised
from tests.tolerances import CENTRAL, ROUNDING, assert_close


@pytest.mark.parametrize(
    ("given", "name", "params"),
    [
        (torch.nn.Tanh(), "tanh", {}),
        (torch.nn.ReLU(), "relu", {}),
        (torch.nn.ReLU(inplace=True), "relu", {}),
        (torch.nn.GELU(), "gelu", {}),
        (torch.nn.SiLU(), "silu", {}),
        (torch.nn.ELU(), "elu", {"alpha": 1.0}),
        (torch.nn.ELU(0.3), "elu", {"alpha": 0.3}),
        (torch.nn.SELU(), "selu", {}),
        (torch.nn.Softplus(), "softplus", {}),
        (torch.nn.LeakyReLU(), "leaky_relu", {"slope": 0.01}),
        (torch.nn.LeakyReLU(0.2), "leaky_relu", {"slope": 0.2}),
        (torch.nn.PReLU(), "leaky_relu", {"slope": 0.25}),
        (torch.nn.Sigmoid(), "sigmoid", {}),
        (torch.nn.Mish(), "mish", {}),
        (torch.nn.Softsign(), "softsign", {}),
        (torch.nn.Hardtanh(), "hardtanh", {"scale": 1.0, "clip": 1.0}),
        (torch.nn.Hardtanh(-2.5, 2.5), "hardtanh", {"scale": 1.0, "clip": 2.5}),
        (torch.nn.Identity(), "identity", {}),
        (torch.tanh, "tanh", {}),
        (torch.erf, "erf", {"rate": 1.0}),
        (F.relu, "relu", {}),
        (F.gelu, "gelu", {}),
        (lambda u: u * torch.sigmoid(u), "silu", {}),
        (lambda u: torch.clamp(3.0 * u, -0.6, 0.6), "hardtanh", {"scale": 3.0, "clip": 0.2}),
    ],
)
def test_known_functions(given, name, params):
    found = recognised(given)
    assert found.name == name
    assert found.is_registered
    assert_close([*dict(found.params).values()], [*params.values()], ROUNDING) if params else None


def test_names_and_activations_stay():
    phi = nsd.activation("leaky_relu", slope=0.3).shifted(0.1)
    assert recognised(phi) is phi
    assert recognised("leaky_relu:slope=0.3").params == phi.params


@pytest.mark.parametrize("given", [torch.nn.GELU(approximate="tanh"), torch.nn.Softplus(beta=2.0), torch.nn.CELU(0.5)])
def test_another_function_is_taken_as_it_is(given):
    found, x = recognised(given), torch.linspace(-3.0, 3.0, 10, dtype=torch.float64)
    assert found.name == "custom"
    assert_close(found(x), given(x), ROUNDING)
    assert_close(found(x.float()), given(x.float()), 1e-6)
    step = 1e-5
    assert_close(found.derivative(x), (given(x + step) - given(x - step)) / (2.0 * step), CENTRAL)


def test_a_module_is_taken_as_it_is_now():
    given = torch.nn.PReLU(init=0.25)
    found = recognised(given)
    with torch.no_grad():
        given.weight.fill_(0.9)
    assert found(np.array([-4.0])) == -1.0


@pytest.mark.parametrize("given", [torch.nn.Softmax(dim=-1), torch.nn.LayerNorm(4), torch.nn.Linear(3, 3), 7, None])
def test_what_is_no_activation_is_refused(given):
    with pytest.raises(ValueError, match="must"):
        recognised(given)
