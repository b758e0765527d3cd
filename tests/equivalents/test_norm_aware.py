"""The norm-aware equivalent: its entries one by one, and how close it is to the exact kernels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.equivalents.pair_series import pair_series
from notsodeep.equivalents.quadratic import projected_squares
from notsodeep.kernels.distance import relative_distance
from notsodeep.spec import trainable_weights
from tests.tolerances import NORM_AWARE_TERMS, ROUNDING, assert_close

PAPERS = ("recurrent", "readout")
MODELS = {
    "relu": nsd.DEQ("relu", 0.2, 0.8),
    "even": nsd.DEQ("abs", 0.3, 0.8),
    "uncentred with bias": nsd.DEQ("sigmoid", 0.8, 0.7, center=False, sigma_c2=0.1),
    "layers": nsd.MLP((nsd.Layer("relu", 1.2, 0.5), nsd.Layer("tanh", 1.5, 2.0, bias_var=0.1))),
    "branches": nsd.Parallel((nsd.MLP((nsd.Layer("relu", 1.2, 0.5), nsd.Layer("tanh"))), nsd.MLP(nsd.Layer("silu")))),
}


@cache
def draw(p, n=None):
    gm = nsd.GaussianMixture.paper(p)
    X, y = gm.sample(n or round(0.8 * p), seed=0)
    return X, nsd.Statistics.from_mixture(gm, X, y), float(np.sqrt((X**2).sum(axis=1).mean()))


def error(exact, bar):
    return relative_distance(exact, bar.dense()).spectral


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("quadratic", ["projected", "exact"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("name", MODELS)
def test_each_entry_is_the_series_at_its_norms(name, kernel, quadratic):
    spec = MODELS[name]
    X, stats, _ = draw(60)
    X = X * np.random.default_rng(2).uniform(0.5, 1.5, (len(X), 1))
    bar = nsd.equivalent(spec, X, stats, kernel, order="norm-aware", quadratic=quadratic)
    k0, k1, k2, _ = getattr(pair_series(spec, (X**2).sum(axis=1), trainable_weights(spec, "all")), kernel)
    R, M = projected_squares(X, stats.J)
    squares = R @ M @ R.T if quadratic == "projected" else (X @ X.T) ** 2
    want = k0 + k1 * (X @ X.T) + k2 * squares
    exact = getattr(nsd, kernel)(spec, X)
    np.fill_diagonal(want, np.diag(exact))
    assert_close(bar.dense(), want, NORM_AWARE_TERMS, scale=np.diag(exact).max())
    assert_close(bar.diagonal(), np.diag(exact), 1e-12)


@pytest.mark.parametrize(("p", "most"), [(1000, 1e-3), (3000, 2e-4)])
def test_odd_functions_are_met_to_the_order_of_1_over_p(p, most):
    X, stats, tau0 = draw(p)
    deq = nsd.DEQ("tanh", 0.2, 0.8, tau0)
    exact = nsd.ck(deq, X)
    assert error(exact, nsd.equivalent(deq, X, stats, order="norm-aware")) < most
    assert error(exact, nsd.equivalent(deq, X, stats)) > 0.03


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "elu", "leaky_relu"])
@pytest.mark.parametrize("p", [250, 800])
def test_it_is_never_worse_than_the_papers_form(p, activation):
    """By a factor of three at least, and the exact squares by ten again."""
    X, stats, tau0 = draw(p)
    deq = nsd.DEQ(activation, 0.2, 0.8, tau0)
    for trainable in (PAPERS, "all"):
        for kernel, exact in zip(("ck", "ntk"), nsd.kernels(deq, X, trainable=trainable), strict=True):
            plain, aware, squares = (
                error(exact, nsd.equivalent(deq, X, stats, kernel, trainable=trainable, **form))
                for form in ({}, {"order": "norm-aware"}, {"order": "norm-aware", "quadratic": "exact"})
            )
            assert aware < plain / 3
            assert squares < plain / 30


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "softplus", "gelu"])
def test_uncentred_functions_have_a_mean_direction(activation):
    X, stats, tau0 = draw(800)
    deq = nsd.DEQ(activation, 0.2, 0.8, tau0, center=False)
    for kernel in ("ck", "ntk"):
        exact = getattr(nsd, kernel)(deq, X)
        bar = nsd.equivalent(deq, X, stats, kernel, order="norm-aware")
        ones = np.full(len(X), len(X) ** -0.5)
        assert ones @ exact @ ones > 0.5 * np.linalg.eigvalsh(exact)[-1]
        assert error(exact, bar) < 1e-3
        # the mean direction is most of the norm: what is orthogonal to it is met as well
        gap = exact - bar.dense()
        rest = np.eye(len(X)) - np.outer(ones, ones)
        inner = rest @ exact @ rest
        assert np.linalg.norm(rest @ gap @ rest, 2) < 0.01 * np.linalg.norm(inner, 2)


def test_the_error_of_an_uncentred_function_falls():
    errors = []
    for p in (250, 1000):
        X, stats, tau0 = draw(p)
        deq = nsd.DEQ("softplus", 0.4, 0.8, tau0, center=False)
        errors.append(error(nsd.ck(deq, X), nsd.equivalent(deq, X, stats, order="norm-aware")))
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("shape", [(400, 4), (3, 500), (9, 9)])
def test_far_ends(shape):
    """n >> p, n << p, and few of both: the form is there, and its diagonal is exact."""
    p, n = shape
    X = np.random.default_rng(0).standard_normal((n, p)) / np.sqrt(p)
    deq = nsd.DEQ("relu", 0.2, 0.8, tau0=float(np.sqrt((X**2).sum(axis=1).mean())))
    bar = nsd.equivalent(deq, X, order="norm-aware")
    assert_close(np.diag(bar.dense()), np.diag(nsd.ck(deq, X)), 1e-12)


def test_two_samples_do():
    X = np.random.default_rng(0).standard_normal((2, 40)) / np.sqrt(40)
    deq = nsd.DEQ("tanh", tau0=float(np.sqrt((X**2).sum(axis=1).mean())))
    assert error(nsd.ck(deq, X), nsd.equivalent(deq, X, order="norm-aware")) < 0.01


def test_equal_norms_need_one_term():
    X = np.random.default_rng(0).standard_normal((50, 80))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    bar = nsd.equivalent(nsd.DEQ("tanh"), X, order="norm-aware")
    assert "low rank 0" in repr(bar)
    assert error(nsd.ck(nsd.DEQ("tanh"), X), bar) < 0.01


def test_results_are_of_the_kind_of_the_samples_and_say_what_they_are():
    X, stats, tau0 = draw(60)
    deq = nsd.DEQ("relu", tau0=tau0)
    bar = nsd.equivalent(deq, torch.from_numpy(X), stats, order="norm-aware")
    assert isinstance(bar.dense(), torch.Tensor)
    assert_close(bar.dense(), nsd.equivalent(deq, X, stats, order="norm-aware").dense(), ROUNDING)
    assert bar.note == "norm-aware form, classes: population"
    assert nsd.equivalent(deq, X, order="norm-aware").note == "norm-aware form, classes: one class"
    assert nsd.equivalent(deq, X, stats, order="norm-aware", quadratic="exact").note == "norm-aware form, exact squares"
    clustered = nsd.Statistics.from_data(X, clusters=2)
    assert nsd.equivalent(deq, X, clustered).note == "paper's form, statistics: k-means, 2 clusters"
    assert repr(bar).endswith(", norm-aware form, classes: population)")
