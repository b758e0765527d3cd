"""Write duals.json: E[phi(u) phi(v)] and E[phi'(u) phi'(v)] of correlated Gaussians, to about 1e-17.

Run as ``python -m tests.reference.make_duals`` (some ten minutes). The package under test is not imported: every
function is written here a second time. Scales, correlations and parameters are the doubles that the package gets.

Scheme: 80-bit arithmetic (``numpy.longdouble``) and the tensor quadrature in principal axes of ``naive_kernels``, which
has no narrow features at any correlation. Nested mpmath quadrature is too slow for a table; it checks two numbers here,
and arc-cosine, arc-sine and characteristic functions check whole families. Two rules must agree on each number to
``AGREE`` of its size. erf itself is SciPy's double.

``size`` are the Cauchy-Schwarz bounds sqrt(E phi(u)^2 E phi(v)^2) of value and slope: what errors are relative to.
"""

import json
from pathlib import Path

import numpy as np
from mpmath import mp, mpf
from scipy.special import erf as erf_of_double

from tests.reference.naive_kernels import Function, dual

TARGET = Path(__file__).with_name("duals.json")
SCALES = ((1.0, 1.0), (0.3, 0.31), (1.3, 0.6), (5.0, 0.05), (3.0, 3.0))
CORRELATIONS = (-1.0, -0.99, -0.5, 0.0, 0.3, 0.9, 0.99, 0.9999, 1 - 1e-6, 1.0)
AGREE = 1e-15
LONG = np.longdouble
PI = LONG("3.14159265358979323846264338328")
FINE, COARSE = {"order": 20, "extent": 10, "dtype": LONG}, {"order": 14, "extent": 9.5, "dtype": LONG}


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


SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
HARD = {"scale": 1.5, "clip": 0.7}
THREE = {"left": 0.2, "middle": 1.1, "right": -0.3, "knot": 0.8}
HERMITE = {"coefficients": (0.1, 0.8, -0.5, 0.3), "scale": 0.9}
W, R = LONG(1.3), LONG(0.8)
CASES = {
    "abs": ({}, Function(*bent(-1, -1, 1, 0, 0), (0.0,))),
    "cos": ({"frequency": 1.3}, Function(lambda x: np.cos(W * x), lambda x: -W * np.sin(W * x))),
    "elu": ({"alpha": 0.7}, Function(*exponential(0.7, 1), (0.0,))),
    "erf": ({"rate": 0.8}, Function(lambda x: erf(R * x), lambda x: 2 * R / np.sqrt(PI) * np.exp(-((R * x) ** 2)))),
    "gelu": ({}, Function(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * bell(x))),
    "hardtanh": (HARD, Function(*bent(0, HARD["scale"], 0, -HARD["clip"], HARD["clip"]), (-0.7, 0.7))),
    "hermite": (HERMITE, Function(*cubic(*HERMITE["coefficients"], HERMITE["scale"]))),
    "leaky_relu": ({"slope": 0.1}, Function(*bent(0.1, 0.1, 1, 0, 0), (0.0,))),
    "mish": ({}, Function(lambda x: x * np.tanh(softplus(x)), mish_slope)),
    "relu": ({}, Function(*bent(0, 0, 1, 0, 0), (0.0,))),
    "selu": ({}, Function(*exponential(**SELU), (0.0,))),
    "sigmoid": ({}, Function(sigmoid, lambda x: sigmoid(x) * sigmoid(-x))),
    "silu": ({}, Function(lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x)))),
    "sin": ({"frequency": 1.3}, Function(lambda x: np.sin(W * x), lambda x: W * np.cos(W * x))),
    "softplus": ({}, Function(softplus, sigmoid)),
    "softsign": ({}, Function(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, (0.0,), 0.8)),
    "tanh": ({}, Function(np.tanh, sech2)),
    "three_slope": (THREE, Function(*bent(0.2, 1.1, -0.3, -0.8, 0.8), (-0.8, 0.8))),
    "custom": ({}, Function(odd_one, odd_one_slope, (-0.9, 0.4))),
}


