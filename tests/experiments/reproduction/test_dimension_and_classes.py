from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.reproduction.dimension_and_classes import (
    BOUNDED,
    EIGENVALUES,
    FACTORS,
    FULL,
    GAUSSIAN,
    GROWING,
    NETWORK,
    ONE_NORM,
    QUICK,
    class_mixture,
    run,
    samples,
    units,
)
from notsodeep.experiments.reproduction.equivalent_errors import PAPER
from notsodeep.experiments.reproduction.kernels import CK, PAPERS_NTK
from notsodeep.experiments.reproduction.rows import where
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_equivalent as naive
from tests.tolerances import ROUNDING, SAMPLES, SPECTRAL, assert_close

MANY_SAMPLES = 0.05  # means of 6000 squared norms, and a standard deviation of 20 000: four standard errors and more
CASE = {"p": 80, "n": 60, "classes": 3, "variances": GROWING, "norms": FACTORS, "level": 0.4, "seed": 1}


def drawn(**changes):
    return samples(**(CASE | changes))


@cache
def unit():
    return next(one for one in units(QUICK) if one.at["norms"] == FACTORS and one.at["activation"] == "tanh")


@cache
def rows():
    return run(unit())


@pytest.mark.parametrize("config", [FULL, QUICK])
def test_units_are_distinct_and_have_the_same_names(config):
    every = units(config)
    cases = len(config.classes) + len(config.ratios) + len(config.norms)
    assert len({one.key for one in every}) == len(every) == cases * len(config.activations) * config.seeds
    assert len({tuple(one.at) for one in every}) == 1


def test_a_unit_gives_the_same_rows_again_and_they_repeat_it():
    assert run(unit()) == rows()
    assert all(row.items() >= unit().at.items() for row in rows())


def test_two_classes_are_the_papers():
    ours, papers = class_mixture(100, 2), nsd.GaussianMixture.paper(100)
    assert (ours.means == papers.means).all()
    assert (ours.covariances == papers.covariances[:, None]).all()
    assert (class_mixture(100, 2, BOUNDED).covariances == ours.covariances).all()


def test_classes_are_placed_as_the_papers():
    gm = class_mixture(200, 5)
    assert [int(np.flatnonzero(mean)[0]) for mean in gm.means] == [0, 8, 16, 24, 32]
    assert_close(gm.means.sum(axis=1), 5 * [8.0], ROUNDING)
    assert_close(gm.covariances[:, 0], [1 + 8 * a / math.sqrt(200) for a in range(5)], ROUNDING)
    bounded = class_mixture(200, 5, BOUNDED).covariances[:, 0]
    assert_close(bounded, np.linspace(1.0, 1 + 8 / math.sqrt(200), 5), ROUNDING)


def test_large_eigenvalues_hold_their_share_of_the_trace():
    plain, uneven = class_mixture(200, 2), class_mixture(200, 2, share=0.4)
    for a in range(2):
        assert_close(uneven.trace(a), plain.trace(a), ROUNDING)
        assert_close(np.sort(uneven.covariances[a])[-10:].sum(), 0.4 * plain.trace(a), ROUNDING)


@pytest.mark.parametrize("norms", [ONE_NORM, GAUSSIAN, FACTORS, EIGENVALUES])
def test_samples_have_mean_squared_norm_one_and_the_traces_of_their_mixture(norms):
    X, stats = drawn(norms=norms, n=6000)
    assert_close((X**2).sum(axis=1).mean(), 1.0, SAMPLES)
    gm, a = class_mixture(80, 3, GROWING, 0.4 if norms == EIGENVALUES else 0.0), np.arange(3)
    ratio = stats.T[1, 1] / (gm.trace_product(1, 1) / 80)
    assert_close(stats.T, [[ratio * gm.trace_product(i, j) / 80 for j in a] for i in a], SAMPLES)
    squares = stats.within_tau0**2 + stats.mean_products.diagonal().mean()
    assert_close(squares, 1.0, MANY_SAMPLES)


def spread(gm):
    """Return the coefficient of variation of the squared norms of samples of a mixture with equal shares."""
    C = [gm.covariance(a) for a in range(gm.n_classes)]
    centres = np.array([np.trace(c) + m @ m for c, m in zip(C, gm.means, strict=True)])
    within = np.mean([2 * np.trace(c @ c) + 4 * m @ c @ m for c, m in zip(C, gm.means, strict=True)])
    return math.sqrt(within + centres.var()) / centres.mean()


@pytest.mark.parametrize(("norms", "level"), [(GAUSSIAN, 0.0), (EIGENVALUES, 0.4), (EIGENVALUES, 0.8), (FACTORS, 0.3)])
def test_norms_fluctuate_as_said(norms, level):
    norm_cv = drawn(norms=norms, level=level, n=20000)[1].squared_norms.std()
    want = spread(class_mixture(80, 3, GROWING, level if norms == EIGENVALUES else 0.0))
    if norms == FACTORS:
        want = math.sqrt((1 + want**2) * (1 + level**2) - 1)
    assert_close(norm_cv, want, MANY_SAMPLES)


def test_one_norm_is_one():
    assert_close(drawn(norms=ONE_NORM)[1].squared_norms, np.ones(60), SAMPLES)


def test_errors_are_those_of_the_naive_matrix():
    at = unit().at
    X, stats = samples(**{name: at[name] for name in CASE})
    gm = class_mixture(at["p"], at["classes"], at["variances"])
    size = math.sqrt(gm.covariances[0, 0] / stats.T[0, 0] ** 0.5)
    y = stats.J.argmax(axis=1)
    covariances = [gm.covariance(a) / size**2 for a in range(at["classes"])]
    bar = naive.matrix(naive.deq_numbers(FUNCTIONS["tanh"], 0.2, 0.8, 1.0), 1.0, X, y, gm.means / size, covariances)
    exact = nsd.ck(nsd.DEQ("tanh", 0.2, 0.8), X)
    want = np.abs(np.linalg.eigvalsh(exact - bar)).max() / np.abs(np.linalg.eigvalsh(exact)).max()
    (row,) = where(rows(), kernel=CK, form=PAPER)
    assert_close(row["error"], want, SPECTRAL)
    assert_close(row["norm_cv"], np.std((X**2).sum(axis=1)), SAMPLES)


@pytest.mark.parametrize("kernel", [CK, PAPERS_NTK])
def test_the_network_is_that_of_the_deq(kernel):
    X, _ = samples(**{name: unit().at[name] for name in CASE})
    papers = ("recurrent", "readout")
    deq, name = nsd.DEQ("tanh", 0.2, 0.8), "ck" if kernel == CK else "ntk"
    network = nsd.match(deq, name, trainable=papers if kernel == PAPERS_NTK else "all").spec
    exact, other = (
        (nsd.ck(deq, X), nsd.ck(network, X))
        if kernel == CK
        else (nsd.ntk(deq, X, trainable=papers), nsd.ntk(network, X))
    )
    (row,) = where(rows(), kernel=kernel, form=NETWORK)
    assert_close(row["error"], np.linalg.norm(exact - other, 2) / np.linalg.norm(exact, 2), SPECTRAL)
