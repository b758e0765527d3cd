"""Piecewise-linear functions with knots away from 0: bivariate normal probabilities by Owen's T."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.special import ndtr, owens_t

from notsodeep.activations.forms import PiecewiseLinear
from notsodeep.activations.gaussian import density
from notsodeep.checks import FloatArray


def evaluate(
    form: PiecewiseLinear, s: FloatArray, t: FloatArray, rho: FloatArray, offset: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Return ``E[phi(u) phi(v)]`` and ``E[phi'(u) phi'(v)]`` for 1-D arrays, knots all nonzero.

    With ``phi(x) = c + m x + sum_k d_k (x - k)_+`` everything reduces to ``P(u > k, v > l)`` and
    ``E[(u - k)_+ (v - l)_+]`` (Rosenbaum 1961).
    """
    first = form.slopes[0]
    bends = [(k, after - before) for k, before, after in zip(form.knots, form.slopes, form.slopes[1:], strict=False)]
    constant = offset + sum(d * k for k, d in bends if k < 0)
    value = constant**2 + first**2 * s * t * rho
    slope = np.full_like(rho, first**2)
    for k, d in bends:
        for scale in (s, t):
            h = k / scale
            beyond = ndtr(-h)
            value += constant * d * scale * (density(h) - h * beyond) + first * d * s * t * rho * beyond
            slope += first * d * beyond
    for (k, d), (other, e) in product(bends, bends):
        both, product_moment = _upper_quadrant(k / s, other / t, rho)
        value += d * e * s * t * product_moment
        slope += d * e * both
    return value, slope


def _upper_quadrant(a: FloatArray, b: FloatArray, rho: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``P(x > a, y > b)`` and ``E[(x - a)_+ (y - b)_+]`` for standard normal x, y of correlation rho."""
    width = np.sqrt((1.0 - rho) * (1.0 + rho))
    flat = width < 1e-300
    width = np.where(flat, 1.0, width)
    # b - rho a and a - rho b, from the differences, which are exact when a and b are close.
    sign = np.where(rho < 0, -1.0, 1.0)
    left = (b - sign * a) + sign * a * (1.0 - np.abs(rho))
    right = (a - sign * b) + sign * b * (1.0 - np.abs(rho))
    both = 0.5 * (ndtr(-a) + ndtr(-b)) - owens_t(-a, left / (a * width)) - owens_t(-b, right / (b * width))
    both -= np.where(a * b > 0, 0.0, 0.5)
    spread = (left / width) ** 2 + a**2
    moment = (rho + a * b) * both - a * density(b) * ndtr(-right / width) - b * density(a) * ndtr(-left / width)
    moment += width / (2.0 * np.pi) * np.exp(-0.5 * spread)
    return np.where(flat, _collinear_probability(a, b, rho), both), np.where(flat, _collinear_moment(a, b, rho), moment)


def _collinear_probability(a: FloatArray, b: FloatArray, rho: FloatArray) -> FloatArray:
    return np.where(rho > 0, ndtr(-np.maximum(a, b)), np.maximum(ndtr(-b) - ndtr(a), 0.0))


def _collinear_moment(a: FloatArray, b: FloatArray, rho: FloatArray) -> FloatArray:
    """``E[(x - a)_+ (x - b)_+]`` for rho = 1, ``E[(x - a)_+ (-x - b)_+]`` for rho = -1."""
    low, high = np.maximum(a, b), np.maximum(a, -b)
    same = (1.0 + a * b) * ndtr(-low) + (low - a - b) * density(low)
    mass, first = ndtr(high) - ndtr(a), density(a) - density(high)
    second = mass + a * density(a) - high * density(high)
    return np.where(rho > 0, same, a * b * mass + (a - b) * first - second)
