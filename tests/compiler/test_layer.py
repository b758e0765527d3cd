"""A user's layer: the parts that are found, the network that has its weights, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.compiler import ImplicitLayer
from tests.compiler.models import Looped, Normalised
from tests.tolerances import EQUILIBRIUM_FLOAT32, FORWARD, REFERENCE_STATE, assert_close

DOUBLE = {"dtype": torch.float64}


def rows(n, p, dtype=torch.float64):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("activation", [torch.nn.Tanh(), torch.nn.GELU(), torch.nn.ReLU()])
@pytest.mark.parametrize("bias", [True, False])
def test_the_network_computes_what_the_module_computes(activation, bias):
    model = Looped(7, 40, 3, activation, bias=bias, loops=200, **DOUBLE)
    x = 4.0 * rows(5, 7)
    net = ImplicitLayer.from_module(model, x).to_network()
    with torch.no_grad():
        assert_close(net(x), model(x), REFERENCE_STATE)
        model.head = torch.nn.Identity()
        assert_close(net.features(x) * 40**0.5, model(x), REFERENCE_STATE)
        squares = [float((layer.weight**2).mean()) for layer in (model.W, model.U)]
    assert (net.c is not None) == bias
    assert_close(net.spec.sigma_a2, 40 * squares[0], FORWARD)
    assert_close(net.spec.sigma_b2, squares[1], FORWARD)
    assert net.spec.center is False


def test_the_bias_is_the_sum_of_all():
    W, U, b = torch.nn.Linear(6, 6, **DOUBLE), torch.nn.Linear(2, 6, **DOUBLE), torch.linspace(-1, 1, 6, **DOUBLE)
    layer = ImplicitLayer(W, U, "tanh", bias=b)
    assert_close(layer.bias, W.bias + U.bias + b, FORWARD)
    assert ImplicitLayer(W.weight, U.weight, "tanh").bias is None
    assert ImplicitLayer(W.weight, U.weight, "tanh", bias=torch.zeros(6, **DOUBLE)).bias is None
    assert_close(layer.spec().sigma_c2, float((layer.bias**2).mean()), FORWARD)


def test_single_precision_stays():
    model = Looped(7, 40, 3, torch.nn.Tanh())
    net = ImplicitLayer.from_module(model).to_network()
    x = rows(5, 7, torch.float32)
    assert net(x).dtype == torch.float32
    assert_close(net(x), model(x), EQUILIBRIUM_FLOAT32)


def test_weights_are_copied():
    W, U = torch.eye(3) / 2, torch.eye(3)
    layer = ImplicitLayer(W, U, "relu")
    W.zero_()
    assert layer.recurrent[0, 0] == 0.5


def test_no_recurrence_is_a_layer_too():
    net = ImplicitLayer(torch.zeros(3, 3), torch.eye(3), "tanh", readout=torch.eye(3)).to_network()
    assert_close(net(torch.eye(3)), torch.tanh(torch.eye(3)), EQUILIBRIUM_FLOAT32)


def test_a_module_without_head_gives_states():
    layer = ImplicitLayer.from_module(Looped(7, 40, 0, torch.nn.Tanh()))
    assert (layer.readout, layer.out_features) == (None, 0)


def test_a_function_as_solvers_take_it_is_checked():
    W, U = torch.nn.Linear(30, 30), torch.nn.Linear(4, 30)
    layer = ImplicitLayer(W, U, torch.tanh, function=lambda z, x: torch.tanh(W(z) + U(x)))
    layer.check(100.0 * rows(20, 4))
    with pytest.raises(ValueError, match=r"function is not phi\(W z \+ U x \+ b\).*differ by up to"):
        ImplicitLayer(W, U, torch.tanh, function=lambda z, x: torch.relu(W(z) + U(x)))
    with pytest.raises(ValueError, match="function is not phi"):  # the bias of W is left out
        ImplicitLayer(W.weight, U, torch.tanh, function=lambda z, x: torch.tanh(W(z) + U(x)))
    with pytest.raises(ValueError, match="function must map states"):
        ImplicitLayer(W, U, torch.tanh, function=lambda z, x: z.sum())
    clipped = ImplicitLayer(W, U, torch.tanh, function=lambda z, x: torch.tanh(W(z) + U(x.clamp(-50.0, 50.0))))
    with pytest.raises(ValueError, match="function is not phi"):
        clipped.check(100.0 * rows(20, 4))


def test_a_layer_norm_is_refused_with_the_size_of_the_difference():
    model = Normalised(7, 40, 3, torch.nn.Tanh())
    with pytest.raises(ValueError, match=r"module does not compute .* differ by [\d.]+(e\+\d+)? % in norm"):
        ImplicitLayer.from_module(model)


def test_the_comparison_leaves_the_module_as_it_was():
    model = Looped(7, 40, 3, torch.nn.Tanh())
    model.head = torch.nn.Sequential(torch.nn.Linear(40, 3), torch.nn.Dropout(0.5))
    model.U.eval()
    ImplicitLayer.from_module(model)
    assert model.training
    assert model.head[1].training
    assert not model.U.training


class Nested(torch.nn.Module):
    """Parts under names of their own, deep down, one a parameter, with as many inputs and outputs as states."""

    def __init__(self, m=20):
        super().__init__()
        self.deq = torch.nn.ModuleDict({"rec": torch.nn.Linear(m, m), "act": torch.nn.Tanh()})
        self.V = torch.nn.Parameter(torch.randn(m, m) / m**0.5)
        self.out = torch.nn.Linear(m, m)
        self.unused = torch.nn.ReLU()

    def forward(self, x):
        z = torch.zeros_like(x)
        for _ in range(60):
            z = self.deq["act"](self.deq["rec"](z) + x @ self.V.T)
        return self.out(z)


NAMES = {"recurrent": "deq.rec", "input": "V", "readout": "out", "activation": "deq.act"}


def test_parts_can_be_named():
    torch.manual_seed(0)
    layer = ImplicitLayer.from_module(Nested(), **NAMES)
    assert (layer.in_features, layer.out_features, layer.activation.name) == (20, 20, "tanh")


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (
            "recurrent",
            r"recurrent must be a square Linear, and 2 fit \(deq.rec, out\).*name one .* as in recurrent=",
        ),
        ("input", "input must be another Linear with 20 outputs"),
        ("activation", r"activation must be a child of the module, and 2 are different \(deq.act, unused\)"),
    ],
)
def test_what_is_ambiguous_is_listed(left_out, message):
    torch.manual_seed(0)
    given = {part: name for part, name in NAMES.items() if part != left_out}
    if left_out == "input":
        given["readout"] = None
    with pytest.raises(ValueError, match=message):
        ImplicitLayer.from_module(Nested(), **given) if left_out != "input" else _two_inputs()


def _two_inputs():
    model = Nested()
    model.more = torch.nn.Linear(5, 20)
    ImplicitLayer.from_module(model, recurrent="deq.rec", activation="tanh")


def test_what_is_missing_is_said():
    with pytest.raises(
        ValueError, match="recurrent must be a square Linear, and there is none; the module has no children"
    ):
        ImplicitLayer.from_module(torch.nn.Identity())
    model = Looped(7, 40, 3, torch.tanh)
    with pytest.raises(ValueError, match="activation must be a child of the module, and there is none"):
        ImplicitLayer.from_module(model)
    assert ImplicitLayer.from_module(model, activation="tanh").activation.name == "tanh"
    with pytest.raises(ValueError, match="recurrent must name a child or a parameter of the module, got 'V'"):
        ImplicitLayer.from_module(model, recurrent="V", activation="tanh")
    with pytest.raises(ValueError, match="module does not compute"):
        ImplicitLayer.from_module(model, activation="relu")
    with pytest.raises(ValueError, match=r"module must be a torch.nn.Module"):
        ImplicitLayer.from_module(torch.tanh)


def test_a_module_with_other_outputs_is_refused():
    model = Looped(7, 40, 3, torch.nn.Tanh())
    model.forward = lambda x: [x]
    with pytest.raises(ValueError, match=r"to a tensor \(8, 3\), got list"):
        ImplicitLayer.from_module(model)
    model.forward = lambda x, mask: x
    with pytest.raises(ValueError, match="module must map samples"):
        ImplicitLayer.from_module(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recurrent": torch.ones(3, 4)}, r"recurrent must have shape \(3, 3\)"),
        ({"input": torch.ones(4, 2)}, r"input must have shape \(3, 2\) to fit the states, got \(4, 2\)"),
        ({"bias": torch.ones(4)}, r"bias must have shape \(3,\)"),
        ({"readout": torch.ones(2, 4)}, r"readout must have shape \(2, 3\)"),
        ({"input": torch.zeros(3, 2)}, "input must not be zero"),
        ({"recurrent": torch.full((3, 3), np.nan)}, "recurrent has NaN"),
        ({"recurrent": torch.ones(3)}, "recurrent must be a real tensor with 2 dimensions"),
        ({"input": torch.ones(3, 2, dtype=torch.float64)}, "must all be torch.float32 or all torch.float64"),
        ({"activation": "nonsense"}, "unknown activation"),
    ],
)
def test_wrong_parts_are_refused(change, message):
    parts = {"recurrent": torch.eye(3) / 2, "input": torch.ones(3, 2), "activation": "tanh"} | change
    with pytest.raises(ValueError, match=message):
        ImplicitLayer(**parts)


def test_half_precision_is_refused():
    half = {"dtype": torch.float16}
    with pytest.raises(
        ValueError, match=r"weights must all be torch\.float32 or all torch\.float64, got torch\.float16"
    ):
        ImplicitLayer(torch.eye(3, **half), torch.eye(3, **half), "tanh")


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_weights_without_a_stable_kernel_are_kept():
    """sigma_a2 of W is 3.8, from 2 on a ReLU DEQ has no stable kernel; but W is nilpotent, and there are states."""
    W = 1.5 * torch.triu(torch.ones(4, 4, dtype=torch.float64), 1)
    layer = ImplicitLayer(W, torch.eye(4, dtype=torch.float64), nsd.activation("relu"))
    net = layer.to_network()
    assert_close(layer.spec().sigma_a2, 4 * 2.25 * 6 / 16, FORWARD)
    assert net.spec.sigma_a2 < 2.0
    x = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    z = [2.5 * 2.5 * 1.5, 2.5 * 1.5, 1.5, 1.0]  # each is 1.5 times the sum of those below it
    assert_close(2.0 * net.features(x)[0], z, FORWARD)
