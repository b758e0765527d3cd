from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.centred import centred_mlp
from tests.tolerances import CENTRED, assert_close


def quadrature():
    """Nodes and weights of a Gaussian mean, each half for itself: the kinks are at 0."""
    points, weights = np.polynomial.legendre.leggauss(200)
    half, weights = 6.0 * (points + 1.0), 6.0 * weights
    nodes = np.concatenate([-half, half])
    return nodes, np.tile(weights, 2) * np.exp(-0.5 * nodes**2) / np.sqrt(2.0 * np.pi)


@pytest.mark.parametrize("tau0", [1.0, 0.7])
@pytest.mark.parametrize("names", [["relu"], ["relu", "tanh"], ["softplus", "leaky_relu:slope=0.2", "selu"]])
def test_every_layer_is_centred_where_its_inputs_are(names, tau0):
    points, weights = quadrature()
    scale = tau0
    spec = centred_mlp(names, tau0)
    for layer, name in zip(spec.layers, names, strict=True):
        values = layer.activation(scale * points)
        plain = nsd.activation(name)(scale * points)
        assert_close(values, plain - weights @ plain, CENTRED, scale=1.0)
        square = float(weights @ values**2)
        assert (layer.weight_var, layer.learning_rate, layer.bias_var) == (1.0, 1.0, 0.0)
        scale = square**0.5


def test_its_coefficients_exist_at_its_scale_alone():
    spec = centred_mlp(["relu", "sigmoid"], 0.9)
    assert nsd.coefficients(spec, tau0=0.9).alpha1 > 0.0
    with pytest.raises(ValueError, match="centred"):
        nsd.coefficients(spec, tau0=1.0)


@pytest.mark.parametrize(
    ("names", "words"),
    [([], "one or more Layer"), (["rleu"], "unknown activation"), (["relu", "hermite:coefficients=2/0"], "constant")],
)
def test_what_makes_no_network_is_refused(names, words):
    with pytest.raises(ValueError, match=words):
        centred_mlp(names)
