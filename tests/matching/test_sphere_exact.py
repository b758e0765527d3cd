"""One Hermite layer against the DEQ's own kernels, solved pair by pair, on points of a sphere."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.matching.signs import lightest
from notsodeep.matching.sphere_exact import DEFAULT_ERROR, design
from tests.matching.helpers import naive_achieved, naive_target
from tests.tolerances import (
    COEFFICIENTS,
    DRAWN_VARIANCE,
    HERMITE_COEFFICIENT,
    KERNEL,
    MOMENTS,
    NEARLY_ATTAINED,
    assert_close,
)

PAPERS = ("recurrent", "readout")
MODELS = [("relu", 0.6), ("tanh", 0.2), ("silu", 0.2), ("elu", 0.6)]
CASES = [(*model, *wanted) for model in MODELS for wanted in (("ck", "all"), ("ntk", "all"), ("ntk", PAPERS))]


def circle(tau0: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines from -1 to 1, denser at the ends, and points of the circle of radius tau0 at them."""
    cosines = np.cos(np.linspace(0.0, np.pi, count))
    return cosines, tau0 * np.stack([cosines, np.sqrt(1.0 - cosines**2)], axis=1)


def both(found, X, Y=None) -> tuple[np.ndarray, np.ndarray]:
    if found.kernel == "ck":
        return nsd.ck(found.deq, X, Y), nsd.ck(found.spec, X, Y)
    return nsd.ntk(found.deq, X, Y, trainable=found.trained), nsd.ntk(found.spec, X, Y)


def coefficients(found) -> np.ndarray:
    return np.array(dict(found.spec.layers[0].activation.params)["coefficients"])


@pytest.mark.parametrize(("name", "sigma_a2", "kernel", "trained"), CASES)
def test_the_error_is_a_bound_and_nearly_attained(name, sigma_a2, kernel, trained):
    deq = nsd.DEQ(name, sigma_a2, 0.8)
    found = design(deq, kernel, trained)
    _, Y = circle(1.0, 601)
    exact, layer = both(found, Y[:1], Y)
    errors = np.abs(exact - layer)[0] / exact[0, 0]
    assert errors.max() <= found.error <= DEFAULT_ERROR
    assert found.error <= errors.max() * (1.0 + NEARLY_ATTAINED) + 10.0 * KERNEL
    assert_close(layer[0, [0, -1]], exact[0, [0, -1]], 10.0 * KERNEL)


@pytest.mark.parametrize(("name", "kernel"), [("relu", "ck"), ("silu", "ntk"), ("tanh", "ck")])
@pytest.mark.parametrize("tau0", [0.5, 2.0])
def test_points_of_spheres_of_other_radii(name, kernel, tau0):
    X = np.random.default_rng(0).standard_normal((40, 5))
    X *= tau0 / np.linalg.norm(X, axis=1)[:, None]
    found = design(nsd.DEQ(name, 0.3, 0.8, tau0=tau0), kernel, "all", error=3e-2)
    exact, layer = both(found, X)
    assert_close(layer, exact, found.error)
    assert_close(np.diag(layer), np.diag(exact), 10.0 * KERNEL)


@pytest.mark.parametrize(
    ("deq", "kernel"),
    [
        (nsd.DEQ("softplus", 0.2, 0.8, center=False), "ck"),
        (nsd.DEQ("tanh", 0.3, 0.8, sigma_c2=0.2), "ck"),
        (nsd.DEQ("tanh", 0.3, 0.8, sigma_c2=0.2), "ntk"),
        (nsd.DEQ("cos", 0.3, 0.8), "ck"),
    ],
    ids=["uncentred", "bias", "bias-ntk", "even"],
)
def test_other_models(deq, kernel):
    found = design(deq, kernel, "all", error=1e-2)
    _, Y = circle(1.0, 401)
    exact, layer = both(found, Y[:1], Y)
    assert np.abs(exact - layer).max() <= found.error * exact[0, 0]
    assert found.error <= 1e-2


