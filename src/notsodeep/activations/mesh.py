"""Panels on which a function is a low-degree polynomial to machine precision.

Bisection starts from the kinks and stops where the Legendre series of the function on a panel
has died out. The panels belong to the function alone, so one mesh serves every Gaussian scale.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from notsodeep.checks import FloatArray
from notsodeep.errors import SmoothnessWarning, warn

DEGREE = 23  # functions are resolved to this degree on every panel
TAIL = 3  # so many last Legendre coefficients must have died out
RESOLVED = 2e-14  # relative size at which a coefficient counts as dead
AT_ENDS = 30.0  # in that unit, what the series may miss at the ends of a panel; its own rounding makes 8 of it
NARROWEST = 2.0**-36  # panel width, relative to the whole range, where bisection gives up
SPLIT = 0.4877  # where a panel is cut: not at round numbers, where an undeclared kink would be met by chance and missed
MOST = 50_000  # panels to be split at once where bisection gives up: the function is noise at this precision

_BESIDE = 1e-12  # how far from the ends, in half panels, a function is looked at: a kink there has two sides
_PAIR = np.array([-1.0, 1.0]) * (1.0 - _BESIDE)
_TO_ENDS = legendre.legvander(_PAIR, DEGREE).T
_EPSILON = float(np.finfo(np.float64).eps)
_NODES, _WEIGHTS = legendre.leggauss(DEGREE + 1)
# Discrete Legendre transform on the Gauss nodes: values -> series coefficients.
_TO_SERIES = (legendre.legvander(_NODES, DEGREE) * _WEIGHTS[:, None]).T * (np.arange(DEGREE + 1) + 0.5)[:, None]


@lru_cache(maxsize=256)
def mesh(fn: Callable[[Any], Any], kinks: tuple[float, ...], limit: float) -> FloatArray:
    """Return panel ends in ``[-limit, limit]`` that hold every kink and resolve ``fn``.

    Warns with :class:`~notsodeep.errors.SmoothnessWarning` where ``fn`` is rough at a place that
    is not among the ``kinks``. Panels on which ``fn`` overflows are left as they are.

    Raises
    ------
    ValueError
        When ``fn`` gives NaN.
    """
    inside = [k for k in kinks if -limit < k < limit]
    ends = np.array([-limit, *inside, limit])
    left, right = ends[:-1], ends[1:]
    settled: list[FloatArray] = [ends]
    scale, rough = 0.0, []
    while left.size:
        series, size, noise = panel_series(fn, left, right)
        scale = max(scale, float(size.max()))
        allowed = RESOLVED * np.maximum(size, 1e-16 * scale) + noise
        done = ~np.isfinite(size) | (np.abs(series[:, -TAIL:]).max(axis=1) <= allowed)
        done[done] = ~(_missed_at_ends(fn, left[done], right[done], series[done]) > AT_ENDS * allowed[done])
        narrow = ~done & ((right - left <= NARROWEST * limit) | (np.count_nonzero(~done) > MOST))
        rough += list(left[narrow])
        split = ~done & ~narrow
        middle = left[split] + SPLIT * (right[split] - left[split])
        settled.append(middle)
        left, right = np.concatenate([left[split], middle]), np.concatenate([middle, right[split]])
    if rough:
        place = round(float(rough[0]), 6) + 0.0  # the panel is narrower than that
        warn(
            f"the activation is not smooth near x = {place:.6g}; if a derivative jumps there, "
            f"declare it: kinks=({place:.6g}, ...)",
            SmoothnessWarning,
        )
    return np.unique(np.concatenate(settled))


def _missed_at_ends(fn: Callable[[Any], Any], left: FloatArray, right: FloatArray, series: FloatArray) -> FloatArray:
    """Return what the series miss at the ends of their panels: a narrow bend between an end and the last node."""
    half, centre = 0.5 * (right - left)[:, None], 0.5 * (right + left)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(fn(centre + half * _PAIR), dtype=np.float64)
        return np.asarray(np.abs(values - series @ _TO_ENDS).max(axis=1))


def panel_series(
    fn: Callable[[Any], Any], left: FloatArray, right: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return, for each panel, DEGREE + 1 Legendre coefficients of ``fn``, its largest value and its noise.

    The noise is what the rounding of the argument makes of the steepest slope: 1e-13 for ``sin(2 x)`` at ``x = 400``.
    """
    half, centre = 0.5 * (right - left)[:, None], 0.5 * (right + left)[:, None]
    x = centre + half * _NODES
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(fn(x), dtype=np.float64)
        if np.isnan(values).any():
            raise ValueError(f"the activation gives NaN at x = {x[np.isnan(values)][0]:.6g}")
        steepest = np.abs(np.diff(values, axis=1) / (half * np.diff(_NODES))).max(axis=1)
        noise = 2.0 * _EPSILON * np.maximum(np.abs(left), np.abs(right)) * steepest
        return values @ _TO_SERIES.T, np.abs(values).max(axis=1), noise
