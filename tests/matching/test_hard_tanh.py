"""Family hard tanh against bisection on quadrature moments, up to its limit pi/2."""

from __future__ import annotations

import math

import pytest
from scipy.optimize import brentq

import notsodeep as nsd
from notsodeep.matching.hard_tanh import solutions
from notsodeep.matching.target import Target
from tests.matching.helpers import ALL, naive_target
from tests.reference import naive_matching
from tests.tolerances import COEFFICIENTS, HARD_TANH, NEARLY_A_SIGN, assert_close

ODD = ["tanh", "erf", "sin", "softsign", "hardtanh"]


def closed_form(deq, kernel, trainable=ALL):
    """Return the layers of unit learning rate."""
    return solutions(Target.of(deq, kernel, trainable))


def assert_same(mlp, slope, width):
    (layer,) = mlp.layers
    given = dict(layer.activation.params)
    assert (layer.learning_rate, layer.weight_var) == (1.0, 1.0)
    assert_close([given["scale"], given["clip"]], [slope, width], HARD_TANH, scale=[slope, width])


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("sigma_a2", [0.0, 1e-6, 0.2, 0.6, 0.9])
@pytest.mark.parametrize("tau0", [0.3, 1.0])
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_slope_and_width_are_those_of_an_independent_solution(kernel, name, sigma_a2, tau0):
    deq = nsd.DEQ(name, sigma_a2, 0.8, tau0)
    (found,) = closed_form(deq, kernel)
    assert Target.of(deq, kernel, ALL).residual(found) <= COEFFICIENTS
    assert_same(found, *naive_matching.hard_tanh(kernel, naive_target(deq, kernel), tau0))


@pytest.mark.parametrize("trainable", [("recurrent", "readout"), ("recurrent",), ("input",), ("readout",)])
def test_every_trainable_set_has_a_layer_of_unit_rate(trainable):
    deq = nsd.DEQ("tanh")
    (found,) = closed_form(deq, "ntk", trainable)
    readout = int("readout" in trainable)
    assert_same(found, *naive_matching.hard_tanh("ntk", naive_target(deq, "ntk", trainable), 1.0, readout))


def test_the_layer_of_unit_rate_is_among_the_solutions_of_a_match():
    """Free rates leave a family of layers, of which the closest is taken."""
    deq = nsd.DEQ("tanh")
    found = nsd.match(deq, "ntk", family="hard_tanh", max_depth=1)
    assert found.status == "matched"
    (unit,) = closed_form(deq, "ntk")
    assert unit in [each.spec for each in found.solutions]
    assert found.distance <= min(each.distance for each in found.solutions)


def test_the_ck_leaves_one_layer():
    found = nsd.match(nsd.DEQ("tanh"), family="hard_tanh", max_depth=1)
    assert (found.status, len(found.solutions)) == ("matched", 1)
    assert found.spec in closed_form(nsd.DEQ("tanh"), "ck")


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("tau0", [1e-3, 0.3, 1.0, 3.0])
def test_a_linear_target_gets_a_layer_that_never_clips(kernel, tau0):
    found = nsd.match(nsd.DEQ("identity", tau0=tau0), kernel, family="hard_tanh", max_depth=1)
    assert (found.status, found.family) == ("matched", "hard_tanh")
    assert dict(found.spec.layers[0].activation.params)["clip"] > 6.0 * tau0


def sine(frequency):
    return nsd.DEQ(nsd.activation("sin", frequency=frequency), sigma_a2=0.0, sigma_b2=1.0)


def sine_of_spread(spread):
    """Return the sine whose diagonal is so many times its linear part: ``(1 - e^{-2w^2}) / (2 w^2 e^{-w^2})``."""
    return sine(brentq(lambda w: math.sinh(w * w) / (w * w) - spread, 0.1, 3.0, xtol=1e-15))


@pytest.mark.parametrize("short", [1e-1, 1e-2, 3e-3, 1e-3, 5.3e-4, 4e-4, 1e-4, 1e-5])
def test_targets_up_to_the_limit_are_matched(short):
    """Just below pi/2 the layer is nearly a sign, its width small, and moments of it cancel."""
    found = nsd.match(sine_of_spread(0.5 * math.pi * (1.0 - short)), family="hard_tanh", max_depth=1)
    assert found.status == "matched", found


@pytest.mark.parametrize("over", [1e-5, 1e-3, 0.3])
def test_targets_beyond_the_limit_are_infeasible(over):
    """The closest layer is nearly a sign: of relative misses m and n of linear part and diagonal, (1 + n) / (1 + m)."""
    spread = 0.5 * math.pi * (1.0 + over)
    found = nsd.match(sine_of_spread(spread), family="hard_tanh", max_depth=1)
    assert found.status == "infeasible"
    assert f"diagonal / linear part is {spread:.4g}, one hard tanh layer stays below pi/2" in found.reason
    assert found.residual >= 0.5 * over / (1.0 + over) * (1.0 - NEARLY_A_SIGN)


def test_a_second_layer_goes_beyond_the_limit():
    found = nsd.match(sine_of_spread(0.5 * math.pi * 1.1), family="hard_tanh")
    assert (found.status, found.spec.depth) == ("matched", 2)


def test_the_limit_does_not_hold_for_the_ntk():
    found = nsd.match(sine_of_spread(0.5 * math.pi * 1.3), "ntk", family="hard_tanh", max_depth=1)
    assert found.status == "matched"


@pytest.mark.parametrize("name", ["relu", "silu"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_targets_that_are_not_odd_are_infeasible(name, kernel):
    """Their terms of norms and products are missing altogether, a relative miss of 1."""
    found = nsd.match(nsd.DEQ(name), kernel, family="hard_tanh")
    assert (found.status, found.family, found.solutions) == ("infeasible", "hard_tanh", ())
    assert "the target has norm and product terms, odd layers have none" in found.reason
    assert found.residual >= 1.0 - COEFFICIENTS


@pytest.mark.parametrize("name", ["abs", "cos"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_even_targets_are_infeasible(name, kernel):
    found = nsd.match(nsd.DEQ(name), kernel, family="hard_tanh")
    assert found.status == "infeasible"
    assert "the target has no linear part" in found.reason
    assert found.residual >= 1.0 - COEFFICIENTS
