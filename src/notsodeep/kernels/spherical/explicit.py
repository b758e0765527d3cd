"""Kernels of MLPs, alone or side by side, between samples of one norm, as functions of their cosine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from notsodeep.activations import moments
from notsodeep.checks import FloatArray
from notsodeep.kernels.spherical import series
from notsodeep.kernels.spherical.curve import Correlation, DualCurve, times
from notsodeep.spec import MLP, Layer, Parallel, branches_of


@dataclass(frozen=True)
class _Stage:
    """A layer with what it receives from samples of the given norm."""

    curve: DualCurve
    variance: float
    """q, of its pre-activations"""
    weight: float
    """Variance of its weights"""
    bias: float
    """Variance of its bias"""
    share: float
    """Of ``variance``, what the layer before brings, and not the bias"""
    rate: float
    """Learning rate of the weights, 0 where they are not trained"""
    bias_rate: float
    """Learning rate of the bias, 0 where it is not trained"""

    def correlation(self, ratio: Correlation) -> Correlation:
        """Return the correlation of the pre-activations for a ratio ``G / G(1)`` of the layer before."""
        lifted = np.where(ratio.negative, 2.0 * (1.0 - self.share), 0.0)
        return Correlation.from_end(ratio.negative, self.share * ratio.gap + lifted)

    def source(self, ck: FloatArray, ntk: FloatArray) -> FloatArray:
        """Return what the NTK of the layer is ``D`` times of."""
        return self.weight * (self.rate * ck + ntk) + self.bias * self.bias_rate


class ExplicitSphere:
    """The kernel of an MLP between samples of one norm, which its weights ``trained`` give (``readout``: the CK).

    ``G_l = H_l(u_l)`` with ``q_l u_l = w_l G_{l-1} + b_l``, and ``K_l = (w_l (c_l G_{l-1} + K_{l-1}) + b_l c_l) D_l``
    with ``D_l = H_l'(u_l) / q_l``.
    """

    def __init__(self, mlp: MLP, squared_norm: float, trained: frozenset[str]) -> None:
        self._squared_norm, self._readout = squared_norm, float("readout" in trained)
        self._below = bool(trained - {"readout"})
        self._stages, power = [], squared_norm
        for number, layer in enumerate(mlp.layers, 1):
            if self._below and np.isinf(moments(layer.activation, 1.0).slope_square):
                raise ValueError(
                    f"the NTK is infinite at a cosine of 1: the activation of layer {number}, {layer.activation!r}, "
                    'jumps; the CK and trainable="readout" are finite'
                )
            self._stages.append(_stage(layer, number, power, trained))
            power = self._stages[-1].curve.top

    def values(self, rho: FloatArray) -> FloatArray:
        """Return the kernel at cosines in [-1, 1]."""
        ratio, ck, ntk = Correlation.of(rho), self._squared_norm * rho, np.zeros_like(rho)
        for stage in self._stages:
            u = stage.correlation(ratio)
            if self._below:
                ntk = stage.source(ck, ntk) * stage.curve.slope(u) / stage.variance
            ratio, ck = stage.curve.relative(u), stage.curve.value(u)
        return self._readout * ck + ntk

    def derivatives(self, rho: FloatArray) -> FloatArray:
        """Return the derivative in the cosine."""
        ratio, ck, ntk = Correlation.of(rho), self._squared_norm * rho, np.zeros_like(rho)
        ck1, ntk1 = np.full_like(rho, self._squared_norm), np.zeros_like(rho)
        for stage in self._stages:
            u = stage.correlation(ratio)
            slope, u1 = stage.curve.slope(u), stage.weight * ck1 / stage.variance
            if self._below:
                source, source1 = stage.source(ck, ntk), stage.weight * (stage.rate * ck1 + ntk1)
                ntk1 = (source1 * slope + times(source * u1, stage.curve.curvature(u))) / stage.variance
                ntk = source * slope / stage.variance
            ck1 = times(u1, slope)
            ratio, ck = stage.curve.relative(u), stage.curve.value(u)
        return self._readout * ck1 + ntk1

    def coefficients(self, count: int) -> FloatArray:
        """Return the first ``count`` coefficients of the power series in the cosine."""
        ck, ntk = np.zeros(count), np.zeros(count)
        ck[1:2] = self._squared_norm
        for stage in self._stages:
            u = stage.weight * ck / stage.variance
            base = float(u[0] + stage.bias / stage.variance)
            squares = stage.curve.squares(series.terms(base, count + 1))
            outer, inner = series.recentre(squares, base, count + 1), u / (1.0 - base)
            inner[0] = 0.0
            if self._below:
                slope = series.compose(series.differentiate(outer), inner) / ((1.0 - base) * stage.variance)
                source = stage.weight * (stage.rate * ck + ntk)
                source[0] += stage.bias * stage.bias_rate
                ntk = series.multiply(source, slope)
            ck = series.compose(outer, inner)
        return self._readout * ck + ntk


class ParallelSphere:
    """The kernel of parallel branches between samples of one norm: the sum of those of the branches."""

    def __init__(self, parallel: Parallel, squared_norm: float, trained: frozenset[str]) -> None:
        branches = branches_of(parallel, trained)
        self._branches = [ExplicitSphere(mlp, squared_norm, own) for mlp, own in branches if own]

    def values(self, rho: FloatArray) -> FloatArray:
        """Return the kernel at cosines in [-1, 1]."""
        return np.sum([branch.values(rho) for branch in self._branches], axis=0)

    def derivatives(self, rho: FloatArray) -> FloatArray:
        """Return the derivative in the cosine; NaN where branches are infinite with both signs."""
        with np.errstate(invalid="ignore"):
            return np.sum([branch.derivatives(rho) for branch in self._branches], axis=0)

    def coefficients(self, count: int) -> FloatArray:
        """Return the first ``count`` coefficients of the power series in the cosine."""
        return np.sum([branch.coefficients(count) for branch in self._branches], axis=0)


def _stage(layer: Layer, number: int, power: float, trained: frozenset[str]) -> _Stage:
    brought = layer.weight_var * power
    variance = brought + layer.bias_var
    rates = (layer.learning_rate * (f"{name}{number}" in trained) for name in ("layer", "bias"))
    curve = DualCurve(layer.activation, variance**0.5)
    return _Stage(curve, variance, layer.weight_var, layer.bias_var, brought / variance, *rates)
