"""The system of four nonlinear equations, and its explicit counterpart.

In high dimension the kernels of a centred model depend on it only through a few numbers:
``alpha1, alpha2, alpha3, gamma2`` for the conjugate kernel and ``beta1, beta2, beta3, kappa2``
for the neural tangent kernel. Two models with the same numbers have the same kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from itertools import chain
from typing import Any, Literal, overload

from notsodeep.activations import Moments, moments
from notsodeep.checks import choice, number
from notsodeep.errors import NotCoveredError
from notsodeep.kernels.scalar import RestPoint, rest_point
from notsodeep.spec import DEQ, MLP, Parallel, Spec, branches_of, layers_of, trainable_weights

KERNELS = ("ck", "ntk")
_CENTRED = 1e-7  # mean of an activation, relative to its root mean square, that counts as zero


@dataclass(frozen=True)
class CKCoefficients:
    """Numbers that the conjugate kernel ``G`` of a centred model depends on in high dimension."""

    alpha1: float
    """Weight of the Gram matrix ``X X'``."""
    alpha2: float
    """Weight of the norm fluctuations ``(t, psi)``."""
    alpha3: float
    """Weight of the covariance products ``T``."""
    alpha4: float
    """Response to the squared norm: of ``tau_star^2`` for a DEQ, of ``gamma2`` for explicit layers. Enters through
    ``alpha2`` alone."""
    gamma2: float
    """Diagonal of ``G``."""
    tau_star: float
    """Scale at which the (last) activation works; NaN for several branches, each of which has its own."""

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """Weights of ``X X'``, of ``(t, psi)`` and of ``T``, and the diagonal."""
        return self.alpha1, self.alpha2, self.alpha3, self.gamma2


@dataclass(frozen=True)
class NTKCoefficients:
    """Numbers that the neural tangent kernel ``K`` of a centred model depends on in high dimension."""

    beta1: float
    """Weight of the Gram matrix ``X X'``."""
    beta2: float
    """Weight of the norm fluctuations ``(t, psi)``."""
    beta3: float
    """Weight of the covariance products ``T``."""
    kappa2: float
    """Diagonal of ``K``."""
    tau_star: float
    """Scale at which the (last) activation works; NaN for several branches, each of which has its own."""

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """Weights of ``X X'``, of ``(t, psi)`` and of ``T``, and the diagonal."""
        return self.beta1, self.beta2, self.beta3, self.kappa2


Coefficients = CKCoefficients | NTKCoefficients


@overload
def coefficients(
    spec: Spec, kernel: Literal["ck"] = "ck", *, trainable: str | Iterable[str] = "all", tau0: float | None = None
) -> CKCoefficients: ...
@overload
def coefficients(
    spec: Spec, kernel: Literal["ntk"], *, trainable: str | Iterable[str] = "all", tau0: float | None = None
) -> NTKCoefficients: ...
@overload
def coefficients(
    spec: Spec, kernel: str, *, trainable: str | Iterable[str] = "all", tau0: float | None = None
) -> Coefficients: ...
def coefficients(
    spec: Spec, kernel: str = "ck", *, trainable: str | Iterable[str] = "all", tau0: float | None = None
) -> Coefficients:
    """Solve the four equations of a model.

    For a DEQ, with moments of ``phi(tau_star xi)`` and ``r = 1 - sigma_a2 E[phi']^2``::

        tau_star^2 = sigma_a2 E[phi^2] + sigma_b2 tau0^2
        gamma2 = E[phi^2]
        alpha1 = sigma_b2 E[phi']^2 / r
        alpha2 = E[phi'']^2 alpha4^2 / (4 r)
        alpha3 = E[phi'']^2 (sigma_a2 alpha1 + sigma_b2)^2 / (2 r)
        alpha4 = sigma_b2 / (1 - sigma_a2 E[(phi^2)''] / 2)

    Those of explicit layers follow one layer after the other (:func:`propagate`), and those of parallel branches add;
    only ``tau_star`` does not.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model, without bias; its activations must be centred.
    kernel : {"ck", "ntk"}
        Which kernel the numbers belong to.
    trainable : "all" or names
        Weights that are trained; for the NTK. A DEQ has ``recurrent``, ``input``, ``readout``
        (``("recurrent", "readout")`` is the paper's choice), an MLP ``layer1``, ..., ``readout``, a Parallel
        ``branch1.layer1``, ..., ``readout``.
    tau0 : float
        Root mean squared norm of the samples; for explicit layers (a DEQ has its own).

    Returns
    -------
    CKCoefficients or NTKCoefficients

    Raises
    ------
    ValueError
        When an argument is illegal, the model has a bias, no stable fixed point exists, or an activation is not
        centred at its scale.

    Notes
    -----
    Source: arXiv:2402.02697, theorems 1 and 2; explicit layers: arXiv:2403.00258. The NTK for any
    trainable set, and for layer-wise learning rates, follows from the same expansion.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> c = nsd.coefficients(nsd.DEQ("relu", sigma_a2=0.2, sigma_b2=0.8))
    >>> round(c.alpha1, 6), round(c.alpha2, 6), round(c.alpha3, 6), round(c.gamma2, 6)
    (0.210526, 0.035957, 0.06919, 0.292624)
    """
    choice("kernel", kernel, KERNELS)
    trained = trainable_weights(spec, trainable)
    _check_unbiased(spec)
    if isinstance(spec, DEQ):
        if tau0 is not None:
            raise ValueError(f"tau0 belongs to the DEQ spec ({spec.tau0:g}); leave the argument out, got {tau0!r}")
        ck, ntk = _implicit(spec, rest_point(spec), trained)
    else:
        if tau0 is None:
            raise ValueError(
                f"tau0 is needed for {'an MLP' if isinstance(spec, MLP) else 'a Parallel'}: "
                "the root mean squared norm of the samples, 1.0 for scaled data"
            )
        ck, ntk = _explicit(spec, number("tau0", tau0, low=0.0, strict=True), trained)
    return ck if kernel == "ck" else ntk


