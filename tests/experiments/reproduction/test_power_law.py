from __future__ import annotations

import numpy as np
import pytest

from notsodeep.experiments.reproduction.power_law import power_law
from tests.tolerances import ROOTS, STANDARD_ERRORS, assert_close

X = np.array([64.0, 128.0, 256.0, 1024.0])


def test_exact_powers_are_found():
    law = power_law(X, 2.5 * X**-0.7, 0.1 * X**-0.7)
    assert_close([law.exponent, law.factor], [-0.7, 2.5], ROOTS)
    assert_close(law(X), 2.5 * X**-0.7, ROOTS)


def test_standard_error_is_the_spread_of_exponents():
    rng = np.random.default_rng(0)
    true, sigma = 3.0 * X**-0.5, np.array([0.02, 0.03, 0.01, 0.04])
    laws = [power_law(X, true * np.exp(sigma * rng.standard_normal(4)), true * sigma) for _ in range(2000)]
    exponents, errors = np.array([(law.exponent, law.error) for law in laws]).T
    design = np.column_stack([np.ones(4), np.log(X)]) / sigma[:, None]
    wanted = np.linalg.inv(design.T @ design)[1, 1] ** 0.5
    assert abs(exponents.std() / wanted - 1.0) < STANDARD_ERRORS / np.sqrt(2 * 2000)
    assert abs(exponents.mean() + 0.5) < STANDARD_ERRORS * wanted / np.sqrt(2000)
    assert errors.min() >= wanted * (1.0 - 0.2)  # weights are those of the values found, not of the true ones


def test_misfit_widens_the_error():
    y = 3.0 * X**-0.5
    bent = y * np.array([1.3, 1.0, 1.0, 1.3])
    assert power_law(X, bent, 0.01 * bent).error > 5.0 * power_law(X, y, 0.01 * y).error


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (X, -X, X, "y must be positive"),
        (X, X, 0.0 * X, "error must be positive"),
        (np.ones(4), X, X, "two or more sizes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, y, error, words):
    with pytest.raises(ValueError, match=words):
        power_law(x, y, error)
