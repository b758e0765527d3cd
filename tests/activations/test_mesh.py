"""Panels of the quadrature: they resolve the function, hold its kinks, and give up aloud."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from notsodeep.activations.mesh import MOST, mesh, panel_series
from notsodeep.errors import SmoothnessWarning
from tests.tolerances import ROUNDING, assert_close


def interpolation_error(fn, ends):
    """Largest error of the panels' polynomials at points that they were not made from."""
    left, right = ends[:-1], ends[1:]
    series, _, _ = panel_series(fn, left, right)
    worst = 0.0
    for t in np.linspace(-0.99, 0.99, 7):
        x = 0.5 * (left + right) + 0.5 * (right - left) * t
        worst = max(worst, float(np.abs(np.polynomial.legendre.legval(t, series.T) - fn(x)).max()))
    return worst


@pytest.mark.parametrize("fn", [np.tanh, np.cos, lambda x: 1 / (1 + x**2), lambda x: np.exp(-((x - 3) ** 2) * 40)])
def test_panels_resolve_smooth_functions(fn):
    assert_close(interpolation_error(fn, mesh(fn, (), 16.0)), 0.0, 10 * ROUNDING, scale=1.0)


@pytest.mark.parametrize("at", [*np.linspace(0.3, 0.45, 40), 7.995])
def test_narrow_bends_are_found_wherever_they_lie(at):
    """Also between the end of a panel and the node next to it."""
    ends = mesh(lambda x: x + np.logaddexp(0.0, (x - at) * 1e5) / 1e5, (), 8.0)
    assert np.diff(ends)[np.searchsorted(ends, at) - 1] < 1e-3


def test_panels_end_at_the_kinks_inside():
    ends = mesh(np.abs, (0.0, 99.0), 8.0)
    assert ends.tolist() == [-8.0, 0.0, 8.0]


@pytest.mark.parametrize("kink", [0.0, 0.3, -2.0, 7.9, 7.999])
@pytest.mark.parametrize("power", [0, 1])
def test_undeclared_kink_warns_with_its_place(kink, power):
    def rough(x):
        return np.tanh(x) + np.where(x > kink, (x - kink) ** power, 0.0)

    with pytest.warns(SmoothnessWarning, match="declare it") as caught:
        mesh(rough, (), 8.0)
    named = float(str(caught[0].message).split("x = ")[1].split(";")[0])
    assert abs(named - kink) < 1e-3


def test_fast_waves_far_out_need_no_more_panels_than_near():
    """At x = 400 the rounding of 2 x alone moves sin(2 x) by 1e-13: no panel is narrow enough to get below that."""

    def wave(x):
        return np.sin(2.0 * x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near, far = mesh(wave, (), 8.0), mesh(wave, (), 512.0)
    assert far.size <= 64 * near.size * 1.1


def test_noise_gives_up_with_a_warning():
    def single_precision(x):
        return np.sin(np.asarray(x, dtype=np.float32)).astype(np.float64)

    with pytest.warns(SmoothnessWarning):
        ends = mesh(single_precision, (), 8.0)
    assert ends.size <= 4 * MOST
