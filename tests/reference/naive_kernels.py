"""Kernels of implicit and explicit models computed naively; NumPy and SciPy only, nothing of the package.

Bivariate expectations are tensor Gauss-Legendre sums in the principal axes of the two Gaussians: with
``u = s (c a + d b)`` and ``v = t (c a - d b)``, ``c = sqrt((1 + rho)/2)`` and ``d = sqrt((1 - rho)/2)``, a and b are
independent. The inner integral (over a when rho >= 0, over b otherwise) is cut at the kinks of phi(u) and phi(v), the
outer one where two of these cuts change places, so both integrands are smooth on every panel for rho in [-1, 1].

Fixed points are found by bisection (scalars) and by iteration with Aitken's rule (pairs), never by Newton's method.
An activation is a :class:`Function`: plain callables and the places of the kinks.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from mpmath import mp, mpf


@dataclass(frozen=True)
class Function:
    """phi and its derivative as elementwise callables, and where either of them is not smooth."""

    phi: object
    slope: object
    kinks: tuple = ()
    width: float = 1.2
    """Panels this wide (in the argument of phi) resolve phi to rounding: about twice the distance of its poles."""

    def shifted(self, by):
        return replace(self, phi=lambda x: self.phi(x) + by)


@cache
def rule(order, dtype):
    """Return Gauss-Legendre nodes and weights on [-1, 1], correct in the last digit of dtype."""
    with mp.workdps(40):
        guesses = np.polynomial.legendre.leggauss(order)[0]
        nodes, weights = [], []
        for guess in guesses:
            x = mp.findroot(lambda y: mp.legendre(order, y), mpf(float(guess)))
            below = mp.legendre(order - 1, x)
            nodes.append(x)
            weights.append(2 * (1 - x * x) / (order * below) ** 2)
        return tuple(np.array([dtype(mp.nstr(x, 30)) for x in part], dtype=dtype) for part in (nodes, weights))


def panels(cuts, widest, extent, order, dtype):
    """Return nodes (..., N) and weights of a composite rule on [-extent, extent], cut at cuts (..., K)."""
    count = math.ceil(2 * extent / widest)
    base = np.broadcast_to(np.linspace(-extent, extent, count + 1, dtype=dtype), (*cuts.shape[:-1], count + 1))
    ends = np.sort(np.concatenate([base, np.clip(cuts, -extent, extent)], axis=-1), axis=-1)
    x, w = rule(order, dtype)
    half, middle = (ends[..., 1:] - ends[..., :-1]) / 2, (ends[..., 1:] + ends[..., :-1]) / 2
    shape = (*ends.shape[:-1], -1)
    return (middle[..., None] + half[..., None] * x).reshape(shape), (half[..., None] * w).reshape(shape)


def gauss(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * x.dtype.type(mp.nstr(mp.pi, 30)))


def expectation(functions, kinks, width, s, order=20, extent=11, dtype=np.float64):
    """Return E[f(s xi)] for each f."""
    s = dtype(s)
    cuts = np.array([k / s for k in kinks], dtype=dtype)
    x, w = panels(cuts, min(1.0, width / float(s)), extent, order, dtype)
    w = w * gauss(x)
    return [(w * f(s * x)).sum() for f in functions]


def pair_expectations(functions, kinks, width, s, t, rho, order=16, extent=9, dtype=np.float64):
    """Return E[f(u) f(v)] for each f, u and v with standard deviations s and t and correlation rho."""
    s, t, rho = dtype(s), dtype(t), dtype(rho)
    if rho < 0:  # -v has correlation -rho with u: the same integral with f(-.) in the place of f for v
        sign, rho = -1, -rho
    else:
        sign = 1
    c, d = np.sqrt((1 + rho) / 2), np.sqrt((1 - rho) / 2)
    here, there = [k / s for k in kinks], [sign * k / t for k in kinks]
    crossings = [(h - k) / (2 * d) for h in here for k in there] if d > 0 else []
    widest = min(1.0, width / float(max(s, t)))
    b, outer = panels(np.array(crossings, dtype=dtype), widest, extent, order, dtype)
    lines = [(h - d * b) / c for h in here] + [(k + d * b) / c for k in there]
    cuts = np.stack(lines, axis=-1) if lines else np.empty((b.size, 0), dtype=dtype)
    a, inner = panels(cuts, widest, extent, order, dtype)
    weight = inner * gauss(a) * (outer * gauss(b))[:, None]
    u, v = s * (c * a + d * b[:, None]), sign * t * (c * a - d * b[:, None])
    return [(weight * f(u) * f(v)).sum() for f in functions]


def dual(function, s, t, rho, **quality):
    """Return E[phi(u) phi(v)] and E[phi'(u) phi'(v)]."""
    return pair_expectations((function.phi, function.slope), function.kinks, function.width, s, t, rho, **quality)


def square(function, s):
    """Return E[phi(s xi)^2] and E[phi'(s xi)^2]."""
    squares = (lambda x: function.phi(x) ** 2), (lambda x: function.slope(x) ** 2)
    return expectation(squares, function.kinks, function.width, s)


def snapped(rho):
    """Return rho, or +-1 where rounding cannot tell it from that."""
    return math.copysign(1.0, rho) if abs(rho) > 1 - 16 * np.finfo(float).eps else rho


def bisect(excess, low):
    """Return the first root above low of a function that is positive there."""
    high = low
    while excess(high) > 0:
        low, high = high, high * 1.05
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return middle
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)


