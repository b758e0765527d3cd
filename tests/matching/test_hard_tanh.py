"""Family hard tanh against bisection on quadrature moments, up to its limit pi/2."""

from __future__ import annotations

import math

import pytest
from scipy.optimize import brentq

import notsodeep as nsd
from tests.matching.helpers import naive_target
from tests.reference import naive_matching
from tests.tolerances import COEFFICIENTS, HARD_TANH, NEARLY_A_SIGN, assert_close

ODD = ["tanh", "erf", "sin", "softsign", "hardtanh"]


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("sigma_a2", [0.0, 1e-6, 0.2, 0.6, 0.9])
@pytest.mark.parametrize("tau0", [0.3, 1.0])
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_slope_and_width_are_those_of_an_independent_solution(kernel, name, sigma_a2, tau0):
    deq = nsd.DEQ(name, sigma_a2, 0.8, tau0)
    found = nsd.match(deq, kernel, family="hard_tanh")
    assert found.status == "matched", found
    slope, width = naive_matching.hard_tanh(kernel, naive_target(deq, kernel), tau0)
    given = dict(found.spec.layers[0].activation.params)
    assert_close([given["scale"], given["clip"]], [slope, width], HARD_TANH, scale=[slope, width])


@pytest.mark.parametrize("trainable", [("recurrent", "readout"), ("recurrent",), ("input",), ("readout",)])
def test_every_trainable_set_is_matched(trainable):
    deq = nsd.DEQ("tanh")
    found = nsd.match(deq, "ntk", trainable=trainable)
    assert (found.status, found.family, found.trainable) == ("matched", "hard_tanh", frozenset(trainable))
    slope, width = naive_matching.hard_tanh("ntk", naive_target(deq, "ntk", trainable), 1.0)
    given = dict(found.spec.layers[0].activation.params)
    assert_close([given["scale"], given["clip"]], [slope, width], HARD_TANH, scale=[slope, width])


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("tau0", [1e-3, 0.3, 1.0, 3.0])
def test_a_linear_target_gets_a_layer_that_never_clips(kernel, tau0):
    found = nsd.match(nsd.DEQ("identity", tau0=tau0), kernel)
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
    found = nsd.match(sine_of_spread(0.5 * math.pi * (1.0 - short)), family="hard_tanh")
    assert found.status == "matched", found


@pytest.mark.parametrize("over", [1e-5, 1e-3, 0.3])
def test_targets_beyond_the_limit_are_infeasible(over):
    spread = 0.5 * math.pi * (1.0 + over)
    found = nsd.match(sine_of_spread(spread), family="hard_tanh")
    assert found.status == "infeasible"
    assert f"diagonal / linear part is {spread:.4g}, one hard tanh layer stays below pi/2" in found.reason
    assert_close(found.residual, over / (1.0 + over), NEARLY_A_SIGN, scale=1.0)


def test_the_limit_does_not_hold_for_the_ntk():
    found = nsd.match(sine_of_spread(0.5 * math.pi * 1.3), "ntk", family="hard_tanh")
    assert found.status == "matched"


@pytest.mark.parametrize("name", ["relu", "silu"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_targets_that_are_not_odd_are_infeasible(name, kernel):
    """What is odd in them is still met; the rest is missing altogether, a relative residual of 1."""
    found = nsd.match(nsd.DEQ(name), kernel, family="hard_tanh")
    assert found.status == "infeasible"
    assert "the target has norm and product terms, an odd layer has none" in found.reason
    assert_close(found.residual, 1.0, COEFFICIENTS)
    assert_close(found.achieved.numbers[::3], found.target.numbers[::3], COEFFICIENTS)


@pytest.mark.parametrize("name", ["abs", "cos"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_even_targets_are_infeasible(name, kernel):
    found = nsd.match(nsd.DEQ(name), kernel, family="hard_tanh")
    assert found.status == "infeasible"
    assert "even activation has no linear part" in found.reason
    assert 0.1 < found.residual < 10.0
