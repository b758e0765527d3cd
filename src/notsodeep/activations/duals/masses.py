"""Derivatives of the bivariate expectations of kinked functions: a kink is a point mass of the second derivative.

With ``phi'' = f + sum_k d_k delta_k`` each derivative is a regular part, an integral over ``f``, plus what the masses
give: a density at the kink times a conditional expectation given ``u = k``, and densities at pairs of kinks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from notsodeep.activations.activation import Activation
from notsodeep.activations.forms import PiecewiseLinear
from notsodeep.activations.gaussian import SQRT_2PI
from notsodeep.activations.moments import one_sided

_NARROWEST = (
    1e-8  # sqrt(1 - rho^2) of a conditional distribution at correlation 1: it weighs both sides of a kink alike
)
_NO_BEND = 1e-9  # change of slope that is rounding

Bends = tuple[tuple[float, float], ...]


class Partials(NamedTuple):
    """Derivatives of ``V = E[phi(u) phi(v)]`` and ``D = E[phi'(u) phi'(v)]``; that of V in the covariance is D."""

    value_rows: torch.Tensor
    """``dV/dq``"""
    value_columns: torch.Tensor
    """``dV/dq'``"""
    slope_covariance: torch.Tensor
    """``dD/dc``"""
    slope_rows: torch.Tensor
    """``dD/dq``"""
    slope_columns: torch.Tensor
    """``dD/dq'``"""


class Regular(NamedTuple):
    """What the derivatives are without point masses."""

    value_rows: torch.Tensor
    """``E[f(u) phi(v)]``"""
    value_columns: torch.Tensor
    """``E[phi(u) f(v)]``"""
    slope_covariance: torch.Tensor
    """``E[f(u) f(v)]``"""
    slope_rows: torch.Tensor
    """``E[u f(u) phi'(v)]``"""
    slope_columns: torch.Tensor
    """``E[phi'(u) v f(v)]``"""


class Given(NamedTuple):
    """Expectations over ``v`` alone, whose mean and standard deviation are those given ``u``."""

    value: torch.Tensor
    """``E[phi(v)]``"""
    slope: torch.Tensor
    """``E[phi'(v)]``"""
    curvature: torch.Tensor
    """``E[f(v)]``"""


Conditional = Callable[[torch.Tensor, torch.Tensor], Given]


def bends(activation: Activation) -> Bends:
    """Return the kinks at which the slope changes, each with its change."""
    sides = [(kink, *one_sided(activation.derivative, kink)) for kink in activation.kinks]
    return tuple((k, b - a) for k, a, b in sides if abs(b - a) > _NO_BEND * max(1.0, abs(a), abs(b)))


def of_polygon(form: PiecewiseLinear, offset: float, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Partials:
    """Return the derivatives of a piecewise-linear function, which has point masses alone."""
    first = form.slopes[0]
    pieces = zip(form.knots, form.slopes, form.slopes[1:], strict=False)
    changes = tuple((k, after - before) for k, before, after in pieces)
    constant = offset + sum(d * k for k, d in changes if k < 0)

    def conditional(mean: torch.Tensor, deviation: torch.Tensor) -> Given:
        value, slope = constant + first * mean, torch.full_like(mean, first)
        for k, d in changes:
            z = (mean - k) / deviation
            beyond = 0.5 * torch.special.erfc(-z / 2.0**0.5)
            value = value + d * ((mean - k) * beyond + deviation * _density(z))
            slope = slope + d * beyond
        return Given(value, slope, torch.zeros_like(mean))

    nothing = torch.zeros_like(s * t * rho)
    return combine(Regular(nothing, nothing, nothing, nothing, nothing), changes, conditional, s, t, rho)


def combine(
    regular: Regular, changes: Bends, conditional: Conditional, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor
) -> Partials:
    """Add the point masses ``changes`` to the regular parts, for scales ``s``, ``t`` and correlations ``rho``.

    At ``rho = 1`` or ``-1`` a kink makes ``dD/dc`` infinite. There D has the tip of a cone, and the result is the
    derivative along the pairs of that correlation: ``dD/dc`` counts as 0.
    """
    width = torch.sqrt((1.0 - rho) * (1.0 + rho))
    flat = width == 0.0
    curvature, sides = regular.slope_covariance, []
    for own, other, value, slope in (
        (s, t, regular.value_rows, regular.slope_rows),
        (t, s, regular.value_columns, regular.slope_columns),
    ):
        for k, d in changes:
            mass = d * _density(k / own) / own
            mean = other * rho * (k / own)
            given = conditional(mean, other * width.clamp(min=_NARROWEST))
            if flat.any():
                at_mean = conditional(mean, other * width.clamp(min=1e-300)).value
                given = given._replace(value=torch.where(flat, at_mean, given.value))
            value, slope = value + mass * given.value, slope + k * mass * given.slope
            curvature = curvature + mass * given.curvature
        sides.append((0.5 * value, slope))
    if changes:
        curvature = curvature + _pairs_of_masses(changes, s, t, rho, width.masked_fill(flat, 1.0))
        curvature = curvature.masked_fill(flat, 0.0)
    (value_rows, rows), (value_columns, columns) = sides
    common = s * t * rho * curvature
    return Partials(
        value_rows, value_columns, curvature, (rows - common) / (2.0 * s * s), (columns - common) / (2.0 * t * t)
    )


def _pairs_of_masses(
    changes: Bends, s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor, width: torch.Tensor
) -> torch.Tensor:
    """Bivariate normal densities at pairs of kinks."""
    total = torch.zeros_like(rho)
    for k, d in changes:
        for other, e in changes:
            a, b = k / s, other / t
            total = total + d * e * _density(a) * _density((b - rho * a) / width) / (s * t * width)
    return total


def _density(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(-0.5 * x * x) / SQRT_2PI
