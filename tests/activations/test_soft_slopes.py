"""Three slopes blurred by a Gaussian: at scale s they are the polygon at scale ``t = sqrt(s^2 + width^2)``."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr

import notsodeep as nsd
from notsodeep.activations import moments
from notsodeep.activations.duals import Dual
from notsodeep.activations.hermite import coefficients
from notsodeep.activations.lipschitz import lipschitz
from tests.kernels.functions import blurred
from tests.reference import naive_kernels
from tests.tolerances import (
    EXACT,
    EXPECTATIONS,
    EXPECTATIONS_OF_NARROW_BENDS,
    MOMENTS,
    MOVED_BENDS,
    ROUNDING,
    SINGLE,
    assert_close,
)

SLOPES = {
    "lopsided": {"left": 0.2, "middle": 1.1, "right": -0.3, "knot": 0.8},
    "hard tanh": {"left": 0.0, "middle": 1.0, "right": 0.0, "knot": 1.0},
    "one knot": {"left": -0.5, "middle": 7.0, "right": 1.5, "knot": 0.0},
}
COUNT = 12


@pytest.fixture(params=SLOPES)
def slopes(request):
    return SLOPES[request.param]


def soft(slopes, width):
    return nsd.activation("soft_slopes", **slopes, width=width)


def bends(slopes):
    """Return the places of the knots, what the slope rises by there, and the straight line on their left."""
    low, high, k = slopes["middle"] - slopes["left"], slopes["right"] - slopes["middle"], slopes["knot"]
    return ((-k, low), (k, high)), (-low * k, slopes["left"])


def polygon(slopes, x):
    knots, (start, slope) = bends(slopes)
    return start + slope * x + sum(rise * np.maximum(x - k, 0.0) for k, rise in knots)


def bell(x):
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def polygon_coefficients(slopes, t):
    """Return the Hermite coefficients of the polygon at scale t: ``t p(k/t) h_(j-2)(k/t) / sqrt(j (j-1))`` a bend."""
    knots, (start, slope) = bends(slopes)
    out = np.zeros(COUNT)
    out[:2] = start, t * slope
    for k, rise in knots:
        x = k / t
        h = [1.0, x]
        for j in range(1, COUNT):
            h.append((x * h[j] - math.sqrt(j) * h[j - 1]) / math.sqrt(j + 1))
        out[0] += rise * t * (bell(x) - x * ndtr(-x))
        out[1] += rise * t * ndtr(-x)
        out[2:] += [rise * t * bell(x) * h[j - 2] / math.sqrt(j * (j - 1)) for j in range(2, COUNT)]
    return out


@pytest.mark.parametrize("width", [1e-8, 1e-6, 1e-3, 0.01, 0.3, 2.0])
@pytest.mark.parametrize("scale", [0.05, 1.0, 10.0])
def test_moments_and_hermite_coefficients_are_those_of_the_polygon(slopes, width, scale):
    """Where the knots are far out of the range of the Gaussian (width 0.01 at scale 0.05) as well."""
    phi, t = soft(slopes, width), math.hypot(scale, width)
    a = polygon_coefficients(slopes, t)
    found = moments(phi, scale)
    assert_close(
        coefficients(phi, np.array([scale]), COUNT)[0],
        a * (scale / t) ** np.arange(COUNT),
        MOMENTS,
        scale=math.sqrt(found.square),
    )
    assert_close(found.mean, a[0], MOMENTS, scale=math.sqrt(found.square))
    assert_close(found.slope, a[1] / t, MOMENTS, scale=math.sqrt(found.slope_square))
    masses = sum(abs(rise) * bell(k / t) / t for k, rise in bends(slopes)[0])
    bound = MOMENTS + MOVED_BENDS * slopes["knot"] / width
    assert_close(found.curvature, math.sqrt(2.0) * a[2] / t**2, bound, scale=masses + 1e-30)


@pytest.mark.parametrize("width", [1e-3, 0.3])
@pytest.mark.parametrize(("s", "t"), [(1.0, 1.0), (0.3, 2.0)])
def test_expectations_of_pairs_are_those_of_the_polygon(slopes, width, s, t):
    """The blurs are independent, so they lengthen both vectors and leave their product as it is."""
    phi = soft(slopes, width)
    hard = nsd.activation("three_slope", **(slopes | {"knot": max(slopes["knot"], 1e-300)}))
    rho = torch.tensor([-1.0, -0.99, -0.5, 0.0, 0.3, 0.8, 0.99, 1.0], dtype=torch.float64)
    first, second = math.hypot(s, width), math.hypot(t, width)
    got = pairs(phi, s, t, rho)
    want = pairs(hard, first, second, rho * (s / first) * (t / second))
    bound = EXPECTATIONS if width > 0.1 else EXPECTATIONS_OF_NARROW_BENDS
    size = [moments(hard, x) for x in (first, second)]
    assert_close(got[0], want[0], bound, scale=math.sqrt(size[0].square * size[1].square))
    assert_close(got[1], want[1], bound, scale=math.sqrt(size[0].slope_square * size[1].slope_square))


@pytest.mark.parametrize(("s", "t", "width"), [(1.0, 1.0, 0.5), (0.3, 1.0, 0.3)])
def test_expectations_of_pairs_are_those_by_quadrature(slopes, s, t, width):
    function = blurred(**slopes, width=width)
    rho = torch.tensor([-1.0, -0.3, 0.9999, 1.0], dtype=torch.float64)
    want = np.array([naive_kernels.dual(function, s, t, r) for r in rho.tolist()]).T
    size = np.sqrt(np.multiply(naive_kernels.square(function, s), naive_kernels.square(function, t)))
    for by in (0.0, 0.4):
        got = pairs(soft(slopes, width).shifted(by), s, t, rho)
        moved = by * (by + sum(naive_kernels.expectation((function.phi,), (), function.width, x)[0] for x in (s, t)))
        assert_close(got[0], want[0] + moved, EXPECTATIONS, scale=size[0])
        assert_close(got[1], want[1], EXPECTATIONS, scale=size[1])


def pairs(phi, s, t, rho):
    here = torch.zeros(rho.numel(), dtype=torch.int64)
    return Dual(phi, torch.tensor([s], dtype=torch.float64), torch.tensor([t], dtype=torch.float64))(here, here, rho)


def test_a_narrow_blur_changes_nothing_away_from_the_knots(slopes):
    x = np.concatenate([-np.geomspace(1e-3, 1e6, 40), np.geomspace(1e-3, 1e6, 40)])
    x = x[np.abs(np.abs(x) - slopes["knot"]) > 1e-4]
    want = polygon(slopes, x)
    assert_close(soft(slopes, 1e-6)(x), want, 8 * EXACT, scale=np.abs(want) + abs(slopes["knot"]))


def test_nothing_cancels_far_out():
    """Hard tanh as a difference of ramps would be off by the rounding of x: 1e-4 at 1e3 in single precision."""
    x = torch.tensor([-3e38, -1e30, -1e6, -1e3, 1e3, 1e6, 1e30, 3e38], dtype=torch.float32)
    for width in (1e-3, 0.5):
        phi = soft(SLOPES["hard tanh"], width)
        assert_close(phi(x), torch.sign(x), 0.0)
        assert_close(phi(x.double()), torch.sign(x), 0.0)
        assert_close(phi.derivative(x), 0.0 * x, 0.0)


def test_single_precision(slopes):
    phi, x = soft(slopes, 0.3), torch.linspace(-4.0, 4.0, 801, dtype=torch.float64).float()
    got = phi(x)
    assert got.dtype == torch.float32
    assert_close(got, phi(x.double()), SINGLE, scale=1.0)


def test_autograd_sees_no_kink(slopes):
    """At 0, where the formula changes sides, and at the knots; the third derivative by differences of the second."""
    phi = soft(slopes, 0.4)
    x = torch.tensor([0.0, slopes["knot"], -slopes["knot"], 0.3], dtype=torch.float64, requires_grad=True)
    at, step = x.detach().numpy(), 1e-4
    orders = [phi(x)]
    for _ in range(3):
        orders.append(torch.autograd.grad(orders[-1].sum(), x, create_graph=True)[0])
    third = (phi.second_derivative(at + step) - phi.second_derivative(at - step)) / (2.0 * step)
    assert_close(orders[1], phi.derivative(at), 4 * EXACT, scale=2.0)
    assert_close(orders[2], phi.second_derivative(at), ROUNDING, scale=2.0)
    assert_close(orders[3], third, 10.0 * step**2 / 0.4**2, scale=np.abs(third).max() + 1.0)


def test_equal_outer_slopes_make_it_odd():
    phi, x = soft(SLOPES["hard tanh"], 0.7), np.linspace(0.0, 5.0, 101)
    assert_close(phi(-x), -phi(x), EXACT)
    assert phi(0.0) == 0.0


@pytest.mark.parametrize(("width", "want"), [(0.3, 1.3), (0.001, 1.3)])
def test_steepest_slope(width, want):
    slopes = {"left": -1.3, "middle": 0.4, "right": 1.1, "knot": 0.7}
    assert_close(lipschitz(soft(slopes, width)), want, EXACT)


def test_a_wide_blur_hides_a_steep_middle():
    """The slope at 0 is ``erf(knot / (sqrt(2) width))`` of the middle one."""
    slopes = {"left": 0.0, "middle": 3.0, "right": 0.0, "knot": 0.5}
    assert_close(lipschitz(soft(slopes, 0.5)), 3.0 * math.erf(1.0 / math.sqrt(2.0)), ROUNDING)
