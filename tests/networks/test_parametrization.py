"""Groups for optimisers: which weights, at which rates, and training in the standard parametrisation by hand."""

import math

import pytest
import torch

from notsodeep import networks
from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork
from notsodeep.spec import DEQ, MLP, Layer, Parallel
from tests.tolerances import ROUNDING, UNROLLED

P, M, K = 5, 30, 2
STEPS = 6


def batch(n=8):
    X = torch.randn(n, P, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return X / X.norm(dim=1, keepdim=True)


class StandardDEQ(torch.nn.Module):
    """``z = phi(A z + B sqrt(p) x + c)`` with weights of variance sigma^2 / fan-in, no factors elsewhere."""

    def __init__(self, net):
        super().__init__()
        spec = net.spec
        with torch.no_grad():
            self.A = torch.nn.Parameter(net.A * math.sqrt(spec.sigma_a2 / M))
            self.B = torch.nn.Parameter(net.B * math.sqrt(spec.sigma_b2 / P))
            self.c = torch.nn.Parameter(net.c * math.sqrt(spec.sigma_c2))
            self.w = torch.nn.Parameter(net.readout.weight / math.sqrt(M))

    def forward(self, X):
        Z = torch.zeros(len(X), M, dtype=X.dtype)
        for _ in range(120):
            Z = torch.tanh(Z @ self.A.T + math.sqrt(P) * X @ self.B.T + self.c)
        return Z @ self.w.T


class StandardMLP(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        first, second = net.spec.layers
        with torch.no_grad():
            self.W1 = torch.nn.Parameter(net.layers[0] * math.sqrt(first.weight_var / P))
            self.c1 = torch.nn.Parameter(net.biases["bias1"] * math.sqrt(first.bias_var))
            self.W2 = torch.nn.Parameter(net.layers[1] * math.sqrt(second.weight_var / M))
            self.w = torch.nn.Parameter(net.readout.weight / math.sqrt(M))

    def forward(self, X):
        return torch.tanh(torch.sin(math.sqrt(P) * X @ self.W1.T + self.c1) @ self.W2.T) @ self.w.T


def deq():
    return DEQNetwork(DEQ("tanh", sigma_a2=0.3, sigma_b2=0.8, sigma_c2=0.2), P, M, K, seed=4)


def mlp():
    return ExplicitNetwork(MLP((Layer("sin", 1.3, bias_var=0.4), Layer("tanh", 0.7))), P, M, K, seed=4)


def descend(net, optimizer):
    X = batch()
    for _ in range(STEPS):
        optimizer.zero_grad()
        (net(X) - X[:, :K]).square().mean().backward()
        optimizer.step()
    return net(X).detach()


@pytest.mark.parametrize(("ours", "by_hand"), [(deq, StandardDEQ), (mlp, StandardMLP)], ids=["deq", "mlp"])
@pytest.mark.parametrize(("name", "kind", "lr"), [("sgd", torch.optim.SGD, 0.02), ("adam", torch.optim.Adam, 0.01)])
def test_standard_parametrization_is_training_by_hand(ours, by_hand, name, kind, lr):
    net = ours()
    other = by_hand(net)
    torch.testing.assert_close(net(batch()), other(batch()), rtol=0, atol=UNROLLED)
    before = net(batch()).detach()
    groups = net.parameter_groups(lr, parametrization="standard", optimizer=name)
    got, wanted = descend(net, kind(groups)), descend(other, kind(other.parameters(), lr=lr))
    assert float((wanted - before).norm()) > 0.1 * float(before.norm())
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e3 * UNROLLED)  # six steps, each dividing by gradients
    ntk = ours()
    assert float((descend(ntk, kind(ntk.parameter_groups(lr))) - wanted).norm()) > 0.1 * float((wanted - before).norm())


def test_eps_of_adam_belongs_to_the_parametrization():
    """With gradients far below eps, Adam's steps are those of the eps alone."""
    net = deq()
    other = StandardDEQ(net)
    scale = 1e-9

    def step(model, optimizer):
        before = model(batch()).detach()
        (scale * model(batch()).sum()).backward()
        optimizer.step()
        return (model(batch()) - before).detach()

    got = step(net, torch.optim.Adam(net.parameter_groups(0.01, parametrization="standard", optimizer="adam")))
    wanted = step(other, torch.optim.Adam(other.parameters(), lr=0.01))
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=UNROLLED)


def test_groups_name_the_weights_of_the_spec_and_multiply_rates():
    spec = Parallel(
        (MLP(Layer("tanh", learning_rate=0.5, bias_var=0.1)), MLP((Layer("relu"), Layer("relu", learning_rate=3.0))))
    )
    groups = ParallelNetwork(spec, P, M, K).parameter_groups(0.1)
    wanted = {
        "branch1.layer1": 0.05,
        "branch1.bias1": 0.05,
        "branch2.layer1": 0.1,
        "branch2.layer2": pytest.approx(0.3),
        "readout": 0.1,
    }
    assert {group["name"]: group["lr"] for group in groups} == wanted


@pytest.mark.parametrize("net", [deq(), mlp()], ids=["deq", "mlp"])
def test_every_parameter_is_in_one_group_and_chosen_ones_alone(net):
    held = [id(w) for group in net.parameter_groups(0.1) for w in group["params"]]
    assert sorted(held) == sorted(id(w) for w in net.parameters())
    (only,) = net.parameter_groups(0.1, ("readout",))
    assert only["params"] == [net.readout.weight]


def test_an_intercept_of_the_readout_is_trained_with_it():
    net = mlp()
    net.readout.bias = torch.nn.Parameter(torch.ones(K, dtype=torch.float64))
    groups = net.parameter_groups(0.1, ("readout",), parametrization="standard")
    assert [(group["name"], group["lr"]) for group in groups] == [
        ("readout", pytest.approx(0.1 * M)),
        ("readout.bias", 0.1),
    ]
    assert "readout.bias" not in {group["name"] for group in net.parameter_groups(0.1, ("layer1",))}


def test_standard_rates_by_hand():
    groups = deq().parameter_groups(0.1, parametrization="standard")
    wanted = {"recurrent": 0.1 * M / 0.3, "input": 0.1 * P / 0.8, "bias": 0.1 / 0.2, "readout": 0.1 * M}
    assert {group["name"]: group["lr"] for group in groups} == pytest.approx(wanted, rel=ROUNDING)


def test_idle_recurrent_weights_do_not_move():
    net = DEQNetwork(DEQ("tanh", sigma_a2=0.0, sigma_b2=0.8), P, M)
    rates = {group["name"]: group["lr"] for group in net.parameter_groups(0.1, parametrization="standard")}
    assert rates["recurrent"] == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must be a finite number >= 0"),
        ({"lr": 0.1, "trainable": ("layer1",)}, "trainable must be 'all' or one or more of"),
        ({"lr": 0.1, "parametrization": "mup"}, "parametrization must be one of 'ntk', 'standard'"),
        ({"lr": 0.1, "optimizer": "lion"}, "optimizer must be one of 'sgd', 'adam'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        deq().parameter_groups(**options)


def test_short_names_are_the_same_classes():
    assert (networks.DEQ, networks.Explicit, networks.Parallel) == (DEQNetwork, ExplicitNetwork, ParallelNetwork)
