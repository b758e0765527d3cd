"""Squared products projected on the classes."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.equivalents import quadratic
from notsodeep.equivalents.quadratic import projected_squares
from tests.tolerances import ROUNDING, assert_close


def draw(p, n, means=0.0, variances=(1.0, 1.0, 1.0), seed=0):
    gm = nsd.GaussianMixture(means * np.eye(3, p), np.array(variances))
    X, y = gm.sample(n, seed=seed)
    return X, np.eye(3)[y], y


def off_diagonal(matrix):
    return matrix - np.diag(np.diag(matrix))


def averages(squares, J):
    """Mean of a matrix over the pairs of different samples of two classes, by loops."""
    out = np.empty((J.shape[1], J.shape[1]))
    for a, b in np.ndindex(out.shape):
        pairs = [squares[i, j] for i in np.flatnonzero(J[:, a]) for j in np.flatnonzero(J[:, b]) if i != j]
        out[a, b] = np.mean(pairs)
    return out


@pytest.fixture(params=[(8, 60), (60, 45)], ids=["p < n", "p > n"])
def sample(request):
    return draw(*request.param, means=3.0, variances=(1.0, 2.0, 0.5))


def test_each_row_has_its_averages_over_classes(sample):
    X, J, y = sample
    R, _ = projected_squares(X, J)
    squares = (X @ X.T) ** 2
    for i, b in np.ndindex(len(X), 3):
        want = np.mean([squares[i, j] for j in np.flatnonzero(y == b) if j != i])
        assert_close(R[i, b], want, 10 * ROUNDING)


def test_two_routes_agree(monkeypatch):
    X, J, _ = draw(20, 61, means=3.0)
    whole = projected_squares(X, J)
    monkeypatch.setattr(quadratic, "_BLOCK", 100)
    for got, want in zip(projected_squares(X, J), whole, strict=True):
        assert_close(got, want, 100 * ROUNDING)


def test_averages_between_classes_are_met(sample):
    """Up to what the projection leaves of the pairs of a sample with itself."""
    X, J, _ = sample
    R, M = projected_squares(X, J)
    counts = J.sum(axis=0)
    got = (J.T @ (R @ M @ R.T) @ J) / np.outer(counts, counts)
    assert_close(got, averages((X @ X.T) ** 2, J), 1e3 * ROUNDING)


def test_norms_are_known_of_isotropic_samples():
    """Then the squares are, apart from their fluctuation, |x|^2 |y|^2 / p, which averages over classes do not see."""
    p, n = 300, 900
    X, J, _ = draw(p, n)
    X *= np.random.default_rng(1).uniform(0.5, 1.5, (n, 1))
    norms = (X**2).sum(axis=1)
    R, M = projected_squares(X, J)
    want = np.outer(norms, norms) / p
    assert np.linalg.norm(R @ M @ R.T - want, 2) < 0.1 * np.linalg.norm(want, 2)
    assert np.linalg.norm(want.mean() - want, 2) > 0.3 * np.linalg.norm(want, 2)


@pytest.mark.parametrize("p", [100, 400])
def test_classes_that_do_not_differ_do_no_harm(p):
    """One could not tell them apart by their averages: dividing by the noise between them would."""
    X, J, _ = draw(p, p)
    squares = (X @ X.T) ** 2
    R, M = projected_squares(X, J)
    error = np.linalg.norm(off_diagonal(squares - R @ M @ R.T), 2)
    assert error < 1.02 * np.linalg.norm(off_diagonal(squares - squares.mean()), 2)


def test_a_small_class_leaves_the_others_their_directions():
    X, J, y = draw(200, 600, means=6.0)
    few = np.flatnonzero(y == 0)[:6]
    relabelled = np.column_stack([J, np.zeros(600)])
    relabelled[few] = np.eye(4)[3]
    squares = off_diagonal((X @ X.T) ** 2)
    plain, finer = (
        np.linalg.norm(squares - off_diagonal(R @ M @ R.T), 2)
        for R, M in (projected_squares(X, J), projected_squares(X, relabelled))
    )
    assert finer < 1.05 * plain


def test_small_classes_join_the_others():
    X, J, _ = draw(20, 40)
    lonely = np.column_stack([J, np.zeros(40)])
    lonely[0] = np.eye(4)[3]
    R, M = projected_squares(X, lonely)
    for got, want in zip((R, M), projected_squares(X, np.ones((40, 1))), strict=True):
        np.testing.assert_array_equal(got, want)
