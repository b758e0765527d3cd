"""Roots of few equations in more unknowns, and the best of them: Levenberg-Marquardt and Gauss-Newton steps.

Functions map parameters ``(N, B)``, B points at once, to values ``(M, B)``, analytically: their Jacobians are taken by
complex steps, in one call and exact to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from notsodeep.checks import FloatArray

Function = Callable[[Any], Any]
_STEP = 1e-30  # a complex step has no subtraction, so it can be this small
SOLVED = 2e-15
"""Largest residual at which equations count as solved to rounding"""
_HELD = 1e-13  # norm of the equations at the end of a refinement
_NEARBY = 1e-4  # largest of them on the way
_LEAST_GAIN = 0.02  # in the sum of squares, of a step that is followed by another
_LONGEST = 0.7  # of a step, relative to the parameters
_TRIALS = 8


class Point(NamedTuple):
    """Where a search ended."""

    z: FloatArray
    norm: float
    """Root of the sum of squares"""


def with_jacobian(f: Function, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``f(z) (M,)`` and its Jacobian ``(M, N)``."""
    points = np.concatenate([z[:, None], z[:, None] + 1j * _STEP * np.eye(z.size)], axis=1)
    values = f(points)
    return np.ascontiguousarray(values[:, 0].real), values[:, 1:].imag / _STEP


def value(f: Function, z: FloatArray) -> FloatArray:
    """Return ``f(z) (M,)``."""
    return np.asarray(f(z[:, None])[:, 0])


def least_squares(f: Function, z: FloatArray, steps: int = 40) -> Point:
    """Lower ``|f(z)|^2`` by damped steps of least norm: directions that change nothing (gauges) stay untouched."""
    with np.errstate(all="ignore"):
        r, jacobian = with_jacobian(f, z)
        damping = 1e-2
        for _ in range(steps):
            if not (np.isfinite(r).all() and np.isfinite(jacobian).all()):
                return Point(z, np.inf)
            if np.abs(r).max() <= SOLVED:
                break
            for _ in range(_TRIALS):
                there = z + _limited(_damped_step(jacobian, r, damping), z)
                after = value(f, there)
                if after @ after < r @ r:
                    break
                damping = max(5.0 * damping, 1e-12)
            else:
                break
            z, damping = there, max(0.1 * damping, 1e-16)
            r, jacobian = with_jacobian(f, z)
        norm = float(np.linalg.norm(r))
    return Point(z, norm if np.isfinite(norm) else np.inf)


def _damped_step(jacobian: FloatArray, r: FloatArray, damping: float) -> FloatArray:
    """Return ``-J' (J J' + d I)^-1 r``, by whichever of ``J J'`` and ``J' J`` is smaller."""
    m, n = jacobian.shape
    if m <= n:
        gram = jacobian @ jacobian.T
        return np.asarray(-jacobian.T @ np.linalg.lstsq(_damp(gram, damping), r, rcond=1e-15)[0])
    return np.asarray(-np.linalg.lstsq(_damp(jacobian.T @ jacobian, damping), jacobian.T @ r, rcond=1e-15)[0])


def _damp(gram: FloatArray, damping: float) -> FloatArray:
    return gram + damping * np.trace(gram) / len(gram) * np.eye(len(gram))


def _limited(step: FloatArray, z: FloatArray) -> FloatArray:
    length, most = float(np.linalg.norm(step)), _LONGEST * max(1.0, float(np.linalg.norm(z)))
    return step if length <= most else step * (most / length)


def refine(equations: Function, objective: Function, z: FloatArray, steps: int = 20) -> FloatArray:
    """Lower ``|objective(z)|^2`` along the solutions of ``equations(z) = 0``, from one of them.

    Sequential Gauss-Newton steps: back to the linearised equations, and down the linearised objective within their null
    space. Points on the way solve the equations nearly, the one returned as well as the first.
    """
    with np.errstate(all="ignore"):
        damping, best = 1e-3, z
        (f, across), (q, slopes) = with_jacobian(equations, z), with_jacobian(objective, z)
        for _ in range(steps):
            if not all(np.isfinite(part).all() for part in (f, across, q, slopes)):
                break
            back, free = _back_and_free(across, f)
            if not free.shape[1]:
                break
            for _ in range(_TRIALS):
                step = back + free @ _damped_step(slopes @ free, q + slopes @ back, damping)
                there = z + _limited(step, z)
                there = there + _back_and_free(across, value(equations, there))[0]
                after = value(objective, there)
                if after @ after < q @ q and np.abs(value(equations, there)).max() <= _NEARBY:
                    break
                damping = 5.0 * damping
            else:
                break
            gain = 1.0 - float(after @ after) / float(q @ q)
            z, damping = there, max(0.2 * damping, 1e-10)
            (f, across), (q, slopes) = with_jacobian(equations, z), with_jacobian(objective, z)
            if gain < _LEAST_GAIN:
                break
        end = least_squares(equations, z)
    return end.z if end.norm <= _HELD else best


def _back_and_free(jacobian: FloatArray, f: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shortest step that solves the linearised equations, and a basis of the steps that change nothing."""
    left, sizes, rows = np.linalg.svd(jacobian, full_matrices=True)
    rank = int((sizes > 1e-10 * sizes[0]).sum())
    back = -rows[:rank].T @ ((left[:, :rank].T @ f) / sizes[:rank])
    return back, rows[rank:].T
