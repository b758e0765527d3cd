"""Truncated power series against NumPy's polynomials."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from notsodeep.equivalents.jets import composition, product, quotient
from tests.tolerances import ROUNDING, assert_close

LENGTH = 4


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    f, h = rng.standard_normal((2, LENGTH, 3, 2))
    return f, h + 2.0 * (np.arange(LENGTH) == 0)[:, None, None]


def entries(f):
    return [(i, j, Polynomial(f[:, i, j])) for i, j in np.ndindex(f.shape[1:])]


def test_product(pair):
    f, h = pair
    got = product(f, h)
    for i, j, one in entries(f):
        assert_close(got[:, i, j], (one * Polynomial(h[:, i, j])).coef[:LENGTH], ROUNDING)


def test_quotient_undoes_a_product(pair):
    f, h = pair
    assert_close(quotient(product(f, h), h), f, 10 * ROUNDING)


def test_composition(pair):
    f, h = pair
    got = composition(f, h)
    for i, j, outer in entries(f):
        step = Polynomial(h[:, i, j] * (np.arange(LENGTH) > 0))
        assert_close(got[:, i, j], outer(step).coef[:LENGTH], ROUNDING)