def rows(function):
    for s, t in SCALES:
        left, right = dual(function, s, s, 1.0, **FINE), dual(function, t, t, 1.0, **FINE)
        sizes = [np.sqrt(a * b) for a, b in zip(left, right, strict=True)]
        for rho in CORRELATIONS:
            fine, coarse = dual(function, s, t, rho, **FINE), dual(function, s, t, rho, **COARSE)
            gaps = [abs(a - b) / size for a, b, size in zip(fine, coarse, sizes, strict=True)]
            if max(gaps) > AGREE:
                raise RuntimeError(f"rules differ by {float(max(gaps)):.1e} at {s, t, rho}")
            yield [s, t, rho, *map(float, fine), *map(float, sizes)]


def check_families(table):
    """Compare with the closed forms of relu, erf, sin and cos."""
    mp.dps = 30
    for name, law in {"relu": relu_law, "erf": erf_law, "sin": sin_law, "cos": cos_law}.items():
        for s, t, rho, value, slope, size, slope_size in table[name]:
            want = law(mpf(s), mpf(t), mpf(rho))
            if abs(want[0] - value) > 3e-16 * size or abs(want[1] - slope) > 3e-16 * slope_size:
                raise RuntimeError(f"{name} at {s, t, rho}: {value, slope}, closed form {want}")


def relu_law(s, t, rho):
    angle = mp.acos(rho)
    return s * t * (mp.sin(angle) + (mp.pi - angle) * rho) / (2 * mp.pi), (mp.pi - angle) / (2 * mp.pi)


def erf_law(s, t, rho):
    k = 2 * mpf(0.8) ** 2
    a, b, c = 1 + k * s * s, 1 + k * t * t, k * s * t * rho
    return 2 / mp.pi * mp.asin(c / mp.sqrt(a * b)), 2 / mp.pi * k / mp.sqrt(a * b - c * c)


def waves(s, t, rho):
    w2, mean = mpf(1.3) ** 2, s * s + t * t
    minus, plus = (mp.exp(-w2 * (mean + sign * 2 * s * t * rho) / 2) for sign in (-1, 1))
    return (minus - plus) / 2, (minus + plus) / 2, w2


def sin_law(s, t, rho):
    odd, even, w2 = waves(s, t, rho)
    return odd, w2 * even


def cos_law(s, t, rho):
    odd, even, w2 = waves(s, t, rho)
    return even, w2 * odd


def check_nested(table):
    """Compare with adaptive nested quadrature of mpmath in conditional form, v = t (rho x + w y)."""
    mp.dps = 20

    def tanh_pair(s, t, rho):
        w = mp.sqrt(1 - mpf(rho) ** 2)

        def inner(x):
            f = lambda y: mp.tanh(t * (rho * x + w * y)) * mp.npdf(y)  # noqa: E731
            return mp.tanh(s * x) * mp.npdf(x) * mp.quad(f, [-10, -5, 0, 5, 10])

        return mp.quad(inner, [-10, -5, -2, 0, 2, 5, 10])

    for s, t, rho in ((1.0, 1.0, 0.3), (1.3, 0.6, 0.9)):
        (value,) = (row[3] for row in table["tanh"] if row[:3] == [s, t, rho])
        if abs(tanh_pair(s, t, rho) - value) > 1e-16:
            raise RuntimeError(f"tanh at {s, t, rho}: {value}, nested quadrature {tanh_pair(s, t, rho)}")


def main():
    table = {name: list(rows(function)) for name, (_, function) in CASES.items()}
    check_families(table)
    check_nested(table)
    blocks = []
    for name, found in table.items():
        lines = ",\n".join("  " + json.dumps(row) for row in found)
        blocks.append(f' {{"name": "{name}", "params": {json.dumps(CASES[name][0])}, "rows": [\n{lines}\n ]}}')
    columns = ["s", "t", "rho", "value", "slope", "size", "slope_size"]
    text = f'{{"columns": {json.dumps(columns)}, "cases": [\n' + ",\n".join(blocks) + "\n]}\n"
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
