"""Evaluation of continuous piecewise-linear functions without cancellation."""

from __future__ import annotations

import math
from typing import Any

from notsodeep.activations.backend import namespace
from notsodeep.activations.forms import PiecewiseLinear


def value(form: PiecewiseLinear, x: Any) -> Any:
    """Return the function: the sum over its pieces of slope times the part of ``[0, x]`` inside the piece."""
    knots, slopes = form.knots, form.slopes
    if not knots:
        return slopes[0] * x
    if knots == (0.0,) and min(slopes) > 0.0:
        return slopes[1] * namespace(x).leaky_relu(x, slopes[0] / slopes[1])
    parts = []
    for slope, low, high in zip(slopes, (-math.inf, *knots), (*knots, math.inf), strict=True):
        if slope:
            start = min(max(0.0, low), high)
            inside = _clip(x, low, high)
            inside = inside - start if start else inside
            parts.append(inside if slope == 1.0 else slope * inside)
    return sum(parts[1:], parts[0]) if parts else namespace(x).zeros_like(x)


def _clip(x: Any, low: float, high: float) -> Any:
    xp = namespace(x)
    if low == -math.inf:
        return xp.minimum(x, high)
    return xp.maximum(x, low) if high == math.inf else xp.clip(x, low, high)


def slope(form: PiecewiseLinear, x: Any) -> Any:
    """Return the derivative; at a knot, the slope on its left."""
    xp = namespace(x)
    out = form.slopes[0] * xp.ones_like(x)
    for knot, after in zip(form.knots, form.slopes[1:], strict=True):
        out = xp.where(x > knot, after, out)
    return out
