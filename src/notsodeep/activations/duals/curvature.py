"""Quadrature for the derivatives of the bivariate expectations: integrals over the second derivative of ``phi``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.polynomial import legendre

from notsodeep.activations.activation import Activation
from notsodeep.activations.duals import polar
from notsodeep.activations.duals.masses import Given, Partials, Regular, bends, combine
from notsodeep.activations.elementwise import Elementwise, differentiate
from notsodeep.activations.gaussian import density, expect
from notsodeep.activations.mesh import mesh, panel_series
from notsodeep.activations.moments import moments
from notsodeep.activations.tabulate import tabulate
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

Function = Callable[[Any], Any]
TOLERANCE = 1e-10  # between two refinements, of the Cauchy-Schwarz bounds; the finer one has two digits more
_EXTENT, _ORDER = 9.0, 16  # standard deviations kept and nodes of a panel, of conditional distributions
_BATCH = 100_000  # nodes held at a time


def by_quadrature(activation: Activation, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Partials:
    """Return the derivatives of single pairs, 1-D tensors, to about 1e-10.

    Raises
    ------
    ConvergenceError
        When the quadrature does not settle.
    """
    second = second_derivative(activation)

    def conditional(mean: torch.Tensor, deviation: torch.Tensor) -> Given:
        functions = activation, activation.derivative, second
        found = _conditional(activation, functions, mean.cpu().numpy(), deviation.cpu().numpy())
        return Given(*(torch.from_numpy(part).to(rho) for part in found))

    found = _regular(activation, second, *(x.cpu().numpy() for x in (s, t, rho)))
    regular = Regular(*(torch.from_numpy(np.ascontiguousarray(part)).to(rho) for part in found))
    return combine(regular, bends(activation), conditional, s, t, rho)


def curvature_square(activation: Activation, scales: FloatArray) -> FloatArray:
    """Return ``E[phi''(s xi)^2]`` at each scale, infinite for a function with a kink."""
    if bends(activation):
        return np.full_like(scales, np.inf)
    second = second_derivative(activation)
    return tabulate(lambda s: _square(activation, second, s)[:, None], scales)[:, 0]


def second_derivative(activation: Activation) -> Function:
    """Return the second derivative between the kinks: as given, by autograd, or by interpolation (about 1e-9)."""
    if activation.second_derivative is not None:
        return activation.second_derivative
    slope = activation.derivative
    if isinstance(slope, Elementwise) and slope.takes_torch:
        return Elementwise.of("second_derivative", differentiate(slope, activation.kinks), activation.kinks)
    return lambda x: _interpolated(activation, np.asarray(x, dtype=np.float64))


def _interpolated(activation: Activation, x: FloatArray) -> FloatArray:
    limit = 2.0 ** np.ceil(np.log2(max(8.0, 1.001 * float(np.abs(x).max(initial=0.0)))))
    ends = mesh(activation.fn, activation.kinks, float(limit))
    used, place = np.unique(np.clip(np.searchsorted(ends, x, side="left") - 1, 0, ends.size - 2), return_inverse=True)
    place, half = place.reshape(x.shape), 0.5 * (ends[used + 1] - ends[used])
    series = legendre.legder(panel_series(activation.fn, ends[used], ends[used + 1])[0], 2, axis=1) / half[:, None] ** 2
    z = (x - 0.5 * (ends[used] + ends[used + 1])[place]) / half[place]
    return np.asarray(legendre.legval(z, np.moveaxis(series[place], -1, 0), tensor=False), dtype=np.float64)


def _square(activation: Activation, second: Function, scales: FloatArray) -> FloatArray:
    return expect(activation, scales, lambda _, u: [second(u) ** 2])[0]


def _conditional(
    activation: Activation, functions: tuple[Function, ...], mean: FloatArray, deviation: FloatArray
) -> FloatArray:
    """Expectations of ``functions`` under ``N(mean, deviation^2)``, on panels that resolve ``activation``."""
    reach = float((np.abs(mean) + _EXTENT * deviation).max())
    own = mesh(activation.fn, activation.kinks, float(2.0 ** np.ceil(np.log2(reach))))
    base = np.linspace(-_EXTENT, _EXTENT, 1 + int(2 * _EXTENT))
    step = max(1, _BATCH // ((own.size + base.size) * _ORDER))
    parts = []
    for start in range(0, mean.size, step):
        m, d = mean[start : start + step, None], deviation[start : start + step, None]
        ends = np.clip((own - m) / d, -_EXTENT, _EXTENT)
        ends = np.sort(np.concatenate([ends, np.broadcast_to(base, (len(m), base.size))], axis=1), axis=1)
        ends = ends[:, np.append(True, (np.diff(ends, axis=1) > 0).any(axis=0))]
        x, weight = polar._panels(ends, _ORDER)
        weight = weight * density(x)
        parts.append(np.stack([(weight * f(m + d * x)).sum(axis=1) for f in functions]))
    return np.concatenate(parts, axis=1)


def _regular(activation: Activation, second: Function, s: FloatArray, t: FloatArray, rho: FloatArray) -> FloatArray:
    """Return the five integrals of :class:`Regular`, each refined until two results agree."""
    bound = _bounds(activation, second, s, t)
    out = np.empty((5, rho.size))
    for grading, alike in polar._alike(activation.kinks, np.maximum(s, t)):
        step = polar._pairs_at_once(activation.kinks, grading, level=1)
        for start in range(0, alike.size, step):
            part = alike[start : start + step]
            out[:, part] = _settle(activation, second, s[part], t[part], rho[part], bound[:, part], grading)
    return out


def _settle(
    activation: Activation,
    second: Function,
    s: FloatArray,
    t: FloatArray,
    rho: FloatArray,
    bound: FloatArray,
    grading: polar.Grading,
) -> FloatArray:
    out, before = np.empty((5, rho.size)), np.full((5, rho.size), 1e200)
    todo = np.arange(rho.size)
    for orders in polar._ORDERS:
        now = _integrate(activation, second, s[todo], t[todo], rho[todo], orders, grading)
        out[:, todo] = now
        gap = (np.abs(now - before) / bound[:, todo]).max(axis=0)
        todo, before = todo[gap > TOLERANCE], now[:, gap > TOLERANCE]
        if not todo.size:
            return out
    i = int(todo[0])
    raise ConvergenceError(
        f"the derivatives of E[phi(u) phi(v)] of {activation!r} did not settle for {todo.size} pairs, the first at "
        f"scales {s[i]:.4g}, {t[i]:.4g} and correlation {rho[i]:.12g}: relative change {gap.max():.1e}; declare every "
        "kink of the activation, and use one whose second derivative is bounded beside its kinks"
    )


def _bounds(activation: Activation, second: Function, s: FloatArray, t: FloatArray) -> FloatArray:
    """Sizes of the five integrals by Cauchy and Schwarz, with a floor where ``phi`` is nearly linear."""
    sizes = []
    for scale in (s, t):
        m = moments(activation, scale)
        value, slope = np.sqrt(m.square), np.sqrt(m.slope_square)
        sizes.append((value, slope, np.maximum(np.sqrt(_square(activation, second, scale)), 1e-3 * slope / scale)))
    (value, slope, bend), (other_value, other_slope, other_bend) = sizes
    return np.stack(
        [bend * other_value, value * other_bend, bend * other_bend, s * bend * other_slope, t * slope * other_bend]
    )


def _integrate(
    activation: Activation,
    second: Function,
    s: FloatArray,
    t: FloatArray,
    rho: FloatArray,
    orders: tuple[int, int],
    grading: polar.Grading,
) -> FloatArray:
    t = np.copysign(t, rho)  # as polar does: near -1 the distance of the kink lines of u and -v would be lost
    theta = 2.0 * np.arcsin(np.sqrt(np.clip(0.5 * (1.0 - np.abs(rho)), 0.0, 1.0)))
    psi, angular = polar._panels(polar._sectors(activation.kinks, s, t, theta, grading[0]), orders[1])
    across, along = s[:, None] * np.cos(psi), t[:, None] * np.cos(psi - theta[:, None])
    r, radial = polar._panels(polar._rings(activation.kinks, across, along, grading[1]), orders[0])
    weight = radial * r * np.exp(-0.5 * r * r) / (2.0 * np.pi)
    u, v = across[..., None] * r, along[..., None] * r
    (x, dx, ddx), (y, dy, ddy) = ((activation(w), activation.derivative(w), second(w)) for w in (u, v))
    products = ddx * y, x * ddy, ddx * ddy, u * ddx * dy, dx * v * ddy
    return np.stack([(angular * (weight * f).sum(axis=2)).sum(axis=1) for f in products])
