"""Piecewise-linear functions with knots away from 0: bivariate normal probabilities by Owen's T."""

from __future__ import annotations

from bisect import bisect
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

    With ``phi(x) = c + m x + sum_k d_k (+-(x - k))_+``, where every ramp rises away from 0, everything reduces to
    ``P(u > h, v > l)`` and ``E[(u - h)_+ (v - l)_+]`` for ``h, l > 0`` (Rosenbaum 1961). Nothing large cancels where
    ``phi`` is flat around 0.
    """
    middle = form.slopes[bisect(form.knots, 0.0)]
    ramps = [(k, after - before) for k, before, after in zip(form.knots, form.slopes, form.slopes[1:], strict=False)]
    value = offset**2 + middle**2 * s * t * rho
    slope = np.full_like(rho, middle**2)
    for k, d in ramps:
        side = np.sign(k)
        for scale in (s, t):
            h = abs(k) / scale
            beyond = ndtr(-h)
            value += offset * d * scale * (density(h) - h * beyond) + middle * side * d * s * t * rho * beyond
            slope += middle * side * d * beyond
    for (k, d), (other, e) in product(ramps, ramps):
        side = np.sign(k) * np.sign(other)
        both, product_moment = _upper_quadrant(abs(k) / s, abs(other) / t, side * rho)
        value += d * e * s * t * product_moment
        slope += side * d * e * both
    return value, slope


def _upper_quadrant(a: FloatArray, b: FloatArray, rho: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``P(x > a, y > b)`` and ``E[(x - a)_+ (y - b)_+]``, a, b > 0, for standard normal x, y of correlation rho."""
    width = np.sqrt((1.0 - rho) * (1.0 + rho))
    flat = width < 1e-300
    width = np.where(flat, 1.0, width)
    # b - rho a and a - rho b, from the differences, which are exact when a and b are close.
    sign = np.where(rho < 0, -1.0, 1.0)
    left = (b - sign * a) + sign * a * (1.0 - np.abs(rho))
    right = (a - sign * b) + sign * b * (1.0 - np.abs(rho))
    both = 0.5 * (ndtr(-a) + ndtr(-b)) - owens_t(-a, left / (a * width)) - owens_t(-b, right / (b * width))
    spread = (left / width) ** 2 + a**2
    moment = (rho + a * b) * both - a * density(b) * ndtr(-right / width) - b * density(a) * ndtr(-left / width)
    moment += width / (2.0 * np.pi) * np.exp(-0.5 * spread)
    same, same_moment = _collinear(a, b)  # at correlation -1, x > a and -x > b exclude each other
    both = np.where(flat, np.where(rho > 0, same, 0.0), both)
    return both, np.where(flat, np.where(rho > 0, same_moment, 0.0), moment)


def _collinear(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same for ``x = y``."""
    high = np.maximum(a, b)
    return ndtr(-high), (1.0 + a * b) * ndtr(-high) + (high - a - b) * density(high)
