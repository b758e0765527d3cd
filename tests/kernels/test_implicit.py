"""Implicit kernels where they are hard: near the limit of stability, mixed norms, limits that are known otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.kernels.scalar import rest_point
from tests.kernels.functions import FUNCTIONS
from tests.reference import finite_ntk
from tests.reference import naive_kernels as naive
from tests.tolerances import EXACT, INTERPOLATED_KERNEL, KERNEL, ROUNDING, UNTIED_DIAGONAL, assert_close


def samples(n=6, p=8, seed=0, low=1.0, high=1.0):
    """Return correlated samples of norms from low to high."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.7 * rng.standard_normal(p)
    return X * (np.geomspace(low, high, n) / np.linalg.norm(X, axis=1))[:, None]


def sizes(K):
    return np.sqrt(np.outer(K.diagonal(), K.diagonal()))


@pytest.mark.parametrize(("name", "law"), [("relu", naive.arc_cosine), ("erf", naive.arc_sine)])
@pytest.mark.parametrize("sigma_a2", [0.2, 0.5])
def test_infinitely_deep_untied_network_has_the_same_kernels(name, law, sigma_a2):
    X = samples(low=0.6, high=1.3)
    X /= math.sqrt((X**2).sum(axis=1).mean())
    got = nsd.kernels(nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=1 - sigma_a2, center=False), X)
    apart = ~np.eye(len(X), dtype=bool)
    for K, want in zip(got, naive.untied(law, X, sigma_a2, 1 - sigma_a2, depth=90), strict=True):
        assert_close(K[apart], want[apart], KERNEL, what=name)
        assert_close(K.diagonal(), want.diagonal(), UNTIED_DIAGONAL, what=name)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("name", ["relu", "tanh", "softsign", "silu"])
def test_norms_over_a_factor_of_a_hundred(name):
    X = samples(n=6, low=0.03, high=3.0)
    deq = naive.Deq(FUNCTIONS[name], 0.3, 0.7)
    G, K = nsd.kernels(nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.7), X)
    for i, j in ((0, 5), (0, 1), (2, 4), (5, 5), (0, 0)):
        want = deq.kernels(X[i], X[j], ("recurrent", "input", "readout"))
        assert_close([G[i, j]], [want[0]], KERNEL, scale=sizes(G)[i, j])
        assert_close([K[i, j]], [want[1]], KERNEL, scale=sizes(K)[i, j])


def close_to_the_limit(name, sigma_a2, center):
    deq = nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=0.1, center=center)
    X = samples(n=4, low=0.8, high=1.2)
    X[1], X[3] = -X[2], X[0]
    return deq, X / math.sqrt((X**2).sum(axis=1).mean())


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("sigma_a2", [1.9, 1.99, 1.999])
def test_copies_stay_copies_close_to_the_limit_of_stability(sigma_a2, center):
    """For relu the NTK stays finite up to sigma_a2 = 2; 1 / (1 - sigma_a2 / 2) of rounding must not be felt twice."""
    deq, X = close_to_the_limit("relu", sigma_a2, center)
    room = 1.0 - rest_point(deq).contraction
    for K in nsd.kernels(deq, X):
        assert_close(K[0, 3], K[0, 0], EXACT / room)
        assert_close(K[:, 0], K[:, 3], EXACT / room, scale=K.max())


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
@pytest.mark.parametrize("sigma_a2", [1.0, 1.2])
def test_opposite_samples_close_to_the_limit_of_an_odd_kinked_function(sigma_a2):
    deq, X = close_to_the_limit("hardtanh", sigma_a2, True)
    room = 1.0 - rest_point(deq).contraction
    for K in nsd.kernels(deq, X):
        assert_close(K[1, 2], -K[1, 1], ROUNDING / room)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
