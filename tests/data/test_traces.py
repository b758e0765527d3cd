from itertools import product

import numpy as np
import pytest

from notsodeep.data import groups, traces
from tests.tolerances import TRACES, assert_close


def samples_of(sizes, p):
    """Return shuffled samples of classes of the given sizes, with other means and covariances each, and the classes."""
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((n, p)) @ rng.standard_normal((p, p)) + rng.standard_normal(p) for n in sizes]
    order = rng.permutation(sum(sizes))
    return np.concatenate(X)[order], np.repeat(np.arange(len(sizes)), sizes)[order]


def naive(X, index):
    covariances = [np.cov(X[index == a].T) for a in range(index.max() + 1)]
    return np.array([[np.trace(a @ b) for b in covariances] for a in covariances])


@pytest.mark.parametrize("block", [1, 40, groups.BLOCK])
@pytest.mark.parametrize(("sizes", "p"), [((9, 4, 30), 6), ((5, 7), 40), ((23,), 9)])
@pytest.mark.parametrize("route", [traces.products_by_samples, traces.products_by_features, traces.trace_products])
def test_products_agree_with_dense_covariances(monkeypatch, block, sizes, p, route):
    monkeypatch.setattr(groups, "BLOCK", block)
    X, index = samples_of(sizes, p)
    want = naive(X, index)
    assert_close(route(groups.Groups.about_means(X, index)), want, TRACES, scale=want)


@pytest.mark.parametrize(("n", "p", "cheaper"), [(19, 10, "products_by_samples"), (20, 10, "products_by_features")])
def test_the_cheaper_route_is_taken(monkeypatch, n, p, cheaper):
    monkeypatch.setattr(traces, cheaper, lambda groups: "taken")
    assert traces.trace_products(groups.Groups.about_means(*samples_of((n - 5, 5), p))) == "taken"


@pytest.mark.parametrize("n", [4, 5, 6])
def test_trace_square_is_unbiased_for_a_skewed_distribution(n):
    """Every sample of size n of a distribution on three points: the expectation is a finite sum."""
    points = np.array([[0.0, 1.0], [2.0, -0.5], [5.0, 4.0]])
    chances = np.array([0.6, 0.3, 0.1])
    mean = chances @ points
    sigma = (points - mean).T @ np.diag(chances) @ (points - mean)
    draws = np.array(list(product(range(3), repeat=n)))
    weight = chances[draws].prod(axis=1)
    samples = points[draws]
    rest = samples - samples.mean(axis=1, keepdims=True)
    S = np.einsum("rij,rik->rjk", rest, rest) / (n - 1)
    plug_in = (S**2).sum(axis=(1, 2))
    squares = (rest**2).sum(axis=2)
    trace = squares.sum(axis=1) / (n - 1)
    estimate = traces.trace_square(np.full(len(draws), n), plug_in, trace, (squares**2).sum(axis=1))
    assert weight.sum() == pytest.approx(1.0, rel=TRACES)
    assert weight @ estimate == pytest.approx(np.trace(sigma @ sigma), rel=TRACES)
    assert weight @ plug_in > 1.1 * np.trace(sigma @ sigma)
