"""What the theory takes as small, on data where that is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.kernels.distance import relative_distance
from tests.tolerances import ROUNDING, assert_close

PAPERS = ("recurrent", "readout")


@cache
def draw(p=500, n=400):
    gm = nsd.GaussianMixture.paper(p)
    X, y = gm.sample(n, seed=0)
    return X, y, nsd.Statistics.from_mixture(gm, X, y)


def model(name="relu", X=None, **options):
    X = draw()[0] if X is None else X
    return nsd.DEQ(name, tau0=float(np.sqrt((X**2).sum(axis=1).mean())), **options)


def test_quantities_are_those_of_all_samples():
    X, _, stats = draw()
    found = nsd.diagnose(model(), X, stats, subsample=400)
    norms = (X**2).sum(axis=1)
    rho = [X[i] @ X[j] / np.sqrt(norms[i] * norms[j]) for i in range(400) for j in range(i)]
    assert_close(found.norm_fluctuation, norms.std() / norms.mean(), ROUNDING)
    assert_close(found.rms_correlation, np.sqrt(np.mean(np.square(rho))), ROUNDING)
    assert_close(found.max_correlation, np.abs(rho).max(), ROUNDING)
    assert_close(found.effective_dimension, 1.0 / np.mean(np.square(rho)), 10 * ROUNDING)
    assert found.largest_trace == np.abs(stats.t).max()
    assert_close(found.mean_share, 1.0 - stats.within_tau0**2 / norms.mean(), 10 * ROUNDING)
    assert (found.n, found.p, found.subsample, found.classes) == (400, 500, 400, "population")


@pytest.mark.parametrize("name", ["relu", "tanh", "silu", "elu"])
@pytest.mark.parametrize(("kernel", "trainable"), [("ck", "all"), ("ntk", "all"), ("ntk", PAPERS)])
def test_errors_on_a_mixture_are_as_expected(name, kernel, trainable):
    X, _, stats = draw()
    found = nsd.diagnose(model(name), X, stats, kernel, trainable, subsample=400)
    exact = nsd.ck(model(name), X) if kernel == "ck" else nsd.ntk(model(name), X, trainable=trainable)
    bar = nsd.equivalent(model(name), X, stats, kernel, "norm-aware", trainable)
    assert_close(found.measured["norm-aware"], relative_distance(exact, bar.dense()).spectral, ROUNDING)
    for form, measured in found.measured.items():
        assert measured / 1.6 < found.expected[form] < 1.6 * measured, form


def test_parallel_branches_are_diagnosed_as_the_sum_of_their_kernels():
    X, _, stats = draw()
    par = nsd.Parallel((nsd.MLP(nsd.Layer("tanh")), nsd.MLP(nsd.Layer("sin", 0.5))))
    found = nsd.diagnose(par, X, stats, "ntk", "branch2.layer1", subsample=400, tau0=1.0)
    alone = nsd.diagnose(par.branches[1], X, stats, "ntk", "layer1", subsample=400, tau0=1.0)
    assert_close(list(found.measured.values()), list(alone.measured.values()), ROUNDING, scale=1.0)
    assert found.measured.keys() == {"paper", "norm-aware", "exact squares"}


def test_a_subsample_serves_many_samples():
    X, _, stats = draw()
    found = nsd.diagnose(model(), X, stats, subsample=100, seed=3)
    again = nsd.diagnose(model(), torch.from_numpy(X), stats, subsample=100, seed=3)
    assert found.subsample == 100
    assert str(found) == str(again) != str(nsd.diagnose(model(), X, stats, subsample=100, seed=4))


def test_verdicts():
    X, _, stats = draw()
    assert nsd.diagnose(model(), X, stats).verdict.startswith("The high-dimensional theory holds on these data")
    few = np.random.default_rng(0).standard_normal((200, 20))
    few /= np.sqrt(20)
    assert "is a fair approximation" in nsd.diagnose(model("relu", few), few).verdict
    flat = np.random.default_rng(0).standard_normal((200, 2))
    deq = model("abs", flat, sigma_a2=0.8)
    assert "does not hold on these data" in nsd.diagnose(deq, flat).verdict
    shared = X + np.linspace(-1.5, 1.5, len(X))[:, None] * np.eye(1, X.shape[1])
    text = nsd.diagnose(model("relu", shared), shared).verdict
    assert "Samples share directions" in text
    assert "Norms matter" in text


def test_the_papers_form_is_left_out_where_it_does_not_exist():
    X, _, stats = draw()
    for deq in (model(center=False), model(sigma_c2=0.1)):
        found = nsd.diagnose(deq, X, stats)
        assert list(found.measured) == list(found.expected) == ["norm-aware", "exact squares"]


def test_verdicts_on_far_ends():
    orthogonal = nsd.diagnose(nsd.DEQ("relu"), np.eye(20))
    assert orthogonal.effective_dimension == np.inf
    assert orthogonal.verdict.startswith("The high-dimensional theory holds")
    X, _, stats = draw()
    linear = nsd.diagnose(model("identity"), X, stats).verdict
    assert "holds" in linear
    assert "Norms matter" not in linear
    assert "structure" not in linear


def test_networks_are_centred_where_they_say():
    X, _, stats = draw()
    layer = nsd.Layer(nsd.activation("relu").shifted(-1.0 / np.sqrt(2 * np.pi)))
    found = nsd.diagnose(nsd.MLP((layer,)), X, stats, tau0=1.0)
    assert found.measured["norm-aware"] < found.measured["paper"]
    assert "paper" not in nsd.diagnose(nsd.MLP((layer,)), X, stats).measured


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "both"}, "kernel must be one of"),
        ({"subsample": 1}, "subsample must be an integer >= 2"),
        ({"X": np.ones((3, 500))}, "stats belongs to samples of shape"),
        ({"X": np.full((400, 500), np.nan)}, "X has NaN"),
        ({"seed": "a"}, "seed must be"),
        ({"tau0": 2.0}, "tau0 belongs to the DEQ spec"),
        ({"spec": nsd.MLP((nsd.Layer("tanh"),)), "tau0": "x"}, "tau0 must be a number"),
        ({"stats": nsd.Statistics.from_data(np.random.default_rng(0).standard_normal((9, 3)))}, "stats belongs to"),
    ],
)
def test_illegal_arguments_are_refused(change, message):
    X, _, stats = draw()
    with pytest.raises(ValueError, match=message):
        nsd.diagnose(**{"spec": model(), "X": X, "stats": stats} | change)
