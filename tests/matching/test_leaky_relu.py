"""Family leaky ReLU against the roots of a cubic, and the identity that its networks obey."""

from __future__ import annotations

import math

import numpy as np
import pytest

import notsodeep as nsd
from tests.kernels.functions import bent
from tests.matching.helpers import naive_achieved, naive_target
from tests.reference import naive_equivalent, naive_matching
from tests.tolerances import COEFFICIENTS, EVEN_SLOPE, LEAKY_RELU, SCANNED, assert_close

SIGMAS = [0.05, 0.2, 0.5, 0.8, 0.85, 0.87, 0.9, 0.95]


def numbers(slope, sigma_a2, tau0):
    return naive_equivalent.deq_numbers(bent(slope, 0.0, 1.0, 0.0), sigma_a2, 1.0 - sigma_a2, tau0)


def slopes(found):
    """Return (m, e) of each layer."""
    out = []
    for layer in found.spec.layers:
        given = dict(layer.activation.params)
        out.append((0.5 * (given["a"] + given["b"]), abs(given["a"] - given["b"]) / math.sqrt(2.0 * math.pi)))
    return np.array(out)


@pytest.mark.parametrize("tau0", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("sigma_a2", SIGMAS)
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
def test_feasibility_and_solution_are_those_of_the_cubic(slope, sigma_a2, tau0):
    roots = naive_matching.leaky_relu(numbers(slope, sigma_a2, tau0), tau0)
    phi = nsd.activation("leaky_relu", slope=slope)
    found = nsd.match(nsd.DEQ(phi, sigma_a2, 1.0 - sigma_a2, tau0), family="leaky_relu")
    assert found.status == ("matched" if roots else "infeasible"), (found, roots)
    if roots:
        error = min(float(np.abs(slopes(found) - root).max()) for root in np.array(roots))
        assert error < LEAKY_RELU, (slopes(found), roots)
    else:
        assert found.residual > 1e-3
        assert "the slopes that would meet alpha1, alpha2 and alpha3 are not real" in found.reason


@pytest.mark.parametrize("tau0", [0.3, 1.0, 3.0])
def test_relu_is_matched_up_to_085_and_not_at_09(tau0):
    status = [nsd.match(nsd.DEQ("relu", s, 1.0 - s, tau0)).status for s in (0.0, 1e-6, 0.85, 0.9)]
    assert status == ["matched", "matched", "matched", "infeasible"]


def test_the_limit_of_relu_is_where_the_bend_vanishes():
    """The cubic has no network any more from somewhere between 0.85 and 0.87 on: both routes bisect to the same."""

    def limit(feasible):
        low, high = 0.85, 0.87
        assert feasible(low)
        assert not feasible(high)
        for _ in range(12):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if feasible(middle) else (low, middle)
        return low

    def is_matched(s):
        return nsd.match(nsd.DEQ("relu", s, 1.0 - s)).status == "matched"

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
    deq = nsd.DEQ(name, tau0=tau0)
    target = naive_target(deq, "ck")
    side = naive_matching.identity_side(target, tau0)
    found = nsd.match(deq)
    assert (found.status, found.family) == ("infeasible", "leaky_relu")
    assert f"here gamma2 = {target[3]:.6g} and the right side is {side:.6g}" in found.reason
    assert found.residual > 0.1 * abs(side / target[3] - 1.0)
    assert found.residual < abs(side / target[3] - 1.0) + 0.05


@pytest.mark.parametrize("name", ["silu", "gelu", "elu", "softplus", "selu", "cos", "relu"])
@pytest.mark.parametrize(("sigma_a2", "tau0"), [(0.2, 1.0), (0.9, 1.0), (0.2, 3.0)])
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_no_network_of_the_family_is_closer(name, sigma_a2, tau0):
    """The least-squares point found is the global one, that of a scan over y with the rest solved exactly."""
    deq = nsd.DEQ(name, sigma_a2, 0.8, tau0)
    target = naive_target(deq, "ck")
    found = nsd.match(deq, family="leaky_relu", on_failure="return")
    cost = np.linalg.norm(naive_matching.misses(naive_achieved(found.spec, "ck", tau0), target, tau0))
    least = naive_matching.least_cost(target, tau0)
    assert cost < least * (1.0 + SCANNED) + COEFFICIENTS, (cost, least)


@pytest.mark.parametrize("sigma_a2", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("tau0", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_an_even_target_is_matched_as_well(sigma_a2, tau0, kernel):
    """|x|: no linear part, so one layer has mean slope 0; |x| itself, bent again, is such a network."""
    found = nsd.match(nsd.DEQ("abs", sigma_a2, 1.0 - 0.5 * sigma_a2, tau0), kernel)
    assert (found.status, found.family) == ("matched", "leaky_relu")
    assert abs(slopes(found)[:, 0]).min() < EVEN_SLOPE


@pytest.mark.parametrize("trainable", ["all", ("recurrent", "readout"), "recurrent", ("input", "readout"), "readout"])
@pytest.mark.parametrize("tau0", [0.3, 1.0, 3.0])
def test_the_ntk_of_relu_is_matched_with_free_learning_rates(trainable, tau0):
    found = nsd.match(nsd.DEQ("relu", tau0=tau0), "ntk", trainable=trainable)
    assert (found.status, found.family, found.spec.depth) == ("matched", "leaky_relu", 2)
    assert all(layer.learning_rate >= 0.0 for layer in found.spec.layers)
    assert all(layer.weight_var == 1.0 for layer in found.spec.layers)


def test_an_ntk_without_a_network_says_that_none_was_found():
    found = nsd.match(nsd.DEQ("silu"), "ntk")
    assert found.status == "infeasible"
    assert "no slopes and learning rates were found" in found.reason
    assert 0.01 < found.residual < 0.1
