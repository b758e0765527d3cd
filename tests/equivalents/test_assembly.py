"""The equivalents against a naive second implementation, and against the exact kernels that they stand for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import chain, combinations

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz
from scipy.sparse.linalg import eigsh

import notsodeep as nsd
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_equivalent as naive
from tests.reference.naive_kernels import expectation
from tests.tolerances import COEFFICIENTS, PUBLISHED, assert_close

PAPERS = ("recurrent", "readout")


def subsets(names):
    return list(chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1)))


@cache
def mixture():
    """Return three classes with means, full covariances and unequal proportions, with a draw from them."""
    rng = np.random.default_rng(3)
    p = 12
    roots = rng.standard_normal((3, p, p)) / np.sqrt(p)
    covariances = np.array([root @ root.T + (a + 1) * 0.2 * np.eye(p) for a, root in enumerate(roots)])
    gm = nsd.GaussianMixture(rng.standard_normal((3, p)), covariances, [0.5, 0.3, 0.2])
    X, y = gm.sample(20, seed=4)
    return gm, X, y, nsd.Statistics.from_mixture(gm, X, y)


def naive_matrix(numbers, tau0):
    gm, X, y, _ = mixture()
    return naive.matrix(numbers, tau0, X, y, gm.means, [gm.covariance(a) for a in range(3)])


def mean_norm(X):
    return float(np.sqrt((X**2).sum(axis=1).mean()))


@pytest.mark.parametrize("name", ["relu", "tanh", "silu", "elu", "cos", "softsign", "identity"])
@pytest.mark.parametrize("sigma_a2", [0.0, 0.2, 0.7])
def test_the_ck_of_a_deq_is_the_naive_one(name, sigma_a2):
    _, X, _, stats = mixture()
    tau0 = mean_norm(X)
    want = naive_matrix(naive.deq_numbers(FUNCTIONS[name], sigma_a2, 0.6, tau0), tau0)
    assert_close(nsd.equivalent(nsd.DEQ(name, sigma_a2, 0.6, tau0), X, stats).dense(), want, COEFFICIENTS)


@pytest.mark.parametrize("trained", subsets(("recurrent", "input", "readout")))
@pytest.mark.parametrize("name", ["relu", "tanh", "silu"])
def test_the_ntk_of_a_deq_is_the_naive_one(name, trained):
    _, X, _, stats = mixture()
    tau0 = mean_norm(X)
    want = naive_matrix(naive.deq_numbers(FUNCTIONS[name], 0.3, 0.6, tau0, trained), tau0)
    found = nsd.equivalent(nsd.DEQ(name, 0.3, 0.6, tau0), X, stats, kernel="ntk", trainable=trained)
    assert_close(found.dense(), want, COEFFICIENTS)


def network(tau0):
    """Return an MLP of three layers centred at scale tau0, and the same for the naive implementation."""
    layers, plain, scale = [], [], tau0
    for name, weight_var, rate in (("relu", 1.7, 0.4), ("silu", 0.8, 0.0), ("tanh", 1.3, 2.0)):
        f, entering = FUNCTIONS[name], float(np.sqrt(weight_var) * scale)
        shift = -float(expectation((f.phi,), f.kinks, f.width, entering)[0])
        centred = f.shifted(shift)
        layers.append(nsd.Layer(nsd.activation(name).shifted(shift), weight_var, rate))
        plain.append((centred, weight_var, rate))
        scale = float(np.sqrt(naive.moments(centred, entering).square))
    return nsd.MLP(tuple(layers)), plain


def test_the_ck_of_an_mlp_is_the_naive_one():
    _, X, _, stats = mixture()
    mlp, plain = network(stats.tau0)
    want = naive_matrix(naive.mlp_numbers(plain, stats.tau0), stats.tau0)
    assert_close(nsd.equivalent(mlp, X, stats).dense(), want, COEFFICIENTS)


@pytest.mark.parametrize("trained", subsets(("layer1", "layer2", "layer3", "readout")))
def test_the_ntk_of_an_mlp_is_the_naive_one(trained):
    _, X, _, stats = mixture()
    mlp, plain = network(stats.tau0)
    want = naive_matrix(naive.mlp_numbers(plain, stats.tau0, trained), stats.tau0)
    found = nsd.equivalent(mlp, X, stats, kernel="ntk", trainable=trained).dense()
    assert_close(found, want, COEFFICIENTS, scale=max(1e-3, float(np.abs(want).max())))


def branches(tau0):
    """Return two branches of one and of three layers, and the same for the naive implementation."""
    deep, plain = network(tau0)
    (f, weight_var, _), first = plain[0], deep.layers[0]
    return nsd.Parallel((nsd.MLP(replace(first, learning_rate=2.0)), deep)), ([(f, weight_var, 2.0)], plain)


def test_the_ck_of_parallel_branches_is_the_naive_one():
    _, X, _, stats = mixture()
    par, plain = branches(stats.tau0)
    want = naive_matrix(naive.parallel_numbers(plain, stats.tau0), stats.tau0)
    assert_close(nsd.equivalent(par, X, stats).dense(), want, COEFFICIENTS)


@pytest.mark.parametrize("trained", subsets(("branch1.layer1", "branch2.layer1", "branch2.layer3", "readout")))
def test_the_ntk_of_parallel_branches_is_the_naive_one(trained):
    _, X, _, stats = mixture()
    par, plain = branches(stats.tau0)
    want = naive_matrix(naive.parallel_numbers(plain, stats.tau0, trained), stats.tau0)
    found = nsd.equivalent(par, X, stats, kernel="ntk", trainable=trained).dense()
    assert_close(found, want, COEFFICIENTS)


def test_an_mlp_may_be_taken_at_another_scale():
    _, X, _, stats = mixture()
    tau0 = mean_norm(X)
    mlp, plain = network(tau0)
    want = naive_matrix(naive.mlp_numbers(plain, tau0), tau0)
    assert_close(nsd.equivalent(mlp, X, stats, tau0=tau0).dense(), want, COEFFICIENTS)
    with pytest.raises(ValueError, match="centred"):
        nsd.equivalent(mlp, X, stats)


def test_tensors_give_tensors():
    _, X, _, stats = mixture()
    deq = nsd.DEQ("relu", tau0=mean_norm(X))
    found = nsd.equivalent(deq, torch.from_numpy(X), stats).dense()
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), nsd.equivalent(deq, X, stats).dense())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "both"}, "kernel must be one of 'ck', 'ntk', got 'both'"),
        ({"order": "second"}, "order must be one of 'paper', 'norm-aware', got 'second'"),
        ({"trainable": "layer1"}, "trainable must be"),
        ({"stats": (0, 1)}, "stats must be a Statistics, got tuple"),
        ({"quadratic": "true"}, "quadratic must be one of 'projected', 'exact', got 'true'"),
        ({"quadratic": "exact"}, "quadratic='exact' belongs to order=\"norm-aware\""),
        ({"order": "norm-aware", "tau0": 1.0}, 'tau0 belongs to order="paper"'),
        ({"X": np.ones((3, 12))}, r"stats belongs to samples of shape \(20, 12\), X has \(3, 12\)"),
        ({"X": np.ones((20, 11))}, r"stats belongs to samples of shape \(20, 12\), X has \(20, 11\)"),
        ({"X": np.full((20, 12), np.nan)}, "X has NaN"),
        ({"X": torch.full((20, 12), torch.inf)}, "X has NaN or infinite"),
        ({"spec": "relu"}, "spec must be a DEQ, an MLP or a Parallel"),
        ({"spec": nsd.DEQ("relu", center=False)}, "centred activations"),
        ({"tau0": 1.0}, "tau0 belongs to the DEQ spec"),
        ({"spec": nsd.MLP((nsd.Layer("tanh"),)), "tau0": -1.0}, "tau0 must be a finite number > 0"),
    ],
)
@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
def test_illegal_arguments_are_refused(change, message):
    _, X, _, stats = mixture()
    given = {"spec": nsd.DEQ("relu", tau0=mean_norm(X)), "X": X, "stats": stats} | change
    with pytest.raises(ValueError, match=message):
        nsd.equivalent(**given)


def test_data_off_the_scale_of_a_deq_are_warned_about():
    _, X, _, stats = mixture()
    with pytest.warns(nsd.errors.ScaleWarning, match="the mean squared norm of the samples is"):
        nsd.equivalent(nsd.DEQ("relu", tau0=2.0 * mean_norm(X)), X, stats)


def distance(exact, equivalent):
    """Return the relative spectral distance of two symmetric matrices."""
    return norm(exact - equivalent) / norm(exact)


def norm(matrix):
    start = np.cos(np.arange(len(matrix)))
    return float(abs(eigsh(matrix, k=1, which="LM", v0=start, return_eigenvectors=False)[0]))


@cache
def paper_errors(name, p):
    """Return the errors of the equivalents of CK and NTK ({A, w}) on the paper's mixture, means of three draws."""
    errors = []
    for seed in range(3):
        gm = nsd.GaussianMixture.paper(p)
        X, y = gm.sample(int(0.8 * p), seed=seed)
        stats = nsd.Statistics.from_mixture(gm, X, y)
        deq = nsd.DEQ(name, sigma_a2=0.2, sigma_b2=0.8, tau0=mean_norm(X))
        exact = dict(zip(("ck", "ntk"), nsd.kernels(deq, X, trainable=PAPERS), strict=True))
        errors.append(
            [distance(K, nsd.equivalent(deq, X, stats, k, trainable=PAPERS).dense()) for k, K in exact.items()]
        )
    return np.mean(errors, axis=0)


