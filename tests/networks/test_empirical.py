"""Empirical kernels: the CK against closed forms of infinite width, the NTK against gradients sample by sample."""

import math

import numpy as np
import pytest
import torch

from notsodeep.errors import ConvergenceError
from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork, empirical, empirical_ck, empirical_ntk
from notsodeep.spec import DEQ, MLP, Layer, Parallel, weight_names
from tests.kernels.functions import FUNCTIONS
from tests.reference import finite_ntk as reference
from tests.reference import naive_kernels as naive
from tests.tolerances import (
    EXACT,
    FLOAT32,
    FORWARD,
    NTK_FLOOR,
    PER_SAMPLE,
    REFERENCE_NTK,
    STANDARD_ERRORS,
    assert_close,
)


def sphere(n=6, p=4):
    X = np.random.default_rng(2).standard_normal((n, p))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def centred_arc_cosine(rho):
    """Return cov(relu(u), relu(v)) for u, v ~ N(0, 1) of correlation ``rho``."""
    angle = np.arccos(np.clip(rho, -1, 1))
    return (np.sin(angle) + (math.pi - angle) * np.cos(angle) - 1) / (2 * math.pi)


def equilibrium_kernel(gram, sigma_a2, sigma_b2):
    """Return the conjugate kernel of a centred ReLU DEQ for samples of norm 1, by plain iteration."""
    share = 0.5 - 0.5 / math.pi
    q = sigma_b2 / (1 - sigma_a2 * share)
    G = np.zeros_like(gram)
    for _ in range(200):
        G = q * centred_arc_cosine((sigma_a2 * G + sigma_b2 * gram) / q)
    return G


def test_one_relu_layer_has_the_arc_cosine_kernel():
    X, width = sphere(), 50_000
    net = ExplicitNetwork(MLP((Layer("two_slope:a=1,b=0,tau=1"),)), 4, width, seed=0)
    units = math.sqrt(width) * net.features(X).detach().numpy()
    error = (units[:, None] * units).std(axis=2) / math.sqrt(width)
    deviation = np.abs(empirical_ck(net, X) - centred_arc_cosine(X @ X.T)) / error
    assert deviation.max() < STANDARD_ERRORS, f"{deviation.max():.2f} standard errors"


def test_the_mean_over_networks_has_the_implicit_kernel():
    X, sigma_a2, sigma_b2, networks = sphere(), 0.6, 0.7, 40
    spec = DEQ("relu", sigma_a2=sigma_a2, sigma_b2=sigma_b2)
    kernels = np.stack([empirical_ck(DEQNetwork(spec, 4, 700, seed=seed), X) for seed in range(networks)])
    error = kernels.std(axis=0, ddof=1) / math.sqrt(networks)
    deviation = np.abs(kernels.mean(axis=0) - equilibrium_kernel(X @ X.T, sigma_a2, sigma_b2)) / error
    assert deviation.max() < STANDARD_ERRORS, f"{deviation.max():.2f} standard errors"


def naive_kernel(model, X):
    """Return the conjugate kernel of a naive model, pair by pair, as a symmetric matrix."""
    upper = np.array([[model.kernels(x, y)[0] if i <= j else 0.0 for j, y in enumerate(X)] for i, x in enumerate(X)])
    return np.triu(upper) + np.triu(upper, 1).T


def test_one_biased_layer_has_the_naive_kernel():
    X, width = np.linspace(0.6, 1.4, 4)[:, None] * sphere(4), 50_000
    net = ExplicitNetwork(MLP((Layer("silu", weight_var=1.5, bias_var=0.7),)), 4, width, seed=0)
    units = math.sqrt(width) * net.features(X).detach().numpy()
    error = (units[:, None] * units).std(axis=2) / math.sqrt(width)
    exact = naive_kernel(naive.Mlp(((FUNCTIONS["silu"], 1.5, 1.0, 0.7),)), X)
    deviation = np.abs(empirical_ck(net, X) - exact) / error
    assert deviation.max() < STANDARD_ERRORS, f"{deviation.max():.2f} standard errors"


def test_the_mean_over_biased_networks_has_the_naive_implicit_kernel():
    X, networks = np.linspace(0.6, 1.4, 3)[:, None] * sphere(3), 40
    spec = DEQ("silu", sigma_a2=0.5, sigma_b2=0.6, sigma_c2=0.4)
    kernels = np.stack([empirical_ck(DEQNetwork(spec, 4, 400, seed=seed), X) for seed in range(networks)])
    error = kernels.std(axis=0, ddof=1) / math.sqrt(networks)
    exact = naive_kernel(naive.Deq(FUNCTIONS["silu"], 0.5, 0.6, sigma_c2=0.4), X)
    deviation = np.abs(kernels.mean(axis=0) - exact) / error
    assert deviation.max() < STANDARD_ERRORS, f"{deviation.max():.2f} standard errors"


