"""Variances of kernels of finite networks: closed forms, exact moments of polynomials, and networks that are drawn."""

from __future__ import annotations

import math
import re

import mpmath
import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching.sphere_exact import design
from notsodeep.matching.width import variances, verdict, width_for
from tests.tolerances import DRAWN_VARIANCE, MOMENTS, POLYNOMIAL_MOMENTS, assert_close

LAYERS = {
    "hermite": nsd.Layer(nsd.activation("hermite", coefficients=(0.0, 0.8, 0.4, -0.2, -0.1), scale=0.9), 1.2),
    "relu": nsd.Layer("relu", 1.5),
    "relu-bias": nsd.Layer("relu", 1.5, bias_var=0.3),
    "silu": nsd.Layer("silu", 2.0, bias_var=0.1),
    "tanh": nsd.Layer("tanh", 1.3),
    "two-slope": nsd.Layer(nsd.activation("two_slope", a=1.4, b=0.5, tau=1.0)),
}


def network(*names: str) -> nsd.MLP:
    return nsd.MLP(tuple(LAYERS[name] for name in names))


def drawn(mlp: nsd.MLP, tau0: float, width: int, count: int, seed: int = 0) -> np.ndarray:
    """Return entries (of a sample with itself, of two orthogonal ones) of the CK of networks, ``(count, 2)``.

    Given the kernel of a layer, the units of the next are independent pairs of normals with that covariance.
    """
    rng, out = np.random.default_rng(seed), []
    for _ in range(count):
        kernel = tau0**2 * np.eye(2)
        for layer in mlp.layers:
            covariance = layer.weight_var * kernel + layer.bias_var
            pairs = rng.standard_normal((width, 2)) @ np.linalg.cholesky(covariance).T
            values = layer.activation(pairs)
            kernel = values.T @ values / width
        out.append([kernel[0, 0], kernel[0, 1]])
    return np.array(out)


@pytest.mark.parametrize(
    "names",
    [("hermite",), ("relu-bias",), ("two-slope", "two-slope"), ("relu-bias", "silu"), ("tanh", "hermite"),
     ("silu", "tanh", "relu")],
    ids="-".join,
)  # fmt: skip
def test_variances_are_those_of_networks(names):
    mlp, width, tau0 = network(*names), 800, 0.8
    entries = drawn(mlp, tau0, width, 2500) / nsd.ck(mlp, tau0 * np.eye(1))[0, 0]
    squares = width * (entries - entries.mean(0)) ** 2
    found = variances(mlp, tau0)
    misses = (squares.mean(0) - [found.diagonal, found.orthogonal]) / (squares.std(0) / math.sqrt(len(squares)))
    assert np.abs(misses).max() < DRAWN_VARIANCE, misses


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("tau0", [0.5, 2.0])
def test_linear_and_relu_networks_have_closed_forms(depth, tau0):
    """Homogeneous layers: relative variances add up; ``E[xi^4] = 3``, ``E[relu^4] = 3/2``, ``E[relu^2] = 1/2``."""
    linear = variances(nsd.MLP((nsd.Layer("identity"),) * depth), tau0)
    assert_close([linear.diagonal, linear.orthogonal], [2.0 * depth, 1.0 * depth], MOMENTS)
    relu = variances(nsd.MLP((nsd.Layer("relu", 2.0),) * depth), tau0)
    assert_close(relu.diagonal, 5.0 * depth, MOMENTS)
    if depth == 1:
        assert_close(relu.orthogonal, 1.0 - 1.0 / math.pi**2, MOMENTS)


def exact_fourth(coefficients) -> float:
    """``E[sigma^4] / E[sigma^2]^2 - 1`` of a Hermite series, in 40 digits from the moments ``(2 j - 1)!!``."""
    with mpmath.workdps(40):
        h = [[mpmath.mpf(1)], [mpmath.mpf(0), mpmath.mpf(1)]]
        for k in range(1, len(coefficients) - 1):  # x h_k = sqrt(k + 1) h_{k+1} + sqrt(k) h_{k-1}
            up = [mpmath.mpf(0), *h[k]]
            for i, value in enumerate(h[k - 1]):
                up[i] -= mpmath.sqrt(k) * value
            h.append([value / mpmath.sqrt(k + 1) for value in up])
        total = [mpmath.mpf(0)] * len(coefficients)
        for a, polynomial in zip(coefficients, h, strict=False):
            for i, value in enumerate(polynomial):
                total[i] += mpmath.mpf(float(a)) * value
        square = multiplied(total, total)
        return float(mean(multiplied(square, square)) / mean(square) ** 2 - 1)


