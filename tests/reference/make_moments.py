"""Write moments.json: Gaussian moments of the registered activations in 50-digit arithmetic.

Scales and parameters are the double precision numbers that the package gets, not the decimals they look like.

Run as ``python tests/reference/make_moments.py`` (some minutes). The package under test is not imported: every
formula is written here a second time. Each moment is computed twice, and the two must agree to 25 digits:

* directly, from the function and its pointwise derivatives, with the point mass of every kink in closed form;
* by parts, from the function alone: ``E[f'(s xi)] = E[f(s xi) xi] / s`` and
  ``E[f''(s xi)] = E[f(s xi) (xi^2 - 1)] / s^2``, which hold for the weak derivatives whatever the kinks.

``E[phi'^2]`` has no such form; its integrand is the square of one whose integral is compared.

``sizes`` are the same integrals of absolute values, point masses included: what rounding errors are compared with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mpmath import mp, mpf
from mpmath.calculus.quadrature import GaussLegendre

mp.dps = 50
TARGET = Path(__file__).with_name("moments.json")
SCALES = (1e-3, 0.05, 0.3, 1.0, 3.0, 10.0, 30.0)
EXTENT = 17  # standard deviations; the mass beyond is 1e-64
WIDEST = mpf(1) / 4
NAMES = ("mean", "square", "slope", "slope_square", "curvature", "square_curvature")


@dataclass(frozen=True)
class Case:
    """An activation with its first two derivatives between the kinks."""

    name: str
    params: dict[str, Any]
    functions: Callable[[mpf], tuple[mpf, mpf, mpf]]
    kinks: tuple[float, ...] = ()
    cancelling: float = 0.0
    """Size of the terms that cancel in values near 0: ``width`` times the density at ``knot / width``"""


def bent(left: float, right: float, offset: mpf | None = None) -> Any:
    """``left x`` below 0, ``right x`` above, and an offset."""
    return lambda x: ((left if x < 0 else right) * x + (offset or 0), mpf(left if x < 0 else right), mpf(0))


def three(left: float, middle: float, right: float, knot: float) -> Any:
    """``middle x`` between the knots, and straight on from there with the outer slopes."""

    def functions(x: mpf) -> tuple[mpf, mpf, mpf]:
        if abs(x) <= knot:
            return middle * x, mpf(middle), mpf(0)
        outer, end = (left, -mpf(knot)) if x < 0 else (right, mpf(knot))
        return middle * end + outer * (x - end), mpf(outer), mpf(0)

    return functions


def soft(left: float, middle: float, right: float, knot: float, width: float) -> Any:
    """A line and two ramps, ``E[max(x + width xi, 0)]`` about the knots, and value 0 at 0 before they are blurred."""
    low, high, k, w = mpf(middle) - mpf(left), mpf(right) - mpf(middle), mpf(knot), mpf(width)

    def ramp(x: mpf) -> tuple[mpf, mpf, mpf]:
        cdf, pdf = mp.ncdf(x / w), mp.npdf(x / w)
        return x * cdf + w * pdf, cdf, pdf / w

    def functions(x: mpf) -> tuple[mpf, mpf, mpf]:
        line = (left * x - low * k, mpf(left), mpf(0))
        return tuple(a + low * b + high * c for a, b, c in zip(line, ramp(x + k), ramp(x - k), strict=True))

    return functions


def through_sigmoid(build: Callable[[mpf, mpf], tuple[mpf, mpf, mpf]]) -> Callable[[mpf], tuple[mpf, mpf, mpf]]:
    return lambda x: build(x, 1 / (1 + mp.exp(-x)))


def silu(x: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    bell = p * (1 - p)
    return x * p, p + x * bell, 2 * bell + x * bell * (1 - 2 * p)


def sigmoid(x: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return p, p * (1 - p), p * (1 - p) * (1 - 2 * p)


def softplus(x: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    return mp.log(1 + mp.exp(x)), p, p * (1 - p)


def mish(x: mpf, p: mpf) -> tuple[mpf, mpf, mpf]:
    """``tanh(log(1 + e^x)) = (e^2x + 2 e^x) / (e^2x + 2 e^x + 2)`` by the quotient rule."""
    e = mp.exp(x)
    top, top1, top2 = e * e + 2 * e, 2 * e * e + 2 * e, 4 * e * e + 2 * e
    low = top + 2
    gate, gate1 = top / low, 2 * top1 / low**2
    gate2 = 2 * top2 / low**2 - 4 * top1**2 / low**3
    return x * gate, gate + x * gate1, 2 * gate1 + x * gate2


def tanh(x: mpf) -> tuple[mpf, mpf, mpf]:
    t = mp.tanh(x)
    return t, 1 - t * t, -2 * t * (1 - t * t)


def gelu(x: mpf) -> tuple[mpf, mpf, mpf]:
    cdf, pdf = mp.erfc(-x / mp.sqrt(2)) / 2, mp.npdf(x)
    return x * cdf, cdf + x * pdf, (2 - x * x) * pdf


def softsign(x: mpf) -> tuple[mpf, mpf, mpf]:
    d = 1 + abs(x)
    return x / d, 1 / d**2, -2 * mp.sign(x) / d**3


def erf(rate: float) -> Any:
    r = mpf(rate)

    def functions(x: mpf) -> tuple[mpf, mpf, mpf]:
        d = 2 * r / mp.sqrt(mp.pi) * mp.exp(-r * r * x * x)
        return mp.erf(r * x), d, -2 * r * r * x * d

    return functions


def wave(frequency: float, even: bool) -> Any:
    w = mpf(frequency)

    def functions(x: mpf) -> tuple[mpf, mpf, mpf]:
        c, s = mp.cos_sin(w * x)
        return (c, -w * s, -w * w * c) if even else (s, w * c, -w * w * s)

    return functions


def elu(alpha: float, scale: float = 1.0) -> Any:
    a, k = mpf(alpha), mpf(scale)

    def functions(x: mpf) -> tuple[mpf, mpf, mpf]:
        if x > 0:
            return k * x, k, mpf(0)
        e = k * a * mp.exp(x)
        return e - k * a, e, e

    return functions


def cubic(c: list[float], scale: float) -> Any:
    """``c0 + c1 t + c2 (t^2 - 1)/sqrt(2) + c3 (t^3 - 3t)/sqrt(6)`` at ``t = x / scale``."""
    c0, c1, c2, c3 = (mpf(v) for v in c)
    k, r2, r6 = mpf(scale), mp.sqrt(2), mp.sqrt(6)

    def functions(x: mpf) -> tuple[mpf, mpf, mpf]:
        t = x / k
        value = c0 + c1 * t + c2 * (t * t - 1) / r2 + c3 * (t**3 - 3 * t) / r6
        return value, (c1 + 2 * c2 * t / r2 + c3 * (3 * t * t - 3) / r6) / k, (2 * c2 / r2 + 6 * c3 * t / r6) / k**2

    return functions


SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
HERMITE = [0.3, -0.5, 0.2, 0.1]
SHIFT = -(mpf(1.3) - mpf(-0.4)) * mpf(0.9) / mp.sqrt(2 * mp.pi)
SOFT = {"left": 0.2, "middle": 1.1, "right": -0.3, "knot": 0.8, "width": 0.4}
CASES = (
    Case("abs", {}, bent(-1.0, 1.0), (0.0,)),
    Case("cos", {}, wave(1.0, even=True)),
    Case("elu", {}, elu(1.0), (0.0,)),
    Case("elu", {"alpha": 0.5}, elu(0.5), (0.0,)),
    Case("erf", {}, erf(1.0)),
    Case("erf", {"rate": 0.7}, erf(0.7)),
    Case("gelu", {}, gelu),
    Case("hardtanh", {}, three(0.0, 1.0, 0.0, 1.0), (-1.0, 1.0)),
    Case("hardtanh", {"scale": 1.5, "clip": 0.7}, three(0.0, 1.5, 0.0, 0.7), (-0.7, 0.7)),
    Case("hermite", {}, cubic([0.0, 1.0, 0.0, 0.0], 1.0)),
    Case("hermite", {"coefficients": HERMITE, "scale": 0.8}, cubic(HERMITE, 0.8)),
    Case("identity", {}, lambda x: (x, mpf(1), mpf(0))),
    Case("leaky_relu", {}, bent(0.01, 1.0), (0.0,)),
    Case("leaky_relu", {"slope": 0.1}, bent(0.1, 1.0), (0.0,)),
    Case("mish", {}, through_sigmoid(mish)),
    Case("relu", {}, bent(0.0, 1.0), (0.0,)),
    Case("selu", {}, elu(**SELU), (0.0,)),
    Case("sigmoid", {}, through_sigmoid(sigmoid)),
    Case("silu", {}, through_sigmoid(silu)),
    Case("sin", {}, wave(1.0, even=False)),
    Case("sin", {"frequency": 2.0}, wave(2.0, even=False)),
    Case("soft_slopes", {}, soft(0.0, 1.0, 0.0, 1.0, 0.5), cancelling=0.027),
    Case("soft_slopes", SOFT, soft(**SOFT), cancelling=0.022),
    Case("softplus", {}, through_sigmoid(softplus)),
    Case("softsign", {}, softsign, (0.0,)),
    Case("tanh", {}, tanh),
    Case("three_slope", {}, three(0.0, 1.0, 0.0, 1.0), (-1.0, 1.0)),
    Case(
        "three_slope",
        {"left": 0.2, "middle": 1.1, "right": -0.3, "knot": 0.8},
        three(0.2, 1.1, -0.3, 0.8),
        (-0.8, 0.8),
    ),
    Case("two_slope", {}, bent(0.0, 1.0), (0.0,)),
    Case("two_slope", {"a": 1.3, "b": -0.4, "tau": 0.9}, bent(-0.4, 1.3, SHIFT), (0.0,)),
)


def panels(case: Case, scale: mpf) -> Iterator[tuple[mpf, mpf]]:
    """Yield panels in standard deviations: uniform, graded towards 0 where functions vary, cut at the kinks."""
    ends = {k * WIDEST for k in range(int(-EXTENT / WIDEST), int(EXTENT / WIDEST) + 1)}
    width = WIDEST / 2
    while width > mpf("0.05") / scale:
        ends |= {width, -width}
        width /= 2
    ends |= {mpf(k) / scale for k in case.kinks if abs(mpf(k)) < EXTENT * scale}
    ordered = sorted(ends)
    yield from pairwise(ordered)


def add(totals: list[mpf], weight: mpf, terms: tuple[mpf, ...]) -> list[mpf]:
    return [total + weight * term for total, term in zip(totals, terms, strict=True)]


def moments(case: Case, scale: mpf, rule: list[tuple[mpf, mpf]]) -> tuple[list[mpf], list[mpf]]:
    """Return the six moments and their sizes, after comparing the two routes."""
    direct, size, parts = [mpf(0)] * 6, [mpf(0)] * 6, [mpf(0)] * 3
    for left, right in panels(case, scale):
        for t, weight in rule:
            x = (left + right + (right - left) * t) / 2
            w = weight * (right - left) / 2 * mp.npdf(x)
            f, d, dd = case.functions(scale * x)
            terms = (f, f * f, d, d * d, dd, 2 * (d * d + f * dd))
            masses = (abs(f), f * f, abs(d), d * d, abs(dd), 2 * (d * d + abs(f * dd)))
            second = (x * x - 1) / scale**2
            direct = add(direct, w, terms)
            size = add(size, w, masses)
            parts = add(parts, w, (f * x / scale, f * second, f * f * second))
    for kink in map(mpf, case.kinks):
        density = mp.npdf(kink / scale) / scale
        step = mpf(10) ** (5 - mp.dps)
        f, jump = case.functions(kink)[0], case.functions(kink + step)[1] - case.functions(kink - step)[1]
        for i, value in ((4, jump * density), (5, 2 * f * jump * density)):
            direct[i] += value
            size[i] += abs(value)
    for i, other in zip((2, 4, 5), parts, strict=True):
        if abs(direct[i] - other) > mpf("1e-25") * size[i] + mpf("1e-40") / scale**2:
            raise ArithmeticError(f"{case.name} {case.params} at {scale}: {NAMES[i]} is {direct[i]} or {other}")
    return direct, size


def record(case: Case, scale: float) -> dict[str, Any]:
    rule = GaussLegendre(mp).calc_nodes(5, mp.prec)  # 48 nodes
    groups = moments(case, mpf(scale), rule)
    values, sizes = ({n: mp.nstr(v, 25) for n, v in zip(NAMES, group, strict=True)} for group in groups)
    return {"name": case.name, "params": case.params, "scale": scale, "values": values, "sizes": sizes}


def main() -> None:
    records = [record(case, scale) for case in CASES for scale in SCALES]
    TARGET.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
