"""Evaluation of continuous piecewise-linear functions without cancellation."""

from __future__ import annotations

from typing import Any

from notsodeep.activations.backend import namespace
from notsodeep.activations.forms import PiecewiseLinear


def value(form: PiecewiseLinear, x: Any) -> Any:
    """Return the function: the sum over its pieces of slope times the part of ``x`` inside the piece."""
    xp, knots, slopes = namespace(x), form.knots, form.slopes
    if not knots:
        return slopes[0] * x
    parts = []
    if slopes[0]:
        parts.append(slopes[0] * (xp.minimum(x, knots[0]) - knots[0] if knots[0] else xp.minimum(x, 0.0)))
    for slope, low, high in zip(slopes[1:], knots, knots[1:], strict=False):
        if slope:
            parts.append(slope * (xp.clip(x, low, high) - low))
    if slopes[-1]:
        parts.append(slopes[-1] * (xp.maximum(x, knots[-1]) - knots[-1] if knots[-1] else xp.maximum(x, 0.0)))
    total = sum(parts[1:], parts[0]) if parts else xp.zeros_like(x)
    start = value_at_first_knot(form)
    return total + start if start else total


def slope(form: PiecewiseLinear, x: Any) -> Any:
    """Return the derivative; at a knot, the slope on its left."""
    xp = namespace(x)
    out = form.slopes[0] * xp.ones_like(x)
    for knot, before, after in zip(form.knots, form.slopes, form.slopes[1:], strict=False):
        out = xp.where(x > knot, out + (after - before), out)
    return out


def value_at_first_knot(form: PiecewiseLinear) -> float:
    """Return the value at the first knot, given the value 0 at 0."""
    first = form.knots[0]
    if first >= 0.0:
        return form.slopes[0] * first
    ends = [*form.knots, float("inf")]
    return -sum(
        slope * (min(high, 0.0) - low)
        for slope, low, high in zip(form.slopes[1:], ends, ends[1:], strict=False)
        if low < 0.0
    )
