"""The explicit networks that the published code of arXiv:2402.02697 designs for DEQs, as that code does it.

It minimises the sum of squares of the four equations for a CK from one start, by SLSQP until that sum changes by less
than 1e-10, and takes what comes out. In its figures the DEQ and the equations have one ``sigma_a2``; in its training
experiments the DEQ has 0.2, the equations have 0.3 (ReLU) or 0.1 (tanh), the centring of the ReLU DEQ is that of 0.1,
and the second layer is centred with the scale that a hard tanh with the parameters of the first one would have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import erf, erfc

from notsodeep.activations import Activation, activation
from notsodeep.checks import FloatArray, choice
from notsodeep.equivalents import coefficients
from notsodeep.spec import DEQ, MLP, Layer

ACTIVATIONS = ("relu", "tanh")
"""Activations of a DEQ that there is a design for: two leaky ReLU layers, one hard tanh layer"""
TRAINED_AS = {"relu": 0.3, "tanh": 0.1}
"""``sigma_a2`` in the equations of the training experiments"""
CENTRED_AS = 0.1
"""``sigma_a2`` that the ReLU DEQ of the training experiments is centred for"""
_TOLERANCE = 1e-10
_STARTS = {"relu": (1.0, 0.1, 1.0, 0.1), "tanh": (0.1, 0.1)}


def figure_design(deq: DEQ) -> MLP:
    """Return the network of the figures for a centred ReLU or tanh DEQ.

    Raises
    ------
    ValueError
        When the activation is another one.
    """
    return _designed(deq, deq.sigma_a2, leaky_relu_scale)


def training_design(deq: DEQ, centred: bool = False) -> MLP:
    """Return the network that the training experiments use beside a ReLU or tanh DEQ: for another ``sigma_a2``.

    Its second layer is not centred, unless it is asked for: ``centred`` mends the scale alone.

    Raises
    ------
    ValueError
        When the activation is another one.
    """
    return _designed(deq, TRAINED_AS[_name(deq)], leaky_relu_scale if centred else hard_tanh_scale)


def training_deq(deq: DEQ) -> DEQ:
    """Return the DEQ of the training experiments: a ReLU is shifted by what centres it at another ``sigma_a2``.

    Raises
    ------
    ValueError
        When the activation is neither ReLU nor tanh.
    """
    if _name(deq) == "tanh":
        return deq
    tau = coefficients(DEQ(deq.activation, CENTRED_AS, 1.0 - CENTRED_AS, deq.tau0)).tau_star
    shifted = deq.activation.shifted(-tau / math.sqrt(2.0 * math.pi))
    return DEQ(shifted, deq.sigma_a2, deq.sigma_b2, deq.tau0, center=False)


def _name(deq: DEQ) -> str:
    name = str(getattr(deq.activation, "name", ""))
    choice("activation", name, ACTIVATIONS)
    return name


def _designed(deq: DEQ, sigma_a2: float, scale_of_second: Callable[[float, float, float], float]) -> MLP:
    name = _name(deq)
    parameters = fitted(name, sigma_a2, deq.tau0)
    if name == "tanh":
        scale, clip = parameters
        return MLP((Layer(activation("hardtanh", scale=scale, clip=clip)),))
    a1, b1, a2, b2 = parameters
    tau1 = scale_of_second(a1, b1, deq.tau0)
    return MLP((Layer(_leaky_relu(a1, b1, deq.tau0)), Layer(_leaky_relu(a2, b2, tau1))))


def fitted(name: str, sigma_a2: float, tau0: float) -> tuple[float, ...]:
    """Return ``(a1, b1, a2, b2)`` or ``(a, c)``, where the sum of squares of the equations stops to fall."""
    target = coefficients(DEQ(name, sigma_a2, 1.0 - sigma_a2, tau0))
    wanted = np.array([target.alpha1, target.alpha2, target.alpha3, target.gamma2 - tau0**2 * target.alpha1])
    numbers: Callable[..., FloatArray] = leaky_relu_numbers if name == "relu" else hard_tanh_numbers

    def squares(parameters: Any) -> float:
        return float(np.square(numbers(*parameters, tau0) - wanted).sum())

    return tuple(map(float, minimize(squares, _STARTS[name], method="SLSQP", tol=_TOLERANCE).x))


def leaky_relu_numbers(a1: float, b1: float, a2: float, b2: float, tau0: float) -> FloatArray:
    """Return ``(alpha1, alpha2, alpha3, gamma2 - tau0^2 alpha1)`` of two layers ``max(a x, b x)``, each centred."""
    tau1 = leaky_relu_scale(a1, b1, tau0)
    tau2 = leaky_relu_scale(a2, b2, tau1)
    slope1, slope2 = (0.5 * (a1 + b1)) ** 2, (0.5 * (a2 + b2)) ** 2
    bend1, bend2 = ((a - b) ** 2 / (2.0 * math.pi * t**2) for a, b, t in ((a1, b1, tau0), (a2, b2, tau1)))
    first = slope1, bend1 / 4.0, bend1 / 2.0, (tau1 / tau0) ** 2
    alpha1 = slope2 * first[0]
    alpha2 = slope2 * first[1] + bend2 / 4.0 * first[3] ** 2
    alpha3 = slope2 * first[2] + bend2 / 2.0 * first[0] ** 2
    return np.array([alpha1, alpha2, alpha3, tau2**2 - tau0**2 * alpha1])


def hard_tanh_numbers(a: float, c: float, tau0: float) -> FloatArray:
    """Return the same for one layer ``a clip(x, -c, c)``."""
    alpha1 = a**2 * float(erf(c / (math.sqrt(2.0) * tau0))) ** 2
    return np.array([alpha1, 0.0, 0.0, hard_tanh_scale(a, c, tau0) ** 2 - tau0**2 * alpha1])


def leaky_relu_scale(a: float, b: float, tau: float) -> float:
    """Return the root mean square of a centred ``max(a x, b x)`` at scale ``tau``."""
    return tau * math.sqrt(((a**2 + b**2) * (math.pi - 1.0) + 2.0 * a * b) / (2.0 * math.pi))


def hard_tanh_scale(a: float, c: float, tau: float) -> float:
    """Return the root mean square of ``a clip(x, -c, c)`` at scale ``tau``, with the sign of ``a``."""
    h = c / tau
    inside = float(erf(h / math.sqrt(2.0))) - math.sqrt(2.0 / math.pi) * h * math.exp(-0.5 * h**2)
    return a * tau * math.sqrt(max(inside + h**2 * float(erfc(h / math.sqrt(2.0))), 0.0))


def _leaky_relu(a: float, b: float, tau: float) -> Activation:
    return activation("two_slope", a=a, b=b, tau=0.0).shifted(-(a - b) * tau / math.sqrt(2.0 * math.pi))