def extrapolated(past, least):
    """Return the limit of three iterates by Aitken's rule; the last one where steps are too small to tell a rate."""
    first, second = past[1] - past[0], past[2] - past[1]
    if abs(second) <= least or abs(second) >= abs(first):
        return past[2]
    return past[2] + second * second / (first - second)


@dataclass(frozen=True)
class Deq:
    """phi(sigma_a A z + sigma_b B x + sigma_c c)/sqrt(m), by plain iteration."""

    function: Function
    sigma_a2: float
    sigma_b2: float
    tau0: float = 1.0
    center: bool = True
    sigma_c2: float = 0.0

    def activation(self):
        """Return the function, centred at the fixed point for samples of norm tau0."""
        f, injected = self.function, self._injected(self.tau0**2)
        if not self.center:
            return f

        def excess(q):
            mean, power = expectation((f.phi, lambda x: f.phi(x) ** 2), f.kinks, f.width, math.sqrt(q))
            return self.sigma_a2 * (power - mean**2) + injected - q

        tau = math.sqrt(bisect(excess, injected * (1 - 1e-9)))
        return f.shifted(-expectation((f.phi,), f.kinks, f.width, tau)[0])

    def kernels(self, x, y, trained=()):
        """Return the CK and the NTK of two samples."""
        phi, a2, b2 = self.activation(), self.sigma_a2, self.sigma_b2
        q, r = (self._variance(phi, z @ z) for z in (x, y))
        gram, bound = float(x @ y), math.sqrt(q * r)
        if np.array_equal(x, y):
            value, slope = square(phi, math.sqrt(q))
        else:
            value, slope = self._iterate(phi, gram, q, r, bound)
        inner = a2 * ("recurrent" in trained) * value + b2 * ("input" in trained) * gram
        inner += self.sigma_c2 * ("bias" in trained)
        return value, ("readout" in trained) * value + inner * slope / (1 - a2 * slope)

    def _injected(self, gram):
        """Return what the input and the bias, common to all samples, bring to a covariance of pre-activations."""
        return self.sigma_b2 * gram + self.sigma_c2

    def _variance(self, phi, norm2):
        injected = self._injected(norm2)
        return bisect(lambda q: self.sigma_a2 * square(phi, math.sqrt(q))[0] + injected - q, injected * (1 - 1e-9))

    def _iterate(self, phi, gram, q, r, bound):
        past = [self._injected(gram)]
        for _ in range(400):
            value, slope = dual(phi, math.sqrt(q), math.sqrt(r), snapped(past[-1] / bound))
            past.append(self.sigma_a2 * value + self._injected(gram))
            if abs(past[-1] - past[-2]) <= 1e-15 * bound:
                return value, slope
            if len(past) == 3:
                past = [min(max(extrapolated(past, 1e-12 * bound), -bound), bound)]
        raise RuntimeError("the iteration did not settle")


