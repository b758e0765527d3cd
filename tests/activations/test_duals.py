"""Bivariate expectations against quadrature in 80-bit arithmetic (``tests/reference/make_duals.py``)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import ndtr

import notsodeep as nsd
from notsodeep.activations.duals import Dual, polar, polygon, series
from notsodeep.errors import ConvergenceError
from tests.reference import naive_kernels
from tests.tolerances import FLAT_EXPECTATIONS, assert_close

TABLE = json.loads((Path(__file__).parents[1] / "reference" / "duals.json").read_text())["cases"]
NAMES = [case["name"] for case in TABLE]
VALUES = 1e-13
"""What ``Dual`` promises, relative to the Cauchy-Schwarz bound: remainder 1e-14 plus the rounding of the route."""


def custom() -> nsd.Activation:
    """Return the activation of the last reference case: it jumps in slope and in curvature, away from 0."""

    def fn(x):
        xp = torch if isinstance(x, torch.Tensor) else np
        return xp.tanh(x) + xp.abs(x - 0.4) / 2 - 0.3 * (x + 0.9).clip(min=0) ** 2

    def derivative(x):
        xp = torch if isinstance(x, torch.Tensor) else np
        return 1 / xp.cosh(x) ** 2 + xp.sign(x - 0.4) / 2 - 0.6 * (x + 0.9).clip(min=0)

    return nsd.Activation(fn, derivative, kinks=(-0.9, 0.4))


def build(case) -> nsd.Activation:
    return custom() if case["name"] == "custom" else nsd.activation(case["name"], **case["params"])


FEW = 40
"""So few scales are not interpolated; the last ten rows, scales (3, 3), have a test of their own."""


@pytest.fixture(params=TABLE, ids=NAMES)
def case(request):
    return request.param


@pytest.fixture
def rows(case):
    """Return the columns of the reference: s, t, rho, value, slope and the sizes of both."""
    return np.array(case["rows"])[:FEW].T


def dual_of(phi, s, t):
    return Dual(phi, torch.from_numpy(np.ascontiguousarray(s)), torch.from_numpy(np.ascontiguousarray(t)))


def pairs(phi, s, t, rho):
    """Evaluate one by one: row k against column k."""
    k = torch.arange(len(s))
    value, slope = dual_of(phi, s, t)(k, k, torch.from_numpy(np.ascontiguousarray(rho)))
    return value.numpy(), slope.numpy()


def test_single_pairs_are_exact(case, rows):
    s, t, rho, value, slope, size, slope_size = rows
    got = pairs(build(case), s, t, rho)
    assert_close(got[0], value, VALUES, scale=size, what=f"{case['name']}: value")
    assert_close(got[1], slope, VALUES, scale=slope_size, what=f"{case['name']}: slope")


def test_equal_scales_are_exact(case):
    s, t, rho, value, slope, size, slope_size = np.array(case["rows"])[FEW:].T
    got = pairs(build(case), s, t, rho)
    assert_close(got[0], value, VALUES, scale=size, what=f"{case['name']}: value")
    assert_close(got[1], slope, VALUES, scale=slope_size, what=f"{case['name']}: slope")


def test_blocks_are_exact_where_the_mask_says_so(case, rows):
    s, t, rho, value, slope, size, slope_size = rows
    dual, k = dual_of(build(case), s, t), torch.arange(len(s))
    *got, mask = dual.bulk(k, k, torch.from_numpy(np.ascontiguousarray(rho)))
    mask = mask.numpy()
    assert mask[np.abs(rho) <= 0.3].all()
    assert_close(got[0].numpy()[mask], value[mask], VALUES, scale=size[mask], what=f"{case['name']}: value")
    assert_close(got[1].numpy()[mask], slope[mask], VALUES, scale=slope_size[mask], what=f"{case['name']}: slope")


def test_rough_blocks_are_marked_honestly(case, rows):
    s, t, rho, value, slope, size, slope_size = rows
    dual, k = dual_of(build(case), s, t), torch.arange(len(s))
    *got, mask = dual.bulk(k, k, torch.from_numpy(np.ascontiguousarray(rho)), rough=True)
    mask = mask.numpy()
    assert_close(got[0].numpy()[mask], value[mask], VALUES, scale=size[mask])
    assert_close(got[1].numpy()[mask], slope[mask], VALUES, scale=slope_size[mask])


def test_blocks_broadcast_rows_and_columns():
    phi, rng = nsd.activation("tanh"), np.random.default_rng(3)
    s, t = rng.uniform(0.3, 2.0, 6), rng.uniform(0.3, 2.0, 4)
    rho = torch.from_numpy(rng.uniform(-0.5, 0.5, (6, 4)))
    i, j = torch.arange(6)[:, None], torch.arange(4)[None, :]
    value, slope, mask = dual_of(phi, s, t).bulk(i, j, rho)
    single = dual_of(phi, s, t)(i.expand(6, 4).reshape(-1), j.expand(6, 4).reshape(-1), rho.reshape(-1))
    assert mask.all()
    assert_close(value, single[0].reshape(6, 4), VALUES)
    assert_close(slope, single[1].reshape(6, 4), VALUES)


def test_offset_enters_as_a_constant(case, rows):
    s, t, rho, value, slope, size, slope_size = rows
    phi, by = build(case), 0.37
    got = pairs(phi.shifted(by), s, t, rho)
    means = nsd.activations.moments(phi, s).mean, nsd.activations.moments(phi, t).mean
    want = value + by * (means[0] + means[1] + by)
    assert_close(got[0], want, VALUES, scale=size + by**2)
    assert_close(got[1], slope, VALUES, scale=slope_size)


def test_swapping_the_two_samples_changes_nothing(case, rows):
    s, t, rho = rows[:3]
    phi = build(case)
    there, back = pairs(phi, s, t, rho), pairs(phi, t, s, rho)
    assert_close(there[0], back[0], VALUES, scale=rows[5])
    assert_close(there[1], back[1], VALUES, scale=rows[6])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("gap", [1e-15, 1e-13, 1e-10, 1e-8, 1e-4])
def test_owens_t_and_polar_quadrature_agree_up_to_correlation_one(gap, sign):
    phi = nsd.activation("three_slope", left=0.2, middle=1.1, right=-0.3, knot=0.8)
    s, t = np.array([1.0, 0.3, 2.0, 0.8]), np.array([1.0, 0.31, 0.4, 3.0])
    rho = np.full(4, sign * (1.0 - gap))
    closed, numeric = polygon.evaluate(phi.form, s, t, rho), polar.evaluate(phi, s, t, rho)
    size = np.sqrt(nsd.activations.moments(phi, s).square * nsd.activations.moments(phi, t).square)
    assert_close(closed[0], numeric[0], VALUES, scale=size)
    assert_close(closed[1], numeric[1], VALUES)


@pytest.mark.parametrize("middle", [0.0, 0.7])
@pytest.mark.parametrize(("s", "t"), [(0.2, 0.2), (0.2, 0.25), (0.3, 1.0)])
def test_owens_t_keeps_its_digits_where_the_function_is_flat_around_zero(s, t, middle):
    """Expanded around the far left, terms of order 1 would leave G = 1e-9 with seven digits."""
    phi = nsd.activation("three_slope", left=1.0, middle=middle, right=1.3, knot=1.0)
    function = naive_kernels.Function(
        lambda x: np.minimum(x + 1, 0) + middle * np.clip(x, -1, 1) + 1.3 * np.maximum(x - 1, 0),
        lambda x: np.where(x < -1, 1.0, np.where(x > 1, 1.3, middle)),
        (-1.0, 1.0),
    )
    rho = np.array([-1.0, -0.9999, -0.5, 0.3, 0.9, 0.9999, 1.0 - 1e-9, 1.0])
    want = np.array([naive_kernels.dual(function, s, t, r, extent=12) for r in rho]).T
    size = np.sqrt(np.multiply(naive_kernels.square(function, s), naive_kernels.square(function, t)))
    got = polygon.evaluate(phi.form, np.full(8, s), np.full(8, t), rho)
    for k, what in enumerate(("value", "slope")):
        assert_close(got[k], want[k], FLAT_EXPECTATIONS, scale=size[k], what=what)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_of_very_large_scales_are_finite(name):
    """u and v cover many periods: what is left comes from u - v alone."""
    scale, rho = np.array([30.0, 1e3]), np.array([1.0 - 0.5 / 900, 1.0 - 0.5 / 1e6])
    value, slope = pairs(nsd.activation(name), scale, scale, rho)
    want = 0.5 * np.exp(-(scale**2) * (1.0 - rho))
    assert_close(value, want, 1e-9)  # 1 - rho has lost six digits
    assert_close(slope, want, 1e-9)


@pytest.mark.parametrize("gap", [2.0**-53, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3])
def test_slope_of_a_kink_at_zero_keeps_its_digits_near_correlation_one(gap):
    rho, one = np.array([1.0 - gap, gap - 1.0]), np.ones(2)
    lost = 4.0 / math.pi * math.asin(math.sqrt(0.5 * (1.0 - rho[0])))  # of 1, exact in the gap that rho has
    slope = pairs(nsd.activation("abs"), one, one, rho)[1]
    assert_close(slope, [1.0 - lost, lost - 1.0], VALUES, scale=1.0)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.SmoothnessWarning")
def test_a_forgotten_kink_is_an_error_not_a_wrong_number():
    phi = nsd.Activation(lambda x: np.abs(x - 0.3), lambda x: np.sign(x - 0.3), kinks=())
    s, rho = np.array([1.0]), np.array([0.9999])
    with pytest.raises(ConvergenceError, match="declare every kink"):
        polar.evaluate(phi, s, s, rho)


def test_few_hard_pairs_do_not_make_long_series(monkeypatch):
    """One near copy among many samples once cost series of 4096 terms at every scale: 30 s instead of 0.2 s."""
    made = []
    expand = series.Mehler.expand
    monkeypatch.setattr(
        series.Mehler, "expand", lambda self, s, terms: (made.append(terms), expand(self, s, terms))[1]
    )
    rng = np.random.default_rng(0)
    s, i = rng.uniform(0.5, 2.0, 60), torch.arange(3)
    for name in ("hardtanh", "elu"):
        dual_of(nsd.activation(name), s, s)(i, i + 1, torch.tensor([0.5, 0.999, 1.0 - 1e-9], dtype=torch.float64))
    assert max(made) <= 128


def test_value_of_a_function_that_jumps():
    """E[sign(u - k) sign(v - k)] is a bivariate normal probability, which Owen's T knows."""
    knot = 0.3
    step = nsd.Activation(
        lambda x: np.sign(x - knot), lambda x: 0.0 * x, kinks=(knot,), second_derivative=lambda x: 0.0 * x
    )
    s, t, rho = np.array([1.0, 0.7, 2.0]), np.array([1.0, 1.3, 0.4]), np.array([0.9999, -0.99, 1.0 - 1e-6])
    both, _ = polygon._upper_quadrant(knot / s, knot / t, rho)
    want = 4.0 * both - 2.0 * ndtr(-knot / s) - 2.0 * ndtr(-knot / t) + 1.0
    assert_close(polar.evaluate(step, s, t, rho)[0], want, VALUES, scale=1.0)
