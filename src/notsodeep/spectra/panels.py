"""Panels of the density between two edges, halved until each is resolved, and the gaps met on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError
from notsodeep.spectra.equations import ComplexArray, Equations, States
from notsodeep.spectra.gaps import Point
from notsodeep.spectra.series import DEGREE, Series, positions

_MOST = 4000  # panels in one interval
_RESOLVED = 1e-12  # last coefficients, of the largest density in the angle
_NOISE = 50 * float(np.finfo(np.float64).eps)  # the same, of the largest term of an equation
_NEGLIGIBLE = 1e-14  # error of the mass of a panel, of the largest density
_ANGLES = math.pi * (np.arange(DEGREE) + 0.5) / DEGREE
_NODES = np.cos(_ANGLES)
_TRANSFORM = np.cos(np.outer(np.arange(DEGREE), _ANGLES)) * np.where(np.arange(DEGREE) == 0, 1.0, 2.0)[:, None] / DEGREE


@dataclass(frozen=True, eq=False)
class _Panels:
    """m panels in the angle: their ends, and Chebyshev coefficients (m, DEGREE, K) of ``q`` where it is known."""

    lows: FloatArray
    highs: FloatArray
    q: ComplexArray | None

    @property
    def nodes(self) -> FloatArray:
        return 0.5 * (self.lows + self.highs)[:, None] + 0.5 * (self.highs - self.lows)[:, None] * _NODES

    def halves(self, chosen: NDArray[np.int64], q: ComplexArray) -> _Panels:
        """Return both halves of some panels, with what is known of ``q`` (m, DEGREE, K) from the values there."""
        lows, highs = self.lows[chosen], self.highs[chosen]
        middles = 0.5 * (lows + highs)
        whole = np.einsum("jn,mnk->mjk", _TRANSFORM, q[chosen])
        parts = [np.einsum("jn,nmk->mjk", _TRANSFORM, _at(whole, side)) for side in (-1.0, 1.0)]
        return _Panels(np.concatenate([lows, middles]), np.concatenate([middles, highs]), np.concatenate(parts))

    def guess(self) -> ComplexArray | None:
        return None if self.q is None else np.swapaxes(_at(self.q, 0.0), 0, 1).reshape(-1, self.q.shape[2])


def _at(coefficients: ComplexArray, side: float) -> ComplexArray:
    """Return values (nodes, m, K) at the nodes of a panel (0), of its lower half (-1) or of its upper half (1)."""
    t = 0.5 * (_NODES + side) if side else _NODES
    return np.asarray(np.moveaxis(chebyshev.chebval(t, np.swapaxes(coefficients, 0, 1)), -1, 0), complex)


def series_between(equations: Equations, low: Point, high: Point) -> Series | Point:
    """Return the density between two ends, over p; or, should there be one, a point between them in a gap.

    Parameters
    ----------
    equations : Equations
        The equations.
    low, high : Point
        The ends, with the solutions there; not finite at an atom or a hard edge.

    Raises
    ------
    ConvergenceError
        When the density cannot be resolved.
    """
    panels = _Panels(np.array([0.0, 0.5 * math.pi]), np.array([0.5 * math.pi, math.pi]), _circle(low.q, high.q))
    interval = _Interval(equations, low, high)
    done: list[tuple[float, FloatArray]] = []
    worst, largest, total = 0.0, 0.0, 0
    while panels.lows.size:
        theta = panels.nodes
        states = interval.states(theta.ravel(), panels.guess())
        if not states.inside.all():
            outside = np.flatnonzero(~states.inside)
            one = outside[len(outside) // 2]
            return Point(float(positions(low.x, high.x, theta.ravel()[one])), states.q[one].real)
        slope = 0.5 * (high.x - low.x) / math.pi * np.sin(theta)
        density = slope * (states.q.imag @ equations.weights).reshape(theta.shape)
        coefficients = density @ _TRANSFORM.T
        worst, largest = max(worst, states.residual), max(largest, float(density.max()))
        noise = _NOISE * (slope * (np.abs(states.q) @ equations.weights).reshape(theta.shape)).max(axis=1)
        noise += _NOISE * largest * states.size.reshape(theta.shape).max(axis=1)
        tail = np.abs(coefficients[:, -4:]).max(axis=1)
        noise += _NEGLIGIBLE * largest / (panels.highs - panels.lows)
        fine = tail <= np.maximum(_RESOLVED * largest, noise)
        done += zip(panels.lows[fine].tolist(), coefficients[fine], strict=True)
        total += len(fine)
        if total > _MOST:
            raise ConvergenceError(
                f"the density between {low.x:.9g} and {high.x:.9g} is not resolved by {_MOST} panels of degree "
                f"{DEGREE}; change n or the covariances slightly, or leave out classes with very few rows"
            )
        panels = panels.halves(np.flatnonzero(~fine), states.q.reshape(*theta.shape, -1))
    done.sort(key=lambda panel: panel[0])
    breaks = np.array([panel[0] for panel in done] + [math.pi])
    return Series(low.x, high.x, breaks, np.array([panel[1] for panel in done]), worst)


class _Interval:
    """The equations on the angles of one interval, with points counted from the nearer end where that is a wall."""

    def __init__(self, equations: Equations, low: Point, high: Point) -> None:
        self._plain, self._ends = equations, (low.x, high.x)
        walled = [not np.isfinite(end.q).all() for end in (low, high)]
        self._origins = [end.x if wall else 0.0 for end, wall in zip((low, high), walled, strict=True)]

    def states(self, theta: FloatArray, guess: ComplexArray | None) -> States:
        """Return the solutions at angles (G,)."""
        low, high = self._ends
        upper = theta > 0.5 * math.pi
        parts = []
        for side, origin in zip((~upper, upper), self._origins, strict=True):
            x = positions(low - origin, high - origin, theta[side])
            parts.append(self._plain.about(origin).real(x, None if guess is None else guess[side]))
        q = np.empty((len(theta), len(self._plain.weights)), complex)
        inside, size = np.empty(len(theta), bool), np.empty(len(theta))
        for side, part in zip((~upper, upper), parts, strict=True):
            q[side], inside[side], size[side] = part.q, part.inside, part.size
        return States(q, inside, size, max(part.residual for part in parts))


def _circle(low: FloatArray, high: FloatArray) -> ComplexArray | None:
    """Return coefficients (2, DEGREE, K) of a half circle in the complex plane: exact for a semicircle law."""
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    theta = 0.25 * math.pi * (np.array([[1.0], [3.0]]) + _NODES)[:, :, None]
    values = 0.5 * (low + high) + 0.5 * np.abs(low - high) * (np.sign(low - high) * np.cos(theta) + 1j * np.sin(theta))
    return np.asarray(np.einsum("jn,mnk->mjk", _TRANSFORM, values))
