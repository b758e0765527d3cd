"""What every family of layers has to know about itself, by quadrature of layers written a second time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from notsodeep.matching import FAMILIES
from notsodeep.matching.hermite_rule import basis
from notsodeep.matching.shape import TERMS, scaled
from tests.kernels.functions import FUNCTIONS
from tests.matching.layers import drawn, hermite, layer
from tests.reference import naive_equivalent
from tests.reference.naive_kernels import expectation
from tests.tolerances import BLURRED_SQUARES, CENTRAL, LAYER_MOMENTS, ROUNDING, assert_close

SCALES = np.array([0.6, 1.0, 1.4])
MOMENTS = ("mean", "square", "slope", "slope_square", "curvature", "square_curvature")
FIRST = range(1, 7)
each_family = pytest.mark.parametrize("name", FAMILIES)


def cases(name, count=3):
    """Return random layers, and of blurred ones the sharpest."""
    sharpest = [np.array([*drawn(name, 9)[:4], 0.0])] if name == "soft_slopes" else []
    return [*(drawn(name, seed) for seed in range(count)), *sharpest]


def coefficients(f, s, degrees):
    """Return a_k(s) of a naive function."""
    products = [lambda x, k=k: f.phi(x) * hermite(k, x / s) for k in degrees]
    return np.array(expectation(products, f.kinks, f.width, s))


def squared(f, x):
    return f(x) ** 2


def columns(name, theta, scales=SCALES):
    """Return moments and profile as one array each, of parameters (size, ...)."""
    shape = FAMILIES[name].shape
    m = shape.moments(theta)
    profile = shape.profile(theta, np.multiply.outer(scales, np.ones(theta.shape[1:])))
    moments = np.stack(np.broadcast_arrays(*(getattr(m, key) for key in MOMENTS[1:])))
    return moments, np.concatenate([*profile.coefficients, profile.squares, profile.slope_squares])


@each_family
def test_parameters_are_as_many_as_the_shape_says(name):
    shape = FAMILIES[name].shape
    assert shape.size == len(drawn(name, 0))
    assert 1 <= shape.linear <= shape.size
    assert shape.hidden
    assert all(len(theta) == shape.size for theta in shape.hidden)


@each_family
def test_moments_are_those_of_quadrature(name):
    for theta in cases(name):
        found = FAMILIES[name].shape.moments(theta)
        wanted = naive_equivalent.moments(layer(name, theta), 1.0)
        by_name = (0.0, wanted.square, wanted.d1, wanted.d1_square, wanted.d2, wanted.square_d2)
        for key, value in zip(MOMENTS, by_name, strict=True):
            assert_close(getattr(found, key), value, LAYER_MOMENTS, scale=max(1.0, abs(value)), what=key)


@each_family
@pytest.mark.parametrize("s", SCALES)
def test_profiles_are_those_of_quadrature(name, s):
    """Coefficients a_0 ... a_14 at other scales than the one of centring, and both squares."""
    of_squares = BLURRED_SQUARES if name == "soft_slopes" and s > 1.0 else LAYER_MOMENTS
    for theta in cases(name, 2):
        f = layer(name, theta)
        profile = FAMILIES[name].shape.profile(theta, np.array([s]))
        assert_close(profile.coefficients[:, 0], coefficients(f, s, range(TERMS)), LAYER_MOMENTS)
        squares = expectation([partial(squared, f.phi), partial(squared, f.slope)], f.kinks, f.width, s)
        assert_close([profile.squares[0], profile.slope_squares[0]], squares, of_squares)


@pytest.mark.parametrize("name", ["leaky_relu", "three_slope", "soft_slopes", "quadratic"])
def test_the_first_parameters_are_the_moments_that_a_layer_adds_most_with(name):
    """Mean slope, and mean curvature: of a series, the coefficients ``E[s'']/sqrt 2``."""
    for theta in cases(name):
        m = naive_equivalent.moments(layer(name, theta), 1.0)
        factor = 2.0**0.5 if name == "quadratic" else 1.0
        assert_close([m.d1, m.d2], [theta[0], factor * theta[1]], LAYER_MOMENTS)


@each_family
def test_straight_layers_are_linear(name):
    """As far as there are any: the hard tanh that clips least, and the others whatever their knots and blurs."""
    shape = FAMILIES[name].shape
    theta = np.array([*shape.straight, *([3.0] + [0.5] * 4)[: shape.size - shape.linear]])
    m = naive_equivalent.moments(layer(name, theta), 1.0)
    assert len(shape.straight) == shape.linear
    assert_close([m.d1, m.square, m.d2], [1.0, 1.0, 0.0], LAYER_MOMENTS)


@each_family
def test_a_stack_of_parameters_is_taken_at_once(name):
    stack = np.stack(cases(name, 4), axis=1)
    together = columns(name, stack)
    for i in range(stack.shape[1]):
        for all_of_them, alone in zip(together, columns(name, stack[:, i]), strict=True):
            assert_close(all_of_them[..., i], alone, ROUNDING)


@each_family
def test_complex_steps_are_derivatives(name):
    """Against central differences of the real functions."""
    theta = drawn(name, 7)
    for j in range(theta.size):
        unit = np.eye(theta.size)[j]
        complex_steps = columns(name, theta + 1e-30j * unit)
        plus, minus = (columns(name, theta + sign * 1e-5 * unit) for sign in (1, -1))
        for exact, up, down in zip(complex_steps, plus, minus, strict=True):
            assert_close(exact.imag / 1e-30, (up - down) / 2e-5, CENTRAL, scale=max(1.0, np.abs(up).max()))


@each_family
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_activation_is_the_layer_stretched(name, scale):
    """Up to the signs of argument and value, which no kernel sees."""
    for theta in cases(name, 4):
        found, wanted = FAMILIES[name].shape.activation(theta, scale), layer(name, theta, scale)
        x = scale * np.linspace(-4.0, 4.0, 41)
        misses = [np.abs(a * found(b * x) - wanted.phi(x)).max() for a in (1, -1) for b in (1, -1)]
        assert min(misses) <= LAYER_MOMENTS * np.abs(wanted.phi(x)).max(), misses


@each_family
def test_scaled_parameters_scale_the_layer(name):
    shape, theta = FAMILIES[name].shape, drawn(name, 3)
    once, thrice = shape.moments(theta), shape.moments(scaled(shape, theta, 3.0))
    assert_close([thrice.slope, thrice.square], [3.0 * once.slope, 9.0 * once.square], ROUNDING)


@each_family
def test_the_layers_that_searches_start_from_are_nearly_linear_or_bent_ones(name):
    """None is zero: a hidden layer is divided by its root mean square."""
    shape = FAMILIES[name].shape
    assert all(shape.moments(np.array(theta)).square > 0.1 for theta in shape.hidden)


@each_family
def test_fits_are_about_as_close_as_any_layer_of_a_scan(name):
    """Of a ReLU and of an odd function: first coefficients; slopes by linear least squares at many knots and blurs."""
    for f in (FUNCTIONS["relu"], FUNCTIONS["tanh"]):
        wanted = coefficients(f, 1.0, FIRST)
        fits = FAMILIES[name].shape.fits(wanted)
        assert 1 <= len(fits) <= 2
        misses = [np.linalg.norm(coefficients(layer(name, theta), 1.0, FIRST) - wanted) for theta in fits]
        assert min(misses) <= 1.05 * scanned(name, wanted) + 1e-3 * np.linalg.norm(wanted), misses


def scanned(name, wanted):
    """Return the least miss over a scan of the parameters that enter nonlinearly."""
    shape = FAMILIES[name].shape
    ranges = {"three_slope": (0.05, 1.6), "hard_tanh": (0.3, 3.0), "soft_slopes": (0.05, 1.6)}
    free = [np.linspace(*ranges.get(name, (0.0, 0.0)), 12)] + [np.linspace(0.0, 1.5, 5)] * (name == "soft_slopes")
    grid = np.stack(np.meshgrid(*free), axis=-1).reshape(-1, len(free))[:, : shape.size - shape.linear]
    units = np.eye(shape.linear)
    best = np.inf
    for rest in np.unique(grid, axis=0) if grid.size else [np.zeros(0)]:
        columns = np.stack([coefficients(layer(name, [*unit, *rest]), 1.0, FIRST) for unit in units], axis=1)
        best = min(best, np.linalg.norm(columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0] - wanted))
    return best


def test_hermite_polynomials_are_orthonormal():
    x = np.linspace(-3.0, 3.0, 7)
    assert_close(basis(x, 9), np.stack([hermite(k, x) for k in range(9)]), ROUNDING)
    assert [len(basis(x, count)) for count in (1, 2, 3)] == [1, 2, 3]
