from itertools import product

import numpy as np
import pytest

from notsodeep.data import traces
from tests.tolerances import TRACES


def groups_of(rng, sizes, p):
    return [rng.standard_normal((n, p)) @ rng.standard_normal((p, p)) for n in sizes]


def centred(groups):
    return [group - group.mean(axis=0) for group in groups]


def naive(groups):
    covariances = [np.cov(group.T) for group in groups]
    return np.array([[np.trace(a @ b) for b in covariances] for a in covariances])


@pytest.mark.parametrize("block", [1, 40, traces._BLOCK])
@pytest.mark.parametrize(("sizes", "p"), [((9, 4, 30), 6), ((5, 7), 40)])
@pytest.mark.parametrize("route", [traces.products_by_samples, traces.products_by_features, traces.trace_products])
def test_products_agree_with_dense_covariances(monkeypatch, block, sizes, p, route):
    monkeypatch.setattr(traces, "_BLOCK", block)
    groups = groups_of(np.random.default_rng(0), sizes, p)
    np.testing.assert_allclose(route(centred(groups)), naive(groups), rtol=TRACES)


@pytest.mark.parametrize(("n", "p", "cheaper"), [(19, 10, "products_by_samples"), (20, 10, "products_by_features")])
def test_the_cheaper_route_is_taken(monkeypatch, n, p, cheaper):
    monkeypatch.setattr(traces, cheaper, lambda groups: "taken")
    assert traces.trace_products([np.ones((n - 5, p)), np.ones((5, p))]) == "taken"


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
