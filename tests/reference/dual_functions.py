"""The activations of duals.json in 80-bit arithmetic, written independently of the package; erf is SciPy's double."""

from functools import cache

import numpy as np
from mpmath import mp, mpf
from scipy.special import erf as erf_of_double

from tests.reference.naive_kernels import Function

LONG = np.longdouble
PI = LONG("3.14159265358979323846264338328")


def erf(x):
    return erf_of_double(x.astype(np.float64)).astype(LONG)


def ndtr(x):
    return (1 + erf(x / np.sqrt(LONG(2)))) / 2


def bell(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * PI)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sech2(x):
    return 1 / np.cosh(x) ** 2


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def bent(left, middle, right, low, high):
    """Slopes left, middle, right, with knots low <= 0 <= high, and value 0 at 0."""
    left, middle, right, low, high = map(LONG, (left, middle, right, low, high))

    def phi(x):
        return left * np.minimum(x - low, 0) + middle * np.clip(x, low, high) + right * np.maximum(x - high, 0)

    return phi, lambda x: np.where(x < low, left, np.where(x > high, right, middle))


def exponential(alpha, scale):
    alpha, scale = LONG(alpha), LONG(scale)

    def phi(x):
        return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    return phi, lambda x: scale * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def cubic(c0, c1, c2, c3, scale):
    c0, c1, c2, c3, scale = map(LONG, (c0, c1, c2, c3, scale))

    def phi(x):
        y = x / scale
        return c0 + c1 * y + c2 * (y * y - 1) / np.sqrt(LONG(2)) + c3 * (y**3 - 3 * y) / np.sqrt(LONG(6))

    def slope(x):
        y = x / scale
        return (c1 + c2 * 2 * y / np.sqrt(LONG(2)) + c3 * (3 * y * y - 3) / np.sqrt(LONG(6))) / scale

    return phi, slope


def mish_slope(x):
    sp = softplus(x)
    return np.tanh(sp) + x * sech2(sp) * sigmoid(x)


def odd_one(x):
    """tanh(x) + |x - 0.4|/2 - 0.3 max(x + 0.9, 0)^2: the function may jump in slope or in curvature, away from 0."""
    return np.tanh(x) + np.abs(x - LONG(0.4)) / 2 - LONG(0.3) * np.maximum(x + LONG(0.9), 0) ** 2


def odd_one_slope(x):
    return sech2(x) + np.sign(x - LONG(0.4)) / 2 - LONG(0.6) * np.maximum(x + LONG(0.9), 0)


def two_slope(a, b, tau):
    a, b, shift = LONG(a), LONG(b), abs(LONG(a) - LONG(b)) * LONG(tau) / np.sqrt(2 * PI)
    return lambda x: np.maximum(a * x, b * x) - shift, lambda x: np.where(x > 0, max(a, b), min(a, b))


def bend(x):
    """Slopes 0.4 and 1.5, curvatures 0.4 and -1.5 on the two sides of 0.6."""
    y = x - LONG(0.6)
    return np.where(y > 0, LONG(1.5) * np.log1p(np.maximum(y, 0)), LONG(0.4) * np.expm1(np.minimum(y, 0)))


def bend_slope(x):
    y = x - LONG(0.6)
    return np.where(y > 0, LONG(1.5) / (1 + np.maximum(y, 0)), LONG(0.4) * np.exp(np.minimum(y, 0)))


def arc(x):
    return np.arctan(x) - LONG(0.3) * np.abs(x)


def arc_slope(x):
    return 1 / (1 + x * x) - LONG(0.3) * np.sign(x)


@cache
def chances():
    """Return the normal distribution function and its density at multiples of 1/64, up to 40 on both sides."""
    with mp.workdps(30):
        rows = [[mp.nstr(f(mpf(k) / 64), 25) for k in range(-2560, 2561)] for f in (mp.ncdf, mp.npdf)]
        return tuple(np.array(list(map(LONG, row))) for row in rows)


def long_ndtr(x):
    """The normal distribution function to the last digits: Taylor's series about multiples of 1/64."""
    flat = np.ravel(x)
    parts = [_taylor(flat[start : start + 4096]) for start in range(0, flat.size, 4096)]  # stays in cache
    return np.concatenate(parts).reshape(np.shape(x))