@pytest.fixture
def net():
    return DEQNetwork(DEQ("tanh"), 4, 30)


def test_kind_in_is_kind_out_without_gradient(net):
    X = sphere()
    G, H = empirical_ck(net, X), empirical_ck(net, torch.tensor(X))
    assert isinstance(G, np.ndarray)
    assert isinstance(H, torch.Tensor)
    assert not H.requires_grad
    np.testing.assert_array_equal(G, H.numpy())


def test_entries_are_inner_products_of_features(net):
    X, Y = sphere(), sphere(9)[6:]
    left, right = net.features(X).detach().numpy(), net.features(Y).detach().numpy()
    np.testing.assert_allclose(empirical_ck(net, X, Y), left @ right.T, rtol=FORWARD, atol=EXACT)
    np.testing.assert_allclose(empirical_ck(net, X), left @ left.T, rtol=FORWARD, atol=EXACT)


def deq(out, **options):
    return DEQNetwork(DEQ("silu", sigma_a2=0.5, sigma_b2=0.6, sigma_c2=0.4), 4, 23, out, seed=1, **options)


DEEP = MLP((Layer("tanh", 1.5, 0.5, bias_var=0.7), Layer("silu", 0.8, 2.0), Layer("relu", 2.0, 0.3, bias_var=0.2)))


def explicit(out, **options):
    return ExplicitNetwork(DEEP, 4, 23, out, seed=1, **options)


def ternary(out):
    return explicit(out, weights="ternary", sparsity=0.5)


def parallel(out):
    return ParallelNetwork(Parallel((DEEP, MLP((Layer("gelu", 1.2, 0.4),)))), 4, 23, out, seed=1)


def parameters(net, spec=None, prefix=""):
    """Return each parameter and the multiplier of its learning rate, by the name in the spec."""
    if isinstance(net, DEQNetwork):
        return {"recurrent": (net.A, 1.0), "input": (net.B, 1.0), "bias": (net.c, 1.0)}
    if isinstance(net, ParallelNetwork):
        parts = [parameters(branch, prefix=f"branch{b}.") for b, branch in enumerate(net.branches, 1)]
        return {name: found for part in parts for name, found in part.items()}
    found = {}
    for i, layer in enumerate(net.spec.layers, 1):
        found[f"{prefix}layer{i}"] = net.layers[i - 1], layer.learning_rate
        if layer.bias_var:
            found[f"{prefix}bias{i}"] = net.biases[f"bias{i}"], layer.learning_rate
    return found


def by_gradients(net, X, Y, names):
    """Return the NTK of some weights from the gradients of every output at every sample, one by one."""
    weights = parameters(net) | {"readout": (net.readout.weight, 1.0)}
    chosen = [weights[name] for name in names]

    def gradients(x, k):
        each = torch.autograd.grad(net(x[None])[0, k], [weight for weight, _ in chosen])
        return torch.cat([rate**0.5 * g.flatten() for (_, rate), g in zip(chosen, each, strict=True)])

    def jacobian(samples, k):
        return torch.stack([gradients(x, k) for x in samples])

    total = sum(jacobian(X, k) @ jacobian(Y, k).T for k in range(net.out_features))
    return total / net.out_features


def samples(n, seed=3):
    X = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return X * torch.linspace(0.6, 1.4, n, dtype=torch.float64)[:, None] / 2


@pytest.mark.parametrize("out", [1, 3])
@pytest.mark.parametrize("make", [deq, explicit, ternary, parallel])
def test_ntk_is_the_gram_matrix_of_gradients(make, out):
    net, X, Y = make(out), samples(5), samples(3, seed=4)
    names = weight_names(net.spec)
    assert_close(empirical_ntk(net, X), by_gradients(net, X, X, names), PER_SAMPLE)
    assert_close(empirical_ntk(net, X, Y), by_gradients(net, X, Y, names), PER_SAMPLE)


@pytest.mark.parametrize("make", [deq, explicit, ternary, parallel])
def test_ntk_of_each_weight_alone(make):
    net, X = make(2), samples(4)
    for name in weight_names(net.spec):
        assert_close(empirical_ntk(net, X, trainable=name), by_gradients(net, X, X, [name]), PER_SAMPLE, what=name)


@pytest.mark.parametrize("make", [deq, explicit, parallel])
def test_ntk_of_some_weights_at_trained_ones(make):
    net, X, Y = make(2), samples(4), samples(3, seed=4)
    optimizer = torch.optim.SGD(net.parameter_groups(0.1))
    before = empirical_ntk(net, X)
    for _ in range(5):
        optimizer.zero_grad()
        (net(X) - X[:, :2]).square().mean().backward()
        optimizer.step()
    first, *_, readout = names = weight_names(net.spec)
    assert (empirical_ntk(net, X) - before).abs().max() > 1e-3 * before.abs().max()
    assert_close(empirical_ntk(net, X, Y), by_gradients(net, X, Y, names), PER_SAMPLE)
    assert_close(empirical_ntk(net, X, Y, (first, readout)), by_gradients(net, X, Y, [first, readout]), PER_SAMPLE)


