"""Samples for experiments: sizes, scales, the mixture."""

from __future__ import annotations

import numpy as np
import pytest

from notsodeep.data import GaussianMixture, Statistics, load_dataset
from notsodeep.errors import DataError
from notsodeep.experiments import samples as module
from notsodeep.experiments.samples import load_samples, unit_mixture
from tests.tolerances import ROUNDING, assert_close


def test_the_mixture_has_unit_expected_norm_and_the_shape_of_the_paper():
    p = 320
    scaled, raw = unit_mixture(p), GaussianMixture.paper(p)
    square = [(scaled.trace(a) + scaled.means[a] @ scaled.means[a]) / p for a in (0, 1)]
    assert_close(np.mean(square), 1.0, ROUNDING)
    ratio = scaled.covariance(0)[0, 0] / raw.covariance(0)[0, 0]
    assert_close(scaled.covariance(1), ratio * raw.covariance(1), ROUNDING)
    assert_close(scaled.means, ratio**0.5 * raw.means, ROUNDING)


def test_samples_of_the_mixture_and_their_statistics():
    got = load_samples("gmm", n=200, n_test=50, seed=3)
    assert (got.train.X.shape, got.test.X.shape) == ((200, 250), (50, 250))
    want = Statistics.from_mixture(unit_mixture(250), got.train.X, got.train.y)
    assert_close(got.statistics.psi, want.psi, ROUNDING)
    assert not np.isin(got.test.X[:, 0], got.train.X[:, 0]).any()
    assert np.array_equal(load_samples("gmm", n=200, n_test=50, seed=3).train.X, got.train.X)
    assert not np.array_equal(load_samples("gmm", n=200, n_test=50, seed=4).train.X, got.train.X)


def test_the_usual_size_is_a_cap(monkeypatch):
    assert load_samples("digits").train.n == module.MOST
    assert load_samples("digits", classes=(6, 8)).train.n == load_dataset("digits", classes=(6, 8)).n
    monkeypatch.setattr(module, "MOST", 100)
    assert load_samples("digits", classes=(6, 8)).train.n == 100
    monkeypatch.setattr(module, "MOST_TEST", 7)
    assert load_samples("digits", n=200).test.n == 7


def test_a_large_known_set_is_read_once(monkeypatch):
    calls = []

    def spy(*args, **kwargs):
        calls.append(args)
        return load_dataset("digits", n=100)

    monkeypatch.setattr(module, "load_dataset", spy)
    load_samples("mnist")
    assert [args[2] for args in calls] == [module.MOST]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "gmm", "classes": (0, 1)}, "leave classes and scale out"),
        ({"name": "gmm", "scale": "sample"}, "leave classes and scale out"),
        ({"name": "gmm", "n": 1}, "n must be an integer >= 8"),
        ({"name": "gmm", "n_test": 0}, "n_test must be an integer >= 1"),
        ({"name": "digits", "n_test": 0}, "n_test must be an integer >= 1"),
        ({"name": "digits", "n": 1797}, "no test samples are left"),
        ({"name": "nonsense"}, "unknown data set"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises((ValueError, DataError), match=words):
        load_samples(**arguments)
