"""The result of the main job in words."""

from __future__ import annotations

from notsodeep.activations import Activation
from notsodeep.experiments.twin import TwinResult
from notsodeep.report.numerals import percent
from notsodeep.spec import MLP, Parallel

KERNELS = {"ck": "conjugate kernel", "ntk": "neural tangent kernel"}
_FAMILIES = {"hard_tanh": "hard-tanh", "leaky_relu": "leaky-ReLU", "hermite": "Hermite"}
_CLOSE = 0.05
"""Largest relative distance of kernels that are still called the same"""


def headline(result: TwinResult) -> str:
    """Return one sentence that says whether the network has the kernels of the DEQ, and how closely."""
    network, deq = network_words(result), f"this {deq_words(result)} DEQ"
    kernel = kernel_words(result.match.kernel)
    where = f"on {result.samples.train.n} samples of {result.samples.train.name}"
    apart = f"{where} the exact kernels differ by {distance_words(result)}."
    if result.match.status != "matched":
        return (
            f"No {network} was found that has the {kernel} of {deq}: the closest one misses its coefficients by up to "
            f"{percent(result.match.residual)}, and {apart}"
        )
    if result.distance.spectral > _CLOSE:
        return f"A {network} has the coefficients of {deq}, but not its {kernel} on these data: {apart}"
    return f"A {network} has the {kernel} of {deq}: {apart}"


def kernel_words(kernel: str) -> str:
    """Return what is matched.

    Examples
    --------
    >>> kernel_words("ck"), kernel_words("both")
    ('conjugate kernel', 'conjugate and neural tangent kernels')
    """
    return "conjugate and neural tangent kernels" if kernel == "both" else KERNELS[kernel]


def distance_words(result: TwinResult) -> str:
    """Return how far apart the exact kernels are, as in ``0.1 % (CK) and 0.3 % (NTK)``."""
    several = len(result.evidence) > 1
    apart = {name: percent(evidence.distance.spectral) for name, evidence in result.evidence.items()}
    return " and ".join(f"{share} ({name.upper()})" if several else share for name, share in apart.items())


def network_words(result: TwinResult) -> str:
    """Return what the network is, as in ``2-layer leaky-ReLU network``."""
    spec, kind = result.match.spec, family_words(result.match.family)
    if isinstance(spec, MLP):
        return f"{spec.depth}-layer {kind} network"
    return f"{kind} network with parallel branches of {layers_words(spec).replace(' + ', ' and ')} layers"


def family_words(family: str) -> str:
    """Return the name of a family as prose has it, as in ``leaky-ReLU``."""
    return _FAMILIES.get(family, family.replace("_", "-"))


def layers_words(spec: MLP | Parallel) -> str:
    """Return the number of hidden layers of each branch, as in ``2`` or ``1 + 2``."""
    branches = (spec,) if isinstance(spec, MLP) else spec.branches
    return " + ".join(str(branch.depth) for branch in branches)


def deq_words(result: TwinResult) -> str:
    """Return the name of the DEQ's activation."""
    return result.config.deq.activation.name


def short_name(phi: Activation) -> str:
    """Return the name of an activation as a picture shows it, as in ``two-slope``."""
    return phi.name.replace("_", "-")


def picture_words(result: TwinResult) -> str:
    """Return what the picture shows, for those who cannot see it."""
    several = len(result.evidence) > 1
    rows = f"Three panels for each of the {kernel_words(result.match.kernel)}" if several else "Three panels"
    slopes = ", below them their slopes" if several else ""
    return (
        f"{rows}. Left: histograms of the eigenvalues of three matrices on {result.samples.train.n} training samples: "
        f"the {'kernel' if several else KERNELS[result.match.kernel]} of the DEQ, its random-matrix equivalent and the "
        f"kernel of the {network_words(result)}. Middle: the activation of the DEQ and of each layer of the "
        f"network{slopes}. Right: entries of the network's kernel against those of the DEQ's; they differ by "
        f"{distance_words(result)} in relative spectral norm."
    )