@pytest.mark.parametrize(
    ("name", "ck", "ntk"), [("relu", 0.0205, 0.0220), ("tanh", 0.0664, 0.0712), ("silu", 0.0174, 0.0188)]
)
def test_the_error_on_the_papers_mixture_is_the_known_one(name, ck, ntk):
    assert_close(paper_errors(name, 1000), [ck, ntk], PUBLISHED, scale=[ck, ntk], what=name)


@pytest.mark.parametrize("name", ["relu", "tanh", "silu"])
def test_the_error_on_the_papers_mixture_falls_with_p(name):
    errors = np.array([paper_errors(name, p) for p in (250, 500, 1000)])
    assert (errors[1:] < 0.9 * errors[:-1]).all(), errors


@cache
def product_errors(name, p):
    """Return the errors with T a matrix trace and with the elementwise one, for classes that differ in shape alone.

    Both covariances have a unit diagonal, so the elementwise centred ``tr(C_a o C_b) / p`` of
    the authors' scripts is 0.
    """
    lags = np.arange(p)
    gm = nsd.GaussianMixture(np.zeros((2, p)), np.stack([toeplitz(0.6**lags), toeplitz((-0.6) ** lags)]))
    centred = [gm.covariance(a) - 0.5 * (gm.covariance(0) + gm.covariance(1)) for a in (0, 1)]
    elementwise = np.array([[np.trace(one * other) for other in centred] for one in centred]) / p
    errors = []
    for seed in range(3):
        X, y = gm.sample(2 * p, seed=seed)
        stats = nsd.Statistics.from_mixture(gm, X, y)
        deq = nsd.DEQ(name, tau0=stats.tau0)
        G = nsd.ck(deq, X)
        both = stats, replace(stats, T=elementwise)
        errors.append([distance(G, nsd.equivalent(deq, X, each).dense()) for each in both])
    return np.mean(errors, axis=0)


