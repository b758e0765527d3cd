"""Gaussian moments against 50-digit values, and what they do with functions that have none."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from notsodeep.activations import Activation, activation, moments, names
from notsodeep.activations.moments import moments_of_many
from notsodeep.errors import ConvergenceError
from tests.reference import make_moments
from tests.tolerances import INTERPOLATED, MOMENTS, ROUNDING, TABLE, assert_close

RECORDS = json.loads(Path(make_moments.TARGET).read_text())
NAMES = make_moments.NAMES


def label(record):
    params = ",".join(f"{k}={v}" for k, v in record["params"].items())
    return f"{record['name']}({params})@{record['scale']:g}"


def test_every_registered_activation_has_reference_values():
    assert {record["name"] for record in RECORDS} == set(names())


@pytest.mark.parametrize("index", [(0, 0), (3, 4), (25, 2)])
def test_fixture_is_what_the_script_writes(index):
    case, scale = make_moments.CASES[index[0]], make_moments.SCALES[index[1]]
    written = RECORDS[index[0] * len(make_moments.SCALES) + index[1]]
    assert make_moments.record(case, scale) == written


@pytest.mark.parametrize("record", RECORDS, ids=label)
def test_moments_match_reference(record):
    """Errors are relative to the integral of the absolute value of the integrand, point masses included.

    That is the relative error wherever the integrand keeps its sign, and what rounding can reach where it does not:
    where a moment vanishes by symmetry, or by the decay of a characteristic function, no digits of it are left.
    Where both underflow (a kink at hundreds of standard deviations) the computed value must be zero.
    """
    found = moments(activation(record["name"], **record["params"]), record["scale"])
    for name in NAMES:
        size = float(record["sizes"][name])
        assert_close(getattr(found, name), float(record["values"][name]), MOMENTS, scale=size, what=name)


@pytest.mark.parametrize("name", ["relu", "tanh", "softsign", "selu"])
def test_many_scales_at_once_are_those_one_by_one(name):
    scales = np.geomspace(1e-2, 20.0, 6).reshape(2, 3)
    together = moments(activation(name), scales)
    for field in NAMES:
        alone = [getattr(moments(activation(name), s), field) for s in scales.ravel()]
        assert getattr(together, field).shape == (2, 3)
        assert_close(getattr(together, field).ravel(), alone, MOMENTS, scale=1.0, what=field)


def test_offset_changes_what_it_should():
    phi, by = activation("silu"), 0.37
    plain, moved = moments(phi, 1.3), moments(phi.shifted(by), 1.3)
    assert_close(moved.mean, plain.mean + by, MOMENTS)
    assert_close(moved.square, plain.square + 2 * by * plain.mean + by**2, MOMENTS)
    assert_close(moved.square_curvature, plain.square_curvature + 2 * by * plain.curvature, MOMENTS)
    for field in ("slope", "slope_square", "curvature"):
        assert_close(getattr(moved, field), getattr(plain, field), 0.0, what=field)


@pytest.mark.parametrize("scale", [0.05, 1.0, 10.0])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "softsign", "hardtanh"])
def test_route_by_parts_agrees_with_pointwise_route(name, scale):
    """Without a second derivative, Stein's lemma takes its place: its errors grow like 1 / scale."""
    phi = activation(name)
    by_parts = Activation(phi.fn, phi.derivative, phi.kinks)
    direct, other = moments(phi, scale), moments(by_parts, scale)
    for field in NAMES:
        assert_close(getattr(other, field), getattr(direct, field), ROUNDING, scale=1.0 + 1.0 / scale, what=field)


@pytest.mark.parametrize("fn", [np.tanh, lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)])
def test_interpolated_derivative_serves_the_moments(fn):
    registered = activation("tanh" if fn is np.tanh else "softplus")
    mine, theirs = moments(Activation(fn), 1.1), moments(registered, 1.1)
    for field in NAMES:
        assert_close(getattr(mine, field), getattr(theirs, field), INTERPOLATED, scale=1.0, what=field)


