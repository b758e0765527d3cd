"""Bivariate expectations against quadrature in 80-bit arithmetic (``tests/reference/make_duals.py``)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import ndtr

import notsodeep as nsd
from notsodeep.activations.duals import Dual, polar, polygon, series, surface
from notsodeep.errors import ConvergenceError
from tests.reference import graded_dual, naive_kernels
from tests.reference.dual_functions import CASES
from tests.tolerances import EXPECTATIONS, FLAT_EXPECTATIONS, INTERPOLATED, assert_close

FIXTURE = json.loads((Path(__file__).parents[1] / "reference" / "duals.json").read_text())
RHO = np.array(FIXTURE["correlations"])
ALMOST = np.abs(RHO) > 0.9999
SOME = 4
"""Blocks of two scales each that the slower tests look at."""


def sum_of_kinks():
    """Jumps in slope at 0.4, in curvature at -0.9; both kinds of array, its derivative given."""

    def fn(x):
        xp = torch if isinstance(x, torch.Tensor) else np
        return xp.tanh(x) + xp.abs(x - 0.4) / 2 - 0.3 * (x + 0.9).clip(min=0) ** 2

    def derivative(x):
        xp = torch if isinstance(x, torch.Tensor) else np
        return 1 / xp.cosh(x) ** 2 + xp.sign(x - 0.4) / 2 - 0.6 * (x + 0.9).clip(min=0)

    return nsd.Activation(fn, derivative, kinks=(-0.9, 0.4))


def bend(x):
    """Return slopes 0.4 and 1.5, curvatures 0.4 and -1.5 at 0.6; torch only, autograd differentiates."""
    y = x - 0.6
    return torch.where(y > 0, 1.5 * torch.log1p(y.clamp(min=0)), 0.4 * torch.expm1(y.clamp(max=0)))


USERS = {
    "custom": sum_of_kinks,
    "custom_arc": lambda: nsd.Activation(lambda x: np.arctan(np.asarray(x)) - 0.3 * np.abs(np.asarray(x)), kinks=(0,)),
    "custom_bend": lambda: nsd.Activation(bend, kinks=(0.6,)),
    "custom_cube": lambda: nsd.Activation(lambda x: abs(x) ** 3, lambda x: 3 * x * abs(x), kinks=(0.0,)),
}


@dataclass(frozen=True)
class Case:
    """One function of the reference: blocks of two scales, ``(blocks,)``, at several correlations, the columns."""

    phi: nsd.Activation
    s: np.ndarray
    t: np.ndarray
    rho: np.ndarray
    want: tuple
    size: tuple
    bounds: tuple = (EXPECTATIONS, EXPECTATIONS)

    @classmethod
    def of(cls, entry, blocks=None):
        name, parts = entry["name"], entry["blocks"][:blocks]
        phi = USERS[name]() if name in USERS else nsd.activation(name, **entry["params"])
        s, t, *size = (np.array([part[k] for part in parts]) for k in range(4))
        want = np.moveaxis(np.array([part[4] for part in parts]), -1, 0)
        shape = want.shape[1:]
        size = [np.broadcast_to(x[:, None], shape) for x in size]
        bounds = (EXPECTATIONS, INTERPOLATED if name == "custom_arc" else EXPECTATIONS)
        return cls(phi, s, t, np.tile(RHO, (shape[0], 1)), tuple(want), tuple(size), bounds)

    def check(self, got, where=...):
        for k, what in enumerate(("value", "slope")):
            here = got[k][where]
            assert_close(here, self.want[k][where], self.bounds[k], scale=self.size[k][where], what=what)


@pytest.fixture(params=FIXTURE["cases"], ids=lambda entry: entry["name"])
def entry(request):
    return request.param


@pytest.fixture
def case(entry):
    """Return the first blocks."""
    return Case.of(entry, SOME)


def dual_of(phi, s, t):
    return Dual(phi, torch.from_numpy(np.array(s)), torch.from_numpy(np.array(t)))


def pairs(phi, s, t, rho, others=()):
    """Evaluate row k against column k for each correlation of row k of ``rho``; nothing is asked of ``others``."""
    dual = dual_of(phi, np.append(s, others), np.append(t, others))
    k = torch.arange(len(s)).repeat_interleave(rho.shape[1])
    return [x.reshape(rho.shape).numpy() for x in dual(k, k, torch.from_numpy(rho.reshape(-1)))]


def test_every_registered_activation_is_in_the_reference():
    assert {entry["name"] for entry in FIXTURE["cases"]} == {*nsd.activations.names(), *USERS}


def test_value_and_slope_are_exact_up_to_correlation_one(entry):
    """The slope of a kink moves as sqrt(1 - rho^2), but rho is a double here and there: no digit is lost."""
    case = Case.of(entry)
    got = pairs(case.phi, case.s, case.t, case.rho)
    case.check(got, np.s_[:, ~ALMOST])
    case.check(got, np.s_[:, ALMOST])


def test_value_and_slope_are_exact_among_many_scales(case):
    """Coefficients then come from tables over the whole range."""
    series_reach = np.s_[:, 5:10]
    got = pairs(case.phi, case.s, case.t, case.rho[series_reach], others=np.geomspace(0.05, 10.0, 150))
    for k, what in enumerate(("value", "slope")):
        want, size = case.want[k][series_reach], case.size[k][series_reach]
        assert_close(got[k], want, case.bounds[k], scale=size, what=what)


@pytest.mark.parametrize("name", CASES)
def test_value_and_slope_of_pairs_drawn_at_random(name):
    """Scales in [0.05, 10], correlations of both signs that come as near to 1 as 1e-12."""
    (entry,) = (entry for entry in FIXTURE["cases"] if entry["name"] == name)
    case, function, rng = Case.of(entry, 1), CASES[name][1], np.random.default_rng(len(name))
    wave = name in ("sin", "cos")  # takes panels of one width, many at a large scale
    s, t = np.exp(rng.uniform(np.log(0.05), np.log(2.0 if wave else 10.0), (2, 2)))
    rho = np.array([[-1.0], [1.0]]) * (1.0 - 10.0 ** -rng.uniform(0.0, 12.0, (2, 1)))
    rule = {"order": 15, "extent": 10, "graded": not wave}
    got = pairs(case.phi, s, t, rho)
    for i in range(2):
        want = graded_dual.dual(function, s[i], t[i], rho[i, 0], **rule)
        own = (graded_dual.dual(function, x, x, 1.0, **rule) for x in (s[i], t[i]))
        size = np.sqrt(np.prod(np.array(list(own)), axis=0))
        for k, what in enumerate(("value", "slope")):
            assert_close(got[k][i, 0], float(want[k]), case.bounds[k], scale=float(size[k]), what=what)


@pytest.mark.parametrize("rough", [False, True])
def test_blocks_are_exact_where_the_mask_says_so(case, rough):
    dual, k = dual_of(case.phi, case.s, case.t), torch.arange(SOME)[:, None]
    *got, mask = (x.numpy() for x in dual.bulk(k, k, torch.from_numpy(case.rho), rough=rough))
    assert rough or mask[np.abs(case.rho) <= 0.3].all()
    case.check(got, mask)


def test_blocks_broadcast_rows_and_columns():
    phi, rng = nsd.activation("tanh"), np.random.default_rng(3)
    s, t = rng.uniform(0.3, 2.0, 6), rng.uniform(0.3, 2.0, 4)
    rho = torch.from_numpy(rng.uniform(-0.5, 0.5, (6, 4)))
    i, j = torch.arange(6)[:, None], torch.arange(4)[None, :]
    value, slope, mask = dual_of(phi, s, t).bulk(i, j, rho)
    single = dual_of(phi, s, t)(i.expand(6, 4).reshape(-1), j.expand(6, 4).reshape(-1), rho.reshape(-1))
    assert mask.all()
    assert_close(value, single[0].reshape(6, 4), EXPECTATIONS)
    assert_close(slope, single[1].reshape(6, 4), EXPECTATIONS)


def test_offset_enters_as_a_constant(case):
    by = 0.37
    shifted = case.phi.shifted(by)
    got = pairs(shifted, case.s, case.t, case.rho)
    means = nsd.activations.moments(case.phi, case.s).mean + nsd.activations.moments(case.phi, case.t).mean
    want = case.want[0] + by * (means[:, None] + by)
    squares = nsd.activations.moments(shifted, case.s).square * nsd.activations.moments(shifted, case.t).square
    assert_close(got[0], want, EXPECTATIONS, scale=np.sqrt(squares)[:, None])
    case.check((case.want[0], got[1]))


def test_swapping_the_two_samples_changes_nothing(case):
    s, t, rho = case.s[2:3], case.t[2:3], case.rho[2:3]
    there, back = pairs(case.phi, s, t, rho), pairs(case.phi, t, s, rho)
    for k in (0, 1):
        assert_close(there[k], back[k], case.bounds[k], scale=case.size[k][2:3])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["elu", "gelu", "custom_cube"])
def test_thousands_of_similar_pairs_are_interpolated(name, sign):
    """Between others of their octaves and angles, the pairs of the reference keep their digits."""
    (entry,) = (entry for entry in FIXTURE["cases"] if entry["name"] == name)
    case, rng = Case.of(entry), np.random.default_rng(11)
    scales = np.stack([case.s, case.t])
    asked = np.argwhere((np.abs(np.log2(scales)).max(axis=0) < 0.5)[:, None] & (sign * RHO > 0.95))
    block, column = asked.T
    s, t = 2.0 ** rng.uniform(-0.5, 0.5, (2, 6000))
    rho = sign * np.cos(rng.uniform(0.0, 0.39, 6000))
    s, t, rho = (np.append(x, y) for x, y in ((s, case.s[block]), (t, case.t[block]), (rho, RHO[column])))
    polar._table.cache_clear()
    got = [x[6000:] for x in polar.evaluate(case.phi, s, t, rho)]
    assert polar._table.cache_info().currsize > 0
    for k, what in enumerate(("value", "slope")):
        size = case.size[k][block, column]
        assert_close(got[k], case.want[k][block, column], EXPECTATIONS, scale=size, what=what)


@pytest.mark.parametrize("name", ["custom", "custom_bend"])
def test_functions_with_kinks_away_from_zero_have_no_table(name, monkeypatch):
    """They are singular where both scales and both samples agree."""
    monkeypatch.setattr(polar, "_by_quadrature", lambda phi, s, *_: np.zeros((2, s.size)))
    made, one = polar._table.cache_info().currsize, np.ones(20_000)
    polar.evaluate(USERS[name](), one, one, 0.99 * one)
    assert polar._table.cache_info().currsize == made


@pytest.mark.parametrize(("rate", "angles"), [(30.0, (16,)), (400.0, surface.ANGLES)])
def test_a_table_that_does_not_converge_is_none(rate, angles):
    box = surface.Box(0, 0, 0, 1)
    assert surface.table(lambda s, t, theta: np.stack([np.cos(rate * theta), s * t * 0.1]), box, angles) is None


@pytest.mark.parametrize("box", [surface.Box(0, 0, 0, 1), surface.Box(-2, 3, 5, -1)])
def test_tables_interpolate_analytic_functions(box):
    def f(s, t, theta):
        both = np.log(s) + np.log(np.abs(t))
        return np.stack([np.sin(both + theta), np.sign(t) * np.exp(-theta) / (3.0 + np.cos(both))])

    rng = np.random.default_rng(2)
    x, y, theta = (rng.uniform(low, high, 5000) for low, high in box.ends)
    s, t = 2.0**x, box.sign * 2.0**y
    found = surface.table(f, box, surface.ANGLES)
    assert_close(surface.interpolate(found, box, s, t, theta), f(s, t, theta), EXPECTATIONS, scale=1.0)
    assert {b for b, _ in surface.boxes(s, t, theta)} == {box}


def test_boxes_share_all_pairs_out():
    rng = np.random.default_rng(5)
    s, t = np.sort(np.exp(rng.uniform(-3.0, 2.3, (2, 3000))), axis=0)
    t, theta = t * rng.choice([-1.0, 1.0], 3000), rng.uniform(0.0, 0.5 * np.pi, 3000)
    places = []
    for box, part in surface.boxes(s, t, theta):
        for (low, high), x in zip(box.ends, (np.log2(s[part]), np.log2(np.abs(t[part])), theta[part]), strict=True):
            assert low <= x.min() <= x.max() <= high
        assert (np.sign(t[part]) == box.sign).all()
        places.append(part)
    assert_close(np.sort(np.concatenate(places)), np.arange(3000), 0.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("gap", [1e-15, 1e-13, 1e-10, 1e-8, 1e-4])
def test_owens_t_and_polar_quadrature_agree_up_to_correlation_one(gap, sign):
    phi = nsd.activation("three_slope", left=0.2, middle=1.1, right=-0.3, knot=0.8)
    s, t = np.array([1.0, 0.3, 2.0, 0.8]), np.array([1.0, 0.31, 0.4, 3.0])
    rho = np.full(4, sign * (1.0 - gap))
    closed, numeric = polygon.evaluate(phi.form, s, t, rho), polar.evaluate(phi, s, t, rho)
    size = np.sqrt(nsd.activations.moments(phi, s).square * nsd.activations.moments(phi, t).square)
    assert_close(closed[0], numeric[0], EXPECTATIONS, scale=size)
    assert_close(closed[1], numeric[1], EXPECTATIONS)


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
    value, slope = pairs(nsd.activation(name), scale, scale, rho[:, None])
    want = 0.5 * np.exp(-(scale**2) * (1.0 - rho))[:, None]
    assert_close(value, want, 1e-9)  # 1 - rho has lost six digits
    assert_close(slope, want, 1e-9)


@pytest.mark.parametrize("gap", [2.0**-53, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3])
def test_slope_of_a_kink_at_zero_keeps_its_digits_near_correlation_one(gap):
    rho, one = np.array([1.0 - gap, gap - 1.0]), np.ones(2)
    lost = 4.0 / math.pi * math.asin(math.sqrt(0.5 * (1.0 - rho[0])))  # of 1, exact in the gap that rho has
    slope = pairs(nsd.activation("abs"), one, one, rho[:, None])[1]
    assert_close(slope, [[1.0 - lost], [lost - 1.0]], EXPECTATIONS, scale=1.0)


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
    monkeypatch.setattr(series.Mehler, "expand", lambda self, s, terms: (made.append(terms), expand(self, s, terms))[1])
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
    assert_close(polar.evaluate(step, s, t, rho)[0], want, EXPECTATIONS, scale=1.0)
