"""The K equations of a limiting spectrum, solved by Newton's method and certified."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError
from notsodeep.spectra.traces import Traces

ComplexArray = NDArray[np.complex128]

_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 100 * _EPS  # residual of a solved equation, of the largest of its terms
_REAL = 1e-6  # imaginary part, of the size, up to which a solution may be a real one
_INSIDE = 1e-9  # imaginary part, of the size, from which on a solution is not real
_FALL = 0.2  # of the height above the real axis, in one step down
_LOWEST = 1e-18  # height, of the scale, at which the descent gives up


@dataclass(frozen=True, eq=False)
class States:
    """Solutions at G points of the real axis.

    ``q`` (G, K), whether each point is inside the support, the largest of the terms in its equations, and the
    largest residual, relative to those.
    """

    q: ComplexArray
    inside: NDArray[np.bool_]
    size: FloatArray
    residual: float


class System(NamedTuple):
    """Residuals (G, K), their Jacobian (G, K, K), the size of the terms (G,) and ``tr(S_a P S_b P)/p`` (G, K, K)."""

    residual: NDArray[Any]
    jacobian: NDArray[Any]
    size: FloatArray
    pairs: NDArray[Any]


class Solution(NamedTuple):
    """Where Newton's method came to from G points.

    ``q`` (G, K), whether it arrived, the size of the terms, and the residual, of that, before the last step.
    """

    q: NDArray[Any]
    arrived: NDArray[np.bool_]
    size: FloatArray
    residual: FloatArray


class Equations:
    """``q_a (s_a - z + tr(S_a P)/p) = 1``, ``P = (I + sum_b w_b q_b S_b)^-1``, for classes that act on each other.

    ``q_a`` is the mean diagonal entry of ``(Z Z' + S - z)^-1`` within class a. Every solution is certified: in
    the upper half plane, and on the real axis inside the support, the one with ``Im q > 0`` is the only one; on
    the real axis outside, it is the only one at which ``A_ab = q_a^2 w_b tr(S_a P S_b P)/p`` has a spectral
    radius below one, and then all ``q_a`` increase.

    Parameters
    ----------
    shifts, weights : array (K,)
        ``s_a`` and ``w_a = n_a / p > 0``.
    traces : Traces
        Of the covariances.
    """

    def __init__(self, shifts: FloatArray, weights: FloatArray, traces: Traces) -> None:
        self.shifts, self.weights, self.traces = shifts, weights, traces

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Return two points outside the support, one on each side: ``|Z_a| <= |S_a| (1 + sqrt(n_a / p))^2``."""
        width = float(self.traces.norms() @ (1.0 + np.sqrt(self.weights)) ** 2)
        room = 0.1 * (width + np.ptp(self.shifts))
        return float(self.shifts.min()) - self.traces.below() - room, float(self.shifts.max()) + width + room

    @cached_property
    def scale(self) -> float:
        """Return a length that all of the support fits in."""
        low, high = self.bounds
        return high - low

    def count(self, q: FloatArray) -> float:
        """Return the number of eigenvalues to the left of a point outside the support, over p, at its solution."""
        return float(self.weights[q < 0.0].sum()) - self.traces.negative(q)

    def system(self, z: NDArray[Any], q: NDArray[Any]) -> System:
        """Return the equations, linearised, at G points."""
        single, pairs = self.traces.traces(q)
        apart = self.shifts - z[:, None]
        jacobian = -q[:, :, None] * self.weights * pairs
        k = len(self.weights)
        jacobian[:, range(k), range(k)] += apart + single
        terms = np.abs(self.shifts) + np.abs(z)[:, None] + np.abs(single)
        size = 1.0 + (np.abs(q) * terms).max(axis=1)
        return System(q * (apart + single) - 1.0, jacobian, size, pairs)

    def slope(self, x: float, q: FloatArray) -> FloatArray:
        """Return dq/dx at a point outside the support."""
        try:
            return np.asarray(np.linalg.solve(self.system(np.array([x]), q[None]).jacobian[0], q))
        except np.linalg.LinAlgError:  # at an edge, where it is infinite
            return np.full_like(q, np.nan)

    def about(self, origin: float) -> Equations:
        """Return the same equations with points counted from ``origin``, which keeps digits near an atom there."""
        return Equations(self.shifts - origin, self.weights, self.traces) if origin else self

    def newton(self, z: NDArray[Any], q: NDArray[Any], steps: int = 12) -> Solution:
        """Return what Newton's method makes of ``q`` (G, K) at ``z`` (G,)."""
        q, arrived = q.copy(), np.zeros(len(q), bool)
        size, reached = np.ones(len(q)), np.full(len(q), np.inf)
        rest = np.arange(len(q))
        for _ in range(steps):
            with np.errstate(all="ignore"):
                residual, jacobian, size[rest], _ = self.system(z[rest], q[rest])
                step = _solve(jacobian, residual)
                reached[rest] = np.abs(residual).max(axis=1) / size[rest]
            fine = np.isfinite(step).all(axis=1)
            q[rest[fine]] -= step[fine]
            done = fine & (reached[rest] <= _ROUNDING)
            arrived[rest[done]] = True
            rest = rest[fine & ~done]
            if not rest.size:
                break
        return Solution(q, arrived, size, reached)

    def upper(self, z: ComplexArray) -> ComplexArray:
        """Return the solutions at points of the upper half plane."""
        x, height = z.real, z.imag
        q, top = self._high(x, height)
        return self._down(x, q, top, height)

    def real(self, x: FloatArray, guess: ComplexArray | None = None) -> States:
        """Return the solutions at points of the real axis.

        Parameters
        ----------
        x : array (G,)
            Points.
        guess : array (G, K), optional
            Where to start. Points at which it does not lead to the certified solution, and all points without a
            guess, are reached from above.

        Raises
        ------
        ConvergenceError
            When a point lies so close to an edge of the support that no solution is certified.
        """
        q, kind = np.empty((len(x), len(self.weights)), complex), np.zeros(len(x), np.int64)
        size, residual = np.ones(len(x)), np.zeros(len(x))
        rest, above, height = np.arange(len(x)), guess, np.full(len(x), np.inf)
        while rest.size:
            if above is not None:
                landed, found, size[rest], residual[rest] = self._land(x[rest], above)
                hit = found != 0
                q[rest[hit]], kind[rest[hit]] = landed[hit], found[hit]
                rest, above, height = rest[~hit], above[~hit], height[~hit]
            if not rest.size:
                break
            if above is None or not np.isfinite(height[0]):
                above, height = self._high(x[rest], np.zeros(len(rest)))
            if height.max() < _LOWEST * self.scale:
                raise ConvergenceError(
                    f"no solution of the spectral equations at {x[rest[0]]:.17g} could be certified: the point is as "
                    "close to an edge of the support as rounding; change n or the covariances slightly"
                )
            above, height = self._down(x[rest], above, height, _FALL * height), _FALL * height
        return States(q, kind > 0, size, float(residual.max(initial=0.0)))

    def outside(self, x: float, q: FloatArray) -> FloatArray | None:
        """Return the real solution near ``q``, if Newton's method finds it and ``x`` is outside the support."""
        found, arrived, _, _ = self.newton(np.array([x]), q[None])
        return found[0] if arrived[0] and self.radius(found)[0] < 1.0 else None

    def radius(self, q: FloatArray) -> FloatArray:
        """Return the spectral radius of ``A`` at real ``q`` (G, K): below one outside the support, one at an edge."""
        return self.radius_of(q, self.traces.traces(q)[1])

    def radius_of(self, q: FloatArray, pairs: FloatArray) -> FloatArray:
        """Return the same where ``tr(S_a P S_b P)/p`` (G, K, K) is known."""
        return np.asarray(np.abs(np.linalg.eigvals(q[:, :, None] ** 2 * self.weights * pairs)).max(axis=1))

    def _land(self, x: FloatArray, guess: ComplexArray) -> tuple[ComplexArray, NDArray[np.int64], Any, Any]:
        """Return solutions on the real axis and their kinds: 1 inside the support, -1 outside, 0 not found.

        With the sizes of their terms and their residuals.
        """
        q, arrived, size, residual = self.newton(x.astype(complex), guess)
        kind = np.zeros(len(x), np.int64)
        with np.errstate(all="ignore"):
            share = q.imag / np.abs(q)
        largest = np.abs(share).max(axis=1)
        kind[arrived & (share.min(axis=1) > -1e-3 * _INSIDE) & (largest > _INSIDE)] = 1
        flat = np.flatnonzero(arrived & (largest <= _REAL))
        if flat.size:
            real = self.newton(x[flat], q.real[flat])
            settled = real.arrived.copy()
            settled[settled] = self.radius(real.q[settled]) < 1.0
            q[flat[settled]], kind[flat[settled]] = real.q[settled], -1
        return q, kind, size, residual

    def _high(self, x: FloatArray, height: FloatArray) -> tuple[ComplexArray, FloatArray]:
        """Return solutions far above the real axis, where iterating the equations converges, and their heights."""
        top = np.maximum(height, 4.0 * self.scale)
        z = x + 1j * top
        q = 1.0 / (self.shifts - z[:, None])
        for _ in range(3):
            q = 1.0 / (self.shifts - z[:, None] + self.traces.traces(q)[0])
        q, arrived, _, _ = self.newton(z, q)
        if not (arrived & (q.imag > 0.0).all(axis=1)).all():
            raise ConvergenceError(
                "the spectral equations did not settle far from the support; divide the covariances and shifts by "
                f"{self.scale:.3g}"
            )
        return q, top

    def _down(self, x: FloatArray, q: ComplexArray, height: FloatArray, target: FloatArray) -> ComplexArray:
        """Return solutions at ``x + i target`` from those at ``x + i height``, in steps as long as they hold."""
        q, height = q.copy(), height.copy()
        fall, rest = np.full(len(x), _FALL), np.flatnonzero(height > target)
        while rest.size:
            below = np.maximum(height[rest] * fall[rest], target[rest])
            tried, arrived, _, _ = self.newton(x[rest] + 1j * below, q[rest])
            held = arrived & (tried.imag > 0.0).all(axis=1)
            q[rest[held]], height[rest[held]] = tried[held], below[held]
            fall[rest] = np.where(held, np.maximum(fall[rest] ** 2, _FALL), np.sqrt(fall[rest]))
            if (fall[rest] > 1.0 - 1e-4).any():
                stuck = rest[np.argmax(fall[rest])]
                raise ConvergenceError(
                    f"the spectral equations at {x[stuck]:.6g} could not be followed below the height "
                    f"{height[stuck]:.2e}; change n or the covariances slightly"
                )
            rest = rest[height[rest] > target[rest]]
        return q


def _solve(jacobian: NDArray[Any], residual: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.linalg.solve(jacobian, residual[..., None])[..., 0]
    except np.linalg.LinAlgError:  # one is singular to the last digit: leave that one out
        if len(residual) == 1:
            return np.full_like(residual, np.nan)
        return np.concatenate([_solve(jacobian[i : i + 1], residual[i : i + 1]) for i in range(len(residual))])
