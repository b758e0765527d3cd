"""Signs of Hermite coefficients, which the kernel does not see: those with the lightest tails at finite width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.matching.hermite_rule import basis, gauss_hermite

_TIE = 1e-9  # relative difference of variances below which the first of two patterns is taken
_BLOCK = 4096  # patterns held at a time


@dataclass(frozen=True)
class Lightest:
    """Hermite coefficients of the layer whose kernel varies least at finite width."""

    coefficients: tuple[float, ...]
    rate: float
    """Learning rate of the weights that feed the layer"""
    variance: float
    """Width times the relative variance of a diagonal entry of the kernel"""


def lightest(series: FloatArray, rates: Iterable[float]) -> Lightest:
    """Return the layer with the kernel ``sum_k series[k] rho^k`` whose diagonal entries vary least.

    With the learning rate c of the weights that feed it, the NTK of ``sigma(x) = sum_k a_k h_k(x)`` is
    ``sum_k (1 + c k) a_k^2 rho^k``; rate 0 gives the CK. So ``a_k = s_k sqrt(series[k] / (1 + c k))`` with signs
    ``s_k``, all of which are tried. A diagonal entry at width m is the mean of m independent copies of
    ``sigma(xi)^2 + c w^2 sigma'(xi)^2``, w being a readout weight; its variance is
    ``E[sigma^4] + 2 c E[sigma^2 sigma'^2] + 3 c^2 E[sigma'^4] - K(1)^2``, exact by Gauss-Hermite quadrature.

    Parameters
    ----------
    series : array (N + 1,)
        Coefficients of the kernel (>= 0, not all 0); the work doubles with each that is not 0.
    rates : iterable of float
        Learning rates to try (>= 0).

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.matching.signs import lightest
    >>> lightest(np.array([0.0, 1.0]), [0.0])
    Lightest(coefficients=(0.0, 1.0), rate=0.0, variance=2.0)
    """
    best = None
    patterns = _patterns(series)
    for rate in rates:
        sizes = np.sqrt(series / (1.0 + rate * np.arange(series.size)))
        variances = np.concatenate(
            [_variances(patterns[i : i + _BLOCK] * sizes, rate) for i in range(0, len(patterns), _BLOCK)]
        )
        variance = float(variances.min())
        place = int(np.argmax(variances <= variance + _TIE * abs(variance)))
        if best is None or variance < best.variance * (1.0 - _TIE):
            coefficients = tuple(float(a) for a in patterns[place] * sizes)
            best = Lightest(coefficients, float(rate), round(variance, 12))
    if best is None:
        raise ValueError("rates must have at least one learning rate, got none")
    return best


def _patterns(series: FloatArray) -> FloatArray:
    """Return all signs of the coefficients that are not 0, ``(patterns, N + 1)``.

    The variance does not change when all signs turn, nor when those of odd k do (x to -x): the first even and the
    first odd one stay +1.
    """
    present = np.flatnonzero(series)
    fixed = {int(own[0]) for parity in (0, 1) if (own := present[present % 2 == parity]).size}
    free = [int(k) for k in present if int(k) not in fixed]
    out = np.ones((1 << len(free), series.size))
    numbers = np.arange(1 << len(free))
    for place, k in enumerate(free):
        out[:, k] = 1.0 - 2.0 * (numbers >> place & 1)
    return out


def _variances(coefficients: FloatArray, rate: float) -> FloatArray:
    """Return the relative variance of a diagonal entry for each row of Hermite coefficients."""
    degree = coefficients.shape[1] - 1
    x, w = gauss_hermite(4 * degree)
    h = basis(x, degree + 1)
    value = np.square(coefficients @ h)
    slope = np.square((coefficients[:, 1:] * np.sqrt(np.arange(1, degree + 1))) @ h[:-1])
    fourth = (value * value + 2.0 * rate * value * slope + 3.0 * rate**2 * slope * slope) @ w
    return fourth / ((value + rate * slope) @ w) ** 2 - 1.0
