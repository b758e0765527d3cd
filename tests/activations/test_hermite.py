"""Hermite polynomials and coefficients against NumPy's, closed forms and plain quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import hermite_e

from notsodeep.activations import activation, moments
from notsodeep.activations.hermite import coefficients, series
from tests.tolerances import MOMENTS, ROUNDING, SERIES, TABLE, assert_close


def test_series_is_that_of_numpy():
    rng = np.random.default_rng(0)
    c, x = rng.normal(size=12), np.linspace(-4.0, 4.0, 33)
    norms = np.sqrt([math.factorial(k) for k in range(12)])
    expected = hermite_e.hermeval(x, c / norms)
    size = hermite_e.hermeval(np.abs(x) + 2.0, np.abs(c) / norms)
    assert_close(series(tuple(c), x), expected, ROUNDING, scale=size)
    assert_close(series(tuple(c), torch.from_numpy(x)), expected, ROUNDING, scale=size)


def test_coefficients_of_a_hermite_series_are_its_own():
    c = (0.3, -0.5, 0.2, 0.1)
    found = coefficients(activation("hermite", coefficients=c, scale=0.8), np.array([0.8]), 8)[0]
    assert_close(found, [*c, 0, 0, 0, 0], MOMENTS, scale=1.0)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_coefficients_of_waves(scale):
    """``E[exp(i s xi) h_k(xi)] = (i s)^k exp(-s^2 / 2) / sqrt(k!)``."""
    k = np.arange(30)
    size = scale**k * math.exp(-0.5 * scale**2) / np.sqrt([float(math.factorial(i)) for i in k])
    even, odd = np.cos(np.pi * k / 2).round() * size, np.sin(np.pi * k / 2).round() * size
    assert_close(coefficients(activation("cos"), np.array([scale]), 30)[0], even, ROUNDING, scale=1.0)
    assert_close(coefficients(activation("sin"), np.array([scale]), 30)[0], odd, ROUNDING, scale=1.0)


def test_coefficients_of_relu():
    """``s / sqrt(2 pi)``, ``s / 2``, then ``(-1)^(k/2 - 1) (k - 3)!! s / sqrt(2 pi k!)`` for even k."""
    expected = [1 / math.sqrt(2 * math.pi), 0.5]
    for k in range(2, 40):
        double = math.prod(range(k - 3, 0, -2))
        sign = (-1.0) ** (k // 2 - 1) if k % 2 == 0 else 0.0
        expected.append(sign * double / math.sqrt(2 * math.pi * math.factorial(k)))
    found = coefficients(activation("relu"), np.array([0.7, 1.4]), 40)
    assert_close(found, np.outer([0.7, 1.4], expected), ROUNDING)


def test_high_degrees_stay_accurate():
    """Degree 400 oscillates at 20 radians a standard deviation: narrower panels keep up."""
    k = 400
    double = math.prod(range(k - 3, 0, -2))
    expected = -math.exp(math.log(double) - 0.5 * (math.log(2 * math.pi) + math.lgamma(k + 1)))
    assert_close(coefficients(activation("relu"), np.array([1.0]), k + 1)[0, k], expected, ROUNDING, scale=1.0)


@pytest.mark.parametrize("name", ["tanh", "relu", "softsign", "silu"])
def test_a_table_of_many_scales_gives_what_each_scale_gives(name):
    phi = activation(name)
    scales = np.linspace(0.5, 2.0, 301)
    table = coefficients(phi, scales, 24)
    for i in (0, 77, 150, 300):
        assert_close(table[i], coefficients(phi, scales[i : i + 1], 24)[0], TABLE, scale=scales[i])


def test_mehler_series_reaches_the_second_moment_of_two_scales():
    """``E[phi(s xi) phi(t xi)]`` at correlation 1, by plain quadrature."""
    phi, scales = activation("tanh"), np.array([0.5, 1.2])
    a = coefficients(phi, scales, 120)
    x, w = hermite_e.hermegauss(150)
    plain = (w / math.sqrt(2 * math.pi)) @ (phi(0.5 * x) * phi(1.2 * x))
    assert_close((a[0] * a[1]).sum(), plain, SERIES)
    assert_close((a[0] ** 2).sum(), moments(phi, 0.5).square, ROUNDING)