def _implicit(deq: DEQ, rest: RestPoint, trained: frozenset[str]) -> tuple[CKCoefficients, NTKCoefficients]:
    m, a2, b2 = rest.moments, deq.sigma_a2, deq.sigma_b2
    _check_centred(m, repr(deq), "set center=True")
    g1, g2 = float(m.slope) ** 2, float(m.curvature) ** 2
    r = 1.0 - a2 * g1
    alpha1 = b2 * g1 / r
    alpha4 = b2 / (1.0 - 0.5 * a2 * float(m.square_curvature))
    lambda1 = a2 * alpha1 + b2
    ck = CKCoefficients(
        alpha1=alpha1,
        alpha2=0.25 * g2 * alpha4**2 / r,
        alpha3=0.5 * g2 * lambda1**2 / r,
        alpha4=alpha4,
        gamma2=float(m.square),
        tau_star=rest.tau_star,
    )
    from_recurrent, from_input = a2 * ("recurrent" in trained), b2 * ("input" in trained)
    readout = float("readout" in trained)
    linear = from_recurrent * ck.alpha1 + from_input
    diagonal = from_recurrent * ck.gamma2 + from_input * deq.tau0**2
    g_dot = float(m.slope_square)
    ntk = NTKCoefficients(
        beta1=readout * ck.alpha1 + linear * g1 / r,
        beta2=readout * ck.alpha2 + from_recurrent * ck.alpha2 * g1 / r,
        beta3=readout * ck.alpha3 + from_recurrent * ck.alpha3 * g1 / r + linear * lambda1 * g2 / r**2,
        kappa2=readout * ck.gamma2 + diagonal * g_dot / (1.0 - a2 * g_dot),
        tau_star=rest.tau_star,
    )
    return ck, ntk


def _explicit(spec: MLP | Parallel, tau0: float, trained: frozenset[str]) -> tuple[CKCoefficients, NTKCoefficients]:
    branches = branches_of(spec, trained)
    stages = [layer_moments(mlp, tau0) for mlp, _ in branches]
    for (place, layer), (m, _, entering) in zip(layers_of(spec), chain.from_iterable(stages), strict=True):
        where = f"{place}, {layer.activation!r}, at scale {entering:.6g}"
        _check_centred(m, where, f"use activation.shifted({-float(m.mean):.17g})")
    found = []
    for (mlp, own), of_layers in zip(branches, stages, strict=True):
        rates = tuple(layer.learning_rate * (f"layer{i}" in own) for i, layer in enumerate(mlp.layers, 1))
        found.append(propagate(of_layers, tau0, rates, float("readout" in own)))
    ck, ntk = (_total([astuple(one) for one in column]) for column in zip(*found, strict=True))
    return CKCoefficients(*ck), NTKCoefficients(*ntk)


