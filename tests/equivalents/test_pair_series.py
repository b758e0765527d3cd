"""The power series of a kernel in the product of two samples, against differences of the exact kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.equivalents.pair_series import pair_series
from notsodeep.errors import ConvergenceError
from notsodeep.spec import trainable_weights
from tests.tolerances import KERNEL, PRODUCT_DIFFERENCES, THIRD_DIFFERENCES, assert_close

NORMS = np.array([0.6, 1.0, 1.7])
STEP = 0.02
SIXTH = {  # weights of central differences of order six, by distance
    1: ([0.0, 3 / 4, -3 / 20, 1 / 60], -1),
    2: ([-49 / 18, 3 / 2, -3 / 20, 1 / 90], 1),
    3: ([0.0, -13 / 8, 1.0, -1 / 8], -1),  # of order four, on the same points
}

SPECS = {
    "relu": nsd.DEQ("relu", 0.2, 0.8),
    "tanh": nsd.DEQ("tanh", 0.7, 0.4),
    "uncentred relu": nsd.DEQ("relu", 0.3, 0.8, center=False),
    "uncentred sigmoid with bias": nsd.DEQ("sigmoid", 0.8, 0.7, center=False, sigma_c2=0.1),
    "abs": nsd.DEQ("abs", 0.2, 0.8),
    "linear": nsd.DEQ("silu", 0.0, 0.8),
    "two layers": nsd.MLP((nsd.Layer("relu", 1.2, 0.5), nsd.Layer("tanh", 1.5, 2.0))),
    "biased layers": nsd.MLP((nsd.Layer("elu", 1.2, 0.5, bias_var=0.1), nsd.Layer("silu", 1.5, 2.0, bias_var=0.2))),
}
SPECS["branches"] = nsd.Parallel((SPECS["two layers"], SPECS["biased layers"], nsd.MLP(nsd.Layer("cos", 0.7, 0.3))))
SOME = [("uncentred sigmoid with bias", names) for names in (("recurrent",), ("input",), ("bias", "readout"))]
SOME += [("branches", names) for names in (("branch1.layer2", "branch2.bias1"), ("branch3.layer1", "readout"))]


def exact(spec, trained, product):
    """Both kernels of samples of the squared norms NORMS (rows and columns) with one product."""
    roots = np.sqrt(NORMS)
    X = np.column_stack([roots, np.zeros_like(roots)])
    along = product / roots
    Y = np.array([[along[a], np.sqrt(NORMS[b] - along[a] ** 2)] for a, b in np.ndindex(3, 3)])
    own = np.arange(3), np.arange(9).reshape(3, 3).T
    return np.array([kernel[own].T for kernel in nsd.kernels(spec, X, Y, trainable=trained)])


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize(("name", "trained"), [*((name, "all") for name in SPECS), *SOME])
def test_coefficients_are_derivatives_of_the_exact_kernels(name, trained):
    spec = SPECS[name]
    found = np.array(pair_series(spec, NORMS, trainable_weights(spec, trained)))
    at = {k: exact(spec, trained, k * STEP) for k in range(-3, 4)}
    assert_close(found[:, 0], at[0], KERNEL, what="value")
    for order, (weights, sign) in SIXTH.items():
        sums = weights[0] * at[0] + sum(w * (at[k] + sign * at[-k]) for k, w in enumerate(weights) if k)
        size = np.abs(found).max()
        assert_close(
            found[:, order],
            sums / STEP**order / math.factorial(order),
            PRODUCT_DIFFERENCES if order < 3 else THIRD_DIFFERENCES,
            scale=size,
            what=f"order {order}",
        )


def test_it_is_symmetric():
    spec = SPECS["uncentred sigmoid with bias"]
    for part in pair_series(spec, NORMS, trainable_weights(spec, "all")):
        np.testing.assert_array_equal(part, part.swapaxes(1, 2))


def test_a_bias_that_swamps_the_samples_is_refused():
    spec = nsd.MLP((nsd.Layer("relu", 1e-6, bias_var=1.0),))
    with pytest.raises(ConvergenceError, match="too close to 1 for an expansion"):
        pair_series(spec, NORMS, trainable_weights(spec, "all"))


def test_a_model_without_fixed_point_is_refused():
    with pytest.raises(ValueError, match="no stable kernel fixed point"):
        pair_series(nsd.DEQ("relu", 3.0, 0.8), NORMS, frozenset({"readout"}))