@dataclass(frozen=True)
class Mlp:
    """Explicit layers: tuples (Function, weight_var, learning_rate), or with bias_var as a fourth entry."""

    layers: tuple

    def kernels(self, x, y, trained=()):
        """Return the CK and the NTK of two samples; trained names layer1, bias1, layer2, ... and readout."""
        entries = {"xx": float(x @ x), "xy": float(x @ y), "yy": float(y @ y)}
        same = np.array_equal(x, y)
        tangent = 0.0
        for number, (function, weight_var, rate, *rest) in enumerate(self.layers, 1):
            bias_var = rest[0] if rest else 0.0
            before = {pair: weight_var * entry + bias_var for pair, entry in entries.items()}
            s, t = math.sqrt(before["xx"]), math.sqrt(before["yy"])
            rho = snapped(before["xy"] / (s * t))
            value, slope = square(function, s) if same else dual(function, s, t, rho)
            own = weight_var * (f"layer{number}" in trained) * entries["xy"] + bias_var * (f"bias{number}" in trained)
            tangent = (rate * own + weight_var * tangent) * slope
            entries = {"xx": square(function, s)[0], "xy": value, "yy": square(function, t)[0]}
        return entries["xy"], tangent + ("readout" in trained) * entries["xy"]


@dataclass(frozen=True)
class Parallel:
    """Explicit networks side by side, with one readout on all their features."""

    branches: tuple

    def kernels(self, x, y, trained=()):
        """Return the CK and the NTK; trained names branch1.layer1, ..., branch2.layer1, ... and readout."""
        ck = ntk = 0.0
        for number, mlp in enumerate(self.branches, 1):
            own = [name.split(".")[-1] for name in trained if name.startswith(f"branch{number}.") or name == "readout"]
            found = mlp.kernels(x, y, own)
            ck, ntk = ck + found[0], ntk + found[1]
        return ck, ntk


def arc_cosine(covariance, q):
    """Return E[relu relu] and E[relu' relu'] as matrices, for pre-activation variances q on the diagonal."""
    scale = np.sqrt(np.outer(q, q))
    rho = np.clip(covariance / scale, -1.0, 1.0)
    angle = np.arccos(rho)
    return scale * (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)


def arc_sine(covariance, q):
    """Return E[erf erf] and E[erf' erf'] as matrices."""
    ratio = 2 * covariance / np.sqrt(np.outer(1 + 2 * q, 1 + 2 * q))
    root = np.sqrt(np.outer(1 + 2 * q, 1 + 2 * q) - 4 * covariance**2)
    return 2 / np.pi * np.arcsin(np.clip(ratio, -1.0, 1.0)), 4 / np.pi / root


def untied(law, X, sigma_a2, sigma_b2, depth, sigma_c2=0.0):
    """Return CK and full NTK of an untied network of given depth that reads its input again at every layer.

    h_0 = sigma_b B_0 x + sigma_c c_0, h_l = sigma_a A_l z_l + sigma_b B_l x + sigma_c c_l, z_l = phi(h_{l-1})/sqrt(m),
    f = w . z_depth. Every layer has its own weights and bias, all trained; the limit in depth is that of the tied
    network. Recursion of the NTK of h: T_l = sigma_a2 G_l + sigma_b2 X X' + sigma_c2 + sigma_a2 T_{l-1} * D_l.
    """
    injected = sigma_b2 * X @ X.T + sigma_c2
    covariance = tangent = injected
    for _ in range(depth):
        value, slope = law(covariance, covariance.diagonal().copy())
        covariance = sigma_a2 * value + injected
        tangent = covariance + sigma_a2 * tangent * slope
    value, slope = law(covariance, covariance.diagonal().copy())
    return value, value + tangent * slope
