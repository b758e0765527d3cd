"""Explicit networks against a forward pass written out, and their learning rates."""

import math

import numpy as np
import pytest
import torch
from torch.func import functional_call

from notsodeep.activations import Activation
from notsodeep.networks import ExplicitNetwork
from notsodeep.spec import MLP, Layer, weight_names
from tests.tolerances import EXACT, FORWARD, GRADCHECK, ROUNDING

SPEC = MLP((Layer("tanh", weight_var=0.5, learning_rate=0.2), Layer("relu", weight_var=3.0, learning_rate=0.0)))
BIASED = MLP((Layer("tanh"), Layer("silu", 0.5, 0.2, bias_var=0.3), Layer("tanh", 2.0, 3.0, bias_var=1.5)))


def batch(n=6, p=5):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_layers_equal_a_forward_pass_by_hand():
    net, X = ExplicitNetwork(SPEC, 5, 30, 2, seed=1), batch()
    first, second, head = (w.detach().numpy() for w in (*net.layers, net.readout.weight))
    assert (first.shape, second.shape, head.shape) == ((30, 5), (30, 30), (2, 30))
    hidden = np.tanh(math.sqrt(0.5) * X.numpy() @ first.T) / math.sqrt(30)
    hidden = np.maximum(math.sqrt(3.0) * hidden @ second.T, 0) / math.sqrt(30)
    np.testing.assert_allclose(net.features(X).detach().numpy(), hidden, rtol=FORWARD, atol=EXACT)
    np.testing.assert_allclose(net(X).detach().numpy(), hidden @ head.T, rtol=0, atol=ROUNDING)


def test_biased_layers_equal_a_forward_pass_by_hand():
    net, X = ExplicitNetwork(BIASED, 5, 30, 2, seed=1), batch().numpy()
    assert list(net.biases) == ["bias2", "bias3"]
    first, second, third = (w.detach().numpy() for w in net.layers)
    bias2, bias3 = (c.detach().numpy() for c in net.biases.values())
    hidden = np.tanh(X @ first.T) / math.sqrt(30)
    inner = math.sqrt(0.5) * hidden @ second.T + math.sqrt(0.3) * bias2
    hidden = inner / (1 + np.exp(-inner)) / math.sqrt(30)
    hidden = np.tanh(math.sqrt(2.0) * hidden @ third.T + math.sqrt(1.5) * bias3) / math.sqrt(30)
    np.testing.assert_allclose(net.features(X).detach().numpy(), hidden, rtol=FORWARD, atol=EXACT)


@pytest.mark.parametrize("spec", [MLP((Layer("tanh"), Layer("silu"))), BIASED], ids=["plain", "biased"])
def test_gradcheck(spec):
    net = ExplicitNetwork(spec, 5, 4, 2)
    names = [name for name, _ in net.named_parameters()]
    weights = [w.detach().clone().requires_grad_() for w in net.parameters()]

    def outputs(X, *values):
        return functional_call(net, dict(zip(names, values, strict=True)), (X,))

    assert torch.autograd.gradcheck(outputs, (batch().requires_grad_(), *weights), atol=GRADCHECK)


@pytest.mark.parametrize(
    ("spec", "rates"), [(SPEC, (0.02, 0.0, 0.1)), (BIASED, (0.1, 0.02, 0.3, 0.02, 0.3, 0.1))], ids=["plain", "biased"]
)
def test_one_descent_step_moves_each_layer_at_its_rate(spec, rates):
    net = ExplicitNetwork(spec, 5, 30, 1)
    weights = [*net.layers, *net.biases.values(), net.readout.weight]
    before = [w.detach().clone() for w in weights]
    net(batch()).square().sum().backward()
    torch.optim.SGD(net.parameter_groups(0.1), lr=1.0).step()
    for weight, old, rate in zip(weights, before, rates, strict=True):
        assert weight.grad.abs().max() > 0
        torch.testing.assert_close(weight.detach(), old - rate * weight.grad, rtol=FORWARD, atol=ROUNDING)


@pytest.mark.parametrize("spec", [SPEC, BIASED], ids=["plain", "biased"])
def test_groups_cover_every_parameter_once(spec):
    net = ExplicitNetwork(spec, 5, 30)
    groups = net.parameter_groups(1.0)
    assert tuple(group["name"] for group in groups) == weight_names(spec)
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    assert {id(w) for group in groups for w in group["params"]} == {id(w) for w in net.parameters()}


@pytest.mark.parametrize("lr", [-0.1, math.nan, "fast"])
def test_bad_learning_rate(lr):
    with pytest.raises(ValueError, match="lr must be a"):
        ExplicitNetwork(SPEC, 5, 4).parameter_groups(lr)


def test_custom_activations():
    X = batch()
    by_torch = ExplicitNetwork(MLP((Layer(Activation(torch.atan)),)), 5, 8)
    by_numpy = ExplicitNetwork(MLP((Layer(Activation(np.arctan)),)), 5, 8)
    with torch.no_grad():
        torch.testing.assert_close(by_torch(X), by_numpy(X), rtol=FORWARD, atol=0)
    by_torch(X).sum().backward()
    assert by_torch.layers[0].grad.abs().max() > 0
    with pytest.raises(TypeError, match="takes NumPy arrays only"):
        by_numpy(X)
