"""Closed forms in elementary functions, for torch tensors of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch

import torch

from notsodeep.activations.forms import Blurred, ErrorFunction, PiecewiseLinear, Wave

Pair = tuple[torch.Tensor, torch.Tensor]
ClosedForm = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Pair]


@singledispatch
def closed_form(form: object) -> ClosedForm | None:
    """Return ``f(s, t, rho) -> (E[phi phi], E[phi' phi'])`` for standard deviations s and t, or None."""
    return None


@closed_form.register
def _piecewise_linear(form: PiecewiseLinear) -> ClosedForm | None:
    """``phi(x) = m x + d |x|``: the arc-sine law (Cho and Saul 2009, degrees 0 and 1)."""
    if any(form.knots):
        return None
    left, right = form.slopes[0], form.slopes[-1]
    m2, d2 = (0.5 * (left + right)) ** 2, (0.5 * (right - left)) ** 2

    def evaluate(s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Pair:
        angle = torch.asin(rho)
        slope = m2 + d2 * (2.0 / math.pi) * angle
        bend = torch.sqrt((1.0 - rho) * (1.0 + rho)) + rho * angle
        return s * t * (m2 * rho + d2 * (2.0 / math.pi) * bend), slope

    return evaluate


@closed_form.register
def _blurred(form: Blurred) -> ClosedForm | None:
    law = closed_form(form.polygon)
    return None if law is None else lambda s, t, rho: law(*form.lengthened(s, t, rho))


@closed_form.register
def _error_function(form: ErrorFunction) -> ClosedForm | None:
    """Arc-sine law of Williams (1998)."""
    rate2 = 2.0 * form.rate**2

    def evaluate(s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Pair:
        s2, t2, cross = rate2 * s * s, rate2 * t * t, rate2 * s * t * rho
        # (1 + s2)(1 + t2) - cross^2, expanded so that large scales do not cancel.
        root = torch.sqrt(1.0 + s2 + t2 + s2 * t2 * (1.0 - rho) * (1.0 + rho))
        return (2.0 / math.pi) * torch.atan2(cross, root), (2.0 / math.pi) * rate2 / root

    return evaluate


@closed_form.register
def _wave(form: Wave) -> ClosedForm | None:
    """``E[sin u sin v]`` and ``E[cos u cos v]`` from the characteristic function."""
    w = form.frequency

    def evaluate(s: torch.Tensor, t: torch.Tensor, rho: torch.Tensor) -> Pair:
        # Variances of u - v and of u + v, without cancellation.
        minus = (s - t) ** 2 + 2.0 * s * t * (1.0 - rho)
        plus = (s - t) ** 2 + 2.0 * s * t * (1.0 + rho)
        larger, gap = torch.exp(-0.5 * w**2 * torch.minimum(minus, plus)), 0.5 * w**2 * (plus - minus)
        even = 0.5 * (torch.exp(-0.5 * w**2 * minus) + torch.exp(-0.5 * w**2 * plus))
        odd = -0.5 * torch.sign(gap) * larger * torch.expm1(-torch.abs(gap))
        return (even, w**2 * odd) if form.even else (odd, w**2 * even)

    return evaluate
