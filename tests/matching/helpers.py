"""What the tests of matching share: naive numbers of specs, and numbers read off the exact kernels."""

from __future__ import annotations

import numpy as np

import notsodeep as nsd
from notsodeep.spec import weight_names
from tests.kernels.functions import FUNCTIONS
from tests.matching.layers import series
from tests.reference import naive_equivalent as naive
from tests.reference.naive_kernels import Function

NAMES = ("alpha1", "alpha2", "alpha3", "gamma2")
ALL = ("recurrent", "input", "readout")
PAPERS = ("recurrent", "readout")


def units(tau0: float) -> np.ndarray:
    """Return what turns the four numbers into shares of a diagonal at scale 1."""
    return np.array([tau0**2, tau0**4, tau0**4, 1.0])


def naive_function(phi: nsd.Activation) -> Function:
    """Return a registered activation of default parameters, or a Hermite series, written a second time."""
    given = dict(phi.params).get("coefficients")
    if phi.name == "hermite" and given is not None:
        return series(given[1:])
    return FUNCTIONS[phi.name]


def naive_target(deq: nsd.DEQ, kernel: str, trainable=ALL) -> np.ndarray:
    """Return the four numbers of a DEQ with such an activation, by the naive route."""
    trained = trainable if kernel == "ntk" else None
    return naive.deq_numbers(naive_function(deq.activation), deq.sigma_a2, deq.sigma_b2, deq.tau0, trained)


def naive_layers(mlp: nsd.MLP) -> list[tuple[Function, float, float]]:
    """Return the layers as the naive routes take them, from the values of their activations alone."""
    return [
        (Function(phi, phi.derivative, phi.kinks, _panel(phi)), layer.weight_var, layer.learning_rate)
        for layer in mlp.layers
        for phi in [layer.activation]
    ]


def _panel(phi: nsd.Activation) -> float:
    """Return how wide panels may be: twice the width of a blurred knot."""
    return 2.0 * dict(phi.params).get("width", 0.6)


def naive_achieved(spec: nsd.MLP | nsd.Parallel, kernel: str, tau0: float, readout: bool = True) -> np.ndarray:
    """Return the four numbers of a network, by the naive route, from the values of its activations alone.

    It trains all weights, or all but its readout.
    """
    trained = [name for name in weight_names(spec) if readout or name != "readout"] if kernel == "ntk" else None
    if isinstance(spec, nsd.Parallel):
        return naive.parallel_numbers([naive_layers(branch) for branch in spec.branches], tau0, trained)
    return naive.mlp_numbers(naive_layers(spec), tau0, trained)


def naive_misses(found: nsd.matching.Match, trainable=ALL) -> np.ndarray:
    """Return the relative misses of a match, four for each kernel, both sides by the naive route.

    Those of numbers that vanish by symmetry are relative to the diagonal.
    """
    tau0, misses = found.deq.tau0, []
    for kernel in ("ck", "ntk") if found.kernel == "both" else (found.kernel,):
        target = naive_target(found.deq, kernel, trainable) * units(tau0)
        achieved = naive_achieved(found.spec, kernel, tau0, "readout" in trainable) * units(tau0)
        misses.append((achieved - target) / np.where(np.abs(target) < 1e-9 * target[3], target[3], np.abs(target)))
    return np.concatenate(misses)


def kernel_pairs(spec, norms, cosines, tau0: float, **options) -> list[np.ndarray]:
    """Return CK and NTK of every two norms at every cosine, then of each norm with itself, in units of tau0.

    Matrices of samples in the plane.
    """
    x = tau0 * np.asarray(norms)[:, None] * np.array([1.0, 0.0])
    own = [np.diag(kernel) for kernel in nsd.kernels(spec, x, **options)]
    across = []
    for cosine in cosines:
        y = tau0 * np.asarray(norms)[:, None] * np.array([cosine, np.sqrt(1.0 - cosine**2)])
        across.append([kernel[np.triu_indices(len(x))] for kernel in nsd.kernels(spec, x, y, **options)])
    return [
        np.concatenate([np.stack(each, axis=1).ravel(), own[i]]) for i, each in enumerate(zip(*across, strict=True))
    ]


def read_off(kernel, tau0: float) -> np.ndarray:
    """Return the four numbers of a kernel function of two rows, by finite differences of it.

    Weight of x.y at orthogonal samples of norm tau0, of |x|^2 |y|^2, of (x.y)^2, and the value at x = y.
    """
    step = 0.02

    def value(cosine, left=1.0, right=1.0):
        x = tau0 * np.sqrt(left) * np.array([1.0, 0.0])
        y = tau0 * np.sqrt(right) * np.array([cosine, np.sqrt(1.0 - cosine**2)])
        return float(kernel(x[None], y[None])[0, 0])

    f = np.array([value(i * step) for i in range(-3, 4)])
    first = np.array([-1, 9, -45, 0, 45, -9, 1]) @ f / (60 * step)
    second = np.array([2, -27, 270, -490, 270, -27, 2]) @ f / (180 * step**2)
    weights = np.array([1, -8, 0, 8, -1]) / (12 * step)
    shifts = 1.0 + step * np.arange(-2, 3)
    norms = weights @ np.array([[value(0.0, a, b) for b in shifts] for a in shifts]) @ weights
    x = tau0 * np.array([[1.0, 0.0]])
    return np.array([first / tau0**2, norms / tau0**4, second / 2 / tau0**4, float(kernel(x, x)[0, 0])])
