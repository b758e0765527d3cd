"""Symmetric functions of two norms, on all pairs of many samples: few products of functions of one norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

_SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64)  # interpolation nodes that are tried
_ONE = 1e-12  # relative range of norms that is a single norm


@dataclass(frozen=True)
class Separable:
    """A function ``F(a, b) = sum_ij B_i(a) F_ij B_j(b)`` of two squared norms, symmetric."""

    nodes: FloatArray
    """Squared norms at which the core is ``F``, shape ``(m,)``"""
    core: FloatArray
    """``F_ij``, shape ``(m, m)``"""

    def terms(self, squared_norms: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray]:
        """Return ``u (n, r)``, ``w (r,)`` with ``F(a_i, a_j) = sum_r w_r u_ir u_jr``.

        What is left out is at most ``tolerance`` in every entry.
        """
        weights, vectors = np.linalg.eigh(0.5 * (self.core + self.core.T))
        functions = basis(self.nodes, squared_norms) @ vectors
        sizes = np.abs(weights) * np.abs(functions).max(axis=0) ** 2
        order = np.argsort(-sizes)
        left_out = np.cumsum(sizes[order][::-1])[::-1]
        kept = order[left_out > tolerance]
        return functions[:, kept], weights[kept]


def nodes(low: float, high: float, size: int) -> FloatArray:
    """Return Chebyshev nodes on ``[low, high]`` in the logarithm; one node where the range is rounding."""
    if high - low <= _ONE * high:
        return np.array([np.sqrt(low * high)])
    x = np.cos(np.pi * (np.arange(size) + 0.5) / size)
    return np.asarray(np.exp(0.5 * np.log(low * high) + 0.5 * np.log(high / low) * x))


def basis(at: FloatArray, points: FloatArray) -> FloatArray:
    """Return the Lagrange polynomials of the :func:`nodes` ``at``, in the logarithm, at ``points (n,)``: ``(n, m)``."""
    size = len(at)
    if size == 1:
        return np.ones((len(points), 1))
    angles = np.pi * (np.arange(size) + 0.5) / size
    logs = np.log(at)
    half = (logs[0] - logs[-1]) / (np.cos(angles[0]) - np.cos(angles[-1]))
    t = np.clip((np.log(points) - 0.5 * (logs[0] + logs[-1])) / half, -1.0, 1.0)
    k = np.arange(size)
    to_series = (2.0 - (k == 0))[:, None] / size * np.cos(np.outer(k, angles))
    return np.asarray(np.cos(np.arccos(t)[:, None] * k) @ to_series)


def separable(
    functions: Callable[[FloatArray], FloatArray], low: float, high: float, tolerances: FloatArray
) -> list[Separable]:
    """Return several symmetric functions of two squared norms in ``[low, high]``, each to its tolerance.

    Parameters
    ----------
    functions : callable
        ``(m,)`` squared norms to the values ``(c, m, m)`` of c functions on all pairs.
    low, high : float
        Range of the squared norms.
    tolerances : array (c,)
        Absolute error that is wanted of each.

    Raises
    ------
    ConvergenceError
        When the largest table does not reach it.
    """
    at = nodes(low, high, _SIZES[0])
    values = functions(at)
    for size in _SIZES[1:]:
        finer = nodes(low, high, size)
        truth = functions(finer)
        between = basis(at, finer)
        errors = np.abs(between @ values @ between.T - truth).max(axis=(1, 2))
        if (errors <= tolerances).all():
            return [Separable(at, core) for core in values]
        at, values = finer, truth
    raise ConvergenceError(
        f"the kernel as a function of the norms, from {low:.3g} to {high:.3g} squared, is not met by {_SIZES[-2]} "
        f"nodes (error {np.max(errors / tolerances):.1e} times what was asked for): remove samples of extreme norm"
    )