def _taylor(x):
    place = np.clip(np.rint(64 * x), -2560, 2560)
    start = place / 64
    step = np.clip(x - start, -1, 1)
    total, power, before, here = step, step, 1, start
    for n in range(1, 8):
        power = -power * step / (n + 1)
        total = total + power * here
        before, here = here, start * here - n * before
    values, densities = (table[place.astype(int) + 2560] for table in chances())
    return values + densities * total


def soft(left, middle, right, knot, width):
    """Slopes left, middle, right, with knots at -knot and knot, blurred: a line and two blurred ramps, small near 0."""
    left, middle, right, knot, width = map(LONG, (left, middle, right, knot, width))

    def chance(x):
        return long_ndtr(x / width)

    def ramp(x):
        return x * chance(x) + width * bell(x / width)

    def phi(x):
        return middle * x + (right - middle) * ramp(x - knot) - (left - middle) * ramp(-x - knot)

    return phi, lambda x: middle + (right - middle) * chance(x - knot) + (left - middle) * chance(-x - knot)


SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
HARD = {"scale": 1.5, "clip": 0.7}
THREE = {"left": 0.2, "middle": 1.1, "right": -0.3, "knot": 0.8}
SOFT = THREE | {"width": 0.8}
TWO = {"a": 1.3, "b": -0.2, "tau": 0.7}
HERMITE = {"coefficients": (0.1, 0.8, -0.5, 0.3), "scale": 0.9}
W, R = LONG(1.3), LONG(0.8)
CASES = {
    "abs": ({}, Function(*bent(-1, -1, 1, 0, 0), (0.0,))),
    "cos": ({"frequency": 1.3}, Function(lambda x: np.cos(W * x), lambda x: -W * np.sin(W * x), width=3.5)),
    "elu": ({"alpha": 0.7}, Function(*exponential(0.7, 1), (0.0,))),
    "erf": (
        {"rate": 0.8},
        Function(lambda x: erf(R * x), lambda x: 2 * R / np.sqrt(PI) * np.exp(-((R * x) ** 2)), width=0.8),
    ),
    "gelu": ({}, Function(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * bell(x), width=0.8)),
    "hardtanh": (HARD, Function(*bent(0, HARD["scale"], 0, -HARD["clip"], HARD["clip"]), (-0.7, 0.7))),
    "hermite": (HERMITE, Function(*cubic(*HERMITE["coefficients"], HERMITE["scale"]))),
    "identity": ({}, Function(lambda x: x, np.ones_like)),
    "leaky_relu": ({"slope": 0.1}, Function(*bent(0.1, 0.1, 1, 0, 0), (0.0,))),
    "mish": ({}, Function(lambda x: x * np.tanh(softplus(x)), mish_slope)),
    "relu": ({}, Function(*bent(0, 0, 1, 0, 0), (0.0,))),
    "selu": ({}, Function(*exponential(**SELU), (0.0,))),
    "sigmoid": ({}, Function(sigmoid, lambda x: sigmoid(x) * sigmoid(-x))),
    "silu": ({}, Function(lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x)))),
    "sin": ({"frequency": 1.3}, Function(lambda x: np.sin(W * x), lambda x: W * np.cos(W * x), width=3.5)),
    "soft_slopes": (SOFT, Function(*soft(**SOFT), width=0.8)),
    "softplus": ({}, Function(softplus, sigmoid)),
    "softsign": ({}, Function(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, (0.0,), 0.8)),
    "tanh": ({}, Function(np.tanh, sech2)),
    "three_slope": (THREE, Function(*bent(0.2, 1.1, -0.3, -0.8, 0.8), (-0.8, 0.8))),
    "two_slope": (TWO, Function(*two_slope(**TWO), (0.0,))),
    "custom": ({}, Function(odd_one, odd_one_slope, (-0.9, 0.4))),
    "custom_arc": ({}, Function(arc, arc_slope, (0.0,), 0.8)),
    "custom_bend": ({}, Function(bend, bend_slope, (0.6,))),
    "custom_cube": ({}, Function(lambda x: np.abs(x) ** 3, lambda x: 3 * x * np.abs(x), (0.0,))),
}