@pytest.mark.parametrize("center", [True, False])
def test_near_the_limit_against_plain_iteration(center):
    deq, X = close_to_the_limit("relu", 1.8, center)
    model = naive.Deq(FUNCTIONS["relu"], 1.8, 0.1, center=center)
    G, K = nsd.kernels(deq, X)
    value, tangent = model.kernels(X[0], X[2], ("recurrent", "input", "readout"))
    assert_close(G[0, 2], value, EXACT / (1 - 0.9) ** 2)
    assert_close(K[0, 2], tangent, ROUNDING / (1 - 0.9) ** 2)


@pytest.mark.parametrize("name", ["relu", "silu", "cos", "hardtanh"])
def test_without_recurrence_it_is_one_explicit_layer(name):
    X = samples()
    deq = nsd.DEQ(name, sigma_a2=0.0, sigma_b2=0.7, center=False)
    mlp = nsd.MLP(nsd.Layer(name, weight_var=0.7))
    for K, explicit in zip(nsd.kernels(deq, X), nsd.kernels(mlp, X), strict=True):
        assert_close(K, explicit, KERNEL)
    assert_close(nsd.ntk(deq, X, trainable="input"), nsd.ntk(mlp, X, trainable="layer1"), KERNEL)
    np.testing.assert_array_equal(nsd.ntk(deq, X, trainable="recurrent"), np.zeros((6, 6)))


def test_linear_model_is_solved_by_hand():
    """G = sigma_a2 G + sigma_b2 X X' over sigma_a2, and every slope is 1."""
    X, a2, b2 = samples(), 0.3, 0.7
    gram = X @ X.T
    G, K = nsd.kernels(nsd.DEQ("identity", sigma_a2=a2, sigma_b2=b2), X)
    linear = b2 * gram / (1 - a2)
    assert_close(G, linear, KERNEL)
    assert_close(K, linear + (a2 * linear + b2 * gram) / (1 - a2), KERNEL)


def test_even_function_forgets_signs_and_orthogonal_samples_vanish():
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    G, _ = nsd.kernels(nsd.DEQ("cos", sigma_a2=0.4, sigma_b2=0.6, tau0=1.0), X)
    assert_close(G[0, 2], 0.0, KERNEL, scale=G[0, 0])
    assert 0.0 < G[0, 1] < G[0, 0]  # the fixed point takes sigma_b2 x . y with its sign


def test_one_feature_and_one_sample():
    one = np.array([[1.0]])
    line = np.array([[1.0], [-1.0], [1.0]])
    deq = nsd.DEQ("tanh")
    G = nsd.ck(deq, line)
    assert_close(G, np.outer(line, line) * nsd.ck(deq, one), KERNEL)
    assert_close(nsd.kernels.diagonals(deq, one)[0], [nsd.ck(deq, one)[0, 0]], KERNEL)
    assert nsd.ck(deq, one, line).shape == (1, 3)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")  # of the subset
def test_many_samples_agree_with_few():
    """Beyond some dozens of samples, scales come from tables and pairs from several blocks."""
    subset = [0, 100, 200, 399]
    X = samples(n=400, p=30, low=0.8, high=1.2)
    X[200] = X[100]
    X /= math.sqrt((X**2).sum(axis=1).mean())
    some = np.ix_(subset, subset)
    for name in ("silu", "hardtanh"):
        deq = nsd.DEQ(name, sigma_a2=0.4, sigma_b2=0.6)
        for many, few in zip(nsd.kernels(deq, X), nsd.kernels(deq, X[subset]), strict=True):
            assert_close(many[some], few, KERNEL, what=name)
        for K, block in zip(nsd.kernels(deq, X), nsd.kernels(deq, X, X[150:260].copy()), strict=True):
            assert_close(block, K[:, 150:260], KERNEL, what=name)


