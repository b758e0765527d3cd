"""Deterministic multi-start least squares with an exact Jacobian by complex steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from notsodeep.checks import FloatArray

_STEP = 1e-30  # a complex step has no subtraction, so it can be this small
SOLVED = 1e-14
"""Largest residual at which the equations count as solved to rounding"""
_NEAR = 1e-6  # a start that ends below this is polished
_EVALUATIONS = 400  # a start
_FLAT = 1e-5  # relative gradient below which a point is stationary


class Solution(NamedTuple):
    """Best point found."""

    x: FloatArray
    residual: float
    """Largest absolute residual at ``x``"""
    settled: bool
    """Whether ``x`` is a stationary point: no small step lowers the sum of squares"""


def solve(residuals: Callable[[Any], Any], starts: Iterable[FloatArray]) -> Solution:
    """Minimise the sum of squares of ``residuals(x)`` from each start; return the best point.

    ``residuals`` must be analytic and accept complex ``x``. Stops at the first start that solves the
    equations to rounding.
    """

    def real(x: FloatArray) -> FloatArray:
        return np.real(residuals(x))

    def jacobian(x: FloatArray) -> FloatArray:
        steps = x.astype(complex) + 1j * _STEP * np.eye(x.size)
        return np.stack([np.imag(residuals(step)) / _STEP for step in steps], axis=1)

    best, least = Solution(np.empty(0), np.inf, False), np.inf
    for start in starts:
        found = least_squares(
            real, start, jacobian, x_scale="jac", ftol=1e-14, xtol=1e-14, gtol=1e-14, max_nfev=_EVALUATIONS
        )
        x = _polish(real, jacobian, found.x) if np.abs(found.fun).max() < _NEAR else found.x
        cost = float(np.linalg.norm(real(x)))
        if cost < least:
            least = cost
            best = Solution(x, float(np.abs(real(x)).max()), _is_stationary(real(x), jacobian(x)))
        if best.residual <= SOLVED:
            break
    return best


def _polish(
    real: Callable[[FloatArray], FloatArray], jacobian: Callable[[FloatArray], FloatArray], x: FloatArray
) -> FloatArray:
    """A few Gauss-Newton steps, as long as they help."""
    for _ in range(10):
        step = np.linalg.lstsq(jacobian(x), -real(x), rcond=None)[0]
        if not np.abs(real(x + step)).max() < np.abs(real(x)).max():
            return x
        x = x + step
    return x


def _is_stationary(residual: FloatArray, jacobian: FloatArray) -> bool:
    """Whether the gradient is small against what a residual of this size could have."""
    largest = np.linalg.norm(jacobian, axis=0).max() * np.linalg.norm(residual)
    return bool(np.abs(jacobian.T @ residual).max() <= _FLAT * largest)
