"""Family ``hard_tanh``: one layer ``a clip(x, -c, c)``, for odd targets; in closed form up to one root."""

from __future__ import annotations

import math
from typing import Any

from scipy.optimize import brentq
from scipy.special import erf

from notsodeep.activations import activation
from notsodeep.activations.gaussian import density
from notsodeep.matching.proposal import Proposal
from notsodeep.matching.target import Target
from notsodeep.spec import MLP, Layer

DEPTH = 1
_WIDEST = 39.0  # in standard deviations: beyond it the layer is linear to rounding
_NARROWEST = 1e-6
_SMALL = 1e-2


def propose(target: Target) -> Proposal:
    """Return the hard tanh layer with the target's linear part and diagonal.

    With ``h = clip / tau0`` and ``xi ~ N(0, 1)``: ``alpha1 = a^2 erf(h / sqrt 2)^2`` and ``gamma2 = a^2 tau0^2
    E[clip(xi, -h, h)^2]``, so ``h`` solves one equation for ``gamma2 / (alpha1 tau0^2)``, between 1 (linear) and
    ``pi / 2`` (sign). For the NTK at unit rates, the same with ``beta1 = 2 alpha1`` and
    ``kappa2 = gamma2 + tau0^2 a^2 erf(h / sqrt 2)``; it reaches every ratio above 1.
    """
    if target.is_even:
        scale = math.sqrt(target.numbers[3] / _spread(target, _NARROWEST)) / target.tau0
        spec = _layer(target, _NARROWEST, linear=scale**2)
        return Proposal(spec, target.residual(spec), "an even activation has no linear part, every hard tanh has one")
    spread = max(target.spread, 1.0)
    ceiling = _spread(target, _NARROWEST)
    if spread >= ceiling:
        limit = "pi/2, that of a sign" if target.kernel == "ck" else f"{ceiling:.3g}"
        spec = _layer(target, _NARROWEST)
        reason = f"diagonal / linear part is {spread:.4g}, one hard tanh layer stays below {limit}"
        return Proposal(spec, target.residual(spec), reason)
    floor = _spread(target, _WIDEST)
    half_width = (
        _WIDEST
        if spread <= floor
        else brentq(lambda h: _spread(target, h) - spread, _NARROWEST, _WIDEST, xtol=1e-300, rtol=8.9e-16)
    )
    spec = _layer(target, half_width)
    reason = "" if target.is_odd else "the target has norm and product terms, an odd layer has none"
    return Proposal(spec, target.residual(spec), reason)


def _spread(target: Target, h: float) -> float:
    """Diagonal over linear part, for a unit slope."""
    inside = float(erf(h / math.sqrt(2.0)))
    square = inside - 2.0 * h * float(density(h)) + h**2 * (1.0 - inside)
    if target.kernel == "ck":
        return _clip_square(h, square) / inside**2
    return (_clip_square(h, square) + inside) / (2.0 * inside**2)


def _clip_square(h: float, square: float) -> float:
    """``E[clip(xi, -h, h)^2]``; for small ``h`` its terms cancel, and a series has it to rounding."""
    if h > _SMALL:
        return square
    return h**2 * (1.0 - float(density(0.0)) * h * (4.0 / 3.0 - h**2 * (2.0 / 15.0 - h**2 / 70.0)))


def _layer(target: Target, h: float, linear: float | None = None) -> MLP:
    """The layer of half-width ``h tau0`` whose kernel has the linear part given, by default the target's."""
    inside = float(erf(h / math.sqrt(2.0)))
    shares = 1.0 if target.kernel == "ck" else 2.0
    slope = math.sqrt((target.numbers[0] if linear is None else linear) / shares) / inside
    parameters: dict[str, Any] = {"scale": slope, "clip": h * target.tau0}
    return MLP((Layer(activation("hardtanh", **parameters)),))
