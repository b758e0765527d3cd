"""Explicit networks against a forward pass written out, and their learning rates."""

import math

import numpy as np
import pytest
import torch

from notsodeep.activations import Activation
from notsodeep.networks import ExplicitNetwork
from notsodeep.spec import MLP, Layer
from tests.tolerances import EXACT, FORWARD, GRADCHECK, ROUNDING

SPEC = MLP((Layer("tanh", weight_var=0.5, learning_rate=0.2), Layer("relu", weight_var=3.0, learning_rate=0.0)))


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


def test_gradcheck():
    net = ExplicitNetwork(MLP((Layer("tanh"), Layer("silu"))), 5, 4, 2)
    assert torch.autograd.gradcheck(net, (batch().requires_grad_(),), atol=GRADCHECK)


def test_one_descent_step_moves_each_layer_at_its_rate():
    net = ExplicitNetwork(SPEC, 5, 30, 1)
    weights = [*net.layers, net.readout.weight]
    before = [w.detach().clone() for w in weights]
    net(batch()).square().sum().backward()
    torch.optim.SGD(net.parameter_groups(0.1), lr=1.0).step()
    for weight, old, rate in zip(weights, before, (0.02, 0.0, 0.1), strict=True):
        assert weight.grad.abs().max() > 0
        torch.testing.assert_close(weight.detach(), old - rate * weight.grad, rtol=FORWARD, atol=ROUNDING)


def test_groups_cover_every_parameter_once():
    net = ExplicitNetwork(SPEC, 5, 30)
    groups = net.parameter_groups(1.0)
    assert [group["name"] for group in groups] == ["layer1", "layer2", "readout"]
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
