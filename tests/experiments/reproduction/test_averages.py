from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from notsodeep.experiments.reproduction.averages import BLOCKS, Averaging
from tests.tolerances import ROOTS, SPREAD, STANDARD_ERRORS, assert_close


def drawn(draws, n=5, bias=0.0, seed=0):
    """A limit, and draws of it with noise and a shift of relative Frobenius norm ``bias``."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    exact = root @ root.T
    shift = bias * np.linalg.norm(exact) / n**0.5 * np.eye(n)
    noise = rng.standard_normal((draws, n, n))
    return exact, exact + shift + noise + noise.transpose(0, 2, 1)


def averages(exact, matrices):
    averaging = Averaging(exact, len(matrices))
    for each in matrices:
        averaging.add(each)
    return averaging.averages()


def test_errors_are_those_of_averages_of_neighbours():
    exact, matrices = drawn(32)
    found = averages(exact, matrices)
    assert list(found.errors) == [1, 2, 4, 8, 16, 32]
    for size, errors in found.errors.items():
        groups = [matrices[start : start + size].mean(axis=0) - exact for start in range(0, 32, size)]
        wanted = [
            (np.linalg.norm(gap, 2) / np.linalg.norm(exact, 2), np.linalg.norm(gap) / np.linalg.norm(exact))
            for gap in groups
        ]
        assert_close(errors, wanted, ROOTS)


def test_bias_is_the_mean_product_of_blocks_with_its_jackknife_error():
    exact, matrices = drawn(16, bias=0.5)
    found = averages(exact, matrices)
    blocks = [(matrices[start : start + 2].mean(axis=0) - exact) / np.linalg.norm(exact) for start in range(0, 16, 2)]

    def estimate(some):
        return np.mean([np.vdot(a, b) for a, b in combinations(some, 2)])

    without = np.array([estimate(blocks[:k] + blocks[k + 1 :]) for k in range(BLOCKS)])
    spread = np.sqrt((BLOCKS - 1) / BLOCKS * np.square(without - without.mean()).sum())
    assert_close([found.bias_square, found.bias_square_error], [estimate(blocks), spread], ROOTS)


@pytest.mark.parametrize(("bias", "too_large"), [(0.0, 2**0.5), (0.5, 1.0)])
def test_bias_has_none_itself_and_its_error_is_its_spread(bias, too_large):
    found = [averages(*drawn(16, bias=bias, seed=seed)) for seed in range(300)]
    squares, errors = np.array([(each.bias_square, each.bias_square_error) for each in found]).T
    assert abs(squares.mean() - bias**2) < STANDARD_ERRORS * squares.std() / np.sqrt(300)
    assert_close(np.sqrt(np.square(errors).mean()), too_large * squares.std(), SPREAD)


@pytest.mark.parametrize("draws", [4, 24, 0])
def test_draws_that_do_not_halve_are_refused(draws):
    with pytest.raises(ValueError, match="power of two"):
        Averaging(np.eye(2), draws)


def test_all_draws_must_have_come():
    averaging = Averaging(np.eye(2), 8)
    averaging.add(np.eye(2))
    with pytest.raises(ValueError, match="8 draws were announced, 1 have come"):
        averaging.averages()
