"""One layer ``a clip(x, -c, c)`` for odd targets: closed forms and one root, by bracketing."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import erf

from notsodeep.activations import activation
from notsodeep.activations.gaussian import density
from notsodeep.matching.target import Target
from notsodeep.spec import MLP, Layer

_WIDEST = 39.0  # in standard deviations: beyond it the layer is linear to rounding
_NARROWEST = 1e-9
_SMALL = 1e-2


def solutions(target: Target) -> list[MLP]:
    """Return the layer with the target's linear part and diagonal, at unit learning rates; none for both kernels.

    With ``h = clip / tau0`` and ``xi ~ N(0, 1)``: ``alpha1 = a^2 erf(h / sqrt 2)^2`` and ``gamma2 = a^2 tau0^2
    E[clip(xi, -h, h)^2]``, so ``h`` solves one equation for ``gamma2 / (alpha1 tau0^2)``, between 1 (linear) and
    ``pi / 2`` (sign). For the NTK at unit rates, the same with ``beta1 = 2 alpha1`` and
    ``kappa2 = gamma2 + tau0^2 a^2 erf(h / sqrt 2)``, less ``alpha1`` and ``gamma2`` where the readout is not trained;
    it reaches every ratio above 1.
    """
    if target.kernel == "both" or not target.is_odd or target.is_even:
        return []
    rate, readout = (0.0, 1.0) if target.kernel == "ck" else (1.0, target.readout)
    linear, _, _, diagonal = target.numbers
    spread = max(diagonal / linear, 1.0)
    if spread >= _spread(rate, readout, _NARROWEST):
        return []
    h = _WIDEST
    if spread > _spread(rate, readout, _WIDEST):
        low, high = _NARROWEST, _WIDEST
        h = brentq(lambda h: _spread(rate, readout, h) - spread, low, high, xtol=1e-300, rtol=8.9e-16)
    slope = math.sqrt(linear / (rate + readout)) / float(erf(h / math.sqrt(2.0))) / target.tau0
    return [MLP((Layer(activation("hardtanh", scale=slope, clip=h * target.tau0)),))]


def _spread(rate: float, readout: float, h: float) -> float:
    """Diagonal over linear part, for a unit slope and learning rates of the layer and of the readout."""
    inside = float(erf(h / math.sqrt(2.0)))
    square = inside - 2.0 * h * float(density(h)) + h**2 * (1.0 - inside)
    return (readout * _clip_square(h, square) + rate * inside) / ((readout + rate) * inside**2)


def _clip_square(h: float, square: float) -> float:
    """``E[clip(xi, -h, h)^2]``; for small ``h`` its terms cancel, and a series has it to rounding."""
    if h > _SMALL:
        return square
    return h**2 * (1.0 - float(density(0.0)) * h * (4.0 / 3.0 - h**2 * (2.0 / 15.0 - h**2 / 70.0)))