@pytest.mark.parametrize(("name", "gain"), [("relu", 4.0), ("silu", 3.0)])
def test_products_of_covariances_enter_by_their_matrix_trace(name, gain):
    """Measured: the right error halves with 4p, the elementwise one stays; at p = 400 they are 4.7 (3.6) apart."""
    right, elementwise = np.array([product_errors(name, p) for p in (100, 400)]).T
    assert right[1] < 0.6 * right[0], right
    assert elementwise[1] > 0.85 * elementwise[0], elementwise
    assert elementwise[1] > gain * right[1], (elementwise, right)


@pytest.mark.parametrize(
    ("name", "scale", "bound"),
    [
        ("relu", "mean", 0.11),
        ("tanh", "mean", 0.13),
        ("silu", "mean", 0.09),
        ("relu", "sample", 0.09),
        ("tanh", "sample", 0.012),
        ("silu", "sample", 0.065),
    ],
)
def test_the_error_on_real_data_is_the_known_one(data_dir, name, scale, bound):
    """MNIST, classes 6 and 8, no mixture at all; measured 0.084, 0.104, 0.069, 0.068, 0.008, 0.049."""
    X, y = nsd.load_dataset("mnist", classes=(6, 8), n=800, data_dir=data_dir, scale=scale)
    deq, stats = nsd.DEQ(name), nsd.Statistics.from_data(X, y)
    error = distance(nsd.ck(deq, X), nsd.equivalent(deq, X, stats).dense())
    assert 0.3 * bound < error < bound, error


def test_real_covariances_enter_by_their_matrix_trace(data_dir):
    """MNIST, ReLU: without the products of covariances the error is 1.6 times as large."""
    X, y = nsd.load_dataset("mnist", classes=(6, 8), n=800, data_dir=data_dir, scale="sample")
    deq, stats = nsd.DEQ("relu"), nsd.Statistics.from_data(X, y)
    G = nsd.ck(deq, X)
    right, without = (
        distance(G, nsd.equivalent(deq, X, each).dense()) for each in (stats, replace(stats, T=np.zeros((2, 2))))
    )
    assert without > 1.3 * right, (without, right)
