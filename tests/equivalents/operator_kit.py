"""Conformance kit: what every structured symmetric matrix must satisfy.

A test class inherits :class:`OperatorConformance` and gives a fixture ``case`` of two factories: the operator, and the
same matrix dense and naive, built entry by entry. Operands are drawn with fixed seeds.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from tests.tolerances import LANCZOS, LINEAR_SOLVE, LOG_DETERMINANT, ROUNDING, assert_close


@dataclass(frozen=True)
class Case:
    """Two factories of one matrix."""

    name: str
    operator: Callable[[], Any]
    dense: Callable[[], np.ndarray]
    is_tensor: bool = False
    singular: bool = False
    iterates: bool = False
    """Whether no factorisation is in reach"""
    degenerate: bool = False
    """Whether its largest eigenvalue is multiple: then the eigenvectors are not unique"""


class OperatorConformance(abc.ABC):
    """Checks of every method of a structured matrix."""

    @pytest.fixture
    @abc.abstractmethod
    def case(self, request: Any) -> Case:
        """Return the matrix under test."""

    @pytest.fixture
    def operator(self, case):
        return case.operator()

    @pytest.fixture
    def dense(self, case):
        return case.dense()

    @pytest.fixture(params=[(), (1,), (7,)], ids=["vector", "column", "matrix"])
    def operand(self, request, dense):
        return np.random.default_rng(8).standard_normal((len(dense), *request.param))

    def test_the_shape_is_that_of_the_matrix(self, operator, dense):
        assert operator.shape == dense.shape
        assert operator.dtype == np.float64

    def test_dense_is_the_matrix(self, operator, dense):
        found = operator.dense()
        assert_close(found, dense, ROUNDING)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(found).T)

    def test_the_diagonal_is_that_of_the_matrix(self, operator, dense):
        assert_close(operator.diagonal(), np.diag(dense), ROUNDING, scale=np.abs(dense).max())

    def test_what_it_gives_is_not_its_own(self, operator, dense):
        operator.diagonal()[:] = 0.0
        operator.dense()[:] = 0.0
        assert_close(operator.diagonal(), np.diag(dense), ROUNDING, scale=np.abs(dense).max())

    def test_the_trace_is_the_sum_of_the_diagonal(self, operator, dense):
        assert_close(operator.trace(), np.trace(dense), ROUNDING, scale=np.abs(np.diag(dense)).sum())
        assert isinstance(operator.trace(), float)

    def test_products_are_those_of_the_matrix(self, operator, dense, operand):
        assert_close(operator @ operand, dense @ operand, ROUNDING)

    def test_scipy_takes_it_for_a_linear_operator(self, operator, dense):
        b = np.random.default_rng(7).standard_normal((len(dense), 2))
        linear = aslinearoperator(operator)
        for found in (linear @ b, linear.T @ b, np.stack([linear.matvec(b[:, [i]])[:, 0] for i in range(2)], axis=1)):
            assert isinstance(found, np.ndarray)
            assert_close(found, dense @ b, ROUNDING)

    def test_logarithms_of_determinants_are_those_of_the_matrix(self, case, operator, dense):
        values = np.linalg.eigvalsh(dense)
        if case.singular or case.iterates:
            pytest.skip("no determinant: see the tests of errors")
        if values[0] > 0:
            condition = values[-1] / values[0]
            assert_close(operator.logdet(), np.log(values).sum(), LOG_DETERMINANT * condition, scale=len(dense))
        else:
            count = int((values < 0).sum())
            with pytest.raises(ValueError, match=f"not positive definite: {count} of its {len(dense)} eigenvalues"):
                operator.logdet()

    def test_solutions_solve(self, case, operator, dense, operand):
        if case.singular:
            pytest.skip("no diagonal part: see the tests of errors")
        values = np.abs(np.linalg.eigvalsh(dense))
        assert_close(
            operator.solve(operand), np.linalg.solve(dense, operand), LINEAR_SOLVE * values.max() / values.min()
        )

    def test_solving_twice_gives_the_same(self, case, operator, operand):
        """The factorisation is kept; it must not be spoilt by its first use."""
        if case.singular:
            pytest.skip("no diagonal part: see the tests of errors")
        np.testing.assert_array_equal(np.asarray(operator.solve(operand)), np.asarray(operator.solve(operand)))

    @pytest.mark.parametrize("which", ["LA", "SA", "LM"])
    def test_extreme_eigenpairs_are_those_of_the_matrix(self, operator, dense, which):
        everything, k = np.linalg.eigvalsh(dense), min(3, len(dense) - 1)
        order = np.argsort(np.abs(everything)) if which == "LM" else np.arange(len(dense))
        wanted = np.sort(everything[order[:k] if which == "SA" else order[-k:]])
        values, vectors = (np.asarray(part) for part in operator.eigsh(k, which))
        assert_close(values, wanted, LANCZOS, scale=np.abs(everything).max())
        assert vectors.shape == (len(dense), k)
        assert_close(vectors.T @ vectors, np.eye(k), LANCZOS)
        assert_close(dense @ vectors, vectors * values, LANCZOS, scale=np.abs(everything).max())

    def test_eigenpairs_are_the_same_each_time(self, case, operator):
        if case.degenerate:
            pytest.skip("a multiple eigenvalue: the eigenvectors are not unique")
        for first, second in zip(operator.eigsh(1), operator.eigsh(1), strict=True):
            np.testing.assert_array_equal(np.asarray(first), np.asarray(second))

    def test_results_are_of_the_kind_of_the_samples(self, case, operator, operand):
        results = [operator.dense(), operator.diagonal(), operator @ operand, *operator.eigsh(1)]
        if not case.singular:
            results.append(operator.solve(operand))
        for result in results:
            assert isinstance(result, torch.Tensor if case.is_tensor else np.ndarray)
            assert result.dtype == (torch.float64 if case.is_tensor else np.float64)

    def test_operands_of_either_kind_and_lists_do(self, operator, dense):
        b = np.random.default_rng(9).standard_normal(len(dense))
        for same in (torch.from_numpy(b), b.tolist()):
            np.testing.assert_array_equal(np.asarray(operator @ same), np.asarray(operator @ b))

    def test_operands_are_left_as_they_were(self, case, operator, operand):
        before = operand.copy()
        _ = operator @ operand
        if not case.singular:
            operator.solve(operand)
        np.testing.assert_array_equal(operand, before)

    @pytest.mark.parametrize("method", ["__matmul__", "solve"])
    def test_misfits_are_refused(self, operator, method):
        n = operator.shape[0]
        for wrong in (np.ones(n + 1), np.ones((1, n)), np.ones((n, 1, 1)), 3.0):
            with pytest.raises(ValueError, match=rf"the operand must have shape \({n},\)"):
                getattr(operator, method)(wrong)
        spoilt = np.ones(n)
        spoilt[-1] = np.nan
        with pytest.raises(ValueError, match="the operand has NaN"):
            getattr(operator, method)(spoilt)
        for wrong in (np.ones(n, dtype=complex), torch.ones(n, dtype=torch.complex128), ["a"] * n):
            with pytest.raises(ValueError, match="the operand must be real numbers"):
                getattr(operator, method)(wrong)

    def test_illegal_requests_for_eigenpairs_are_refused(self, operator):
        n = operator.shape[0]
        for k in (n, n + 1):
            with pytest.raises(ValueError, match=f"k must be below n = {n}, got {k}"):
                operator.eigsh(k)
        for k in (0, -1, 1.5, True):
            with pytest.raises(ValueError, match="k must be an integer >= 1"):
                operator.eigsh(k)
        with pytest.raises(ValueError, match="which must be one of 'LA', 'SA', 'LM', got 'SM'"):
            operator.eigsh(1, "SM")
