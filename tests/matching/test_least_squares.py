"""The multi-start least squares on systems whose solutions are known."""

from __future__ import annotations

import numpy as np
import pytest

from notsodeep.matching import least_squares
from notsodeep.matching.least_squares import SOLVED, solve
from tests.tolerances import GRID_POINT, ROUNDING, STATIONARY, assert_close


def rosenbrock(x):
    return np.array([10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]])


def circle_and_line(x, distance=1.0):
    """Meet at (-1, 1) / sqrt 2 times +-1 for distance 0; farther than sqrt 2 they do not meet."""
    return np.array([x[0] * x[0] + x[1] * x[1] - 1.0, x[0] + x[1] - distance])


def recorded(monkeypatch):
    """Return the list that the starts and Jacobians handed to SciPy go to."""
    calls, original = [], least_squares.least_squares

    def spy(fun, start, jacobian, **options):
        calls.append((fun, start, jacobian, options))
        return original(fun, start, jacobian, **options)

    monkeypatch.setattr(least_squares, "least_squares", spy)
    return calls


def test_a_curved_valley_is_followed_to_its_root():
    found = solve(rosenbrock, [np.array([-1.2, 1.0])])
    assert_close(found.x, [1.0, 1.0], ROUNDING)
    assert found.residual <= SOLVED
    assert found.settled


def test_the_search_stops_at_the_first_start_that_solves(monkeypatch):
    calls = recorded(monkeypatch)
    solve(rosenbrock, [np.array([-1.2, 1.0]), np.array([2.0, 2.0]), np.array([3.0, 3.0])])
    assert len(calls) == 1


def test_a_later_start_is_taken_where_the_first_sticks():
    """sin(x)/x has stationary points of its square away from its roots."""

    def wave(x):
        return np.array([np.cos(x[0]) + 0.5 * x[0]])

    found = solve(wave, [np.array([2.7]), np.array([-1.0])])
    assert found.residual <= SOLVED
    assert_close(np.cos(found.x[0]) + 0.5 * found.x[0], 0.0, SOLVED, scale=1.0)


def test_the_best_of_several_minima_is_returned():
    """(x^2 - 1)^2 + (0.1 (x - 2))^2: of the two minima near -1 and 1 the right one is lower."""

    def two(x):
        return np.array([x[0] * x[0] - 1.0, 0.1 * (x[0] - 2.0)])

    starts = [np.array([-1.5]), np.array([1.5]), np.array([-0.5])]
    grid = np.linspace(-2, 2, 400001)
    lowest = grid[np.argmin((grid**2 - 1) ** 2 + (0.1 * (grid - 2)) ** 2)]
    assert_close(solve(two, starts).x, [lowest], GRID_POINT)


def test_a_system_without_solution_ends_at_its_least_squares_point():
    """By symmetry x0 = x1 = t with ``8 t (2 t^2 - 1) + 4 (2 t - d) = 0``."""
    distance = 3.0
    t = float(np.roots([16.0, 0.0, 0.0, -4.0 * distance])[-1].real)
    found = solve(lambda x: circle_and_line(x, distance), [np.array([1.0, 0.5])])
    assert_close(found.x, [t, t], STATIONARY)
    assert_close(found.residual, np.abs(circle_and_line(np.array([t, t]), distance)).max(), STATIONARY)
    assert found.settled


def test_an_overdetermined_linear_system_ends_at_the_normal_equations():
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((6, 3)), rng.standard_normal(6)
    found = solve(lambda x: A @ x - b, [np.zeros(3)])
    assert_close(found.x, np.linalg.lstsq(A, b, rcond=None)[0], STATIONARY)
    assert found.settled


def test_complex_steps_give_the_analytic_jacobian(monkeypatch):
    calls = recorded(monkeypatch)
    solve(rosenbrock, [np.array([-1.2, 1.0])])
    jacobian = calls[0][2]
    for x in ([0.3, -0.7], [-1.2, 1.0], [5.0, 2.0]):
        assert_close(jacobian(np.array(x)), [[-20.0 * x[0], 10.0], [-1.0, 0.0]], ROUNDING)


def test_complex_steps_have_no_cancellation(monkeypatch):
    """The derivative of exp(x^2) sin(x), to the last digits, where differences would lose half of them."""
    calls = recorded(monkeypatch)
    solve(lambda x: np.exp(x * x) * np.sin(x) - 0.5, [np.array([0.4])])
    x = 0.7
    assert_close(calls[0][2](np.array([x])), [[np.exp(x * x) * (2 * x * np.sin(x) + np.cos(x))]], ROUNDING)


@pytest.mark.parametrize("evaluations", [1, 3])
def test_a_search_cut_short_has_not_settled(monkeypatch, evaluations):
    monkeypatch.setattr(least_squares, "_EVALUATIONS", evaluations)
    found = solve(rosenbrock, [np.array([-1.2, 1.0])])
    assert not found.settled
    assert found.residual > SOLVED


def test_no_finite_least_point_is_not_settled_or_nearly_solved():
    """e^-x has its infimum 0 at infinity: the residual reported is that of the point returned."""
    found = solve(lambda x: np.exp(-x), [np.array([0.0])])
    assert_close(found.residual, np.exp(-found.x[0]), ROUNDING)
