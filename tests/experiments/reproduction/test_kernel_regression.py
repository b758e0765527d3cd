"""Regression with exact kernels against scikit-learn, and against networks written down by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

import notsodeep as nsd
from notsodeep.experiments.readout import kernel_accuracy
from notsodeep.experiments.reproduction.kernel_regression import FULL, MODELS, QUICK, kernel_scores, run, units
from notsodeep.experiments.reproduction.rows import where
from notsodeep.experiments.samples import load_samples
from tests.tolerances import LINEAR_SOLVE, assert_close

SMALL = replace(QUICK, datasets=("digits",), sizes=(100,))
RIDGES = (1e-3, 1e-5, 0.1)


def unit(activation, kernel, seed=0):
    return next(
        one
        for one in units(SMALL)
        if [one.at[name] for name in ("activation", "kernel", "seed")] == [activation, kernel, seed]
    )


@pytest.fixture(scope="module")
def rows():
    return {kernel: run(unit("relu", kernel), None) for kernel in ("ck", "ntk")}


def independent(spec, kernel, ridge, seed=0):
    """Return the scores of the test samples by scikit-learn, and the kernel across over the mean diagonal."""
    samples = load_samples("digits", n=100, n_test=200, seed=seed)
    function = nsd.ck if kernel == "ck" else nsd.ntk
    K, across = function(spec, samples.train.X), function(spec, samples.test.X, samples.train.X)
    model = KernelRidge(alpha=ridge * K.diagonal().mean(), kernel="precomputed")
    wanted = (samples.train.y[:, None] == np.arange(10)) - 0.1
    return samples, model.fit(K, wanted).predict(across), across / K.diagonal().mean()


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("ridge", RIDGES)
def test_rows_compare_regressions(rows, kernel, ridge):
    relu = nsd.activation("relu")
    first = relu.shifted(-1.0 / np.sqrt(2.0 * np.pi))
    scale = np.sqrt(0.5 - 0.5 / np.pi)
    plain = nsd.MLP((nsd.Layer(first), nsd.Layer(relu.shifted(-scale / np.sqrt(2.0 * np.pi)))))
    specs = {"deq": nsd.DEQ("relu"), "twin": nsd.match(nsd.DEQ("relu"), kernel).spec, "plain": plain}
    samples, wanted, across = independent(specs["deq"], kernel, ridge)
    for model, spec in specs.items():
        _, scores, other = independent(spec, kernel, ridge)
        (row,) = where(rows[kernel], ridge=ridge, model=model)
        assert row["accuracy"] == (scores.argmax(1) == samples.test.y).mean()
        assert row["agreement"] == (scores.argmax(1) == wanted.argmax(1)).mean()
        bound = LINEAR_SOLVE * 100 / ridge
        assert_close(row["scores"], np.linalg.norm(scores - wanted) / np.linalg.norm(wanted), bound, scale=1.0)
        assert_close(row["distance"], np.linalg.norm(other - across) / np.linalg.norm(across), bound, scale=1.0)


def test_the_linear_model_regresses_on_the_gram_matrix(rows):
    samples = load_samples("digits", n=100, n_test=200)
    wanted = kernel_accuracy(samples.train.X @ samples.train.X.T, samples.test.X @ samples.train.X.T, samples)
    (row,) = where(rows["ck"], ridge=1e-3, model="linear")
    assert row["accuracy"] == wanted


def test_scores_solve_the_normal_equations():
    rng = np.random.default_rng(0)
    A, across, wanted = rng.standard_normal((30, 40)), rng.standard_normal((7, 30)), rng.standard_normal((30, 3))
    K = A @ A.T
    kept = K.copy()
    for ridge, scores in kernel_scores(K, across, wanted, (0.1, 2.0)).items():
        matrix = kept + ridge * np.eye(30)
        assert_close(scores, across @ np.linalg.inv(matrix) @ wanted, LINEAR_SOLVE * np.linalg.cond(matrix))
    np.testing.assert_array_equal(K, kept)


def test_a_run_is_repeatable_and_its_seed_draws_the_samples(rows):
    assert run(unit("relu", "ck"), None) == rows["ck"]
    (first,) = where(run(unit("relu", "ck", seed=1), None), model="linear", ridge=1e-3)
    (second,) = where(rows["ck"], model="linear", ridge=1e-3)
    assert first["scores"] != second["scores"]


@pytest.mark.parametrize("config", [FULL, QUICK])
def test_units_are_distinct_and_heavy_sets_rare(config):
    found = units(config)
    assert len({one.key for one in found}) == len(found)
    pairs = len(config.datasets) * len(config.activations) * len(config.kernels)
    for n in config.sizes:
        of = [one for one in found if one.at["n"] == n]
        assert len(of) == pairs * (1 if n > config.heavy else config.seeds)
        more = [one for one in of if " " in one.at["ridges"]]
        assert len(more) == (0 if n > config.heavy else pairs)


def test_the_controls_are_further_from_the_deq_than_the_match(rows):
    for found in rows.values():
        scores = {model: where(found, model=model, ridge=1e-3)[0]["scores"] for model in MODELS}
        assert 0.0 == scores["deq"] < 0.01 * scores["plain"] < 0.01 * scores["linear"]
        assert scores["twin"] < 0.05 * scores["plain"]
