"""The conformance kit on operators of every shape, and what only the constructor can refuse."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.equivalents import EquivalentOperator
from tests.equivalents.kit import Case, OperatorConformance
from tests.tolerances import ROUNDING, assert_close


def parts(n, p, k, seed=0):
    rng = np.random.default_rng(seed)
    C = rng.standard_normal((k, k))
    return rng.standard_normal((n, p)) / np.sqrt(p), rng.standard_normal((n, k)) / np.sqrt(n), C + C.T


def naive(X, linear, V, C, diagonal):
    """Return the matrix, entry by entry."""
    n = len(X)
    out = np.empty((n, n))
    for i, j in product(range(n), repeat=2):
        low_rank = sum(V[i, a] * C[a, b] * V[j, b] for a in range(len(C)) for b in range(len(C)))
        out[i, j] = linear * float(X[i] @ X[j]) + low_rank + diagonal * (i == j)
    return out


def case(name, n, p, linear=0.7, diagonal=0.4, k=3, core=1.0, as_tensor=False):
    X, V, C = parts(n, p, k)
    C = core * C

    def operator():
        convert = torch.from_numpy if as_tensor else np.array
        return EquivalentOperator(convert(X), linear, convert(V), convert(C), diagonal)

    dense = partial(naive, X, linear, V, C, diagonal)
    return Case(name, operator, dense, as_tensor, singular=diagonal == 0.0, degenerate=not linear and not core)


CASES = [
    case("more samples than features", 40, 12),
    case("fewer samples than features", 14, 30),
    case("as many samples as factors", 15, 12),
    case("one sample more than factors", 16, 12),
    case("tensor", 40, 12, as_tensor=True),
    case("tensor, fewer samples than features", 14, 30, as_tensor=True),
    case("no low-rank part", 40, 12, core=0.0),
    case("no low-rank part, fewer samples", 14, 30, core=0.0),
    case("no Gram matrix", 40, 12, linear=0.0),
    case("multiple of the identity", 20, 5, linear=0.0, core=0.0),
    case("dominant low-rank part", 40, 12, core=50.0),
    case("negative diagonal", 40, 12, diagonal=-3.0),
    case("small diagonal", 40, 12, diagonal=1e-6),
    case("no diagonal", 40, 12, diagonal=0.0),
    case("rank one", 25, 1, k=1),
]


class TestEquivalentOperator(OperatorConformance):
    @pytest.fixture(params=CASES, ids=lambda case: case.name)
    def case(self, request):
        return request.param


def test_samples_and_factors_are_left_as_they_were():
    X, V, C = parts(20, 6, 2)
    before = [part.copy() for part in (X, V, C)]
    operator = EquivalentOperator(X, 1.0, V, C, 0.5)
    operator.dense()
    operator.solve(np.ones(20))
    operator.eigsh(2)
    for part, copy in zip((X, V, C), before, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_arrays_changed_later_do_not_change_the_operator():
    X, V, C = parts(20, 6, 2)
    operator, want = EquivalentOperator(X, 1.0, V, C, 0.5), naive(X, 1.0, V, C, 0.5)
    for part in (X, V, C):
        part[:] = 0.0
    assert_close(operator.dense(), want, ROUNDING)


def test_single_precision_is_raised_to_double():
    X, V, C = parts(20, 6, 2)
    operator = EquivalentOperator(torch.from_numpy(X).float(), 1.0, V, C, 0.5)
    assert operator.dense().dtype == torch.float64
    assert_close(operator.dense(), naive(X.astype(np.float32).astype(float), 1.0, V, C, 0.5), ROUNDING)


def test_the_text_tells_the_structure():
    X, V, C = parts(20, 6, 2)
    assert repr(EquivalentOperator(X, 0.25, V, C, 0.5)) == (
        "EquivalentOperator(n=20, gram=0.25 (rank 6), low rank 2, diagonal=0.5)"
    )


@pytest.mark.parametrize("diagonal", [0.0, 1e-16, -1e-16])
def test_a_diagonal_of_rounding_size_is_not_divided_by(diagonal):
    X, V, C = parts(40, 6, 2)
    with pytest.raises(ValueError, match="no diagonal part and may be singular; add a ridge"):
        EquivalentOperator(X, 1.0, V, C, diagonal).solve(np.ones(40))


@pytest.mark.parametrize("sigma_a2", [0.1, 0.2, 0.3, 0.9])
def test_a_linear_deq_has_no_diagonal_part(sigma_a2):
    """``gamma2 - tau0^2 alpha1`` is then zero up to rounding, so the solution would be noise."""
    X = np.random.default_rng(0).standard_normal((50, 10)) / np.sqrt(10)
    stats = nsd.Statistics.from_data(X, np.repeat([0, 1], 25))
    operator = nsd.equivalent(nsd.DEQ("identity", sigma_a2=sigma_a2, tau0=stats.tau0), X, stats)
    with pytest.raises(ValueError, match="no diagonal part"):
        operator.solve(np.ones(50))


def test_an_iteration_that_stops_says_what_to_do():
    X, V, _ = parts(20, 6, 2)
    with pytest.raises(nsd.ConvergenceError, match=r"3 eigenvalues \(LA\) .* dense\(\)"):
        EquivalentOperator(X, 0.0, V, np.zeros((2, 2)), 0.0).eigsh(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones(20)}, r"X must be a matrix, got shape \(20,\)"),
        ({"X": np.ones((20, 0))}, r"X must be a matrix"),
        ({"X": np.full((20, 6), np.nan)}, "X has NaN"),
        ({"X": np.ones((20, 6), dtype=complex)}, "X must be real numbers"),
        ({"linear": np.inf}, "linear must be a finite number"),
        ({"linear": "one"}, "linear must be a number"),
        ({"V": np.ones((19, 2))}, r"V must have shape \(20, k\), one row a sample, got \(19, 2\)"),
        ({"V": np.full((20, 2), np.inf)}, "V has NaN or infinite"),
        ({"C": np.eye(3)}, r"C must have shape \(2, 2\), got \(3, 3\)"),
        ({"C": np.array([[1.0, 2.0], [2.1, 1.0]])}, "C must be symmetric"),
        ({"diagonal": np.nan}, "diagonal must be a finite number"),
    ],
)
def test_illegal_parts_are_refused(change, message):
    X, V, C = parts(20, 6, 2)
    given = {"X": X, "linear": 1.0, "V": V, "C": C, "diagonal": 0.5} | change
    with pytest.raises(ValueError, match=message):
        EquivalentOperator(**given)
