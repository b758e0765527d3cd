"""How wide a finite network must be for its kernel to be near that of its spec: Monte-Carlo errors, to first order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from notsodeep.activations import moments
from notsodeep.checks import number
from notsodeep.matching.pair_moments import PairMoments
from notsodeep.matching.sphere_exact import SphereDesign
from notsodeep.spec import MLP, Layer

_ROUNDING = 1e-12  # a width that is whole up to rounding is whole
_ALIKE = 1.1  # widths whose ratio is smaller count as equal


@dataclass(frozen=True)
class Width:
    """Width of every hidden layer at which entries of the kernel have a given standard deviation."""

    diagonal: int
    """Of a sample with itself"""
    orthogonal: int
    """Of two orthogonal samples, the deviation relative to the diagonal"""

    @property
    def needed(self) -> int:
        """The larger of the two."""
        return max(self.diagonal, self.orthogonal)


@dataclass(frozen=True)
class Variances:
    """Width times the variances of entries of a finite network's kernel, relative to the square of the diagonal."""

    diagonal: float
    """Of a sample with itself"""
    orthogonal: float
    """Of two orthogonal samples"""


def variances(spec: MLP | SphereDesign, tau0: float | None = None) -> Variances:
    """Return how much the entries of the kernel of a finite network vary, for samples of norm ``tau0``.

    All layers have the width m. Given the layer below, an entry is the mean of m independent terms, so that with
    ``q = (|y_i|^2, y_i . y_j, |y_j|^2)`` of a layer, ``J`` its derivatives in those of the layer below and ``S`` their
    covariance times m, ``S <- J S J^T + Cov[sigma(u)^2, sigma(u) sigma(v), sigma(v)^2]``, up to ``1 / m``
    (delta method).

    Parameters
    ----------
    spec : MLP or SphereDesign
        A network, of which it is the CK, or a design, of which it is the kernel designed (an NTK: with one output).
    tau0 : float, optional
        Norm of the samples (> 0); a design has its own.

    Raises
    ------
    ValueError
        When an argument is illegal or a layer is zero.
    ConvergenceError
        When the fourth moment of an activation is not captured.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.matching.width import variances
    >>> found = variances(nsd.MLP((nsd.Layer("identity"),)), tau0=1.0)   # the mean of xi^2
    >>> round(found.diagonal, 12), round(found.orthogonal, 12)
    (2.0, 1.0)
    """
    mlp, scale = _network(spec, tau0)
    if isinstance(spec, SphereDesign) and spec.kernel == "ntk":
        return Variances(spec.variance, _orthogonal_of_ntk(mlp.layers[0], scale))
    square, product = scale**2, 0.0
    spread = np.zeros((3, 3))
    for layer in mlp.layers:
        variance = layer.weight_var * square + layer.bias_var
        ratio = (layer.weight_var * product + layer.bias_var) / variance
        pair = PairMoments.of(layer.activation, variance, ratio)
        jacobian = layer.weight_var * pair.jacobian
        spread = jacobian @ spread @ jacobian.T + pair.covariance
        square, product = pair.square, pair.product
    if not square > 0.0:
        raise ValueError(f"the CK of {mlp!r} is zero: nothing can be relative to it")
    return Variances(float(spread[0, 0]) / square**2, float(spread[1, 1]) / square**2)


def width_for(spec: MLP | SphereDesign, error: float, tau0: float | None = None) -> Width:
    """Return the width at which entries of the kernel of a finite network have the standard deviation ``error``.

    Parameters
    ----------
    spec : MLP or SphereDesign
        As for :func:`variances`.
    error : float
        Standard deviation, relative to the diagonal of the kernel (> 0).
    tau0 : float, optional
        Norm of the samples (> 0); a design has its own.

    Returns
    -------
    Width
        ``diagonal``, ``orthogonal`` and the ``needed`` one.

    Raises
    ------
    ValueError, ConvergenceError
        As :func:`variances`.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.matching.width import width_for
    >>> width_for(nsd.MLP((nsd.Layer("identity"),)), error=0.125, tau0=1.0)
    Width(diagonal=128, orthogonal=64)
    """
    target = number("error", error, low=0.0, strict=True)
    found = variances(spec, tau0)
    return Width(_whole(found.diagonal / target**2), _whole(found.orthogonal / target**2))


def verdict(design: SphereDesign, twin: MLP, error: float = 0.01) -> str:
    """Say in words whether a Hermite layer or another network for the same CK is the better choice at finite width.

    Parameters
    ----------
    design : SphereDesign
        The Hermite layer, designed for the CK.
    twin : MLP
        The other network, such as piecewise-linear layers with the same kernel.
    error : float
        Standard deviation of the entries that is asked for, relative to the diagonal (> 0).

    Raises
    ------
    ValueError
        When ``design`` is for an NTK, or an argument is illegal.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.matching.sphere_exact import design
    >>> from notsodeep.matching.width import verdict
    >>> deq = nsd.DEQ("tanh")
    >>> print(verdict(design(deq, "ck", {"readout"}), nsd.match(deq, family="hard_tanh").spec))
    For entries within 1 % of the diagonal the Hermite layer (degree 5) needs a width of 10000, the other network
    (1 layer) 10000: either will do.
    """
    if not isinstance(design, SphereDesign) or design.kernel != "ck":
        raise ValueError("design must be a SphereDesign for the CK: the NTK's width is known for one layer only")
    if not isinstance(twin, MLP):
        raise ValueError(f"twin must be an MLP, got {twin!r}")
    own, other = width_for(design, error).needed, width_for(twin, error, design.deq.tau0).needed
    layers = f"{twin.depth} layer{'s' if twin.depth > 1 else ''}"
    better = "the Hermite layer is the better choice" if own < other else "the other network is the better choice"
    if max(own, other) <= _ALIKE * min(own, other):
        better = "either will do" if twin.depth == 1 else "the Hermite layer will do, with one layer"
    return (
        f"For entries within {100.0 * error:.3g} % of the diagonal the Hermite layer (degree {design.degree}) needs a "
        f"width of {own}, the other network ({layers}) {other}: {better}."
    )


def _whole(width: float) -> int:
    return max(1, math.ceil(width * (1.0 - _ROUNDING)))


def _network(spec: MLP | SphereDesign, tau0: float | None) -> tuple[MLP, float]:
    if isinstance(spec, SphereDesign):
        if tau0 is not None:
            raise ValueError(f"tau0 must not be given for a design, which has its own, got {tau0!r}")
        return spec.spec, spec.deq.tau0
    if not isinstance(spec, MLP):
        raise ValueError(f"spec must be an MLP or a SphereDesign, got {spec!r}")
    if tau0 is None:
        raise ValueError("tau0 must be given for an MLP: the norm of the samples")
    return spec, number("tau0", tau0, low=0.0, strict=True)


def _orthogonal_of_ntk(layer: Layer, tau0: float) -> float:
    """The part of the first layer is ``c x . y sigma' sigma'``, which is 0 for orthogonal samples."""
    own = moments(layer.activation, tau0)
    diagonal = own.square + layer.learning_rate * tau0**2 * own.slope_square
    return float((own.square**2 - own.mean**4) / diagonal**2)
