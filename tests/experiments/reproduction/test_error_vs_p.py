from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.reproduction.equivalent_errors import (
    EXACT_SQUARES,
    MEANS_IN_T,
    NORM_AWARE,
    PAPER,
    equivalent_errors,
)
from notsodeep.experiments.reproduction.error_vs_p import (
    FULL,
    OFFICIAL_T,
    QUICK,
    STUDIED,
    WITHIN_TAU0,
    official_traces,
    run,
    units,
)
from notsodeep.experiments.reproduction.kernels import CK, KERNELS, NTK, PAPERS_NTK
from notsodeep.experiments.reproduction.rows import where
from notsodeep.experiments.reproduction.study import Unit
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_equivalent as naive
from tests.tolerances import COEFFICIENTS, ROUNDING, SPECTRAL, assert_close

COMMON = {"aspect": 0.8, "sigma_a2": 0.2, "sigma_b2": 0.8}


def unit(activation, p, seed=0):
    return Unit({"activation": activation, "p": p, "seed": seed} | COMMON)


@cache
def rows(activation, p, seed=0):
    return run(unit(activation, p, seed))


def error(found, kernel, form):
    (row,) = where(found, kernel=kernel, form=form)
    return row["error"]


@pytest.mark.parametrize("config", [FULL, QUICK])
def test_units_are_distinct_and_each_holds_all_that_its_rows_need(config):
    every = units(config)
    assert len({one.key for one in every}) == len(every)
    assert len(every) == len(config.activations) * len(config.p) * config.seeds
    assert all(one.at.keys() == unit("relu", 64).at.keys() for one in every)


def test_a_unit_gives_the_same_rows_again_and_they_repeat_it():
    again = run(unit("relu", 64))
    assert again == rows("relu", 64)
    assert all(row.items() >= unit("relu", 64).at.items() for row in again)
    assert [(row["kernel"], row["form"]) for row in again] == [
        *((kernel, form) for kernel in STUDIED for form in (PAPER, OFFICIAL_T, MEANS_IN_T, NORM_AWARE, EXACT_SQUARES)),
        (CK, WITHIN_TAU0),
    ]


def known_setting(p=64, seed=0):
    gm = nsd.GaussianMixture.paper(p)
    X, y = gm.sample(round(0.8 * p), seed=seed)
    return gm, X, y, nsd.Statistics.from_mixture(gm, X, y)


def naive_error(deq, X, bar, kernel):
    exact = nsd.ck(deq, X) if kernel == CK else nsd.ntk(deq, X, trainable=KERNELS[kernel].trainable)
    values = [np.abs(np.linalg.eigvalsh(matrix)).max() for matrix in (exact - bar, exact)]
    return values[0] / values[1]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("form", [PAPER, OFFICIAL_T, MEANS_IN_T])
def test_errors_of_the_papers_form_are_those_of_the_naive_matrix(kernel, form):
    gm, X, y, _ = known_setting()
    tau0 = float(np.sqrt((X**2).sum(axis=1).mean()))
    trained = {CK: None, PAPERS_NTK: ("recurrent", "readout"), NTK: ("recurrent", "input", "readout")}[kernel]
    numbers = naive.deq_numbers(FUNCTIONS["relu"], 0.2, 0.8, tau0, trained)
    bar = naive.matrix(numbers, tau0, X, y, gm.means, [gm.covariance(a) for a in range(2)])
    more = {PAPER: lambda a, b: 0.0, OFFICIAL_T: partial(wrong_less_right, gm, y), MEANS_IN_T: partial(of_means, gm)}
    bar += numbers[2] * np.array([[more[form](a, b) for b in y] for a in y]) / gm.p
    want = naive_error(nsd.DEQ("relu", 0.2, 0.8, tau0=tau0), X, bar, kernel)
    found = error(rows("relu", 64), kernel, form)
    assert_close(found, want, SPECTRAL)


def wrong_less_right(gm, y, a, b):
    """Return the official T less the trace, entry by entry of the covariances."""
    covariances = [gm.covariance(k) for k in range(2)]
    common = sum(np.mean(y == k) * covariances[k] for k in range(2))
    wrong = np.trace((covariances[a] - common) * (covariances[b] - common))
    return (wrong - np.trace(covariances[a] @ covariances[b])) / gm.p


def of_means(gm, a, b):
    return (gm.means[a] @ gm.means[b]) ** 2 / gm.p


def test_the_literal_scale_is_that_of_the_covariances():
    gm, X, y, _ = known_setting()
    tau0 = float(np.sqrt(sum(np.mean(y == a) * np.trace(gm.covariance(a)) for a in range(2)) / gm.p))
    numbers = naive.deq_numbers(FUNCTIONS["tanh"], 0.2, 0.8, tau0)
    bar = naive.matrix(numbers, tau0, X, y, gm.means, [gm.covariance(a) for a in range(2)])
    with pytest.warns(nsd.errors.ScaleWarning):
        want = naive_error(nsd.DEQ("tanh", 0.2, 0.8, tau0=tau0), X, bar, CK)
    assert_close(error(rows("tanh", 64), CK, WITHIN_TAU0), want, SPECTRAL)


def test_the_official_trace_multiplies_entries_of_centred_covariances():
    rng = np.random.default_rng(0)
    diagonals = rng.uniform(0.5, 2.0, (3, 20))
    gm = nsd.GaussianMixture(rng.standard_normal((3, 20)), diagonals, [0.5, 0.3, 0.2])
    stats = nsd.Statistics.from_mixture(gm, *gm.sample(40))
    centred = [np.diag(d - sum(n * e for n, e in zip(stats.counts / 40, diagonals, strict=True))) for d in diagonals]
    want = [[np.trace(a * b) / 20 for b in centred] for a in centred]
    assert_close(official_traces(diagonals, stats), want, ROUNDING)


def test_another_t_is_that_of_statistics_with_it():
    _, X, _, stats = known_setting()
    other = np.array([[0.3, -0.1], [-0.1, 0.7]])
    deq, kernels = nsd.DEQ("silu", tau0=float(np.sqrt(stats.squared_norms.mean()))), (PAPERS_NTK,)
    forms = {PAPER: {"order": "paper"}}
    found = equivalent_errors(deq, X, stats, kernels, forms, traces={"other": other})[PAPERS_NTK, "other"]
    assert_close(found, equivalent_errors(deq, X, replace(stats, T=other), kernels, forms)[PAPERS_NTK, PAPER], SPECTRAL)


def test_no_trace_enters_for_an_odd_activation():
    found = rows("tanh", 64)
    for kernel in KERNELS:
        assert_close(error(found, kernel, OFFICIAL_T), error(found, kernel, PAPER), COEFFICIENTS)
