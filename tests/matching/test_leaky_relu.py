"""Family leaky ReLU against the roots of a cubic, and the identity that its networks obey."""

from __future__ import annotations

import math

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching import leaky_relu
from notsodeep.matching.target import Target
from tests.kernels.functions import bent
from tests.matching.helpers import ALL, naive_achieved, naive_misses, naive_target
from tests.reference import naive_equivalent, naive_matching
from tests.tolerances import COEFFICIENTS, EVEN_SLOPE, LEAKY_RELU, SCANNED, assert_close

SIGMAS = [0.05, 0.2, 0.5, 0.8, 0.85, 0.87, 0.9, 0.95]


def numbers(slope, sigma_a2, tau0):
    return naive_equivalent.deq_numbers(bent(slope, 0.0, 1.0, 0.0), sigma_a2, 1.0 - sigma_a2, tau0)


def slopes(mlp):
    """Return (m, e) of each layer."""
    out = []
    for layer in mlp.layers:
        given = dict(layer.activation.params)
        out.append((0.5 * (given["a"] + given["b"]), abs(given["a"] - given["b"]) / math.sqrt(2.0 * math.pi)))
    return np.array(out)


def deq_of(slope, sigma_a2, tau0):
    return nsd.DEQ(nsd.activation("leaky_relu", slope=slope), sigma_a2, 1.0 - sigma_a2, tau0)


@pytest.mark.parametrize("tau0", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("sigma_a2", SIGMAS)
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
def test_solutions_are_the_roots_of_the_cubic(slope, sigma_a2, tau0):
    """Every root is a network, and every network a root; where there is none, the reason says so."""
    roots = np.array(naive_matching.leaky_relu(numbers(slope, sigma_a2, tau0), tau0))
    target = Target.of(deq_of(slope, sigma_a2, tau0), "ck", ALL)
    found = leaky_relu.solutions(target)
    assert len(found) == len(roots)
    assert bool(leaky_relu.not_real(target)) == (not found)
    for mlp in found:
        assert np.abs(slopes(mlp) - roots).max(axis=(1, 2)).min() < LEAKY_RELU, (slopes(mlp), roots)
        assert target.residual(mlp) <= COEFFICIENTS


@pytest.mark.parametrize(("sigma_a2", "tau0"), [(0.0, 1.0), (1e-6, 3.0), (0.85, 0.3), (0.85, 1.0), (0.9, 3.0)])
def test_two_layers_match_relu_up_to_085_and_not_at_09(sigma_a2, tau0):
    found = nsd.match(nsd.DEQ("relu", sigma_a2, 1.0 - sigma_a2, tau0), family="leaky_relu")
    assert found.status == ("infeasible" if sigma_a2 == 0.9 else "matched")
    if sigma_a2 == 0.9:
        assert found.residual > 1e-3
        assert "slopes of two layers that would meet alpha1, alpha2 and alpha3 are not real" in found.reason


def test_the_limit_of_relu_is_where_the_bend_vanishes():
    """The cubic has no network any more from somewhere between 0.85 and 0.87 on: both routes bisect to the same."""

    def limit(feasible):
        low, high = 0.85, 0.87
        assert feasible(low)
        assert not feasible(high)
        for _ in range(20):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if feasible(middle) else (low, middle)
        return low

    def is_matched(s):
        return bool(leaky_relu.solutions(Target.of(nsd.DEQ("relu", s, 1.0 - s), "ck", ALL)))

    assert limit(is_matched) == limit(lambda s: bool(naive_matching.leaky_relu(numbers(0.0, s, 1.0), 1.0)))


@pytest.mark.parametrize("slopes", [(0.3, 0.7, 1.2, 0.4), (0.9, 0.1, 0.2, 1.5), (1.0, 0.0, 0.5, 0.5)])
@pytest.mark.parametrize("tau0", [0.5, 2.0])
def test_networks_of_the_family_obey_the_identity(slopes, tau0):
    """Two layers with any slopes, by quadrature: ``gamma2 = tau0^2 alpha1 + 4 (pi/2 - 1) tau0^4 alpha2``."""
    m1, e1, m2, e2 = slopes
    scale = tau0 * math.sqrt(m1**2 + naive_matching.SPENT * e1**2)
    layers = [naive_matching.bend_function(m1, e1, tau0), naive_matching.bend_function(m2, e2, scale)]
    found = naive_equivalent.mlp_numbers([(layer, 1.0, 1.0) for layer in layers], tau0)
    assert_close(naive_matching.identity_side(found, tau0), found[3], COEFFICIENTS)


@pytest.mark.parametrize("name", ["silu", "gelu", "elu", "softplus", "mish", "selu"])
@pytest.mark.parametrize("tau0", [0.3, 1.0, 3.0])
def test_smooth_bends_break_the_identity(name, tau0):
    target = naive_target(nsd.DEQ(name, tau0=tau0), "ck")
    side = naive_matching.identity_side(target, tau0)
    assert abs(side / target[3] - 1.0) > 1e-4
    reason = leaky_relu.identity(Target.of(nsd.DEQ(name, tau0=tau0), "ck", ALL))
    assert f"here gamma2 = {target[3]:.6g} and the right side is {side:.6g}" in reason


@pytest.mark.parametrize(("name", "sigma_a2", "tau0"), [("silu", 0.2, 3.0), ("elu", 0.9, 1.0), ("relu", 0.9, 1.0)])
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_the_closest_network_is_as_close_as_any_of_a_scan(name, sigma_a2, tau0):
    """The least-squares point returned is the global one, that of a scan over y with the rest solved exactly."""
    deq = nsd.DEQ(name, sigma_a2, 0.8, tau0)
    found = nsd.match(deq, family="leaky_relu", on_failure="return")
    least = naive_matching.least_cost(naive_target(deq, "ck"), tau0)
    achieved = naive_matching.misses(naive_achieved(found.spec, "ck", tau0), naive_target(deq, "ck"), tau0)
    assert np.linalg.norm(achieved) < least * (1.0 + SCANNED) + COEFFICIENTS, (achieved, least)
    assert_close(found.residual, np.abs(naive_misses(found)).max(), COEFFICIENTS, scale=1.0)


@pytest.mark.parametrize("sigma_a2", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("tau0", [0.3, 3.0])
def test_an_even_target_is_matched_as_well(sigma_a2, tau0):
    """|x|: no linear part, so one layer has mean slope 0; |x| itself, bent again, is such a network."""
    found = nsd.match(nsd.DEQ("abs", sigma_a2, 1.0 - 0.5 * sigma_a2, tau0), family="leaky_relu")
    assert found.status == "matched"
    assert abs(slopes(found.spec)[:, 0]).min() < EVEN_SLOPE


@pytest.mark.parametrize(
    ("trainable", "tau0"), [("all", 0.3), (("recurrent", "readout"), 3.0), ("recurrent", 1.0), ("readout", 1.0)]
)
def test_the_ntk_of_relu_is_matched_with_free_learning_rates(trainable, tau0):
    found = nsd.match(nsd.DEQ("relu", tau0=tau0), "ntk", "leaky_relu", trainable=trainable)
    assert (found.status, found.family, found.spec.depth) == ("matched", "leaky_relu", 2)
    assert all(layer.learning_rate >= 0.0 for layer in found.spec.layers)
    assert all(layer.weight_var == 1.0 for layer in found.spec.layers)
