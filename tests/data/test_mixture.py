import math

import numpy as np
import pytest

from notsodeep.data import GaussianMixture
from tests.tolerances import COVARIANCES, SINGULAR, SPREAD, STANDARD_ERRORS

P = 5


def random_covariances(rng, n_classes=2, p=P):
    factors = rng.standard_normal((n_classes, p, p))
    return factors @ factors.transpose(0, 2, 1)


def test_samples_have_the_moments_of_each_class():
    rng = np.random.default_rng(0)
    means, covariances = rng.standard_normal((2, P)), random_covariances(rng)
    X, y = GaussianMixture(means, covariances).sample(20_000, seed=1)
    for a in range(2):
        rows = X[y == a]
        C, n = covariances[a] / P, len(rows)
        mean_z = (rows.mean(axis=0) - means[a] / math.sqrt(P)) / np.sqrt(np.diag(C) / n)
        spread = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / n)  # standard error of a Gaussian covariance
        covariance_z = (np.cov(rows.T) - C) / spread
        assert np.abs(mean_z).max() < STANDARD_ERRORS
        assert np.abs(covariance_z).max() < STANDARD_ERRORS


def test_storage_forms_of_one_covariance_agree():
    means = np.arange(2.0 * P).reshape(2, P)
    variances = np.array([0.5, 2.0])
    diagonals = np.repeat(variances[:, None], P, axis=1)
    full = np.stack([np.diag(d) for d in diagonals])
    mixtures = [GaussianMixture(means, c) for c in (variances, diagonals, full)]
    for gm in mixtures[1:]:
        np.testing.assert_allclose(gm.sample(40, seed=3).X, mixtures[0].sample(40, seed=3).X, rtol=COVARIANCES)
    for a, b in ((0, 0), (0, 1), (1, 1)):
        expected = np.trace(full[a] @ full[b])
        assert [gm.trace_product(a, b) for gm in mixtures] == pytest.approx([expected] * 3, rel=COVARIANCES)
        assert [gm.trace(a) for gm in mixtures] == pytest.approx([np.trace(full[a])] * 3, rel=COVARIANCES)
    for gm in mixtures:
        np.testing.assert_array_equal(gm.covariance(1), full[1])


def test_trace_product_of_full_matrices_is_the_matrix_trace():
    covariances = random_covariances(np.random.default_rng(4), n_classes=3)
    gm = GaussianMixture(np.zeros((3, P)), covariances)
    for a in range(3):
        for b in range(3):
            assert gm.trace_product(a, b) == pytest.approx(np.trace(covariances[a] @ covariances[b]), rel=COVARIANCES)


def test_diagonals_are_not_made_dense():
    p = 200_000  # dense, one class would take 320 GB
    gm = GaussianMixture(np.zeros((1, p)), np.full((1, p), 2.0))
    assert gm.trace_product(0, 0) == 4.0 * p
    assert gm.sample(2, seed=0).p == p


@pytest.mark.parametrize(
    ("n", "weights", "counts"),
    [
        (10, None, (4, 3, 3)),  # ties go to the lower class
        (7, (0.5, 0.3, 0.2), (4, 2, 1)),
        (9, (0.1, 0.45, 0.45), (1, 4, 4)),
        (1, (0.2, 0.2, 0.6), (0, 0, 1)),
        (100, (0.29, 0.57, 0.14), (29, 57, 14)),
    ],
)
def test_class_counts_follow_the_largest_remainder(n, weights, counts):
    gm = GaussianMixture(np.ones((3, 2)), 1.0, weights)
    for seed in (0, 1):
        assert tuple(np.bincount(gm.sample(n, seed=seed).y, minlength=3)) == counts


def test_labels_are_shuffled_and_seeded():
    gm = GaussianMixture.paper(20)
    first, again, other = (gm.sample(50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    assert (first.y != other.y).any()
    assert (np.diff(first.y) < 0).any()
    np.testing.assert_array_equal(gm.sample(50, seed=np.random.default_rng(1)).X, first.X)


def test_paper_mixture():
    gm = GaussianMixture.paper(64)
    expected = np.zeros((2, 64))
    expected[0, 0] = expected[1, 8] = 8.0
    np.testing.assert_array_equal(gm.means, expected)
    np.testing.assert_array_equal(gm.covariance(0), np.eye(64))
    np.testing.assert_array_equal(gm.covariance(1), 2.0 * np.eye(64))
    assert gm.weights.tolist() == [0.5, 0.5]


def test_singular_covariance_is_sampled_in_its_range():
    direction = np.array([3.0, -1.0, 2.0])
    X, _ = GaussianMixture(np.zeros((1, 3)), [np.outer(direction, direction)]).sample(100, seed=0)
    amplitude = X @ direction / (direction @ direction)
    np.testing.assert_allclose(X, np.outer(amplitude, direction), atol=SINGULAR)
    assert amplitude.std() == pytest.approx(math.sqrt(1 / 3), rel=SPREAD)


def test_estimated_covariance_of_low_rank_is_accepted():
    rows = np.random.default_rng(0).standard_normal((20, 60))
    gm = GaussianMixture(np.zeros((1, 60)), [np.cov(rows.T)])
    assert gm.covariance(0).shape == (60, 60)


def test_given_arrays_are_copied():
    covariances = np.ones((2, P))
    gm = GaussianMixture(np.zeros((2, P)), covariances)
    covariances[:] = -1.0
    assert gm.trace(0) == P


ASYMMETRIC = [[[1.0, 0.5], [0.0, 1.0]]] * 2
INDEFINITE = [[[1.0, 2.0], [2.0, 1.0]]] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": [1.0, 2.0]}, "means must have shape"),
        ({"means": [[1.0], [2.0, 3.0]]}, "means must be an array of numbers"),
        ({"means": [[np.nan, 0.0], [0.0, 0.0]]}, "means has NaN"),
        ({"covariances": np.ones((2, 3))}, "covariances must be one number or have a shape among"),
        ({"covariances": [1.0, np.inf]}, "covariances has NaN or infinite"),
        ({"covariances": "wide"}, "covariances must be an array of numbers"),
        ({"covariances": [1.0, -1.0]}, "class 1 has a variance -1"),
        ({"covariances": [[1.0, 1.0], [1.0, -2.0]]}, "class 1 has a variance -2"),
        ({"covariances": ASYMMETRIC}, "symmetric: that of class 0 differs from its transpose by 0.5"),
        ({"covariances": INDEFINITE}, "positive semidefinite: that of class 0 has an eigenvalue -1"),
        ({"covariances": 0.0}, "must not all be zero"),
        ({"weights": [0.5, 0.6]}, "positive numbers of sum 1"),
        ({"weights": [1.0, 0.0]}, "positive numbers of sum 1"),
        ({"weights": [1.0]}, "weights must have shape"),
        ({"weights": "half"}, "weights must be 2 numbers"),
    ],
)
def test_bad_parameters(change, message):
    given = {"means": np.zeros((2, 2)), "covariances": 1.0} | change
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gm: gm.sample(0), "n must be an integer >= 1"),
        (lambda gm: gm.sample(2.5), "n must be an integer"),
        (lambda gm: gm.sample(3, seed=-1), "seed must be a non-negative integer"),
        (lambda gm: gm.sample(3, seed=None), "seed must be a non-negative integer"),
        (lambda gm: gm.trace(2), r"class must be in 0\.\.1"),
        (lambda gm: gm.trace_product(0, -1), "class must be an integer >= 0"),
        (lambda gm: GaussianMixture.paper(8), "p must be an integer >= 9"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(GaussianMixture(np.zeros((2, 2)), 1.0))