@pytest.mark.parametrize("sigma_c2", [0.0, 0.4])
def test_ntk_is_the_reference_one(sigma_c2):
    net = DEQNetwork(DEQ("tanh", sigma_a2=0.5, sigma_b2=0.8, sigma_c2=sigma_c2), 4, 60, 2, seed=2)
    A, B, w = (weight.detach().numpy() for weight in (net.A, net.B, net.readout.weight))
    X = sphere()
    variances, c = (0.5, 0.8), None if net.c is None else net.c.detach().numpy()
    parts = reference.finite_ntk(
        A, B, w.T, X, np.tanh, lambda u: 1 - np.tanh(u) ** 2, *variances, c=c, sigma_c2=sigma_c2
    )
    assert parts.keys() == set(weight_names(net.spec))
    for name, part in parts.items():
        got = empirical_ntk(net, X, trainable=(name,))
        np.testing.assert_allclose(got, part, rtol=REFERENCE_NTK, atol=NTK_FLOOR)
    np.testing.assert_allclose(empirical_ntk(net, X), sum(parts.values()), rtol=REFERENCE_NTK, atol=NTK_FLOOR)
    np.testing.assert_allclose(empirical_ck(net, X), parts["readout"], rtol=REFERENCE_NTK, atol=NTK_FLOOR)


@pytest.mark.parametrize("tile", [1, 3, 7])
@pytest.mark.parametrize("make", [deq, explicit, parallel])
def test_tiles_give_what_one_block_gives(make, tile, monkeypatch):
    net, X, Y = make(2), samples(7), samples(5, seed=4)
    whole = [empirical_ntk(net, X), empirical_ntk(net, X, Y), empirical_ck(net, X), empirical_ck(net, X, Y)]
    monkeypatch.setattr(empirical, "TILE", tile)
    tiled = [empirical_ntk(net, X), empirical_ntk(net, X, Y), empirical_ck(net, X), empirical_ck(net, X, Y)]
    for one, other in zip(tiled, whole, strict=True):
        assert_close(one, other, FORWARD)


def test_samples_go_through_the_network_in_batches(net, monkeypatch):
    monkeypatch.setattr(empirical, "TILE", 4)
    seen = []
    solve = DEQNetwork._injected

    def watched(self, batch):
        seen.append(len(batch))
        return solve(self, batch)

    monkeypatch.setattr(DEQNetwork, "_injected", watched)
    empirical_ck(net, sphere(10))
    empirical_ntk(net, sphere(9))
    assert seen == [4, 4, 2, 4, 4, 1]


def test_kind_in_is_kind_out_of_the_ntk(net):
    X = sphere()
    K, L = empirical_ntk(net, X), empirical_ntk(net, torch.tensor(X, requires_grad=True))
    assert isinstance(K, np.ndarray)
    assert isinstance(L, torch.Tensor)
    assert not L.requires_grad
    np.testing.assert_array_equal(K, L.numpy())
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize("function", [empirical_ck, empirical_ntk])
def test_precision_is_the_networks(function):
    single, double = deq(2, dtype=torch.float32), deq(2)
    got = function(single, sphere())
    assert got.dtype == np.float32
    assert_close(got, function(double, sphere()), FLOAT32)


@pytest.mark.parametrize("function", [empirical_ck, empirical_ntk])
def test_bad_arguments(net, function):
    with pytest.raises(
        ValueError, match="net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got Linear"
    ):
        function(torch.nn.Linear(4, 4), sphere())
    with pytest.raises(ValueError, match=r"X must have shape \(n, 4\) with n >= 1, got None"):
        function(net, None)
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        function(net, sphere(), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="X has NaN"):
        function(net, sphere(), np.full((2, 4), np.nan))


@pytest.mark.parametrize(
    ("trainable", "message"),
    [("bias", "this DEQ has no bias"), ((), "got none"), ("layer1", "got 'layer1'"), (3, "trainable must be 'all'")],
)
def test_bad_weights(net, trainable, message):
    with pytest.raises(ValueError, match=message):
        empirical_ntk(net, sphere(), trainable=trainable)


def test_failures_are_not_silent():
    X = sphere()
    with pytest.raises(ConvergenceError, match="equilibrium"):
        empirical_ntk(DEQNetwork(DEQ("tanh"), 4, 30, max_iter=2), X)
    large = ExplicitNetwork(MLP((Layer("relu"),)), 4, 30, dtype=torch.float32)
    with pytest.raises(ConvergenceError, match="the kernel overflows"):
        empirical_ntk(large, 1e30 * X)
    with pytest.raises(ConvergenceError, match="the kernel overflows"):
        empirical_ck(large, 1e30 * X)
