"""Power series with nonnegative coefficients: sums and products of them lose no digits, so no step here subtracts."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import toeplitz

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

_MOST = 1 << 16  # terms of Mehler's series at most


def terms(base: float, count: int) -> int:
    """Return how many terms of a series about 0 give its first ``count`` coefficients about ``base`` to all digits.

    The k-th term has its place about ``base`` spread like a binomial variable of k trials with probability
    ``1 - base``; what is left out stays below ``count`` with a probability of less than exp(-40).
    """
    if not base:
        return count
    mean = count + math.sqrt(80.0 * count) + 60.0
    if mean > _MOST * (1.0 - base):
        raise ConvergenceError(
            f"the pre-activations of orthogonal samples have correlation {base:.6f}: more than {_MOST} Hermite "
            f"coefficients would be needed for {count} coefficients of the kernel; ask for fewer, or centre the "
            "activations"
        )
    return math.ceil(mean / (1.0 - base))


def recentre(series: FloatArray, base: float, count: int) -> FloatArray:
    """Return the first ``count`` coefficients in y of ``sum_k series[k] u^k`` at ``u = base + (1 - base) y``.

    Each is ``sum_k series[k] P(B_k = j)``, with ``B_k`` binomial of k trials with probability ``1 - base``.
    """
    share, out = np.zeros(count), np.zeros(count)
    share[0] = 1.0
    for coefficient in series:
        out += coefficient * share
        share[1:] = base * share[1:] + (1.0 - base) * share[:-1]
        share[0] *= base
    return out


def differentiate(series: FloatArray) -> FloatArray:
    """Return the coefficients of the derivative, one fewer."""
    return np.arange(1, series.size) * series[1:]


def multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the product, as long as the shorter factor."""
    return np.convolve(left, right)[: min(left.size, right.size)]


def compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """Return ``outer(inner)``, as long as ``inner``, which has no constant term."""
    by_inner = toeplitz(inner, np.zeros_like(inner))
    out = np.zeros_like(inner)
    for coefficient in outer[: inner.size][::-1]:
        out = by_inner @ out
        out[0] += coefficient
    return out


def reciprocal(lead: float, rest: FloatArray) -> FloatArray:
    """Return ``lead / (1 - sum_j rest[j] y^(j + 1))``, one coefficient more than ``rest`` has."""
    out = np.zeros(rest.size + 1)
    out[0] = lead
    for n in range(1, out.size):
        out[n] = rest[:n] @ out[n - 1 :: -1][:n]
    return out


def of_progeny(outer: FloatArray, offspring: FloatArray) -> FloatArray:
    """Return ``outer(y)`` as a series in rho, for the y that solves ``y = rho offspring(y)``; as long as ``outer``.

    By Lagrange's inversion the n-th coefficient is that of ``y^(n - 1)`` in ``outer'(y) offspring(y)^n / n``.
    With ``offspring(1) = 1``, y is the generating function of the progeny of a branching process, and the powers
    are probabilities: none overflows.
    """
    by_offspring = toeplitz(offspring, np.zeros_like(offspring))
    slope, power = differentiate(outer), np.zeros_like(offspring)
    power[0] = 1.0
    out = np.zeros_like(outer)
    out[0] = outer[0]
    for n in range(1, outer.size):
        power = by_offspring @ power
        out[n] = slope[:n] @ power[:n][::-1] / n
    return out
