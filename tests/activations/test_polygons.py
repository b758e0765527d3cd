"""Piecewise-linear functions against numpy.interp, for any slopes and knots, and free of cancellation near 0."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from notsodeep.activations import activation
from notsodeep.activations.forms import PiecewiseLinear
from notsodeep.activations.polygons import slope, value
from tests.tolerances import EXACT, ROUNDING, assert_close

NUMBERS = st.floats(-4.0, 4.0, allow_subnormal=False).map(lambda v: round(v, 3))


@st.composite
def forms(draw):
    knots = tuple(sorted(draw(st.lists(NUMBERS, max_size=4, unique=True))))
    slopes = draw(st.lists(NUMBERS, min_size=len(knots) + 1, max_size=len(knots) + 1))
    return PiecewiseLinear(knots, tuple(slopes))


def by_interpolation(form, x):
    """Integrate the slopes from the left, interpolate, and lower the whole so that it is 0 at 0."""
    ends = np.array([-8.0, *form.knots, 8.0])
    heights = np.concatenate([[0.0], np.cumsum(np.diff(ends) * form.slopes)])
    return np.interp(x, ends, heights) - np.interp(0.0, ends, heights)


@given(forms())
def test_values_are_the_integral_of_the_slopes(form):
    x = np.linspace(-7.9, 7.9, 101)
    expected = by_interpolation(form, x)
    assert_close(value(form, x), expected, ROUNDING, scale=100.0)
    assert_close(value(form, torch.from_numpy(x)), value(form, x), EXACT, scale=100.0)


@given(forms())
def test_slopes_are_those_of_the_pieces(form):
    ends = np.array([-8.0, *form.knots, 8.0])
    middles = 0.5 * (ends[1:] + ends[:-1])
    assert slope(form, middles).tolist() == list(form.slopes)
    assert slope(form, torch.from_numpy(middles)).tolist() == list(form.slopes)


def test_small_arguments_keep_their_digits():
    x = np.array([-1e-3, -1e-9, 0.0, 1e-12, 1e-3])
    for phi in (
        activation("hardtanh", scale=1.5, clip=0.7),
        activation("three_slope", left=0.2, middle=1.5, right=-0.3, knot=0.8),
    ):
        assert phi(x).tolist() == (1.5 * x).tolist()
