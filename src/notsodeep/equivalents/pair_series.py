"""The exact kernels of a pair of samples as power series in the product ``g = x . y``, given the two norms."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from notsodeep.activations import Activation
from notsodeep.activations.hermite import coefficients as hermite_coefficients
from notsodeep.activations.moments import moments
from notsodeep.checks import FloatArray
from notsodeep.equivalents.jets import composition, product, quotient
from notsodeep.errors import ConvergenceError
from notsodeep.kernels.scalar import rest_point, sample_variances
from notsodeep.spec import DEQ, MLP, Spec, branches_of

ORDER = 3
"""Highest power of ``g`` that is kept"""
_TERMS = (16, 64, 256, 1024)
_TOLERANCE = 1e-12  # by which the longer of two series may differ, of the natural size of each coefficient
_NEWTON_STEPS = 60
_ROUNDING = 4e-16


class PairSeries(NamedTuple):
    """Coefficients of ``g^k``, ``k = 0, ..., 3``, shape ``(4, m, m)``: entry (a, b) is for norms a and b."""

    ck: FloatArray
    ntk: FloatArray


def pair_series(spec: Spec, squared_norms: FloatArray, trained: frozenset[str]) -> PairSeries:
    """Return the expansion of both kernels off the diagonal, ``K(x, y) = k_0 + k_1 x.y + k_2 (x.y)^2 + ...``.

    Exact in the norms: with ``V(Lambda) = E[phi(u) phi(v)]`` at the scales of the two samples, the base
    ``Lambda_0 = sigma_a2 V(Lambda_0) + sigma_c2`` is solved for, and the fixed point is differentiated there; layers
    are composed, and branches add. No activation needs to be centred.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model.
    squared_norms : array (m,)
        Squared norms of samples.
    trained : frozenset of str
        Trained weights, for the NTK.

    Raises
    ------
    ValueError
        When a norm has no stable fixed point.
    ConvergenceError
        When a base correlation is too close to 1 for a Hermite series, as a large bias makes it.
    """
    if isinstance(spec, DEQ):
        return _implicit(spec, squared_norms, trained)
    parts = [_explicit(mlp, squared_norms, own) for mlp, own in branches_of(spec, trained)]
    return PairSeries(*(np.sum(kernel, axis=0) for kernel in zip(*parts, strict=True)))


def _implicit(deq: DEQ, squared_norms: FloatArray, trained: frozenset[str]) -> PairSeries:
    a2, b2, c2 = deq.sigma_a2, deq.sigma_b2, deq.sigma_c2
    v = _Expectation(rest_point(deq).activation, np.sqrt(sample_variances(deq, squared_norms)))
    around = v.taylor(_base(v, a2, c2))
    covariance = np.zeros_like(around[: ORDER + 1])
    covariance[1] = b2 / (1.0 - a2 * around[1])
    for k in range(2, ORDER + 1):  # what lower powers bring to order k, around a covariance that lacks its own
        covariance[k] = a2 * composition(around, covariance)[k] / (1.0 - a2 * around[1])
    ck = composition(around, covariance)
    slope = composition(_derivative(around), covariance)
    share = _constant(1.0, slope) - a2 * slope
    inner = a2 * ("recurrent" in trained) * ck
    inner[0] += c2 * ("bias" in trained)
    inner[1] += b2 * ("input" in trained)
    return PairSeries(ck, ("readout" in trained) * ck + quotient(product(inner, slope), share))


def _base(v: _Expectation, a2: float, c2: float) -> FloatArray:
    """Solve ``Lambda = sigma_a2 V(Lambda) + sigma_c2``, the covariance of samples that are orthogonal."""
    base = np.full_like(v.bound, c2)
    for _ in range(_NEWTON_STEPS):
        around = v.taylor(base, 1)
        step = (a2 * around[0] + c2 - base) / (1.0 - a2 * around[1])
        base = np.clip(base + step, -v.bound, v.bound)
        if (np.abs(step) <= 4 * _ROUNDING * v.bound).all():
            return base
    raise ConvergenceError(
        f"the base of the expansion did not settle (relative step {np.max(np.abs(step) / v.bound):.1e}): lower sigma_a2"
    )


def _explicit(mlp: MLP, squared_norms: FloatArray, trained: frozenset[str]) -> PairSeries:
    gram = np.zeros((ORDER + 1, len(squared_norms), len(squared_norms)))
    gram[1] = 1.0
    ck, ntk, variance = gram, np.zeros_like(gram), squared_norms
    for i, layer in enumerate(mlp.layers, 1):
        w, b, rate = layer.weight_var, layer.bias_var, layer.learning_rate
        scales = np.sqrt(w * variance + b)
        covariance = w * ck + _constant(b, ck)
        around = _Expectation(layer.activation, scales).taylor(covariance[0])
        below = w * (rate * (f"layer{i}" in trained) * ck + ntk) + _constant(b * rate * (f"bias{i}" in trained), ck)
        ntk = product(below, composition(_derivative(around), covariance))
        ck = composition(around, covariance)
        variance = np.asarray(moments(layer.activation, scales).square)
    return PairSeries(ck, ("readout" in trained) * ck + ntk)


class _Expectation:
    """``V(Lambda) = E[phi(u) phi(v)]`` for all pairs of some scales, by Mehler's series."""

    def __init__(self, activation: Activation, scales: FloatArray) -> None:
        self._activation, self._scales = activation, scales
        self.bound = np.outer(scales, scales)
        self._series: dict[int, FloatArray] = {}

    def taylor(self, covariance: FloatArray, order: int = ORDER + 1) -> FloatArray:
        """Return ``V^(j)(Lambda) / j!`` for j up to ``order``, shape ``(order + 1, m, m)``."""
        rho = covariance / self.bound
        shorter = self._sums(rho, order, _TERMS[0])
        for terms in _TERMS[1:]:
            sums = self._sums(rho, order, terms)
            size = np.abs(sums).max(axis=(1, 2), keepdims=True)
            if (np.abs(sums - shorter) <= _TOLERANCE * size).all():
                return sums / self.bound ** np.arange(order + 1)[:, None, None]
            shorter = sums
        raise ConvergenceError(
            f"orthogonal samples have pre-activations of correlation {np.abs(rho).max():.3f} in {self._activation!r}, "
            "too close to 1 for an expansion in their product: lower the variance of the bias, centre the activation, "
            "or remove samples of extreme norm"
        )

    def _sums(self, rho: FloatArray, order: int, terms: int) -> FloatArray:
        """Return ``sum_k binomial(k, j) a_k a_k' rho^(k - j)`` by Horner's rule."""
        if terms not in self._series:
            self._series[terms] = hermite_coefficients(self._activation, self._scales, terms)
        a = self._series[terms]
        sums = np.zeros((order + 1, *rho.shape))
        for k in range(terms - 1, -1, -1):
            pair = np.outer(a[:, k], a[:, k])
            for j in range(min(k, order) + 1):
                sums[j] = sums[j] * rho + math.comb(k, j) * pair
        return sums


def _derivative(series: FloatArray) -> FloatArray:
    return series[1:] * np.arange(1, len(series))[:, None, None]


def _constant(value: float, like: FloatArray) -> FloatArray:
    out = np.zeros_like(like)
    out[0] = value
    return out