def multiplied(left, right):
    out = [mpmath.mpf(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            out[i + j] += a * b
    return out


def mean(polynomial):
    return sum(value * mpmath.fac2(i - 1) for i, value in enumerate(polynomial) if i % 2 == 0)


@pytest.mark.parametrize(("name", "error"), [("silu", 1e-5), ("relu", 1e-3), ("relu", 6e-4)])
def test_fourth_moments_of_hermite_layers_are_exact(name, error):
    found = design(nsd.DEQ(name), "ck", "readout", error=error)
    want = exact_fourth(dict(found.spec.layers[0].activation.params)["coefficients"])
    assert_close(found.variance, want, POLYNOMIAL_MOMENTS)
    assert_close(variances(found).diagonal, want, POLYNOMIAL_MOMENTS)
    assert_close(variances(found.spec, 1.0).orthogonal, 1.0, MOMENTS)


def test_the_ntk_of_orthogonal_samples_varies_by_its_readout_part():
    found = design(nsd.DEQ("relu"), "ntk", "all")
    ck, ntk = nsd.ck(found.spec, np.eye(2))[0, 0], nsd.ntk(found.deq, np.eye(2))[0, 0]
    assert variances(found).diagonal == found.variance
    assert_close(variances(found).orthogonal, (ck / ntk) ** 2, 10.0 * MOMENTS)


def test_widths_give_the_error():
    mlp = network("relu-bias", "silu")
    found, wide = variances(mlp, 0.8), width_for(mlp, 0.02, 0.8)
    assert math.sqrt(found.diagonal / wide.diagonal) <= 0.02 < math.sqrt(found.diagonal / (wide.diagonal - 1))
    assert math.sqrt(found.orthogonal / wide.orthogonal) <= 0.02 < math.sqrt(found.orthogonal / (wide.orthogonal - 1))
    assert wide.needed == max(wide.diagonal, wide.orthogonal)
    assert width_for(mlp, 1e3, 0.8).needed == 1


def slopes(a: float, b: float) -> nsd.Layer:
    return nsd.Layer(nsd.activation("two_slope", a=a, b=b, tau=1.0))


TWINS = {
    "relu": nsd.MLP((slopes(1.2256, 0.7541), slopes(0.9261, 0.0010))),
    "tanh": nsd.MLP((nsd.Layer(nsd.activation("hardtanh", scale=0.7, clip=1.2)),)),
}


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("relu", 0.1, r"degree 5\) needs a width of 37\d{3}, .*2 layers\) 66\d{3}: the Hermite layer is the better"),
        ("relu", 2e-3, "the other network is the better choice"),
        ("tanh", 0.1, r"10000, the other network \(1 layer\) 10000: either will do"),
    ],
)
def test_the_verdict_is_by_the_widths(name, error, words):
    """The twins are those that have the four numbers of the DEQ, to four digits."""
    assert re.search(words, verdict(design(nsd.DEQ(name), "ck", "readout", error), TWINS[name]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: width_for(network("relu"), 0.01), "tau0 must be given for an MLP"),
        (lambda: width_for(network("relu"), 0.0, 1.0), "error must be a finite number > 0"),
        (lambda: width_for(network("relu"), 0.01, -1.0), "tau0 must be a finite number > 0"),
        (lambda: width_for(nsd.DEQ("relu"), 0.01, 1.0), "spec must be an MLP or a SphereDesign"),
        (lambda: width_for(design(nsd.DEQ("relu"), "ck", "all"), 0.01, 2.0), "tau0 must not be given for a design"),
        (lambda: verdict(design(nsd.DEQ("relu"), "ntk", "all"), network("relu")), "SphereDesign for the CK"),
        (lambda: verdict(design(nsd.DEQ("relu"), "ck", "all"), nsd.DEQ("relu")), "twin must be an MLP"),
        (lambda: variances(nsd.MLP((nsd.Layer(nsd.activation("hardtanh", scale=0.0)),)), 1.0), "is zero"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
