"""Functions of two norms as sums of products of functions of one."""

from __future__ import annotations

import numpy as np
import pytest

from notsodeep.equivalents.separable import basis, nodes, separable
from notsodeep.errors import ConvergenceError
from tests.tolerances import ROUNDING, assert_close


def functions(at):
    a, b = at[:, None], at[None, :]
    return np.stack([np.sqrt(a * b), 1.0 / (2.0 + a * b), 0.3 - a * b, 0.0 * a * b])


@pytest.mark.parametrize("high", [0.3, 0.31, 0.9, 40.0])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-10])
def test_sums_of_products_meet_the_function_everywhere(high, tolerance):
    points = np.random.default_rng(0).uniform(0.3, high, 50)
    points[:2] = 0.3, high
    truth = functions(points)
    for part, want in zip(separable(functions, 0.3, high, np.full(4, tolerance)), truth, strict=True):
        u, w = part.terms(points, tolerance)
        assert np.abs((u * w) @ u.T - want).max() <= 2 * tolerance


def test_no_more_terms_than_needed():
    square_root, inverse, indefinite, nothing = separable(functions, 0.5, 2.0, np.full(4, 1e-9))
    points = np.geomspace(0.5, 2.0, 20)
    counts = [len(part.terms(points, 1e-8)[1]) for part in (square_root, inverse, indefinite, nothing)]
    assert counts[0] == 1
    assert counts[2:] == [2, 0]
    assert 3 <= counts[1] <= 7
    assert len(inverse.terms(points, 1e-2)[1]) < counts[1]


def test_the_basis_is_one_at_its_node():
    at = nodes(0.2, 3.0, 7)
    assert_close(basis(at, at), np.eye(7), ROUNDING)
    assert_close(basis(at, np.array([0.2, 1.0, 3.0])).sum(axis=1), np.ones(3), 10 * ROUNDING)


def test_one_norm_is_one_node():
    assert nodes(1.0, 1.0 + 1e-15, 5).shape == (1,)
    (part,) = separable(lambda at: np.outer(at, at)[None], 2.0, 2.0, np.array([1e-12]))
    u, w = part.terms(np.array([2.0, 2.0]), 1e-12)
    assert_close((u * w) @ u.T, np.full((2, 2), 4.0), ROUNDING)


def test_a_function_that_is_not_smooth_is_refused():
    with pytest.raises(ConvergenceError, match=r"as a function of the norms, from 0\.5 to 2 squared"):
        separable(lambda at: np.abs(at[:, None] - at[None, :])[None], 0.5, 2.0, np.array([1e-6]))
