"""Layers of every family written a second time, from the meaning of their parameters, for the naive routes."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from tests.kernels.functions import bent, blurred
from tests.reference.naive_kernels import Function, expectation

NARROWEST = 0.3
"""Least blur of a soft layer, in units of the scale"""
DRAWS = {
    "hard_tanh": ((0.4, 1.5), (0.6, 1.5)),
    "leaky_relu": ((-1.0, 1.5), (-1.0, 1.0)),
    "three_slope": ((-1.0, 1.5), (-0.7, 0.7), (-1.0, 1.0), (0.3, 1.2)),
    "soft_slopes": ((-1.0, 1.5), (-0.7, 0.7), (-1.0, 1.0), (0.3, 1.2), (0.0, 1.0)),
    "quadratic": ((-1.0, 1.0),) * 2,
    "cubic": ((-1.0, 1.0),) * 3,
    "quartic": ((-1.0, 1.0),) * 4,
}
"""Ranges that parameters are drawn from"""


def drawn(name: str, seed: int) -> np.ndarray:
    """Return random parameters of a layer of a family."""
    low, high = np.array(DRAWS[name]).T
    return np.random.default_rng(seed).uniform(low, high)


def layer(name: str, theta, scale: float = 1.0) -> Function:
    """Return ``x -> sigma(x / scale)``, centred at ``scale``."""
    raw = _raw(name, theta)
    mean = float(expectation((raw.phi,), raw.kinks, raw.width, 1.0)[0])
    return stretched(raw.shifted(-mean), scale)


def stretched(f: Function, scale: float) -> Function:
    """Return ``x -> f(x / scale)``."""
    kinks = tuple(scale * kink for kink in f.kinks)
    return Function(lambda x: f.phi(x / scale), lambda x: f.slope(x / scale) / scale, kinks, scale * f.width)


def _raw(name: str, theta) -> Function:
    if name == "hard_tanh":
        return bent(0.0, theta[0], 0.0, theta[1] ** 2)
    if name == "leaky_relu":
        half = math.sqrt(0.5 * math.pi) * theta[1]
        return bent(theta[0] - half, 0.0, theta[0] + half, 0.0)
    if name == "three_slope":
        return bent(*slopes(*theta[:3], theta[3] ** 2, 0.0), theta[3] ** 2)
    if name == "soft_slopes":
        width = NARROWEST + theta[4] ** 2
        return blurred(*slopes(*theta[:3], theta[3] ** 2, width), theta[3] ** 2, width)
    return series(theta)


def slopes(mean: float, curvature: float, odd_bend: float, knot: float, width: float) -> tuple[float, float, float]:
    """Return the slopes with ``E[s'] = mean``, ``E[s''] = curvature`` and ``odd_bend = ((l + r) / 2 - m) / t^2``.

    A linear system: blurred knots see a Gaussian of variance ``t^2 = 1 + width^2``.
    """
    t = math.hypot(1.0, width)
    beyond, density = norm.sf(knot / t), norm.pdf(knot / t) / t
    rows = [[beyond, 1.0 - 2.0 * beyond, beyond], [-density, 0.0, density], [0.5 / t**2, -1.0 / t**2, 0.5 / t**2]]
    return tuple(np.linalg.solve(rows, [mean, curvature, odd_bend]))


def series(theta) -> Function:
    """Return ``sum_k theta_k h_k`` from k = 1 on, by NumPy's polynomials."""
    plain = np.array([0.0, *(a / math.sqrt(math.factorial(k)) for k, a in enumerate(theta, 1))])
    polynomial = np.polynomial.HermiteE(plain)
    return Function(polynomial, polynomial.deriv())


def hermite(k: int, x):
    """Return the orthonormal ``h_k(x)``."""
    return np.polynomial.HermiteE.basis(k)(x) / math.sqrt(math.factorial(k))
