"""Piecewise-linear functions that are blurred by a Gaussian, ``E[f(x + width xi)]``, and their derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from notsodeep.activations import polygons
from notsodeep.activations.backend import namespace
from notsodeep.activations.forms import Blurred
from notsodeep.activations.smooth import gauss

_NOTHING = 40.0
"""Standard deviations beyond which the normal density is zero in double precision"""


def value(form: Blurred, x: Any) -> Any:
    """Return the function: the polygon ``f``, and a bump at each of its knots.

    Where the slope rises by ``r`` at ``k``, the bump is ``r width h((x - k) / width)``, with the even function
    ``h(t) = E[max(t + xi, 0)] - max(t, 0)``. Nothing large cancels far out; near 0 the value is exact to the rounding
    of ``width`` and the knots, not of ``x``. Autograd is right at the knots too, for derivatives of any order: both
    parts continue what is on their left.
    """
    out = polygons.value(form.polygon, x)
    for knot, rise in _bends(form):
        out = out + rise * form.width * _rounding_off((knot - x) / form.width)
    return out


def slope(form: Blurred, x: Any) -> Any:
    """Return the derivative: each slope of the polygon times the chance of ``x + width xi`` to be on its piece."""
    xp, knots, slopes = namespace(x), form.polygon.knots, form.polygon.slopes
    out = slopes[0] * xp.ndtr((knots[0] - x) / form.width) + slopes[-1] * xp.ndtr((x - knots[-1]) / form.width)
    for middle, (low, high) in zip(slopes[1:-1], pairwise(knots), strict=True):
        one = xp.ones_like(x)
        side = xp.where(x > 0.5 * (low + high), one, -one)  # so that the difference is of two small chances
        near, far = (side * (end - x) / form.width for end in (low, high))
        out = out + middle * side * (xp.ndtr(far) - xp.ndtr(near))
    return out


def bend(form: Blurred, x: Any) -> Any:
    """Return the second derivative."""
    return sum(rise / form.width * gauss((x - knot) / form.width) for knot, rise in _bends(form))


def _bends(form: Blurred) -> Iterator[tuple[float, float]]:
    """Yield the knots, and by how much the slope rises there."""
    rises = (after - before for before, after in pairwise(form.polygon.slopes))
    return zip(form.polygon.knots, rises, strict=True)


def _rounding_off(s: Any) -> Any:
    """Return ``h(-s)``."""
    xp = namespace(s)
    t = -xp.maximum(s, -_NOTHING)
    below = xp.maximum(t - 2.0 * xp.maximum(t, 0.0), -_NOTHING)  # -|t|
    return xp.gelu(below) + gauss(below)
