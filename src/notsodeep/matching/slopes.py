"""Layers of up to three slopes, with sharp or with blurred knots: hard tanh, leaky ReLU, and their generalisations.

With the ramp ``R_w(x) = E[max(x + w xi, 0)]``, a layer is ``m x + (r - m) R_w(x - c) - (l - m) R_w(-x - c)`` less
its mean at scale 1. Blurring by a Gaussian of standard deviation ``w`` multiplies the Hermite coefficient ``a_k`` at
scale ``s`` by ``(s / t)^k`` and takes it at scale ``t = sqrt(s^2 + w^2)``: that is its closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from notsodeep.activations import Activation, Moments, activation
from notsodeep.checks import FloatArray
from notsodeep.matching.hermite_rule import basis
from notsodeep.matching.shape import STEEPEST, TERMS, Profile
from notsodeep.matching.solver import least_squares

NARROWEST = 0.3
"""Least blur, in units of the scale: the trapezoidal rule below resolves it to rounding"""
_STEP = 0.16
_NODES = _STEP * np.arange(-54, 55)
_WEIGHTS = _STEP * np.exp(-0.5 * _NODES**2) / math.sqrt(2.0 * math.pi)
_LEAST_KNOT = 1e-8
_CLOSE = 1.5


class Slopes(NamedTuple):
    """Slopes from left to right, the knots ``-knot`` and ``knot``, and the blur."""

    left: Any
    middle: Any
    right: Any
    knot: Any
    width: Any
    """None where the knots are sharp"""


@dataclass(frozen=True)
class SlopeShape:
    """A family of such layers (a :class:`~notsodeep.matching.shape.Shape`)."""

    size: int
    linear: int
    slopes: Callable[[Any], Slopes]
    """From parameters to slopes"""
    build: Callable[[Slopes, float], Activation]
    """From slopes to the activation, at a scale"""
    seeds: tuple[tuple[float, ...], ...]
    """Where fits start"""
    hidden: tuple[tuple[float, ...], ...]
    """Where searches for a hidden layer start"""
    straight: tuple[float, ...]
    """Amplitudes of a linear layer"""

    def moments(self, theta: Any) -> Moments:
        """Return the moments at scale 1."""
        given = self.slopes(theta)
        square, slope_square, curved = (part[0] for part in _squares(given, np.ones((1, *theta.shape[1:]))))
        t = _blurred_scale(given, 1.0)
        tail, bend = _tail(given.knot / t), _density(given.knot / t) / t
        return Moments(
            mean=0.0,
            square=square,
            slope=(given.left + given.right) * tail + given.middle * (1.0 - 2.0 * tail),
            slope_square=slope_square,
            curvature=(given.right - given.left) * bend,
            square_curvature=2.0 * (slope_square + curved),
        )

    def profile(self, theta: Any, scales: Any) -> Profile:
        """Return the layer at ``scales (scales, ...)``."""
        given = self.slopes(theta)
        square, slope_square, _ = _squares(given, scales)
        return Profile(_coefficients(given, scales, TERMS), square, slope_square)

    def steepness(self, theta: FloatArray) -> float:
        """Return the largest slope over the root mean square slope."""
        return float(np.abs(self.slopes(theta)[:3]).max() / np.sqrt(self.moments(theta).slope_square))

    def activation(self, theta: FloatArray, scale: float) -> Activation:
        """Return ``x -> sigma(x / scale)``."""
        return self.build(_at_scale(self.slopes(theta), scale), scale)

    def fits(self, wanted: FloatArray) -> list[FloatArray]:
        """Return the distinct close fits to ``wanted``, from each seed, closest first."""
        size = float(np.linalg.norm(wanted))

        def misses(theta: Any) -> Any:
            one = np.ones((1, theta.shape[1]))
            found = _coefficients(self.slopes(theta), one, len(wanted) + 1)[1:, 0]
            return (found - wanted[:, None]) / size

        starts = [np.array(seed) * ([size] * self.linear + [1.0] * (self.size - self.linear)) for seed in self.seeds]
        found = [least_squares(misses, start, steps=12) for start in starts]
        usable = sorted((fit for fit in found if self.steepness(fit.z) <= STEEPEST), key=lambda fit: fit.norm)
        return [fit.z for fit in usable if fit.norm <= _CLOSE * usable[0].norm + 1e-3][:2] or starts[:1]


def _at_scale(given: Slopes, scale: float) -> Slopes:
    """Return ``x -> sigma(x / scale)``."""
    left, middle, right = (float(part) / scale for part in given[:3])
    width = None if given.width is None else float(given.width) * scale
    return Slopes(left, middle, right, float(given.knot) * scale, width)


def _mean(given: Slopes, scales: Any) -> Any:
    """``E[sigma(s xi)]`` before centring."""
    t = _blurred_scale(given, scales)
    x = given.knot / t
    return (given.right - given.left) * t * (_density(x) - x * _tail(x))


def _coefficients(given: Slopes, scales: Any, count: int) -> Any:
    """``a_k(s)`` for ``k < count``, centred at scale 1."""
    t = _blurred_scale(given, scales)
    x = given.knot / t
    tail, bend = _tail(x), _density(x) / t
    up, down = given.right - given.middle, given.middle - given.left
    a = [_mean(given, scales) - _mean(given, 1.0)]
    a.append(scales * ((given.left + given.right) * tail + given.middle * (1.0 - 2.0 * tail)))
    for k, h in enumerate(basis(x, count - 2), 2):
        jumps = up + down if k % 2 == 0 else up - down
        a.append(scales**2 / math.sqrt(k * (k - 1)) * (scales / t) ** (k - 2) * bend * h * jumps)
    return np.stack(np.broadcast_arrays(*a))


def _blurred_scale(given: Slopes, scales: Any) -> Any:
    """Scale at which the function with sharp knots has the coefficients of the blurred one."""
    return scales if given.width is None else np.sqrt(scales**2 + given.width**2)


def _squares(given: Slopes, scales: Any) -> tuple[Any, Any, Any]:
    """``E[sigma^2]``, ``E[sigma'^2]`` and ``E[sigma sigma'']`` at the scales, centred at scale 1."""
    return _sharp(given, scales) if given.width is None else _blurred(given, scales)


def _sharp(given: Slopes, s: Any) -> tuple[Any, Any, Any]:
    left, middle, right, c, _ = given
    x = c / s
    tail, f = _tail(x), _density(x)
    over, over_square = s * f - c * tail, (s**2 + c**2) * tail - c * s * f
    inside = s**2 - 2.0 * over_square - 4.0 * c * over
    outer = left**2 + right**2
    shift, mean = _mean(given, 1.0), (right - left) * over
    raw = outer * over_square + middle**2 * inside + 2.0 * middle * (left + right) * c * over
    square = raw - 2.0 * shift * mean + shift**2
    slope_square = outer * tail + middle**2 * (1.0 - 2.0 * tail)
    curved = f / s * ((right - middle) * (middle * c - shift) - (middle - left) * (middle * c + shift))
    return square, slope_square, curved


def _blurred(given: Slopes, s: Any) -> tuple[Any, Any, Any]:
    left, middle, right, c, w = given
    x = _NODES.reshape(-1, *[1] * np.ndim(s)) * s
    weights = _WEIGHTS.reshape(-1, *[1] * np.ndim(s))
    up, down = right - middle, left - middle
    above, below = (x - c) / w, (-x - c) / w
    p_above, p_below, f_above, f_below = _tail(-above), _tail(-below), _density(above), _density(below)
    value = middle * x + up * w * (above * p_above + f_above) - down * w * (below * p_below + f_below)
    value = value - _mean(given, 1.0)
    slope = middle + up * p_above + down * p_below
    curvature = (up * f_above - down * f_below) / w
    return tuple((weights * part).sum(axis=0) for part in (value**2, slope**2, value * curvature))


def _density(x: Any) -> Any:
    """Normal density; of complex x to first order in its imaginary part, which is all that complex steps need."""
    real = np.exp(-0.5 * x.real**2) / math.sqrt(2.0 * math.pi)
    return real * (1.0 - 1j * x.real * x.imag) if np.iscomplexobj(x) else real


def _tail(x: Any) -> Any:
    """``P(xi > x)``, of complex x to first order in its imaginary part."""
    real = ndtr(-x.real)
    return real - 1j * x.imag * _density(x.real) if np.iscomplexobj(x) else real


def _centred(phi: Activation, given: Slopes, scale: float) -> Activation:
    return phi.shifted(-float(_mean(given, scale)))


def _as_hard_tanh(given: Slopes, scale: float) -> Activation:
    return activation("hardtanh", scale=abs(given.middle), clip=max(given.knot, _LEAST_KNOT))


def _as_two_slope(given: Slopes, scale: float) -> Activation:
    left, right = sorted((given.left, given.right))
    if left + right < 0.0:
        left, right = -right, -left
    return activation("two_slope", a=right, b=left, tau=scale)


def _as_three_slope(given: Slopes, scale: float) -> Activation:
    left, middle, right, knot = given[:4]
    phi = activation("three_slope", left=left, middle=middle, right=right, knot=max(knot, _LEAST_KNOT))
    return _centred(phi, given, scale)


def _as_soft_slopes(given: Slopes, scale: float) -> Activation:
    return _centred(activation("soft_slopes", **given._asdict()), given, scale)


def _of_moments(z: Any, width: Any) -> Slopes:
    """Return the slopes of a layer with ``E[sigma'] = z_0``, ``E[sigma''] = z_1``, odd bend ``z_2`` and knot ``z_3^2``.

    The odd bend is ``((left + right) / 2 - middle) / t^2``. In these parameters the numbers that a layer mostly adds to
    a kernel do not change with knot and blur, which govern what it spends on higher orders.
    """
    t = 1.0 if width is None else np.sqrt(1.0 + width**2)
    x = z[3] ** 2 / t
    bend, half = z[2] * t**2, 0.5 * z[1] * t / _density(x)
    middle = z[0] - 2.0 * _tail(x) * bend
    return Slopes(middle + bend - half, middle, middle + bend + half, z[3] ** 2, width)


def _to_moments(left: float, middle: float, right: float, root: float, *blur: float) -> tuple[float, ...]:
    """Return the parameters of these slopes, the inverse of :func:`_of_moments`."""
    t = math.sqrt(1.0 + (NARROWEST + blur[0] ** 2) ** 2) if blur else 1.0
    x = np.float64(root**2 / t)
    bend = 0.5 * (left + right) - middle
    return float(middle + 2.0 * _tail(x) * bend), float((right - left) * _density(x) / t), bend / t**2, root, *blur


_HALF = math.sqrt(0.5 * math.pi)
_SEEDS = ((0.5, 1.0, 0.5, 1.0), (0.0, 0.5, 1.0, 0.4), (0.2, 0.8, 1.0, 0.6), (-0.4, 0.2, 0.8, 0.5))
_BLURS = (0.3, 1.0)
_NEARLY_LINEAR = ((1.2, 1.0, 0.7, 0.9), (0.7, 1.0, 0.7, 1.1), (0.7, 1.0, 1.2, 1.0), (1.2, 1.0, 1.2, 1.1))
_TURNS = np.pi / 2 * (np.arange(8) + 0.5) / 8

HARD_TANH = SlopeShape(
    size=2,
    linear=1,
    slopes=lambda z: Slopes(0.0 * z[0], z[0], 0.0 * z[0], z[1] ** 2, None),
    build=_as_hard_tanh,
    seeds=((1.0, 1.0), (1.0, 0.5)),
    hidden=((1.0, 1.2), (1.0, 0.8)),
    straight=(1.0,),
)
"""Slope and root of the knot"""
LEAKY_RELU = SlopeShape(
    size=2,
    linear=2,
    slopes=lambda z: Slopes(z[0] - _HALF * z[1], z[0], z[0] + _HALF * z[1], 0.0 * z[0], None),
    build=_as_two_slope,
    seeds=((0.5, 0.4), (0.8, 0.1)),
    hidden=tuple((math.cos(w), 1.3 * math.sin(w)) for w in _TURNS),
    straight=(1.0, 0.0),
)
"""Mean slope, and bend ``|a - b| / sqrt(2 pi)``"""
THREE_SLOPE = SlopeShape(
    size=4,
    linear=3,
    slopes=lambda z: _of_moments(z, None),
    build=_as_three_slope,
    seeds=tuple(_to_moments(*seed) for seed in _SEEDS),
    hidden=tuple(_to_moments(*given) for given in _NEARLY_LINEAR),
    straight=(1.0, 0.0, 0.0),
)
"""Mean slope, mean curvature, odd bend, and root of the knot"""
SOFT_SLOPES = SlopeShape(
    size=5,
    linear=3,
    slopes=lambda z: _of_moments(z, NARROWEST + z[4] ** 2),
    build=_as_soft_slopes,
    seeds=tuple(_to_moments(*seed, blur) for seed in _SEEDS for blur in _BLURS),
    hidden=tuple(_to_moments(*given, 0.6) for given in _NEARLY_LINEAR),
    straight=(1.0, 0.0, 0.0),
)
"""The same, and root of what the blur exceeds the least one by"""
