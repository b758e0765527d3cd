"""Empirical conjugate kernels against closed forms of infinite width, in units of their standard error."""

import math

import numpy as np
import pytest
import torch

from notsodeep.networks import DEQNetwork, ExplicitNetwork, empirical_ck
from notsodeep.spec import DEQ, MLP, Layer
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_kernels as naive
from tests.tolerances import EXACT, FORWARD, STANDARD_ERRORS


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


def test_bad_arguments(net):
    with pytest.raises(
        ValueError, match="net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got Linear"
    ):
        empirical_ck(torch.nn.Linear(4, 4), sphere())
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        empirical_ck(net, sphere(), np.zeros((2, 3)))
