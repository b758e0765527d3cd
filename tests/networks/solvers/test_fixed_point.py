"""The solvers against solutions of another kind, sample by sample, and what they do where they cannot succeed."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from notsodeep.errors import ConvergenceError
from notsodeep.networks.solvers import SOLVERS, RowMap, default_tolerance, fixed_point, require_convergence
from tests.tolerances import LINEAR_SOLVE, SOLVED

solver = pytest.mark.parametrize("solver", list(SOLVERS))


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def linear(rates, m=12, dtype=torch.float64):
    """Return maps ``z -> rate z Q + b`` with one orthogonal ``Q``, a rate for each row, and their fixed points."""
    Q, _ = np.linalg.qr(normal(m, m).numpy())
    rates, b = np.asarray(rates, dtype=np.float64), normal(len(rates), m, seed=1).numpy()
    wanted = np.stack([np.linalg.solve(np.eye(m) - rate * Q.T, row) for rate, row in zip(rates, b, strict=True)])
    data = torch.from_numpy(rates[:, None]).to(dtype), torch.from_numpy(b).to(dtype)
    turn = torch.from_numpy(Q).to(dtype)
    return RowMap(lambda Z, rate, row: rate * (Z @ turn) + row, data), wanted


def solve(step, n, m=12, solver="plain", dtype=torch.float64, max_iter=500, tol=None):
    start = torch.zeros(n, m, dtype=dtype)
    return fixed_point(step, start, solver=solver, tol=tol or default_tolerance(dtype), max_iter=max_iter)


@solver
def test_linear_maps_against_elimination(solver):
    rates = [0.0, 0.1, 0.5, 0.9]
    step, wanted = linear(rates)
    Z, record = solve(step, 4, solver=solver, max_iter=2000)
    assert record.converged, record
    error = np.linalg.norm(Z.numpy() - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    assert (error <= SOLVED / (1 - np.array(rates))).all(), error


@solver
def test_scalar_equations_against_bisection(solver):
    shifts = np.linspace(-2, 2, 9)
    step = RowMap(lambda Z, c: 0.9 * torch.tanh(Z) + c, (torch.from_numpy(shifts[:, None]),))
    Z, record = solve(step, 9, m=1, solver=solver)
    wanted = [brentq(lambda z, c=c: 0.9 * math.tanh(z) + c - z, -10, 10, xtol=1e-15) for c in shifts]
    assert record.converged
    np.testing.assert_allclose(Z[:, 0].numpy(), wanted, rtol=0, atol=20 * SOLVED)


@pytest.mark.parametrize("solver", ["anderson", "broyden"])
def test_expanding_linear_maps_are_solved_where_plain_iteration_fails(solver):
    step, wanted = linear([1.1, 1.5], m=4)
    Z, record = solve(step, 2, m=4, solver=solver)
    assert record.converged, record
    np.testing.assert_allclose(Z.numpy(), wanted, rtol=0, atol=1e3 * SOLVED * np.abs(wanted).max())
    _, failed = solve(step, 2, m=4)
    assert not failed.converged
    assert failed.unconverged == 2


@pytest.mark.parametrize("solver", ["anderson", "broyden"])
def test_krylov_dimension_bounds_the_iterations_of_a_linear_map(solver):
    """In ``m`` dimensions Anderson ends a linear problem in ``m + 1`` steps, Broyden in ``2 m``, up to rounding."""
    step, _ = linear([0.95], m=4)
    _, record = solve(step, 1, m=4, solver=solver, tol=1e-10)
    _, plain = solve(step, 1, m=4, tol=1e-10)
    assert record.iterations <= 3 * 4 + 2  # and a start, and one more where rounding asks for it
    assert plain.iterations > 200


@solver
def test_each_sample_has_a_record_of_its_own(solver):
    rates = [0.0, 0.3, 0.9, 0.0, 0.3]
    step, _ = linear(rates)
    _, record = solve(step, 5, solver=solver, max_iter=2000)
    fast, middle, slow = record.steps[[0, 3]], record.steps[[1, 4]], record.steps[2]
    assert int(fast.max()) < int(middle.min()) <= int(middle.max()) < int(slow)
    looks = [iteration for iteration, _ in record.history]
    assert looks[0] == 1
    assert looks[-1] == int(record.steps.max()) == record.iterations
    assert solver == "plain" or looks == list(range(1, record.iterations + 1))
    assert (record.residuals <= record.tolerance).all()
    assert record.residual == float(record.residuals.max())
    assert record.history[-1][1] <= record.tolerance < record.history[0][1]


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8, 0.99])
def test_plain_iteration_ends_when_it_should_and_looks_seldom(rate):
    tol = 1e-9
    step, wanted = linear([rate])
    _, record = solve(step, 1, tol=tol, max_iter=5000)
    # |z_k - z_(k-1)| = rate^k |b| from z_0 = 0 on, compared with tol times |z_k|, that of the solution by then
    size = float(normal(1, 12, seed=1).norm()) / np.linalg.norm(wanted)
    expected = 1 + math.ceil(math.log(tol / size) / math.log(rate))
    assert record.iterations == expected
    assert len(record.history) <= 8 + 2 * math.log2(expected)


def test_steps_that_grow_again_are_followed():
    """A rate that is not the one predicted: the sample converges fast at first, and then slowly."""
    step = RowMap(lambda Z: torch.where(Z < 0.5, 0.55 + 0.1 * (Z - 0.5), 1.0 + 0.95 * (Z - 1.0)))
    start = torch.full((1, 1), -1.0, dtype=torch.float64)
    Z, record = fixed_point(step, start, tol=1e-12, max_iter=2000)
    assert record.converged
    assert float(Z) == pytest.approx(1.0, abs=1e-10)


@solver
def test_rows_that_are_done_are_left_out_of_the_work(solver):
    seen = []
    step, wanted = linear([0.1] * 7 + [0.9])
    counted = RowMap(lambda Z, *data: (seen.append(len(Z)), step.fn(Z, *data))[1], step.data)
    Z, record = solve(counted, 8, solver=solver, max_iter=2000)
    assert record.converged
    assert seen[0] == 8
    assert seen[-1] == 1
    assert len(seen) == record.iterations
    error = np.linalg.norm(Z.numpy() - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    assert (error <= 10 * SOLVED).all(), error


@solver
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_without_solution_are_named_and_the_others_solved(solver, dtype):
    step = RowMap(lambda Z, rate: rate * Z * Z + 0.5, (torch.tensor([[0.1], [30.0], [0.2]], dtype=dtype),))
    Z, record = solve(step, 3, m=1, solver=solver, dtype=dtype)
    assert (record.converged, record.unconverged) == (False, 1)
    assert (record.residuals <= record.tolerance).tolist() == [True, False, True]
    assert solver != "plain" or math.isnan(record.residual)  # it overflows, the others wander
    for row, rate in ((0, 0.1), (2, 0.2)):  # the smaller root of rate z^2 - z + 1/2
        assert float(Z[row, 0]) == pytest.approx(
            (1 - math.sqrt(1 - 2 * rate)) / (2 * rate), rel=100 * default_tolerance(dtype)
        )


@solver
def test_no_hang_where_there_is_no_fixed_point(solver):
    step = RowMap(lambda Z: torch.where(Z < 0.5, torch.ones_like(Z), -torch.ones_like(Z)))
    Z, record = solve(step, 3, m=2, solver=solver, max_iter=50)
    assert (record.iterations, record.converged, record.unconverged) == (50, False, 3)
    assert len(Z) == 3


@solver
def test_scaling_all_states_changes_no_step(solver):
    """A power of two scales exactly: every comparison and every coefficient of a scale-free method is the same."""
    step, _ = linear([0.5, 0.9])
    scaled = RowMap(step.fn, (step.data[0], 2.0**40 * step.data[1]))
    Z, record = solve(step, 2, solver=solver)
    Y, other = solve(scaled, 2, solver=solver)
    np.testing.assert_allclose(other.history, record.history, rtol=1e-6)
    torch.testing.assert_close(Y / 2.0**40, Z, rtol=10 * LINEAR_SOLVE, atol=0)


def test_a_state_that_is_zero_is_a_solution():
    Z, record = solve(RowMap(lambda Z: 0.5 * Z), 2)
    assert (record.converged, record.iterations, record.residual) == (True, 1, 0.0)
    assert not Z.any()


def test_failures_raise_with_their_remedy():
    step, _ = linear([0.9, 0.0])
    _, record = solve(step, 2, max_iter=4)
    with pytest.raises(
        ConvergenceError,
        match=r"^x was not reached for 1 of 2 samples: .* after 4 iterations .*lower y, raise max_iter",
    ):
        require_convergence(record, "x", "y")
    require_convergence(solve(step, 2, max_iter=400)[1], "x", "y")