def test_activation_of_the_user_without_derivative():
    bent = nsd.Activation(lambda x: np.abs(x - 0.3) + 0.5 * np.tanh(x), kinks=(0.3,))
    function = naive.Function(
        lambda x: np.abs(x - 0.3) + 0.5 * np.tanh(x),
        lambda x: np.sign(x - 0.3) + 0.5 / np.cosh(x) ** 2,
        (0.3,),
    )
    X = samples(n=3)
    G, K = nsd.kernels(nsd.DEQ(bent, sigma_a2=0.15, sigma_b2=0.85), X)
    model = naive.Deq(function, 0.15, 0.85)
    for i, j in ((0, 1), (0, 2), (1, 1)):
        want = model.kernels(X[i], X[j], ("recurrent", "input", "readout"))
        assert_close(G[i, j], want[0], KERNEL, scale=G[i, i])
        assert_close(K[i, j], want[1], INTERPOLATED_KERNEL, scale=K[i, i])  # the derivative is interpolated


class TestFiniteWidth:
    """Mean over networks of finite width; what is left is 1/m of bias and the stated standard errors."""

    WIDTH, SEEDS = 1000, 4
    BIAS = 4.0 / WIDTH
    """Relative; a finite-width correction of a few 1/m, seen to halve with twice the width."""
    FUNCTIONS = {  # noqa: RUF012
        "relu": (lambda u: np.maximum(u, 0.0), lambda u: (u > 0) * 1.0),
        "tanh": (np.tanh, lambda u: 1.0 - np.tanh(u) ** 2),
    }

    @staticmethod
    def data():
        X = samples(n=5, p=4, seed=4, low=0.7, high=1.4)
        X[4] = -0.6 * X[1] + 0.4 * X[2]
        return X / math.sqrt((X**2).sum(axis=1).mean())

    @pytest.fixture(scope="class", params=["relu", "tanh"])
    @classmethod
    def drawn(cls, request):
        """Return the spec and the contributions of each network, the readout averaged over 64 draws."""
        deq, X = nsd.DEQ(request.param, sigma_a2=0.2, sigma_b2=0.8), cls.data()
        phi, dphi = cls.FUNCTIONS[request.param]
        shift = rest_point(deq).shift
        found = []
        for seed in range(cls.SEEDS):
            A, B, w = finite_ntk.draw(cls.WIDTH, X.shape[1], seed, readouts=64)
            found.append(finite_ntk.finite_ntk(A, B, w, X, lambda u: phi(u) - shift, dphi, 0.2, 0.8))
        return deq, found

    @pytest.mark.parametrize(
        "trainable",
        [("recurrent", "readout"), "all", ("input",), ("recurrent",), ("readout",)],
        ids=lambda t: t if isinstance(t, str) else "+".join(t),
    )
    def test_mean_of_finite_networks_is_the_exact_kernel(self, drawn, trainable):
        deq, found = drawn
        names = ("recurrent", "input", "readout") if trainable == "all" else trainable
        each = np.array([sum(parts[name] for name in names) for parts in found])
        exact = nsd.ntk(deq, self.data(), trainable=trainable)
        scale = sizes(exact)
        error = np.std(each / scale, axis=0, ddof=1).max() / math.sqrt(len(found))
        # four seeds tell their spread badly: the largest of 25 entries, and no less than 0.3 / sqrt(m) a network
        error = max(error, 0.3 / math.sqrt(self.WIDTH * len(found)))
        assert_close(each.mean(axis=0), exact, 4.0 * error + self.BIAS, scale=scale, what=str(trainable))


def test_matrices_live_where_the_samples_do():
    X = torch.from_numpy(samples())
    assert nsd.ck(nsd.DEQ("relu"), X.to(torch.float32)).dtype == torch.float64
    if torch.cuda.is_available():
        on_device = nsd.kernels(nsd.DEQ("silu"), X.cuda())
        for there, here in zip(on_device, nsd.kernels(nsd.DEQ("silu"), X), strict=True):
            assert there.is_cuda
            assert_close(there, here, KERNEL)
