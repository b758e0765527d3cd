"""The registered activations written a second time, for the naive kernels."""

from __future__ import annotations

import numpy as np
from scipy.special import erf, ndtr

from tests.reference.naive_kernels import Function


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _sech2(x):
    return 1.0 / np.cosh(x) ** 2


def _softplus(x):
    return np.logaddexp(0.0, x)


def _bell(x):
    return np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)


def bent(left, middle, right, knot):
    """Slopes left, middle, right with knots at -knot and knot, and value 0 at 0."""

    def phi(x):
        return left * np.minimum(x + knot, 0.0) + middle * np.clip(x, -knot, knot) + right * np.maximum(x - knot, 0.0)

    def slope(x):
        return np.where(x < -knot, left, np.where(x > knot, right, middle))

    return Function(phi, slope, (-knot, knot) if knot else (0.0,))


def blurred(left, middle, right, knot, width):
    """The same blurred by a Gaussian of standard deviation ``width``: a line and two blurred ramps."""
    low, high = middle - left, right - middle

    def ramp(x):
        return x * ndtr(x / width) + width * _bell(x / width)

    def phi(x):
        return left * x - low * knot + low * ramp(x + knot) + high * ramp(x - knot)

    def slope(x):
        return left + low * ndtr((x + knot) / width) + high * ndtr((x - knot) / width)

    return Function(phi, slope, width=2.0 * width)


def exponential(alpha, scale):
    return Function(
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
        lambda x: scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0))),
        (0.0,),
    )


def _mish_slope(x):
    sp = _softplus(x)
    return np.tanh(sp) + x * _sech2(sp) * _sigmoid(x)


FUNCTIONS = {
    "abs": bent(-1.0, 0.0, 1.0, 0.0),
    "cos": Function(np.cos, lambda x: -np.sin(x)),
    "elu": exponential(1.0, 1.0),
    "erf": Function(erf, lambda x: 2.0 / np.sqrt(np.pi) * np.exp(-x * x)),
    "gelu": Function(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * _bell(x)),
    "hardtanh": bent(0.0, 1.0, 0.0, 1.0),
    "hermite": Function(lambda x: x, np.ones_like),
    "identity": Function(lambda x: x, np.ones_like),
    "leaky_relu": bent(0.01, 0.0, 1.0, 0.0),
    "mish": Function(lambda x: x * np.tanh(_softplus(x)), _mish_slope),
    "relu": bent(0.0, 0.0, 1.0, 0.0),
    "selu": exponential(1.6732632423543772, 1.0507009873554805),
    "sigmoid": Function(_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "silu": Function(lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1.0 + x * _sigmoid(-x))),
    "sin": Function(np.sin, np.cos),
    "soft_slopes": blurred(0.0, 1.0, 0.0, 1.0, 0.5),
    "softplus": Function(_softplus, _sigmoid),
    "softsign": Function(lambda x: x / (1.0 + np.abs(x)), lambda x: 1.0 / (1.0 + np.abs(x)) ** 2, (0.0,), 0.8),
    "tanh": Function(np.tanh, _sech2),
    "three_slope": bent(0.0, 1.0, 0.0, 1.0),
    "two_slope": bent(0.0, 0.0, 1.0, 0.0),
}
"""By the name of the activation, at the default parameters."""