@pytest.mark.parametrize(("name", "sigma_a2", "kernel", "trained"), CASES)
def test_what_the_four_equations_see_is_exact(name, sigma_a2, kernel, trained):
    """The norm term alone is half the product term, whatever the DEQ's: on a sphere it does not count."""
    deq = nsd.DEQ(name, sigma_a2, 0.8)
    found = design(deq, kernel, trained)
    names = ("recurrent", "input", "readout") if trained == "all" else trained
    target = naive_target(deq, kernel, names)
    assert_close(naive_achieved(found.spec, kernel, 1.0)[[0, 2, 3]], target[[0, 2, 3]], 10.0 * COEFFICIENTS)


def test_without_recursion_the_relu_has_its_own_coefficients():
    """``a_1 = 1/2``, ``a_k = (k - 3)!! / sqrt(2 pi k!)`` for even k, and what is left in the last of each parity."""
    found = design(nsd.DEQ("relu", sigma_a2=0.0, sigma_b2=1.0), "ck", "readout", error=2e-3)
    own = np.zeros(found.degree + 1)
    own[1], own[2] = 0.5, 1.0 / math.sqrt(4.0 * math.pi)
    for k in range(4, found.degree + 1, 2):
        own[k] = math.prod(range(k - 3, 0, -2)) / math.sqrt(2.0 * math.pi * math.factorial(k))
    last = found.degree - found.degree % 2
    squares = own**2
    squares[last] += (0.5 - 0.5 / math.pi) - squares.sum()
    assert found.degree > 4
    assert_close(coefficients(found) ** 2, squares, HERMITE_COEFFICIENT)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_a_polynomial_is_found_again(degree):
    given = np.array([0.0, 1.0, 0.5, -0.3, 0.0, 0.2])[: degree + 1]
    phi = nsd.activation("hermite", coefficients=tuple(given), scale=0.7)
    found = design(nsd.DEQ(phi, sigma_a2=0.0, sigma_b2=1.0, tau0=0.7), "ck", "readout", error=1e-9)
    assert found.degree == degree
    assert_close(np.abs(coefficients(found)), np.abs(given), MOMENTS)


def test_a_smaller_error_takes_a_higher_degree_and_more_width():
    found = [design(nsd.DEQ("relu"), "ck", "readout", error=error) for error in (1e-1, 2e-3, 1e-3, 7e-4)]
    degrees, errors = [each.degree for each in found], [each.error for each in found]
    assert degrees == sorted(set(degrees))
    assert errors == sorted(errors, reverse=True)
    assert found[0].variance < 4.0
    assert found[-1].variance > 1e4


