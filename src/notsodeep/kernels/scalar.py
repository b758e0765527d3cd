"""Scalar fixed points: the scale ``tau_star`` of a DEQ's pre-activations, and the scale of each sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from notsodeep.activations import Activation, Moments, moments
from notsodeep.activations.lipschitz import lipschitz
from notsodeep.activations.tabulate import tabulate
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError, ScaleWarning, StabilityWarning, warn
from notsodeep.spec import DEQ

_STEPS = np.geomspace(1.0, 8.0, 13)  # variances are searched in such steps ...
_LARGEST = 1e6  # ... from what input and bias bring up to so many times it
_NEWTON_STEPS = 60
_ROUNDING = 1e-12  # a contraction this close to 1 cannot be told from 1
_OFF_SCALE = 0.05  # relative distance of the mean squared norm from tau0^2 that is warned about
_TOLERANCE = 4e-16


@dataclass(frozen=True)
class RestPoint:
    """The kernel fixed point of a DEQ at the norm ``tau0`` it is meant for (THEORY: "the scale")."""

    tau_star: float
    """``tau_star**2 = sigma_a2 E[phi(tau_star xi)**2] + sigma_b2 tau0**2 + sigma_c2``"""
    shift: float
    """``b``: what is subtracted from the activation; 0 when the spec is not centred"""
    activation: Activation
    """``phi = phi_0 - b``, the activation that the model uses"""
    moments: Moments
    """Moments of ``phi`` at ``tau_star``"""
    contraction: float
    """``sigma_a2 E[phi'(tau_star xi)**2]``: below 1, the fixed point is stable"""
    global_contraction: float
    """``sigma_a2 L**2``, L the Lipschitz constant: below 1, the kernel map contracts everywhere"""

    @property
    def wide_contraction(self) -> float:
        """``4 sigma_a2 L**2``: below 1, a wide finite network contracts almost surely."""
        return 4.0 * self.global_contraction


def rest_point(deq: DEQ) -> RestPoint:
    """Return the stable kernel fixed point of ``deq`` (the one that iteration from below reaches).

    Warns with :class:`~notsodeep.errors.StabilityWarning` when ``sigma_a2 L**2 >= 1``: then the kernel map
    need not contract everywhere (and a finite network need not converge, though it often does).

    Raises
    ------
    ValueError
        When no fixed point exists, or none with ``sigma_a2 E[phi'(tau_star xi)**2] < 1``.
    """
    found = _rest_point(deq)
    if found.global_contraction >= 1.0:
        warn(
            f"sigma_a2 L^2 = {found.global_contraction:.3g} >= 1 for {deq!r}: the kernel fixed point is stable, "
            "but the kernel map need not contract everywhere, and a finite network need not reach its equilibrium",
            StabilityWarning,
        )
    return found


@lru_cache(maxsize=1024)
def _rest_point(deq: DEQ) -> RestPoint:
    candidates = []
    for q in _fixed_points(deq):
        found = _at(deq, math.sqrt(q))
        if found.contraction < 1.0 - _ROUNDING:
            return found
        candidates.append(found)
    if not candidates:
        raise ValueError(
            f"no stable kernel fixed point: the variance of {deq!r} grows without bound; "
            f"lower sigma_a2 (now {deq.sigma_a2:g})"
        )
    first = candidates[0]
    raise ValueError(
        f"no stable kernel fixed point: sigma_a2 E[phi'(tau_star xi)^2] = {first.contraction:.4g} >= 1 "
        f"at tau_star = {first.tau_star:.4g} for {deq!r}; lower sigma_a2 (now {deq.sigma_a2:g})"
    )


def _fixed_points(deq: DEQ) -> Iterator[float]:
    """Yield the variances at which the variance map comes down through the identity, smallest first."""
    base = deq.sigma_b2 * deq.tau0**2 + deq.sigma_c2
    if deq.sigma_a2 == 0.0:
        yield base
        return

    def excess(q: FloatArray | float) -> FloatArray:
        m = moments(deq.activation, np.sqrt(q))
        power = m.square - m.mean**2 if deq.center else m.square
        return np.asarray(deq.sigma_a2 * power + base - q)

    if not excess(base) > 0:  # a constant activation adds no variance
        yield base
        return
    start = base
    while start < _LARGEST * base:
        grid = start * _STEPS
        above = excess(grid) > 0
        for i in np.flatnonzero(above[:-1] & ~above[1:]):
            yield brentq(excess, grid[i], grid[i + 1], xtol=1e-300, rtol=8.9e-16)
        start = grid[-1]


def _at(deq: DEQ, tau: float) -> RestPoint:
    raw = moments(deq.activation, tau)
    shift = float(raw.mean) if deq.center and raw.mean**2 > 1e-30 * raw.square else 0.0  # rounding is no shift
    phi = deq.activation.shifted(-shift) if shift else deq.activation
    m = moments(phi, tau)
    return RestPoint(
        tau_star=tau,
        shift=shift,
        activation=phi,
        moments=m,
        contraction=deq.sigma_a2 * float(m.slope_square),
        global_contraction=deq.sigma_a2 * lipschitz(deq.activation) ** 2,
    )


def sample_variances(deq: DEQ, squared_norms: FloatArray) -> FloatArray:
    """Return ``q_i = sigma_a2 E[phi(sqrt(q_i) xi)**2] + sigma_b2 |x_i|**2 + sigma_c2`` for each squared norm.

    Newton's method from the first-order guess around ``tau_star``, on all samples at once.

    Raises
    ------
    ValueError
        When the fixed point of a sample is not stable.
    ConvergenceError
        When Newton's method does not settle.
    """
    rest = rest_point(deq)
    if deq.sigma_a2 == 0.0:
        return _injected(deq, squared_norms)
    share = deq.sigma_a2 * float(rest.moments.square)

    def relative(norms: FloatArray) -> FloatArray:
        """``q`` in units of its first-order guess: close to 1, so that an absolute error is a relative one."""
        return (_newton(deq, rest, norms**2) / (_injected(deq, norms**2) + share))[:, None]

    return (_injected(deq, squared_norms) + share) * tabulate(relative, np.sqrt(squared_norms))[:, 0]


def _injected(deq: DEQ, squared_norms: FloatArray) -> FloatArray:
    """Variance that the input and the bias bring."""
    return deq.sigma_b2 * squared_norms + deq.sigma_c2


def _newton(deq: DEQ, rest: RestPoint, squared_norms: FloatArray) -> FloatArray:
    inputs = _injected(deq, squared_norms)
    q = inputs + deq.sigma_a2 * float(rest.moments.square)
    for _ in range(_NEWTON_STEPS):
        m = moments(rest.activation, np.sqrt(q))
        defect = deq.sigma_a2 * m.square + inputs - q
        slope = np.minimum(0.5 * deq.sigma_a2 * m.square_curvature, 0.999)
        step = defect / (1.0 - slope)
        q = np.maximum(q + step, inputs)
        _check_bounded(squared_norms, q > _LARGEST * (inputs + deq.sigma_a2 * float(rest.moments.square)))
        if (np.abs(defect) <= 8 * _TOLERANCE * q).all():
            check_stable(deq, squared_norms, deq.sigma_a2 * m.slope_square)
            return q
    worst = int(np.argmax(np.abs(step) / q))
    raise ConvergenceError(
        f"the variance of a sample of squared norm {squared_norms[worst]:.3g} did not settle: relative step "
        f"{abs(step[worst]) / q[worst]:.1e} after {_NEWTON_STEPS} Newton steps; "
        f"scale the data closer to tau0 = {deq.tau0:g}"
    )


def _check_bounded(squared_norms: FloatArray, runaway: FloatArray) -> None:
    if runaway.any():
        raise ValueError(
            f"no stable kernel fixed point for samples of squared norm {squared_norms[int(runaway.argmax())]:.3g}: "
            "their variance grows without bound; lower sigma_a2 or rescale the data"
        )


def check_stable(deq: DEQ, squared_norms: FloatArray, contraction: FloatArray) -> None:
    """Raise ``ValueError`` where ``contraction = sigma_a2 E[phi'^2]`` of a sample is not below 1."""
    unstable = np.flatnonzero(contraction >= 1.0 - _ROUNDING)
    if unstable.size:
        i = int(unstable[0])
        raise ValueError(
            f"no stable kernel fixed point for samples of squared norm {squared_norms[i]:.3g} (tau0^2 is "
            f"{deq.tau0**2:.3g}): sigma_a2 E[phi'^2] = {contraction[i]:.4g} >= 1 there; "
            "lower sigma_a2 or rescale the data"
        )


def warn_if_off_scale(deq: DEQ, mean_square: float) -> None:
    """Warn with :class:`~notsodeep.errors.ScaleWarning` when samples are far from the norm the model is made for."""
    if abs(mean_square / deq.tau0**2 - 1.0) > _OFF_SCALE:
        warn(
            f"the mean squared norm of the samples is {mean_square:.4g} but the model is made for "
            f"tau0^2 = {deq.tau0**2:.4g}: multiply them by {deq.tau0 / mean_square**0.5:.6g}, "
            f"or set tau0={mean_square**0.5:.6g}",
            ScaleWarning,
        )
