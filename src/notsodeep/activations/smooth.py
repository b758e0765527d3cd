"""Formulas of the smooth (and piecewise smooth) activations with their first two derivatives.

Each function takes NumPy arrays and torch tensors; derivatives hold between the kinks.
"""

from __future__ import annotations

import math
from typing import Any

from notsodeep.activations.backend import namespace

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def sech2(x: Any) -> Any:
    """``1 - tanh(x)^2`` without cancellation."""
    xp = namespace(x)
    e = xp.exp(-2.0 * xp.abs(x))
    return 4.0 * e / (1.0 + e) ** 2


def gauss(x: Any) -> Any:
    """Standard normal density."""
    return namespace(x).exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def tanh(x: Any) -> Any:
    return namespace(x).tanh(x)


def tanh_d2(x: Any) -> Any:
    return -2.0 * tanh(x) * sech2(x)


def sigmoid(x: Any) -> Any:
    return namespace(x).sigmoid(x)


def sigmoid_d1(x: Any) -> Any:
    return sigmoid(x) * sigmoid(-x)


def sigmoid_d2(x: Any) -> Any:
    return -sigmoid_d1(x) * tanh(0.5 * x)


def silu(x: Any) -> Any:
    return x * sigmoid(x)


def silu_d1(x: Any) -> Any:
    return sigmoid(x) + x * sigmoid_d1(x)


def silu_d2(x: Any) -> Any:
    return sigmoid_d1(x) * (2.0 - x * tanh(0.5 * x))


def gelu(x: Any) -> Any:
    return namespace(x).gelu(x)


def gelu_d1(x: Any) -> Any:
    return namespace(x).ndtr(x) + x * gauss(x)


def gelu_d2(x: Any) -> Any:
    return gauss(x) * (2.0 - x * x)


def softplus(x: Any) -> Any:
    return namespace(x).softplus(x)


def softsign(x: Any) -> Any:
    return x / (1.0 + namespace(x).abs(x))


def softsign_d1(x: Any) -> Any:
    return 1.0 / (1.0 + namespace(x).abs(x)) ** 2


def softsign_d2(x: Any) -> Any:
    xp = namespace(x)
    return -2.0 * xp.sign(x) / (1.0 + xp.abs(x)) ** 3


def _mish_gate(x: Any) -> tuple[Any, Any, Any]:
    """``w = tanh(softplus(x))`` with its first two derivatives."""
    sp = softplus(x)
    w, bend, rise = tanh(sp), sech2(sp), sigmoid(x)
    return w, bend * rise, bend * (sigmoid_d1(x) - 2.0 * w * rise * rise)


def mish(x: Any) -> Any:
    return x * tanh(softplus(x))


def mish_d1(x: Any) -> Any:
    w, w1, _ = _mish_gate(x)
    return w + x * w1


def mish_d2(x: Any) -> Any:
    _, w1, w2 = _mish_gate(x)
    return 2.0 * w1 + x * w2


def elu(x: Any, alpha: float, scale: float) -> Any:
    return scale * namespace(x).elu(x, alpha)


def elu_d1(x: Any, alpha: float, scale: float) -> Any:
    xp = namespace(x)
    return scale * xp.where(x > 0, xp.ones_like(x), alpha * xp.exp(xp.minimum(x, 0.0)))


def elu_d2(x: Any, alpha: float, scale: float) -> Any:
    xp = namespace(x)
    return scale * xp.where(x > 0, xp.zeros_like(x), alpha * xp.exp(xp.minimum(x, 0.0)))


def erf(x: Any, rate: float) -> Any:
    return namespace(x).erf(rate * x)


def erf_d1(x: Any, rate: float) -> Any:
    return 2.0 * rate / math.sqrt(math.pi) * namespace(x).exp(-((rate * x) ** 2))


def erf_d2(x: Any, rate: float) -> Any:
    return -2.0 * rate**2 * x * erf_d1(x, rate)


def sin(x: Any, frequency: float) -> Any:
    return namespace(x).sin(frequency * x)


def cos(x: Any, frequency: float) -> Any:
    return namespace(x).cos(frequency * x)
