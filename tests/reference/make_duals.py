"""Write duals.json: E[phi(u) phi(v)] and E[phi'(u) phi'(v)] of correlated Gaussians, to about 1e-17.

Run as ``python -m tests.reference.make_duals`` (some twenty minutes), or with names of cases to make these anew and
keep the others. The package under test is not imported: every function is written a second time in ``dual_functions``.
Scales, correlations and parameters are the doubles that the package gets.

Scheme: 80-bit arithmetic (``numpy.longdouble``) and the graded quadrature of ``graded_dual``. Two rules must agree on
each number to ``AGREE`` of its size, and each case with the plain panels of ``naive_kernels`` at a few places. Nested
mpmath quadrature is too slow for a table; it checks two numbers here, and arc-cosine, arc-sine and characteristic
functions check whole families, up to correlation 1 and at all scales. erf itself is SciPy's double.

Each block of the file has the scales s and t; the sizes, which are the Cauchy-Schwarz bounds
sqrt(E phi(u)^2 E phi(v)^2) of value and slope that errors are relative to; and value and slope for each correlation.
"""

import json
import sys
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

from tests.reference import naive_kernels
from tests.reference.dual_functions import CASES
from tests.reference.graded_dual import LONG, dual

TARGET = Path(__file__).with_name("duals.json")
SCALES = ((1.0, 1.0), (0.3, 0.31), (1.3, 0.6), (5.0, 0.05), (3.0, 3.0), (0.8, 0.80000001))
SCALES += ((10.0, 10.0), (10.0, 7.0), (10.0, 0.05), (0.05, 0.05), (0.05, 0.06))
CORRELATIONS = (-1.0, -1 + 1e-9, -1 + 1e-6, -0.9999, -0.99, -0.9, -0.5, 0.0, 0.3, 0.8, 0.9, 0.99, 0.9999)
CORRELATIONS += (1 - 1e-6, 1 - 1e-9, 1 - 1e-12, 1.0)
AGREE = 1e-16
PLAIN = ((1.3, 0.6, 0.9), (0.3, 3.0, -0.99))
FINE, COARSE = {"order": 20, "extent": 11}, {"order": 15, "extent": 10}
WAVES = ("cos", "sin")


def blocks(name):
    function, graded = CASES[name][1], name not in WAVES
    for s, t in SCALES:
        left, right = (dual(function, x, x, 1.0, graded=graded, **FINE) for x in (s, t))
        sizes = [np.sqrt(a * b) for a, b in zip(left, right, strict=True)]
        rows = []
        for rho in CORRELATIONS:
            fine, coarse = (dual(function, s, t, rho, graded=graded, **rule) for rule in (FINE, COARSE))
            differ(f"{name} at {s, t, rho}, two rules", fine, coarse, sizes, AGREE)
            rows.append(list(map(float, fine)))
        yield [s, t, *map(float, sizes), rows]


def differ(what, one, other, sizes, tolerance):
    gap = max(abs(a - b) / size for a, b, size in zip(one, other, sizes, strict=True))
    if not gap <= tolerance:
        raise RuntimeError(f"{what}: {one} and {other} differ by {float(gap):.1e}")


def check_plain(name):
    """Compare with panels of one width."""
    function = CASES[name][1]
    for s, t, rho in PLAIN:
        plain = naive_kernels.dual(function, s, t, rho, order=20, extent=10, dtype=LONG)
        graded = dual(function, s, t, rho, graded=name not in WAVES, **FINE)
        differ(f"{name} at {s, t, rho}, graded and plain panels", graded, plain, (1, 1), AGREE)


def check_family(name, table):
    """Compare with the closed form, where there is one here."""
    mp.dps = 40
    for s, t, *sizes, rows in table:
        for rho, row in zip(CORRELATIONS, rows, strict=True):
            if name in LAWS:
                law = LAWS[name](mpf(s), mpf(t), mpf(rho))
                differ(f"{name} at {s, t, rho}, quadrature and closed form", row, law, sizes, 3e-16)


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


def cube_law(s, t, rho):
    """E |u|^3 |v|^3 and 9 E u |u| v |v|, from the arc-cosine kernels of degrees 3 and 2."""
    angle = mp.acos(rho)
    value = 2 * (degree_three(angle) + degree_three(mp.pi - angle))
    slope = 2 * (degree_two(angle) - degree_two(mp.pi - angle))
    return (s * t) ** 3 * value / (2 * mp.pi), 9 * (s * t) ** 2 * slope / (2 * mp.pi)


def degree_two(angle):
    sin, cos = mp.sin(angle), mp.cos(angle)
    return 3 * sin * cos + (mp.pi - angle) * (1 + 2 * cos**2)


def degree_three(angle):
    sin, cos = mp.sin(angle), mp.cos(angle)
    return sin * (4 + 11 * cos**2) + 3 * (mp.pi - angle) * cos * (3 + 2 * cos**2)


LAWS = {"relu": relu_law, "erf": erf_law, "sin": sin_law, "cos": cos_law, "custom_cube": cube_law}


def check_nested():
    """Compare with adaptive nested quadrature of mpmath in conditional form, v = t (rho x + w y)."""
    mp.dps = 20

    def tanh_pair(s, t, rho):
        w = mp.sqrt(1 - mpf(rho) ** 2)

        def inner(x):
            f = lambda y: mp.tanh(t * (rho * x + w * y)) * mp.npdf(y)  # noqa: E731
            return mp.tanh(s * x) * mp.npdf(x) * mp.quad(f, [-10, -5, 0, 5, 10])

        return mp.quad(inner, [-10, -5, -2, 0, 2, 5, 10])

    for s, t, rho in ((1.0, 1.0, 0.3), (1.3, 0.6, 0.9)):
        value, _ = dual(CASES["tanh"][1], s, t, rho, **FINE)
        differ(f"tanh at {s, t, rho}, graded and nested", [float(value)], [tanh_pair(s, t, rho)], [1.0], AGREE)


def written(name, table):
    lines = []
    for *head, rows in table:
        numbers = ",\n   ".join(map(json.dumps, rows))
        lines.append(f"  [{json.dumps(head)[1:-1]}, [\n   {numbers}]]")
    blocks = ",\n".join(lines)
    return f' {{"name": "{name}", "params": {json.dumps(CASES[name][0])}, "blocks": [\n{blocks}\n ]}}'


def main(names):
    kept = json.loads(TARGET.read_text())["cases"] if names and TARGET.exists() else []
    tables = {case["name"]: case["blocks"] for case in kept}
    for name in names or CASES:
        if name == "tanh":
            check_nested()
        check_plain(name)
        tables[name] = list(blocks(name))
        check_family(name, tables[name])
    columns = ["s", "t", "size", "slope_size", ["value", "slope"]]
    head = f'"columns": {json.dumps(columns)}, "correlations": {json.dumps(CORRELATIONS)}'
    cases = ",\n".join(written(name, tables[name]) for name in CASES if name in tables)
    TARGET.write_text(f'{{{head}, "cases": [\n{cases}\n]}}\n')


if __name__ == "__main__":
    main(sys.argv[1:])
