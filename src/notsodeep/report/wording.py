"""The result of the main job in words."""

from __future__ import annotations

from notsodeep.activations import Activation
from notsodeep.experiments.twin import TwinResult
from notsodeep.report.numerals import decimal, percent

KERNELS = {"ck": "conjugate kernel", "ntk": "neural tangent kernel"}
_FAMILIES = {"hard_tanh": "hard-tanh", "leaky_relu": "leaky-ReLU"}
_CLOSE = 0.05
"""Largest relative distance of kernels that are still called the same"""


def headline(result: TwinResult) -> str:
    """Return one sentence that says whether the network has the kernel of the DEQ, and how closely."""
    network, kernel, deq = network_words(result), KERNELS[result.match.kernel], f"this {deq_words(result)} DEQ"
    apart = percent(result.distance.spectral)
    where = f"on {result.samples.train.n} samples of {result.samples.train.name}"
    if result.match.status != "matched":
        return (
            f"No {network} was found that has the {kernel} of {deq}: the closest one misses its coefficients by up to "
            f"{percent(result.match.residual)}, and {where} the exact kernels differ by {apart}."
        )
    if result.distance.spectral > _CLOSE:
        return (
            f"A {network} has the coefficients of {deq}, but not its {kernel} on these data: "
            f"{where} the exact kernels differ by {apart}."
        )
    return f"A {network} has the {kernel} of {deq}: {where} the exact kernels differ by {apart}."


def network_words(result: TwinResult) -> str:
    """Return what the network is, as in ``2-layer leaky-ReLU network``."""
    family = result.match.family
    return f"{result.match.spec.depth}-layer {_FAMILIES.get(family, family.replace('_', '-'))} network"


def deq_words(result: TwinResult) -> str:
    """Return the name of the DEQ's activation."""
    return result.config.deq.activation.name


def short_name(phi: Activation) -> str:
    """Return the name of an activation as a picture shows it, as in ``two-slope``."""
    return phi.name.replace("_", "-")


def formula(phi: Activation) -> str:
    """Return an activation as a formula of ``x``, or its name and parameters.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> formula(nsd.activation("two_slope", a=1.5, b=0.25, tau=1.0))
    'max(1.5 x, 0.25 x) - 0.498678'
    """
    given = {name: decimal(value) if isinstance(value, float) else str(value) for name, value in phi.params}
    if phi.name == "two_slope":
        body = f"max({given['a']} x, {given['b']} x)"
    elif phi.name == "hardtanh":
        body = f"{given['scale']} clip(x, -{given['clip']}, {given['clip']})"
    else:
        inside = "".join(f", {name}={value}" for name, value in given.items())
        body = f"{phi.name}(x{inside})"
    return f"{body} {'-' if phi.offset < 0 else '+'} {decimal(abs(phi.offset))}" if phi.offset else body


def picture_words(result: TwinResult) -> str:
    """Return what the picture shows, for those who cannot see it."""
    return (
        f"Three panels. Left: histograms of the eigenvalues of three {KERNELS[result.match.kernel]} matrices on "
        f"{result.samples.train.n} training samples: the DEQ's, that of its random-matrix equivalent and that of the "
        f"{network_words(result)}. Middle: the activation of the DEQ and of each layer of the network. Right: entries "
        f"of the network's kernel against those of the DEQ's; they differ by {percent(result.distance.spectral)} in "
        "relative spectral norm."
    )
