"""The conformance kit on operators of every shape, and what only the constructor can refuse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.equivalents import (
    EquivalentOperator,
    hadamard,
    operator_eigen,
    operator_refinement,
    operator_routes,
    operator_rows,
)
from notsodeep.equivalents import operator as operator_module
from tests.equivalents.operator_kit import Case, OperatorConformance
from tests.tolerances import LANCZOS, LINEAR_SOLVE, ROUNDING, assert_close


@dataclass(frozen=True)
class Given:
    """The arguments of the constructor, as arrays, lists or None."""

    X: np.ndarray
    scalings: np.ndarray | None
    weights: np.ndarray | float
    V: np.ndarray | None
    C: np.ndarray | None
    diagonal: np.ndarray | float
    squares: tuple | None = None

    def operator(self, convert=np.array):
        """Return the operator of copies of the arrays; ``convert`` makes them, for instance as tensors."""
        made = {name: convert(value) if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        return EquivalentOperator(**made)

    def naive(self):
        """Return the matrix, entry by entry."""
        n = len(self.X)
        grams, squares = _terms(n, self.scalings, self.weights), _terms(n, *(self.squares or (np.ones((n, 0)), [])))
        V, C = (np.zeros((n, 0)), []) if self.V is None else (self.V, self.C)
        d = np.broadcast_to(self.diagonal, n)
        out = np.empty((n, n))
        for i, j in product(range(n), repeat=2):
            inner = sum(float(a) * float(b) for a, b in zip(self.X[i], self.X[j], strict=True))
            linear = sum(weight * scales[i] * scales[j] for weight, scales in grams)
            square = sum(weight * scales[i] * scales[j] for weight, scales in squares)
            low_rank = sum(V[i, a] * C[a][b] * V[j, b] for a in range(len(C)) for b in range(len(C)))
            out[i, j] = linear * inner + square * inner**2 + low_rank + d[i] * (i == j)
        return out


def _terms(n, scalings, weights):
    if scalings is None:
        return [(weights, np.ones(n))]
    return list(zip(weights, scalings.T, strict=True))


def parts(n, p, k, seed=0):
    rng = np.random.default_rng(seed)
    C = rng.standard_normal((k, k))
    return rng.standard_normal((n, p)) / np.sqrt(p), rng.standard_normal((n, k)) / np.sqrt(n), C + C.T


def given(n, p, weights=0.7, diagonal=0.4, k=3, core=1.0, squares=None):
    """Return arguments: a number in ``weights`` is one plain Gram matrix, a list scaled ones; so in ``squares``."""
    X, V, C = parts(n, p, k)
    rng = np.random.default_rng(1)
    scaled = [
        (None, each) if np.ndim(each) == 0 else (1.0 + 0.3 * rng.standard_normal((n, len(each))), np.array(each))
        for each in (weights, squares)
    ]
    if diagonal == "positive":
        diagonal = 0.2 + rng.random(n)
    elif diagonal == "both signs":
        diagonal = np.where(np.arange(n) % 3, 1.0, -1.0) * (0.5 + rng.random(n))
    elif diagonal == "zero somewhere":
        diagonal = np.where(np.arange(n) % 5, 0.2 + rng.random(n), 0.0)
    return Given(X, *scaled[0], V, core * C, diagonal, None if squares is None else scaled[1])


def case(name, n, p, as_tensor=False, **options):
    arguments = given(n, p, **options)
    convert = torch.from_numpy if as_tensor else np.array
    return Case(
        name,
        partial(arguments.operator, convert),
        cache(arguments.naive),
        as_tensor,
        singular=options.get("diagonal") == 0.0 and "squares" not in options,
        degenerate=name.startswith("multiple"),
    )


CASES = [
    case("more samples than features", 40, 12),
    case("fewer samples than features", 14, 30),
    case("as many samples as factors", 15, 12),
    case("twice as many samples as factors", 30, 12),
    case("many more samples than features", 40, 2, core=0.1),
    case("tensor", 40, 12, as_tensor=True),
    case("tensor, fewer samples than features", 14, 30, as_tensor=True),
    case("no low-rank part", 40, 12, core=0.0),
    case("no columns in the low-rank part", 40, 12, k=0),
    case("no low-rank part, fewer samples", 14, 30, core=0.0),
    case("no Gram matrix", 40, 12, weights=0.0),
    case("no Gram matrix, nor a column for one", 40, 12, weights=[]),
    case("multiple of the identity", 20, 5, weights=0.0, core=0.0),
    case("dominant low-rank part", 40, 12, core=50.0),
    case("negative diagonal", 40, 12, diagonal=-3.0),
    case("small diagonal", 40, 12, diagonal=1e-6),
    case("no diagonal", 40, 12, diagonal=0.0),
    case("rank one", 25, 1, k=1),
    case("two samples", 2, 5, k=1),
    case("two samples, one feature", 2, 1, k=1, squares=[0.3]),
    case("scaled", 40, 4, weights=[0.7], diagonal="positive"),
    case("three scaled", 40, 4, weights=[0.7, 0.2, -0.01], diagonal="positive", core=0.1),
    case("three scaled, positive definite", 40, 4, weights=[0.7, 0.2, -0.01], diagonal="positive", k=0),
    case("three scaled, fewer samples", 14, 30, weights=[0.7, 0.2, -0.1], diagonal="positive"),
    case("three scaled, tensor", 40, 4, weights=[0.7, 0.2, -0.1], as_tensor=True),
    case("negative weights alone", 40, 4, weights=[-0.7, -0.2], core=-1.0),
    case("diagonal of both signs", 40, 4, weights=[0.7, 0.2], diagonal="both signs"),
    case("diagonal zero somewhere", 40, 4, weights=[0.7, 0.2], diagonal="zero somewhere"),
    case("squares", 40, 2, diagonal="positive", squares=[0.5]),
    case("squares not scaled", 40, 3, squares=0.5),
    case("squares alone", 40, 3, weights=0.0, k=0, squares=[0.5]),
    case("squares, no diagonal", 8, 4, diagonal=0.0, squares=[0.5]),
    case("two squares, one negative, tensor", 40, 12, weights=[0.3, 0.1], squares=[0.5, -0.1], as_tensor=True),
    case("two squares, fewer samples", 14, 30, weights=[0.3, 0.1], squares=[0.5, -0.1]),
]

IN_SMALL_BLOCKS = ("three scaled", "three scaled, fewer samples", "squares", "two squares, one negative, tensor")

BY_ITERATION = [
    case("squares", 40, 12, diagonal="positive", squares=[0.5]),
    case("squares, tensor", 40, 12, as_tensor=True, diagonal="positive", squares=[0.5]),
    case("fewer samples than features", 14, 30, diagonal="positive", weights=[0.7, -0.1]),
    case("indefinite", 40, 12, diagonal="both signs", squares=[0.2]),
    case("diagonal zero somewhere", 40, 4, weights=[0.7, 0.2], diagonal="zero somewhere"),
]


class TestEquivalentOperator(OperatorConformance):
    @pytest.fixture(params=CASES, ids=lambda case: case.name)
    def case(self, request):
        return request.param


class TestInSmallBlocks(OperatorConformance):
    """Many blocks of rows, the last of which is not full."""

    @pytest.fixture(params=[each for each in CASES if each.name in IN_SMALL_BLOCKS], ids=lambda case: case.name)
    def case(self, request, monkeypatch):
        monkeypatch.setattr(operator_rows, "BLOCK", 100)
        monkeypatch.setattr(hadamard, "_HEIGHT", 9)
        return request.param


class TestByIteration(OperatorConformance):
    """As at an order that is too large to factorise, and to take all eigenvalues of."""

    @pytest.fixture(params=BY_ITERATION, ids=lambda case: case.name)
    def case(self, request, monkeypatch):
        monkeypatch.setattr(operator_routes, "DENSE_ORDER", 0)
        monkeypatch.setattr(operator_module, "_DENSE_EIGEN", 0)
        return replace(request.param, iterates=True)


@pytest.mark.parametrize(
    ("n", "p", "route"), [(40, 12, "Woodbury"), (14, 30, "SymmetricFactor"), (5000, 3, "Woodbury"), (4097, 5000, None)]
)
def test_the_route_is_the_one_in_reach(n, p, route):
    operator = EquivalentOperator(np.ones((n, p), dtype=np.float32), None, 1.0, diagonal=1.0)
    assert (type(operator._direct).__name__ if operator._direct else None) == route


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("diagonal", [0.4, "both signs"])
def test_lanczos_finds_the_eigenvalues_that_the_dense_matrix_has(which, diagonal):
    """With a constant diagonal the smallest eigenvalue has multiplicity n - p - 2."""
    n = 600
    arguments = given(n, 40, weights=[0.7, -0.1], diagonal=diagonal, k=2)
    operator = arguments.operator()
    assert n > operator_module._DENSE_EIGEN
    everything = np.linalg.eigvalsh(operator.dense())
    order = np.argsort(np.abs(everything)) if which == "LM" else np.arange(n)
    wanted = np.sort(everything[order[:4] if which == "SA" else order[-4:]])
    values, vectors = operator.eigsh(4, which)
    assert_close(values, wanted, LANCZOS, scale=np.abs(everything).max())
    assert_close(operator @ vectors, vectors * values, LANCZOS, scale=np.abs(everything).max())


def test_samples_and_factors_are_left_as_they_were():
    X, V, C = parts(20, 6, 2)
    D, d, E = np.full((20, 1), 1.5), np.ones(20), np.full((20, 1), 0.5)
    before = [part.copy() for part in (X, V, C, D, d, E)]
    operator = EquivalentOperator(X, D, [1.0], V, C, d, (E, [1.0]))
    operator.dense()
    operator.solve(np.ones(20))
    operator.eigsh(2)
    for part, copy in zip((X, V, C, D, d, E), before, strict=True):
        np.testing.assert_array_equal(part, copy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_samples_are_shared_and_the_rest_is_not(dtype):
    X, V, C = parts(20, 6, 2)
    X, D, d = X.astype(dtype), np.full((20, 1), 1.5), np.ones(20)
    for samples in (X, torch.from_numpy(X)):
        assert EquivalentOperator(samples)._parts.factor.X.data_ptr() == X.ctypes.data
    operator = EquivalentOperator(X, D, [1.0], V, C, d)
    want = operator.dense()
    for part in (V, C, D, d):
        part[:] = 0.0
    np.testing.assert_array_equal(operator.dense(), want)


def test_samples_that_cannot_be_written_to_do():
    X, V, C = parts(20, 6, 2)
    X.flags.writeable = False
    assert EquivalentOperator(X, None, 1.0, V, C, 0.5)._parts.factor.X.data_ptr() == X.ctypes.data


@pytest.mark.parametrize(
    "view",
    [lambda X: X[::-1, ::-1], lambda X: X[::2], np.asfortranarray, lambda X: X.astype(">f8"), lambda X: X[:, :1]],
)
def test_views_of_any_kind_do(view):
    X = view(parts(20, 6, 2)[0])
    arguments = Given(X, None, 0.7, None, None, 0.5)
    assert_close(EquivalentOperator(X, None, 0.7, diagonal=0.5).dense(), arguments.naive(), ROUNDING)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, bool])
def test_other_numbers_are_raised_to_double(dtype):
    X, V, C = parts(20, 6, 2)
    X = (10 * np.abs(X)).astype(dtype)
    arguments = Given(X, None, 0.7, V, C, 0.5, (np.full((20, 1), 0.5), [0.1]))
    for convert in (np.array, torch.from_numpy):
        operator = EquivalentOperator(convert(X), None, 0.7, V, C, 0.5, arguments.squares)
        want = replace(arguments, X=X.astype(float)).naive()
        for found in (operator.dense(), operator @ np.eye(20)):
            assert str(found.dtype).endswith("float64")
            assert_close(found, want, ROUNDING)


def test_gradients_do_not_flow():
    X = torch.from_numpy(parts(20, 6, 2)[0]).requires_grad_()
    assert not (EquivalentOperator(X, diagonal=1.0) @ np.ones(20)).requires_grad


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "EquivalentOperator(n=20, gram=0.25 (rank 6), low rank 2, diagonal=0.5)"),
        (
            {"scalings": np.ones((20, 2)), "weights": [0.25, -1.0], "diagonal": np.linspace(1.0, 2.0, 20)},
            "EquivalentOperator(n=20, grams=[0.25, -1] scaled (rank 6), low rank 2, diagonal=1 to 2)",
        ),
        (
            {"note": "of some kind"},
            "EquivalentOperator(n=20, gram=0.25 (rank 6), low rank 2, diagonal=0.5, of some kind)",
        ),
        (
            {"V": None, "C": None, "squares": (np.ones((20, 2)), [0.5, 1.0])},
            "EquivalentOperator(n=20, gram=0.25 (rank 6), low rank 0, diagonal=0.5, squares=[0.5, 1])",
        ),
    ],
)
def test_the_text_tells_the_structure(change, text):
    X, V, C = parts(20, 6, 2)
    arguments = {"X": X, "scalings": None, "weights": 0.25, "V": V, "C": C, "diagonal": 0.5}
    assert repr(EquivalentOperator(**arguments | change)) == text


@pytest.mark.parametrize("method", ["solve", "logdet"])
@pytest.mark.parametrize("diagonal", [0.0, 1e-16, -1e-16, np.where(np.arange(40) < 10, 1e-16, 1.0)])
def test_a_diagonal_of_rounding_size_is_not_divided_by(diagonal, method):
    X, V, C = parts(40, 6, 2)
    operator = EquivalentOperator(X, None, 1.0, V, C, diagonal)
    with pytest.raises(ValueError, match=r"no diagonal part on \d+ of 40 samples, .* and may be singular; add a ridge"):
        operator.solve(np.ones(40)) if method == "solve" else operator.logdet()


@pytest.mark.parametrize("method", ["solve", "logdet"])
def test_a_matrix_found_to_be_singular_is_refused(method):
    """Two samples are equal, and there are fewer samples than features."""
    X = parts(10, 30, 2)[0]
    X[1] = X[0]
    operator = EquivalentOperator(X, None, 1.0)
    with pytest.raises(ValueError, match=r"singular to working precision .* add a ridge"):
        operator.solve(np.ones(10)) if method == "solve" else operator.logdet()


@pytest.mark.parametrize("sigma_a2", [0.1, 0.2, 0.3, 0.9])
def test_a_linear_deq_has_no_diagonal_part(sigma_a2):
    """``gamma2 - tau0^2 alpha1`` is then zero up to rounding, so the solution would be noise."""
    X = np.random.default_rng(0).standard_normal((50, 10)) / np.sqrt(10)
    stats = nsd.Statistics.from_data(X, np.repeat([0, 1], 25))
    operator = nsd.equivalent(nsd.DEQ("identity", sigma_a2=sigma_a2, tau0=stats.tau0), X, stats)
    with pytest.raises(ValueError, match="no diagonal part"):
        operator.solve(np.ones(50))


def test_a_determinant_out_of_reach_is_refused(monkeypatch):
    monkeypatch.setattr(operator_routes, "DENSE_ORDER", 0)
    with pytest.raises(ValueError, match=r"no route to the determinant of EquivalentOperator\(n=20"):
        given(20, 6, squares=[0.5]).operator().logdet()


def test_a_solution_of_a_singular_system_is_an_error_with_its_remedy(monkeypatch):
    """Two samples are equal: the right-hand side is not in the range of the matrix."""
    monkeypatch.setattr(operator_routes, "DENSE_ORDER", 0)
    X = parts(10, 30, 2)[0]
    X[1] = X[0]
    with pytest.raises(nsd.ConvergenceError, match=r"singular to working precision, .* add a ridge"):
        EquivalentOperator(X, None, 1.0).solve(np.arange(10.0))


def test_a_solution_out_of_reach_is_an_error_with_its_remedy(monkeypatch):
    monkeypatch.setattr(operator_routes, "DENSE_ORDER", 0)
    monkeypatch.setattr(operator_refinement, "_STEPS", 3)
    operator = given(40, 60, diagonal="both signs").operator()
    with pytest.raises(nsd.ConvergenceError, match=r"the residual stays at .* add a ridge, .* dense\(\)"):
        operator.solve(np.ones(40))


@pytest.mark.parametrize(("diagonal", "inverse"), [("positive", True), ("both signs", False)])
def test_squares_are_preconditioned_by_what_is_positive_definite(monkeypatch, diagonal, inverse):
    """The inverse of the part without squares needs a handful of steps; where it is indefinite, it must not be used."""
    monkeypatch.setattr(operator_routes, "DENSE_ORDER", 0)
    arguments = given(40, 4, weights=[0.5], k=0, diagonal=diagonal, squares=[0.1])
    near = replace(arguments, squares=None).naive()
    np.fill_diagonal(near, np.diag(arguments.naive()))
    b = np.random.default_rng(3).standard_normal((40, 2))
    found = arguments.operator()._preconditioner(torch.from_numpy(b))
    want = np.linalg.solve(near, b) if inverse else b / np.abs(np.diag(near))[:, None]
    assert_close(found, want, LINEAR_SOLVE * np.linalg.cond(near))


def test_an_iteration_that_stops_says_what_to_do(monkeypatch):
    monkeypatch.setattr(operator_eigen, "_RESTARTS", 1)
    monkeypatch.setattr(operator_eigen, "_BASIS", 4)
    operator = given(600, 40).operator()
    with pytest.raises(nsd.ConvergenceError, match=r"3 eigenvalues \(LA\) .* dense\(\)"):
        operator.eigsh(3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_samples_on_a_gpu_give_results_there():
    arguments = given(40, 4, weights=[0.7, 0.2, -0.01], diagonal="both signs", squares=[0.1])
    operator, dense = (
        EquivalentOperator(
            torch.from_numpy(arguments.X).cuda(),
            *(arguments.scalings, arguments.weights, arguments.V, arguments.C, arguments.diagonal, arguments.squares),
        ),
        arguments.naive(),
    )
    b = np.random.default_rng(0).standard_normal(40)
    results = [operator.dense(), operator @ b, operator.solve(b), *operator.eigsh(2)]
    assert all(result.is_cuda for result in results)
    assert_close(results[0], dense, ROUNDING)
    assert_close(results[2], np.linalg.solve(dense, b), LINEAR_SOLVE * np.linalg.cond(dense))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones(20)}, r"X must be a matrix, got shape \(20,\)"),
        ({"X": np.ones((20, 0))}, r"X must be a matrix"),
        ({"X": np.full((20, 6), np.nan)}, "X has NaN"),
        ({"X": torch.full((20, 6), torch.inf)}, "X has NaN or infinite"),
        ({"X": np.ones((20, 6), dtype=complex)}, "X must be real numbers"),
        ({"weights": np.inf}, "weights without scalings must be a finite number"),
        ({"weights": "one"}, "weights without scalings must be a number"),
        ({"weights": [1.0, 2.0]}, "weights without scalings must be a number"),
        ({"scalings": np.ones((19, 1))}, r"scalings must have shape \(20, R\), one row a sample, got \(19, 1\)"),
        ({"scalings": np.ones(20)}, r"scalings must have shape \(20, R\), one row a sample, got \(20,\)"),
        ({"scalings": np.full((20, 1), np.nan), "weights": [1.0]}, "scalings has NaN"),
        ({"scalings": np.ones((20, 2)), "weights": [1.0]}, r"weights must have shape \(2,\), .* got \(1,\)"),
        ({"scalings": np.ones((20, 1)), "weights": 1.0}, r"weights must have shape \(1,\), .* got \(\)"),
        ({"V": np.ones((19, 2))}, r"V must have shape \(20, k\), one row a sample, got \(19, 2\)"),
        ({"V": np.full((20, 2), np.inf)}, "V has NaN or infinite"),
        ({"V": None}, "V and C must be given together"),
        ({"C": np.eye(3)}, r"C must have shape \(2, 2\), got \(3, 3\)"),
        ({"C": np.array([[1.0, 2.0], [2.1, 1.0]])}, "C must be symmetric"),
        ({"diagonal": np.nan}, "diagonal must be a finite number"),
        ({"diagonal": np.ones(19)}, r"diagonal must be a number or have shape \(20,\), got \(19,\)"),
        ({"diagonal": np.full(20, np.nan)}, "diagonal has NaN"),
        ({"squares": 1.0}, r"squares must be a pair \(scalings, weights\), got float"),
        ({"squares": (np.ones((19, 1)), [1.0])}, r"scalings of squares must have shape \(20, R\)"),
        ({"squares": (np.ones((20, 1)), [1.0, 2.0])}, r"weights of squares must have shape \(1,\)"),
        ({"squares": (None, np.nan)}, "weights of squares without scalings must be a finite number"),
    ],
)
def test_illegal_parts_are_refused(change, message):
    X, V, C = parts(20, 6, 2)
    arguments = {"X": X, "scalings": None, "weights": 1.0, "V": V, "C": C, "diagonal": 0.5} | change
    with pytest.raises(ValueError, match=message):
        EquivalentOperator(**arguments)