def _total(branches: list[tuple[Any, ...]]) -> list[float]:
    """Return the sums over branches; of ``tau_star``, the last number, that of a single branch."""
    sums = [math.fsum(column) for column in zip(*branches, strict=True)]
    return sums if len(branches) == 1 else [*sums[:-1], math.nan]


def layer_moments(mlp: MLP, tau0: float) -> list[tuple[Moments, float, float]]:
    """Return each layer's moments, its ``weight_var``, and the scale of its pre-activations, for norm ``tau0``."""
    stages, scale = [], tau0
    for layer in mlp.layers:
        entering = math.sqrt(layer.weight_var) * scale
        stages.append((moments(layer.activation, entering), layer.weight_var, entering))
        scale = math.sqrt(float(stages[-1][0].square))
    return stages


def propagate(
    stages: Iterable[tuple[Moments, Any, Any]], tau0: Any, rates: tuple[Any, ...], readout: Any = 1.0
) -> tuple[CKCoefficients, NTKCoefficients]:
    """Push the coefficients through explicit layers.

    Parameters
    ----------
    stages : sequence of (Moments, weight_var, scale)
        Of each layer's activation, at the scale of its pre-activations. Complex numbers pass
        through, so that complex steps differentiate this exactly.
    tau0 : float
        Root mean squared norm of the samples.
    rates : sequence of float
        Learning-rate multiplier of the weights that feed each layer.
    readout : float
        Learning-rate multiplier of the readout.

    Notes
    -----
    With the pre-activations ``u = sqrt(w) W y``, the step of a layer is ``alpha1 <- g1 alpha1``,
    ``alpha2 <- g1 alpha2 + g2 alpha4^2 / 4``, ``alpha3 <- g1 alpha3 + g2 alpha1^2 / 2``,
    ``alpha4 <- E[(sigma^2)''] alpha4 / 2`` on ``w`` times the coefficients of the layer before,
    ``g1 = E[sigma']^2``, ``g2 = E[sigma'']^2``, from ``(1, 0, 0, 1)``. Source: arXiv:2403.00258.
    """
    a1, a2, a3, a4, square = 1.0, 0.0, 0.0, 1.0, tau0**2
    b1, b2, b3, k2 = 0.0, 0.0, 0.0, 0.0
    stages = tuple(stages)
    for (m, w, _), rate in zip(stages, rates, strict=True):
        b1, b2, b3, k2 = w * (b1 + rate * a1), w * (b2 + rate * a2), w * (b3 + rate * a3), w * (k2 + rate * square)
        a1, a2, a3, a4 = w * a1, w * a2, w * a3, w * a4
        g1, g2 = m.slope * m.slope, m.curvature * m.curvature
        b1, b2, b3, k2 = g1 * b1, g1 * b2, g1 * b3 + g2 * a1 * b1, m.slope_square * k2
        a1, a2, a3, a4 = g1 * a1, g1 * a2 + g2 * a4**2 / 4, g1 * a3 + g2 * a1**2 / 2, m.square_curvature * a4 / 2
        square = m.square
    scale = stages[-1][2]
    ck = CKCoefficients(a1, a2, a3, a4, square, scale)
    ntk = NTKCoefficients(b1 + readout * a1, b2 + readout * a2, b3 + readout * a3, k2 + readout * square, scale)
    return ck, ntk


def _check_unbiased(spec: Spec) -> None:
    if isinstance(spec, DEQ):
        biases = [("sigma_c2", "", spec.sigma_c2)]
    else:
        biases = [("bias_var", f" of {place}", layer.bias_var) for place, layer in layers_of(spec)]
    for name, where, variance in biases:
        if variance > 0:
            raise NotCoveredError(
                f"the equivalents need a model without bias, got {name}{where} = {variance:g}: all samples share it, "
                f"so their pre-activations stay correlated in any dimension; set {name}=0 (the exact kernels "
                "take any, and nsd.matching.match_any designs networks for it)"
            )


def _check_centred(m: Moments, where: str, remedy: str) -> None:
    if abs(float(m.mean)) > _CENTRED * math.sqrt(float(m.square)):
        raise NotCoveredError(
            f"the four equations need centred activations; {where} has mean {float(m.mean):.6g}: {remedy} "
            '(equivalent(..., order="norm-aware") takes any)'
        )
