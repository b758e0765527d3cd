"""Roots of few equations in more unknowns, and the best of them, on problems whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from notsodeep.matching.solver import SOLVED, least_squares, refine, value, with_jacobian
from tests.tolerances import (
    GRID_POINT,
    REFINED,
    ROUNDING,
    STATIONARY,
    assert_close,
)


def rosenbrock(z):
    return np.stack([10.0 * (z[1] - z[0] * z[0]), 1.0 - z[0]])


def circle_and_line(distance):
    """Meet for distances up to sqrt 2."""
    return lambda z: np.stack([z[0] * z[0] + z[1] * z[1] - 1.0, z[0] + z[1] - distance])


def circle(z):
    """One equation in two unknowns, or in more."""
    return (z * z).sum(axis=0, keepdims=True) - 1.0


def affine(A, b):
    return lambda z: np.tensordot(A, z, 1) - b.reshape(-1, *[1] * (z.ndim - 1))


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_a_curved_valley_is_followed_to_its_root():
    found = least_squares(rosenbrock, np.array([-1.2, 1.0]))
    assert_close(found.z, [1.0, 1.0], ROUNDING)
    assert found.norm <= 2.0 * SOLVED


def test_a_root_that_it_starts_at_is_left_alone():
    found = least_squares(rosenbrock, np.array([1.0, 1.0]))
    assert (found.z == 1.0).all()
    assert found.norm == 0.0


@pytest.mark.parametrize("start", [(1.0, 0.0), (0.0, 1.0), (3.0, -2.0)])
def test_both_roots_of_a_circle_and_a_line_are_found(start):
    """x + y = 1 meets the unit circle at (1, 0) and (0, 1)."""
    found = least_squares(circle_and_line(1.0), np.array(start))
    assert_close(np.sort(found.z), [0.0, 1.0], ROUNDING)


def test_few_equations_take_the_step_of_least_norm():
    """Of linear ones: to the root next to the start, up to the damping of the steps."""
    A, b, start = random(2, 5), random(2, seed=1), random(5, seed=2)
    found = least_squares(affine(A, b), start)
    assert_close(A @ found.z, b, ROUNDING)
    assert_close(found.z, start + np.linalg.pinv(A) @ (b - A @ start), ROUNDING)


def test_directions_that_change_nothing_stay_untouched():
    """A gauge: the third unknown scales nothing."""
    found = least_squares(lambda z: rosenbrock(z[:2]), np.array([-1.2, 1.0, 5.0]))
    assert found.z[2] == 5.0
    assert_close(found.z[:2], [1.0, 1.0], ROUNDING)


def test_dependent_equations_are_solved_as_well():
    """Rank two of four, with a right side in the range."""
    A = random(4, 2) @ random(2, 4, seed=1)
    found = least_squares(affine(A, A @ random(4, seed=2)), random(4, seed=3))
    assert_close(A @ found.z, A @ random(4, seed=2), ROUNDING)


def test_dependent_equations_that_contradict_end_at_the_least_squares_point():
    A, b = random(4, 2) @ random(2, 4, seed=1), random(4, seed=2)
    found = least_squares(affine(A, b), random(4, seed=3))
    assert_close(found.norm, np.linalg.norm(A @ (np.linalg.pinv(A) @ b) - b), STATIONARY)


def test_an_overdetermined_linear_system_ends_at_the_normal_equations():
    A, b = random(6, 3), random(6, seed=1)
    found = least_squares(affine(A, b), np.zeros(3))
    assert_close(found.z, np.linalg.lstsq(A, b, rcond=None)[0], STATIONARY)


def test_a_system_without_solution_ends_at_its_least_squares_point():
    """By symmetry x = y = t with ``8 t (2 t^2 - 1) + 4 (2 t - d) = 0``."""
    t = float(np.roots([16.0, 0.0, 0.0, -12.0])[-1].real)
    found = least_squares(circle_and_line(3.0), np.array([1.0, 0.5]))
    assert_close(found.z, [t, t], STATIONARY)
    assert_close(found.norm, np.linalg.norm(circle_and_line(3.0)(np.array([t, t]))), STATIONARY)


def test_the_minimum_of_two_valleys_is_the_one_at_the_start():
    """``(x^2 - 1)^2 + (0.1 (x - 2))^2`` has minima near -1 and 1."""
    grid = np.linspace(-2.0, 2.0, 400001)
    cost = (grid**2 - 1.0) ** 2 + (0.1 * (grid - 2.0)) ** 2
    for start, side in ((-1.5, grid < 0), (1.5, grid > 0)):
        found = least_squares(lambda z: np.stack([z[0] * z[0] - 1.0, 0.1 * (z[0] - 2.0)]), np.array([start]))
        assert_close(found.z, [grid[side][np.argmin(cost[side])]], GRID_POINT)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_search_cut_short_is_not_there(steps):
    found = least_squares(rosenbrock, np.array([-1.2, 1.0]), steps=steps)
    assert found.norm > SOLVED


def test_values_that_are_not_numbers_are_stepped_over():
    """The logarithm is NaN left of 0, where a full step would go."""
    found = least_squares(lambda z: np.log(z), np.array([2.9]))
    assert_close(found.z, [1.0], ROUNDING)


def test_complex_steps_have_no_cancellation():
    """The derivative of exp(x^2) sin(x), to the last digits, where differences would lose half of them."""
    x = 0.7
    values, jacobian = with_jacobian(lambda z: np.exp(z * z) * np.sin(z) - 0.5, np.array([x]))
    assert_close(values, [np.exp(x * x) * np.sin(x) - 0.5], ROUNDING)
    assert_close(jacobian, [[np.exp(x * x) * (2 * x * np.sin(x) + np.cos(x))]], ROUNDING)


def test_a_value_is_that_of_one_point():
    assert_close(value(rosenbrock, np.array([2.0, 3.0])), [-10.0, -1.0], ROUNDING)


@pytest.mark.parametrize("start", [0.3, 2.0, 5.5])
def test_refinement_goes_along_a_circle_to_the_point_next_to_another(start):
    """Of the unit circle, the point closest to (0.606, 0.808) is (0.6, 0.8)."""
    z = refine(circle, lambda z: z - np.array([[0.606], [0.808]]), np.array([np.cos(start), np.sin(start)]), steps=60)
    assert_close(z @ z, 1.0, ROUNDING)
    assert_close(z, [0.6, 0.8], REFINED)


def test_refinement_of_linear_problems_is_constrained_least_squares():
    """Against the solution of the conditions of Lagrange."""
    A, b, Q, q = random(2, 5), random(2, seed=1), random(7, 5, seed=2), random(7, seed=3)
    start = np.linalg.pinv(A) @ b
    lagrange = np.block([[Q.T @ Q, A.T], [A, np.zeros((2, 2))]])
    wanted = np.linalg.solve(lagrange, np.concatenate([Q.T @ q, b]))[:5]
    found = refine(affine(A, b), affine(Q, q), start)
    assert_close(found, wanted, REFINED)
    assert_close(A @ found, b, ROUNDING)


def test_refinement_never_makes_the_objective_worse():
    """Rugged objectives on a sphere in five dimensions."""
    for seed in range(10):
        W = random(6, 5, seed=seed)
        start = random(5, seed=100 + seed)
        start = start / np.linalg.norm(start)

        def rugged(z, W=W):
            return np.sin(3.0 * np.tensordot(W, z, 1)) + 0.5

        found = refine(circle, rugged, start)
        assert np.linalg.norm(rugged(found)) <= np.linalg.norm(rugged(start))
        assert_close(found @ found, 1.0, ROUNDING)


def test_where_nothing_is_left_free_refinement_returns_the_point():
    """Two equations in two unknowns."""
    found = refine(circle_and_line(1.0), lambda z: z, np.array([1.0, 0.0]))
    assert_close(found, [1.0, 0.0], ROUNDING)
