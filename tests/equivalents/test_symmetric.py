"""Factorisations of definite and indefinite matrices, against their eigenvalues and NumPy's solutions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from notsodeep.equivalents.symmetric import SymmetricFactor
from tests.tolerances import LINEAR_SOLVE, LOG_DETERMINANT, assert_close


def matrix(values, seed=0):
    """Return a symmetric matrix with these eigenvalues."""
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    A = (Q * values) @ Q.T
    return 0.5 * (A + A.T)


MATRICES = {
    "definite": matrix(np.linspace(0.5, 2.0, 9)),
    "negative definite": matrix(-np.linspace(0.5, 2.0, 9)),
    "indefinite": matrix(np.array([-3.0, -1.0, -0.2, 0.1, 0.5, 2.0, 4.0])),
    "only blocks of size 2": np.kron(np.eye(3), [[0.0, 2.0], [2.0, 0.0]]),
    "blocks of both sizes": np.kron(np.diag([1.0, -1.0]), [[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, -3.0]]),
    "one number": np.array([[-2.0]]),
}


@pytest.mark.parametrize("name", MATRICES)
def test_solutions_determinants_and_signs_are_those_of_the_matrix(name):
    A = MATRICES[name]
    factor, values = SymmetricFactor(torch.from_numpy(A)), np.linalg.eigvalsh(A)
    condition = np.abs(values).max() / np.abs(values).min()
    assert factor.negative == (values < 0).sum()
    assert_close(factor.log_abs_det, np.log(np.abs(values)).sum(), LOG_DETERMINANT * condition, scale=len(A))
    b = np.random.default_rng(1).standard_normal((len(A), 3))
    assert_close(factor.solve(torch.from_numpy(b)), np.linalg.solve(A, b), LINEAR_SOLVE * condition)


def test_blocks_of_size_two_do_occur():
    pivots = [torch.linalg.ldl_factor(torch.from_numpy(A)).pivots for A in MATRICES.values()]
    assert sum(int((each < 0).sum()) for each in pivots) >= 10


def test_a_matrix_of_order_zero_has_determinant_one():
    factor = SymmetricFactor(torch.zeros(0, 0, dtype=torch.float64))
    assert (factor.log_abs_det, factor.negative) == (0.0, 0)


@pytest.mark.parametrize("values", [[1.0, 2.0, 0.0], [1.0, -2.0, 1e-17], [0.0, 0.0, 0.0]])
def test_singular_matrices_are_refused(values):
    with pytest.raises(ValueError, match=r"singular to working precision .* add a ridge"):
        SymmetricFactor(torch.from_numpy(matrix(np.array(values))))
