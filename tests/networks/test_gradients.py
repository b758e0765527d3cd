"""Implicit gradients against finite differences, an unrolled iteration, and the reference NTK."""

import math

import numpy as np
import pytest
import torch
from torch.func import functional_call

from notsodeep.activations import Activation
from notsodeep.errors import ConvergenceError
from notsodeep.kernels.scalar import rest_point
from notsodeep.networks import DEQNetwork
from notsodeep.spec import DEQ
from tests.reference import finite_ntk as reference
from tests.tolerances import GRADCHECK, GRADCHECK_RELATIVE, INTERPOLATED, NTK_FLOOR, REFERENCE_NTK, UNROLLED


def batch(n=3, p=4):
    X = torch.randn(n, p, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return X / X.norm(dim=1, keepdim=True)


def network(activation="tanh", sigma_a2=0.4, width=9, out=2, sigma_c2=0.0, **options):
    spec = DEQ(activation, sigma_a2=sigma_a2, sigma_b2=0.8, sigma_c2=sigma_c2)
    return DEQNetwork(spec, 4, width, out, seed=1, **options)


@pytest.mark.parametrize("sigma_c2", [0.0, 0.5])
@pytest.mark.parametrize("activation", ["tanh", "silu", "leaky_relu:slope=0.3"])
def test_gradcheck_of_weights_and_inputs(activation, sigma_c2):
    net = network(activation, sigma_c2=sigma_c2)
    names = [name for name, _ in net.named_parameters()]
    weights = [w.detach().clone().requires_grad_() for w in net.parameters()]

    def outputs(X, *values):
        return functional_call(net, dict(zip(names, values, strict=True)), (X,))

    assert torch.autograd.gradcheck(
        outputs, (batch().requires_grad_(), *weights), atol=GRADCHECK, rtol=GRADCHECK_RELATIVE
    )


def unrolled(net, X):
    phi, Z = rest_point(net.spec).activation, torch.zeros(len(X), net.width, dtype=X.dtype)
    for _ in range(300):
        U = math.sqrt(net.spec.sigma_a2) * Z @ net.A.T + math.sqrt(net.spec.sigma_b2) * X @ net.B.T
        U = U if net.c is None else U + math.sqrt(net.spec.sigma_c2) * net.c
        Z = phi(U) / math.sqrt(net.width)
    return Z @ net.readout.weight.T


@pytest.mark.parametrize("sigma_c2", [0.0, 0.5])
@pytest.mark.parametrize("activation", ["relu", "gelu", "cos"])
def test_gradients_are_those_of_the_unrolled_iteration(activation, sigma_c2):
    net, X = network(activation, width=40, sigma_c2=sigma_c2), batch().requires_grad_()
    wanted = [*net.parameters(), X]
    for got, expected in zip(
        torch.autograd.grad(net(X).square().sum(), wanted),
        torch.autograd.grad(unrolled(net, X).square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=UNROLLED * float(expected.abs().max()))


def test_gradients_give_the_reference_ntk():
    net, X = network(width=30, out=1, sigma_c2=0.5), batch()
    weights = (net.A, net.B, net.readout.weight, net.c)
    rows = [[g.flatten() for g in torch.autograd.grad(net(x[None])[0, 0], weights)] for x in X]
    *others, c = (w.detach().numpy() for w in weights)
    variances = (net.spec.sigma_a2, net.spec.sigma_b2)
    expected = reference.finite_ntk(
        *others, X.numpy(), np.tanh, lambda u: 1 - np.tanh(u) ** 2, *variances, c=c, sigma_c2=0.5
    )
    for name, gradients in zip(("recurrent", "input", "readout", "bias"), zip(*rows, strict=True), strict=True):
        J = torch.stack(gradients)
        np.testing.assert_allclose((J @ J.T).numpy(), expected[name], rtol=REFERENCE_NTK, atol=NTK_FLOOR)


def test_a_numpy_activation_trains_like_its_torch_twin():
    by_numpy, by_torch = network(Activation(np.tanh)), network("tanh")
    for net in (by_numpy, by_torch):
        net(batch()).square().sum().backward()
    for a, b in zip(by_numpy.parameters(), by_torch.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=INTERPOLATED * float(b.grad.abs().max()))


def test_frozen_weights_get_no_gradient_and_leave_the_others_alone():
    net, full = network(sigma_c2=0.5), network(sigma_c2=0.5)
    net.A.requires_grad_(False)
    net.B.requires_grad_(False)
    for each in (net, full):
        each(batch()).sum().backward()
    assert net.A.grad is None
    assert net.B.grad is None
    assert torch.equal(net.readout.weight.grad, full.readout.weight.grad)
    assert torch.equal(net.c.grad, full.c.grad)
    net.zero_grad()
    net.c.requires_grad_(False)
    net(batch()).sum().backward()
    assert net.c.grad is None
    assert torch.equal(net.readout.weight.grad, full.readout.weight.grad)


def test_gradient_descent_lowers_the_loss():
    net, X = network(width=30), batch(8)
    target = X[:, :2]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = (net(X) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_gradient_that_is_not_reached_raises():
    net = network("tanh", width=60, max_iter=3)
    loss = net(torch.zeros(2, 4)).sum()  # the equilibrium is 0, which needs one iteration
    with pytest.raises(ConvergenceError, match=r"gradient through the equilibrium.*after 3 iterations.*lower sigma_a2"):
        loss.backward()