@pytest.mark.parametrize("at", [0.0, 0.7])
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_jump_of_the_function(at, scale):
    """``step(x - at) + x / 2``: its weak derivative has a mass of 1 at the jump, whose square is infinite."""
    phi = Activation(lambda x: np.where(x > at, 1.0, 0.0) + x / 2, lambda x: 0.5 + 0.0 * x, (at,), lambda x: 0.0 * x)
    found = moments(phi, scale)
    density = math.exp(-0.5 * (at / scale) ** 2) / (scale * math.sqrt(2 * math.pi))
    above = ndtr(-at / scale)
    assert_close(found.mean, above, MOMENTS, scale=1.0)
    assert_close(found.square, above + scale**2 * density + scale**2 / 4, MOMENTS)
    assert_close(found.slope, 0.5 + density, MOMENTS)
    assert found.slope_square == math.inf
    assert_close(found.curvature, density * at / scale**2, MOMENTS, scale=1.0)
    assert_close(found.square_curvature, density * (1 + at * (1 + at) / scale**2) + 0.5, MOMENTS, scale=1.0)


def test_a_jump_without_derivatives_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="jumps at 0: give its derivative and second_derivative"):
        moments(Activation(np.sign, kinks=(0.0,)), 1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, [1.0, 0.0], "wide", None])
def test_illegal_scales(scale):
    with pytest.raises(ValueError, match="scale must be"):
        moments(activation("relu"), scale)


def gaussian_growth():
    fn = lambda x: np.exp(x**2)  # noqa: E731
    return Activation(fn, lambda x: 2 * x * fn(x), second_derivative=lambda x: (2 + 4 * x**2) * fn(x))


def double_exponential():
    fn = lambda x: np.exp(np.exp(np.abs(x)))  # noqa: E731
    e = lambda x: np.exp(np.abs(x))  # noqa: E731
    return Activation(
        fn, lambda x: np.sign(x) * e(x) * fn(x), (0.0,), second_derivative=lambda x: (e(x) + e(x) ** 2) * fn(x)
    )


@pytest.mark.parametrize("make", [gaussian_growth, double_exponential])
def test_moments_that_do_not_exist_are_refused(make):
    with pytest.raises(ConvergenceError, match="grows too fast there; use a smaller scale"):
        moments(make(), 1.0)


def test_fast_growth_is_fine_while_it_is_captured():
    assert_close(moments(Activation(np.exp), 1.0).square, math.exp(2.0), ROUNDING)


def test_nan_of_the_function_is_named():
    phi = Activation(lambda x: np.where(x > 5.0, np.nan, x), lambda x: 1.0 + 0.0 * x)
    with pytest.raises(ValueError, match="gives NaN at x = "):
        moments(phi, 1.0)


@pytest.mark.parametrize("name", ["relu", "tanh", "silu", "sigmoid", "cos", "three_slope"])
def test_many_scales_agree_with_each_by_itself(name):
    scales = np.geomspace(0.05, 8.0, 300)
    many, single = moments_of_many(activation(name), scales), moments(activation(name), scales)
    sizes = {"mean": scales, "square": scales**2, "curvature": 1 / scales}
    for field in ("mean", "square", "slope", "slope_square", "curvature", "square_curvature"):
        got, want = getattr(many, field), getattr(single, field)
        natural = np.maximum(np.abs(want), sizes.get(field, np.ones_like(scales)))
        assert_close(got, want, TABLE, scale=natural, what=field)


def test_many_scales_of_a_function_that_jumps():
    step = Activation(np.sign, np.zeros_like, (0.0,), second_derivative=np.zeros_like)
    many = moments_of_many(step, np.linspace(0.3, 2.0, 100))
    assert np.isinf(many.slope_square).all()
    assert_close(many.square, np.ones(100), TABLE)
