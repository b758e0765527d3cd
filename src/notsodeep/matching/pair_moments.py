"""One layer seen by two samples of one norm: second moments of what it adds to a kernel, and its derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from notsodeep.activations import Activation, moments
from notsodeep.activations.forms import HermiteSeries
from notsodeep.activations.gaussian import expect, nodes
from notsodeep.checks import FloatArray
from notsodeep.matching.hermite_rule import basis, gauss_hermite

_REMAINDER = 1e-16  # of Mehler's series, which is cut where the power of the correlation is below it
_MOST = 256  # terms of it


@dataclass(frozen=True)
class PairMoments:
    """Moments of ``(sigma(u)^2, sigma(u) sigma(v), sigma(v)^2)``, u and v being normal, of one variance."""

    square: float
    """``E[sigma(u)^2]``"""
    product: float
    """``E[sigma(u) sigma(v)]``"""
    covariance: FloatArray
    """Covariance ``(3, 3)`` of the three"""
    jacobian: FloatArray
    """Derivatives ``(3, 3)`` of their means in the variance of u, the covariance and the variance of v"""

    @classmethod
    def of(cls, sigma: Activation, variance: float, correlation: float) -> PairMoments:
        """Return the moments at a correlation in [0, 1).

        With the Hermite coefficients a, b, d of sigma, its square and its cube, ``E[sigma sigma] = sum_k a_k^2 r^k``,
        ``E[sigma^2 sigma^2] = sum_k b_k^2 r^k``, ``E[sigma^3 sigma] = sum_k d_k a_k r^k`` (Mehler), and
        ``a_k[sigma''] = sqrt((k + 1) (k + 2)) a_{k+2}[sigma] / variance``.
        """
        scale, count = math.sqrt(variance), _count(correlation)
        a, b, d = _coefficients(sigma, scale, count + 2)
        k = np.arange(count)
        powers = correlation**k
        own = moments(sigma, scale)
        square, product = float(own.square), float(np.square(a[:-2]) @ powers)
        cube, squares = float((d * a)[:-2] @ powers) - square * product, float(np.square(b[:-2]) @ powers)
        fourth = _fourth(sigma, scale) - square**2
        in_squares = squares - square**2
        covariance = np.array(
            [[fourth, cube, in_squares], [cube, squares - product**2, cube], [in_squares, cube, fourth]]
        )
        slope = float(((k + 1) * np.square(a[1:-1])) @ powers) / variance
        bend = 0.5 * float((np.sqrt((k + 1) * (k + 2)) * a[2:] * a[:-2]) @ powers) / variance
        growth = 0.5 * float(own.square_curvature)
        jacobian = np.array([[growth, 0.0, 0.0], [bend, slope, bend], [0.0, 0.0, growth]])
        return cls(square, product, covariance, jacobian)


def _count(correlation: float) -> int:
    if correlation <= _REMAINDER:
        return 1
    return min(_MOST, math.ceil(math.log(_REMAINDER) / math.log(correlation)))


def _coefficients(sigma: Activation, scale: float, count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the first Hermite coefficients of ``sigma(scale .)``, its square and its cube."""
    x, w = _rule(sigma, scale, count)
    values, h = sigma(scale * x), basis(x, count)
    return h @ (w * values), h @ (w * values**2), h @ (w * values**3)


def _fourth(sigma: Activation, scale: float) -> float:
    """``E[sigma^4]``: for a polynomial by Gauss-Hermite quadrature, however high its degree."""
    if isinstance(sigma.form, HermiteSeries):
        x, w = _rule(sigma, scale, 1)
        return float(w @ sigma(scale * x) ** 4)
    return float(expect(sigma, np.array([scale]), lambda x, u: [sigma(u) ** 4])[0][0])


def _rule(sigma: Activation, scale: float, count: int) -> tuple[FloatArray, FloatArray]:
    if isinstance(sigma.form, HermiteSeries):
        degree = len(sigma.form.coefficients) - 1
        return gauss_hermite(max(4 * degree, 3 * degree + count))
    x, w = nodes(sigma, np.array([scale]))
    return x[0], w[0]
