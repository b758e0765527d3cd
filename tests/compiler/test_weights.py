"""Drawn weights pass, trained ones do not, and those of another distribution are told apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from notsodeep.compiler import check_weights
from notsodeep.compiler.weights import LIMIT

DRAWS = 200


def drawn(seed, m, p, bias=True):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, m)), rng.standard_normal((m, p)), rng.standard_normal(m) if bias else None


def by_name(found):
    return {check.name: check for check in found.checks}


@pytest.mark.parametrize(("m", "p", "bias"), [(32, 12, False), (64, 2, True), (48, 100, True), (40, 1, True)])
def test_drawn_weights_pass(m, p, bias):
    verdicts = Counter(check_weights(*drawn(seed, m, p, bias)).verdict for seed in range(DRAWS))
    assert verdicts["gaussian"] >= DRAWS - 1  # at a rate below 0.1 %, two failures have probability below 2 %


def test_deviations_are_in_standard_errors():
    found = [by_name(check_weights(*drawn(seed, 60, 30))) for seed in range(DRAWS)]
    for name in found[0]:
        z = np.array([one[name].z for one in found])
        if name.startswith(("distance", "largest")):
            continue  # of one sign, or skewed
        assert abs(z.mean()) < 4.0 / DRAWS**0.5 + 0.15, name
        assert 0.84 < z.std() < 1.18, name  # its own standard error is 0.05


@pytest.mark.parametrize("seed", range(5))
def test_uniform_weights_are_independent_but_not_gaussian(seed):
    torch.manual_seed(seed)
    W, U = torch.nn.Linear(100, 100), torch.nn.Linear(30, 100)
    found = check_weights(W.weight, U.weight, W.bias + U.bias)
    assert found.verdict == "independent"
    assert "fourth moment" in found.reason or "normal distribution" in found.reason
    moment = by_name(found)["fourth moment of recurrent"].value
    assert abs(moment - 1.8) < 0.06  # of a uniform number; four standard errors


RNG = np.random.default_rng(7)
SPIKE = np.outer(RNG.standard_normal(100), RNG.standard_normal(100))
CASES = {
    "orthogonal": lambda W, U: (np.linalg.qr(W)[0], U),
    "symmetric": lambda W, U: (W + W.T, U),
    "of rank one more": lambda W, U: (W + 0.5 * SPIKE, U),
    "of unequal rows": lambda W, U: (W * np.linspace(0.5, 1.5, 100)[:, None], U),
    "of unequal columns": lambda W, U: (W, U * np.linspace(0.5, 1.5, 30)),
    "with a mean": lambda W, U: (W + 0.1, U),
    "that writes where the input writes": lambda W, U: (W + 0.3 * U @ RNG.standard_normal((30, 100)), U),
    "that reads the input": lambda W, U: (W + 0.3 * RNG.standard_normal((100, 30)) @ U.T, U),
    "sparse by rows": lambda W, U: (W * (np.arange(100) % 2)[:, None], U),
}


@pytest.mark.parametrize("case", CASES)
def test_structure_is_found(case):
    found = check_weights(*CASES[case](*drawn(1, 100, 30, bias=False)[:2]))
    assert found.verdict == "not random"
    assert not found.worst.passed
    assert found.worst.name in found.reason


def test_each_kind_of_structure_is_found_by_its_own_check():
    W, U, _ = drawn(1, 100, 30, bias=False)

    def z(case, name):
        return by_name(check_weights(*CASES[case](W, U)))[name].z

    assert z("symmetric", "correlation of recurrent with its transpose") > LIMIT
    assert z("of rank one more", "largest singular value of recurrent") > LIMIT
    assert z("of unequal rows", "spread of mean squares of rows of recurrent") > LIMIT
    assert z("of unequal columns", "spread of mean squares of columns of input") > LIMIT
    assert z("with a mean", "mean of recurrent") > LIMIT
    assert z("that writes where the input writes", "cosines between columns of recurrent and of input") > LIMIT
    assert z("that reads the input", "cosines between rows of recurrent and columns of input") > LIMIT
    assert z("orthogonal", "cosines between rows of recurrent") < -LIMIT
    assert z("orthogonal", "distance of singular values to their limit law, in places") > LIMIT


def test_outliers_are_counted():
    W, U, _ = drawn(1, 100, 30)
    assert check_weights(W, U).outliers == 0
    assert check_weights(W + 0.5 * SPIKE, U).outliers == 1


def test_a_bias_is_checked_too():
    W, U, b = drawn(1, 100, 30)
    assert check_weights(W, U, b + 1.0).verdict == "not random"
    assert check_weights(W, U, 3.0 * U[:, 0]).verdict == "not random"
    assert check_weights(W, U, np.sign(b)).verdict == "independent"


def test_the_scale_does_not_matter():
    W, U, b = drawn(1, 50, 20)
    one, other = by_name(check_weights(W, U, b)), by_name(check_weights(1e-3 * W, 1e5 * U, 7.0 * b))
    assert one.keys() == other.keys()
    assert all(abs(one[name].z - other[name].z) < 1e-6 for name in one)


def test_few_states_tell_nothing():
    rng = np.random.default_rng(0)
    found = check_weights(np.ones((20, 20)), rng.standard_normal((20, 3)))
    assert found.verdict == "too few"
    assert "20 states are too few" in found.reason
    assert check_weights(np.ones((1, 1)), np.ones((1, 1))).verdict == "too few"


def test_without_recurrence_the_rest_is_checked():
    _, U, b = drawn(1, 50, 20)
    found = check_weights(np.zeros((50, 50)), U, b)
    assert found.verdict == "gaussian"
    assert not [check.name for check in found.checks if "recurrent" in check.name]


@pytest.mark.parametrize("seed", range(5))
def test_independent_signs_and_sparse_weights_are_independent(seed):
    rng = np.random.default_rng(seed)
    signs = [rng.choice([-1.0, 1.0], size) for size in ((128, 128), (128, 30))]
    sparse = [np.where(rng.random(size) < 0.1, rng.choice([-1.0, 1.0], size), 0.0) for size in ((128, 128), (128, 20))]
    assert check_weights(*signs).verdict == "independent"
    assert check_weights(*sparse).verdict == "independent"