def explicit_hermite(k: int, x: np.ndarray) -> np.ndarray:
    """``h_k(x)`` by its explicit sum of powers."""
    powers = range(k // 2 + 1)
    sizes = [math.factorial(j) * math.factorial(k - 2 * j) * 2.0**j for j in powers]
    return math.sqrt(math.factorial(k)) * sum((-1) ** j * x ** (k - 2 * j) / sizes[j] for j in powers)


def dense_variance(a: np.ndarray, rate: float) -> float:
    """Relative variance of a diagonal entry by the trapezoid rule."""
    x = np.linspace(-14.0, 14.0, 2001)
    w = np.exp(-0.5 * x * x) / np.exp(-0.5 * x * x).sum()
    h = [explicit_hermite(k, x) for k in range(a.size)]
    value = sum(a[k] * h[k] for k in range(a.size))
    slope = sum(math.sqrt(k) * a[k] * h[k - 1] for k in range(1, a.size))
    mean = w @ (value**2 + rate * slope**2)
    return float(w @ (value**4 + 2 * rate * value**2 * slope**2 + 3 * rate**2 * slope**4)) / mean**2 - 1.0


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize(
    "series", [(0.0, 0.7, 0.2, 0.02, 0.08), (0.1, 0.5, 0.0, 0.3, 0.0, 0.1), (0.0, 0.0, 0.6, 0.0, 0.4)]
)
def test_signs_are_the_best_of_all(series, rate):
    series = np.array(series)
    sizes = np.sqrt(series / (1.0 + rate * np.arange(series.size)))
    variances = [dense_variance(np.array(s) * sizes, rate) for s in itertools.product([1.0, -1.0], repeat=series.size)]
    found = lightest(series, [rate])
    assert_close(found.variance, min(variances), COEFFICIENTS)
    assert_close(dense_variance(np.array(found.coefficients), rate), found.variance, COEFFICIENTS)
    assert max(variances) > 1.5 * found.variance
    assert_close(np.abs(found.coefficients), sizes, MOMENTS)


def test_the_rate_is_the_best_of_those_given():
    series = np.array([0.0, 0.9, 0.0, 0.1])
    found = lightest(series, [0.1, 0.5, 3.0])
    assert found.rate == 0.5
    assert found.variance == min(lightest(series, [rate]).variance for rate in (0.1, 0.5, 3.0))
    with pytest.raises(ValueError, match="rates must have at least one"):
        lightest(series, [])


@pytest.mark.parametrize("name", ["tanh", "elu"])
def test_the_variance_of_an_ntk_is_that_of_gradients(name):
    """Thousands of networks of width 50: squared gradients by autograd, the first layer at its rate."""
    found = design(nsd.DEQ(name, tau0=0.8), "ntk", "all")
    layer, width = found.spec.layers[0], 50
    x = 0.8 * torch.tensor([0.6, 0.8], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(6000, width, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    w = torch.randn(6000, width, generator=generator, dtype=torch.float64, requires_grad=True)
    out = (w * layer.activation(W @ x)).sum() / math.sqrt(width)
    to_W, to_w = torch.autograd.grad(out, [W, w])
    ntk = (to_w.square().sum(1) + layer.learning_rate * to_W.square().sum((1, 2))).numpy()
    exact = float(nsd.ntk(found.deq, x.numpy()[None])[0, 0])
    squares = (ntk / exact - 1.0) ** 2 * width
    assert abs(squares.mean() - found.variance) < DRAWN_VARIANCE * squares.std() / math.sqrt(squares.size)
    assert abs(ntk.mean() / exact - 1.0) < DRAWN_VARIANCE * ntk.std() / exact / math.sqrt(ntk.size)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"deq": nsd.MLP((nsd.Layer("relu"),))}, "deq must be a DEQ"),
        ({"kernel": "both"}, "kernel must be one of 'ck', 'ntk', got 'both'"),
        ({"trained": ("readout", "layer1")}, "trainable must be 'all' or one or more of"),
        ({"error": 0.0}, "error must be a finite number >= 1e-10, got 0.0"),
        ({"error": 2.0}, "error must be a number <= 1, got 2.0"),
        (
            {"error": 1e-6},
            r"error must be at least 0.000\d+ for the ck of DEQ.*degree 16 reaches, got 1e-06.*leaky_relu",
        ),
        ({"deq": nsd.DEQ("relu", sigma_a2=0.0), "kernel": "ntk", "trained": "recurrent"}, "is zero"),
        ({"deq": nsd.DEQ("abs", 0.8, 0.8), "kernel": "ntk"}, "for the ntk of DEQ"),
    ],
)
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_wrong_input(given, message):
    arguments = {"deq": nsd.DEQ("relu"), "kernel": "ck", "trained": "all"} | given
    with pytest.raises(ValueError, match=message):
        design(**arguments)


def test_the_least_error_that_a_refusal_names_is_reached():
    deq = nsd.DEQ("relu")
    with pytest.raises(ValueError, match="error must be at least") as refusal:
        design(deq, "ck", "readout", error=1e-5)
    least = float(str(refusal.value).split("at least ")[1].split()[0])
    assert design(deq, "ck", "readout", error=1.05 * least).degree == 16
