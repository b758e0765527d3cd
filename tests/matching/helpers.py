"""What the tests of matching share: naive numbers of specs, and numbers read off the exact kernels."""

from __future__ import annotations

import numpy as np

import notsodeep as nsd
from notsodeep.spec import weight_names
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_equivalent as naive
from tests.reference.naive_kernels import Function

NAMES = ("alpha1", "alpha2", "alpha3", "gamma2")


def naive_target(deq: nsd.DEQ, kernel: str, trainable=("recurrent", "input", "readout")) -> np.ndarray:
    """Return the four numbers of a DEQ with a registered activation of default parameters, by the naive route."""
    trained = trainable if kernel == "ntk" else None
    return naive.deq_numbers(FUNCTIONS[deq.activation.name], deq.sigma_a2, deq.sigma_b2, deq.tau0, trained)


def naive_achieved(mlp: nsd.MLP, kernel: str, tau0: float) -> np.ndarray:
    """Return the four numbers of a network, by the naive route, from the values of its activations alone."""
    layers = []
    for layer in mlp.layers:
        phi = layer.activation
        layers.append((Function(phi, phi.derivative, phi.kinks), layer.weight_var, layer.learning_rate))
    return naive.mlp_numbers(layers, tau0, weight_names(mlp) if kernel == "ntk" else None)


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
