"""Panels on which a function is a low-degree polynomial to machine precision.

Bisection starts from the kinks and stops where the Legendre series of the function on a panel
has died out. The panels belong to the function alone, so one mesh serves every Gaussian scale.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from notsodeep.checks import FloatArray
from notsodeep.errors import SmoothnessWarning

DEGREE = 23  # functions are resolved to this degree on every panel
TAIL = 3  # so many last Legendre coefficients must have died out
RESOLVED = 2e-14  # relative size at which a coefficient counts as dead
NARROWEST = 2.0**-36  # panel width, relative to the whole range, where bisection gives up

_NODES, _WEIGHTS = legendre.leggauss(DEGREE + 1)
# Discrete Legendre transform on the Gauss nodes: values -> series coefficients.
_TO_SERIES = (legendre.legvander(_NODES, DEGREE) * _WEIGHTS[:, None]).T * (np.arange(DEGREE + 1) + 0.5)[:, None]


@lru_cache(maxsize=256)
def mesh(fn: Callable[[Any], Any], kinks: tuple[float, ...], limit: float) -> FloatArray:
    """Return panel ends in ``[-limit, limit]`` that hold every kink and resolve ``fn``.

    Warns with :class:`~notsodeep.errors.SmoothnessWarning` where ``fn`` is rough at a place that
    is not among the ``kinks``.
    """
    inside = [k for k in kinks if -limit < k < limit]
    ends = np.array([-limit, *inside, limit])
    left, right = ends[:-1], ends[1:]
    settled: list[FloatArray] = [ends]
    scale, rough = 0.0, []
    while left.size:
        series, size = panel_series(fn, left, right)
        scale = max(scale, float(size.max()))
        floor = np.maximum(size, 1e-16 * scale)
        done = np.abs(series[:, -TAIL:]).max(axis=1) <= RESOLVED * floor
        narrow = ~done & (right - left <= NARROWEST * limit)
        rough += list(left[narrow])
        split = ~done & ~narrow
        middle = 0.5 * (left[split] + right[split])
        settled.append(middle)
        left, right = np.concatenate([left[split], middle]), np.concatenate([middle, right[split]])
    if rough:
        warnings.warn(
            f"the activation is not smooth near x = {rough[0]:.6g}; if a derivative jumps there, "
            f"declare it: kinks=({rough[0]:.6g}, ...)",
            SmoothnessWarning,
            stacklevel=2,
        )
    return np.unique(np.concatenate(settled))


def panel_series(fn: Callable[[Any], Any], left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the Legendre coefficients of ``fn`` on each panel ``(panels, DEGREE + 1)`` and its largest value."""
    half, centre = 0.5 * (right - left)[:, None], 0.5 * (right + left)[:, None]
    values = np.asarray(fn(centre + half * _NODES), dtype=np.float64)
    return values @ _TO_SERIES.T, np.abs(values).max(axis=1)
