"""A network to be designed: layers with free parameters, its numbers and its kernels as functions of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.activations import Moments
from notsodeep.checks import FloatArray
from notsodeep.equivalents.coefficients import propagate
from notsodeep.matching.probe import Pairs
from notsodeep.matching.shape import TERMS, Profile, Shape, scaled
from notsodeep.spec import MLP, Layer, Parallel

_LEAST_RATE = 1e-14  # of a learning rate: what is smaller is zero


@dataclass(frozen=True)
class Design:
    """Layers of one shape, in branches side by side, at the data scale 1.

    The scale between two layers is a gauge freedom: hidden layers are normalised so that every layer works at scale 1.
    The free parameters ``z (N, ...)`` are those of the layers, branch by branch, then the square roots of the layers'
    learning rates.
    """

    shape: Shape
    branches: tuple[int, ...]
    """Number of layers of each branch"""
    with_rates: bool
    """Whether learning rates are free; else they are 1"""
    readout: float = 1.0
    """Learning rate of the readout"""

    @property
    def layers(self) -> int:
        """Number of layers, over all branches."""
        return sum(self.branches)

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return self.layers * (self.shape.size + self.with_rates)

    def join(self, thetas: list[FloatArray], rates: list[float]) -> FloatArray:
        """Return the free parameters of these layers and learning rates, one of each for every layer."""
        return np.concatenate([*thetas, np.sqrt(rates)] if self.with_rates else thetas)

    def _branches(self, z: Any) -> Iterator[tuple[list[Any], tuple[Any, ...]]]:
        """Yield the parameters of the layers and their learning rates, branch by branch."""
        n, start = self.shape.size, 0
        for depth in self.branches:
            places = range(start, start + depth)
            thetas = [z[i * n : (i + 1) * n] for i in places]
            yield thetas, tuple(z[self.layers * n + i] ** 2 if self.with_rates else 1.0 for i in places)
            start += depth

    def _layers(self, z: Any) -> Iterator[list[tuple[Any, Any]]]:
        """Yield the layers of each branch: parameters, those of hidden layers normalised, and learning rate."""
        for thetas, rates in self._branches(z):
            sizes = [np.sqrt(self.shape.moments(theta).square) for theta in thetas[:-1]]
            hidden = [scaled(self.shape, theta, 1.0 / size) for theta, size in zip(thetas, sizes, strict=False)]
            yield list(zip([*hidden, thetas[-1]], rates, strict=True))

    def numbers(self, z: Any) -> tuple[Any, Any]:
        """Return the four numbers ``(4, ...)`` of the CK and of the NTK."""
        ck: Any = 0.0
        ntk: Any = 0.0
        for thetas, rates in self._branches(z):
            each = [self.shape.moments(theta) for theta in thetas]
            stages = [(m, 1.0, 1.0) for m in (*map(_normalised, each[:-1]), each[-1])]
            found = propagate(stages, 1.0, rates, self.readout)
            ck, ntk = ck + _stacked(found[0].numbers), ntk + _stacked(found[1].numbers)
        return ck, ntk

    def kernels(self, z: Any, pairs: Pairs) -> tuple[Any, Any]:
        """Return CK and NTK of the pairs, then of each norm with itself, ``(pairs + norms, ...)``.

        By short Mehler series: for pairs whose cosines are not close to 1.
        """
        ck: Any = 0.0
        ntk: Any = 0.0
        for branch in self._layers(z):
            new = self._branch_kernels(branch, pairs, z.shape[1:])
            ck, ntk = ck + new[0], ntk + new[1]
        return ck, ntk

    def _branch_kernels(self, branch: list[tuple[Any, Any]], pairs: Pairs, batch: tuple[int, ...]) -> tuple[Any, Any]:
        scales = np.repeat(pairs.norms[:, None], batch[0], axis=1)
        g, own_g = np.repeat(pairs.products[:, None], batch[0], axis=1), scales**2
        k, own_k = 0.0 * g, 0.0 * own_g
        for theta, rate in branch:
            at = self.shape.profile(theta, scales)
            across, slopes = _mehler(at, scales, g, pairs)
            k, own_k = (k + rate * g) * slopes, (own_k + rate * own_g) * at.slope_squares
            g, own_g, scales = across, at.squares, np.sqrt(at.squares)
        return np.concatenate([g, own_g]), np.concatenate([k + self.readout * g, own_k + self.readout * own_g])

    def steepness(self, z: FloatArray) -> float:
        """Return the largest slope of a layer over its root mean square slope."""
        return max(self.shape.steepness(theta) for thetas, _ in self._branches(z) for theta in thetas)

    def spec(self, z: FloatArray, tau0: float) -> MLP | Parallel:
        """Return the network, for samples of norm ``tau0``."""
        branches = tuple(self._chain(branch, tau0) for branch in self._layers(z))
        return branches[0] if len(branches) == 1 else Parallel(branches)

    def _chain(self, branch: list[tuple[Any, Any]], tau0: float) -> MLP:
        """Hidden layers give back the scale ``tau0`` that they get, the last one what the kernel asks for."""
        last = len(branch) - 1
        return MLP(
            tuple(
                Layer(
                    self.shape.activation(theta if i == last else scaled(self.shape, theta, tau0), tau0),
                    learning_rate=float(rate) if rate > _LEAST_RATE else 0.0,
                )
                for i, (theta, rate) in enumerate(branch)
            )
        )


def _normalised(m: Moments) -> Moments:
    """Moments of the layer divided by its root mean square."""
    root = np.sqrt(m.square)
    return Moments(
        mean=0.0,
        square=1.0,
        slope=m.slope / root,
        slope_square=m.slope_square / m.square,
        curvature=m.curvature / root,
        square_curvature=m.square_curvature / m.square,
    )


def _stacked(numbers: tuple[Any, ...]) -> Any:
    return np.stack(np.broadcast_arrays(*numbers))


def _mehler(at: Profile, scales: Any, covariance: Any, pairs: Pairs) -> tuple[Any, Any]:
    """``E[sigma(u) sigma(v)]`` and ``E[sigma'(u) sigma'(v)]`` by their series in the correlation."""
    products = at.coefficients[:, pairs.left] * at.coefficients[:, pairs.right]
    size = scales[pairs.left] * scales[pairs.right]
    rho = covariance / size
    value, slope, power = products[0], 0.0, 1.0 + 0.0 * rho
    for k in range(1, TERMS):
        slope = slope + k * products[k] * power
        power = power * rho
        value = value + products[k] * power
    return value, slope / size
