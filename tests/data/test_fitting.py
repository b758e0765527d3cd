import math

import numpy as np
import pytest

from notsodeep.data import GaussianMixture, Statistics
from tests.tolerances import COVARIANCES, STANDARD_ERRORS, TRACES, assert_close

P = 6


def truth():
    rng = np.random.default_rng(11)
    factors = rng.standard_normal((2, P, P)) / math.sqrt(P)
    return GaussianMixture(2.0 * rng.standard_normal((2, P)), factors @ factors.transpose(0, 2, 1), [0.3, 0.7])


def ledoit_wolf(rows):
    """Return the shrunk covariance by the sums of Ledoit and Wolf (2004), written out, with divisor n."""
    n, p = rows.shape
    rows = rows - rows.mean(axis=0)
    S = sum(np.outer(x, x) for x in rows) / n
    mu = np.trace(S) / p
    distance = np.sum((S - mu * np.eye(p)) ** 2)
    noise = sum(np.sum((np.outer(x, x) - S) ** 2) for x in rows) / n**2
    share = min(noise, distance) / distance
    return (1 - share) * S + share * mu * np.eye(p)


@pytest.mark.parametrize("shrinkage", [None, "ledoit-wolf"])
@pytest.mark.parametrize("n", [20, 200])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_are_those_of_the_classes(shrinkage, n, dtype):
    X, index = truth().sample(n, seed=2)
    X = X.astype(dtype)
    gm = GaussianMixture.from_data(X, np.array(["b", "a"])[index], shrinkage)
    X = X.astype(np.float64)
    assert_close(gm.weights, [0.7, 0.3], COVARIANCES)
    for a, rows in enumerate((X[index == 1], X[index == 0])):
        count = len(rows)
        want = np.cov(rows.T) if shrinkage is None else ledoit_wolf(rows) * count / (count - 1)
        assert_close(gm.means[a], math.sqrt(P) * rows.mean(axis=0), COVARIANCES)
        assert_close(gm.covariance(a), P * want, TRACES)
        assert_close(gm.trace(a), P * np.trace(np.cov(rows.T)), TRACES)


def test_shrinkage_is_what_is_done_unless_told_otherwise():
    X, y = truth().sample(20, seed=2)
    np.testing.assert_array_equal(
        GaussianMixture.from_data(X, y).covariances, GaussianMixture.from_data(X, y, "ledoit-wolf").covariances
    )


def test_without_labels_there_is_one_class():
    X, _ = truth().sample(30, seed=2)
    gm = GaussianMixture.from_data(X, shrinkage=None)
    assert_close(gm.covariance(0), P * np.cov(X.T), TRACES)
    assert gm.weights.tolist() == [1.0]


@pytest.mark.parametrize("shrinkage", [None, "ledoit-wolf"])
def test_the_fit_of_many_samples_is_the_mixture(shrinkage):
    gm, n = truth(), 40_000
    fit = GaussianMixture.from_data(*gm.sample(n, seed=3), shrinkage)
    for a in range(2):
        C, count = gm.covariance(a), n * gm.weights[a]
        variances = np.diag(C)
        mean_z = (fit.means[a] - gm.means[a]) / np.sqrt(variances / count)
        spread = np.sqrt((np.outer(variances, variances) + C**2) / count)
        assert np.abs(mean_z).max() < STANDARD_ERRORS
        assert np.abs((fit.covariance(a) - C) / spread).max() < STANDARD_ERRORS


def test_samples_of_the_fit_are_on_the_scale_of_the_data():
    """Samples of the fit have, as a whole, the mean squared norm of the data up to noise and the bias 1/n of |mu|^2."""
    gm = truth()
    X, y = gm.sample(2000, seed=3)
    fit = GaussianMixture.from_data(X, y)
    squares = np.sum(fit.sample(2000, seed=4).X ** 2, axis=1)
    error = squares.std() / math.sqrt(2000)
    assert abs(squares.mean() - np.mean(np.sum(X**2, axis=1))) < STANDARD_ERRORS * error


def test_the_sample_covariance_has_the_bias_it_is_said_to_have():
    p, n = 200, 100
    X = np.random.default_rng(0).standard_normal((n, p)) / math.sqrt(p)
    products = {s: GaussianMixture.from_data(X, shrinkage=s).trace_product(0, 0) / p for s in (None, "ledoit-wolf")}
    spread = math.sqrt(8 / (n * p)) * (1 + p / n)  # of tr(S^2)/p, which follows tr(S)/p to first order
    assert abs(products[None] - (1 + p / n)) < STANDARD_ERRORS * spread
    assert products["ledoit-wolf"] < 1 + 0.1 * p / n
    assert abs(Statistics.from_data(X).T[0, 0] - 1) < STANDARD_ERRORS * spread


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shrinkage": "oas"}, "shrinkage must be one of 'ledoit-wolf', got 'oas'"),
        ({"y": [0] * 7 + [1]}, "at least 2 samples of each class to have a covariance, class 1 has 1"),
        ({"y": [0] * 7}, "y must have shape"),
        ({"X": np.ones((1, 2)), "y": None}, "X must have n >= 2 samples"),
        ({"X": np.ones((8, 2))}, "covariances must not all be zero"),
        ({"X": np.full((8, 2), np.inf)}, "NaN or infinite"),
    ],
)
def test_bad_calls(change, message):
    given = {"X": np.random.default_rng(0).standard_normal((8, 2)), "y": [0, 1] * 4} | change
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_data(**given)
