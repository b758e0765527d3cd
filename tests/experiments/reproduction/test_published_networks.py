from __future__ import annotations

import math

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.reproduction.published_networks import (
    figure_design,
    fitted,
    hard_tanh_numbers,
    hard_tanh_scale,
    leaky_relu_numbers,
    leaky_relu_scale,
    training_deq,
    training_design,
)
from tests.tolerances import COEFFICIENTS, ROOTS, assert_close


def numbers(spec, tau0):
    found = nsd.coefficients(spec, tau0=None if isinstance(spec, nsd.DEQ) else tau0)
    return [found.alpha1, found.alpha2, found.alpha3, found.gamma2 - tau0**2 * found.alpha1]


@pytest.mark.parametrize("tau0", [1.0, 0.8])
def test_closed_forms_are_the_coefficients_of_the_networks(tau0):
    a1, b1, a2, b2 = 1.1, 0.2, 0.9, -0.3
    layers = (
        nsd.Layer(nsd.activation("two_slope", a=a1, b=b1, tau=tau0)),
        nsd.Layer(nsd.activation("two_slope", a=a2, b=b2, tau=leaky_relu_scale(a1, b1, tau0))),
    )
    assert_close(leaky_relu_numbers(a1, b1, a2, b2, tau0), numbers(nsd.MLP(layers), tau0), COEFFICIENTS)
    clip = nsd.MLP((nsd.Layer(nsd.activation("hardtanh", scale=0.8, clip=1.3)),))
    assert_close(hard_tanh_numbers(0.8, 1.3, tau0), numbers(clip, tau0), COEFFICIENTS)


def test_scales_are_root_mean_squares():
    points, weights = np.polynomial.legendre.leggauss(400)
    x, weights = 6.0 * (points + 1.0), 6.0 * weights
    density = weights * np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)
    right, left = np.maximum(1.1 * 0.7 * x, 0.2 * 0.7 * x), np.maximum(-1.1 * 0.7 * x, -0.2 * 0.7 * x)
    mean = density @ right + density @ left
    square = density @ right**2 + density @ left**2 - mean**2
    assert_close(leaky_relu_scale(1.1, 0.2, 0.7), square**0.5, ROOTS)
    inner, outer = 0.5 * 1.5 * (points + 1.0), 1.5
    clipped = 2.0 * (0.5 * 1.5 * np.polynomial.legendre.leggauss(400)[1]) @ (
        inner**2 * np.exp(-0.5 * inner**2) / math.sqrt(2.0 * math.pi)
    ) + outer**2 * math.erfc(outer / math.sqrt(2.0))
    assert_close(hard_tanh_scale(0.8, 1.5 * 0.7, 0.7), 0.8 * 0.7 * clipped**0.5, ROOTS)


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_the_minimum_meets_the_equations_to_its_tolerance_alone(phi):
    """The sum of squares stops to fall at 1e-10: numbers are off by some 1e-5, not by rounding."""
    deq = nsd.DEQ(phi, 0.2, 0.8)
    missed = np.abs(np.array(numbers(figure_design(deq), 1.0)) - numbers(deq, 1.0)).max()
    assert 1e-9 < missed < math.sqrt(1e-10)


def test_training_code_designs_for_other_variances():
    for phi, sigma_a2 in (("relu", 0.3), ("tanh", 0.1)):
        spec = training_design(nsd.DEQ(phi, 0.2, 0.8), centred=True)
        other = nsd.DEQ(phi, sigma_a2, 1.0 - sigma_a2)
        assert np.abs(np.array(numbers(spec, 1.0)) - numbers(other, 1.0)).max() < math.sqrt(1e-10)
        assert np.abs(np.array(numbers(spec, 1.0)) - numbers(nsd.DEQ(phi, 0.2, 0.8), 1.0)).max() > 0.01
        assert spec == figure_design(other)  # centred by the same rule, at the same scale


def test_its_second_layer_is_not_centred():
    spec = training_design(nsd.DEQ("relu", 0.2, 0.8))
    a1, b1, a2, b2 = fitted("relu", 0.3, 1.0)
    wanted = [
        -(a1 - b1) / math.sqrt(2.0 * math.pi),
        -(a2 - b2) * hard_tanh_scale(a1, b1, 1.0) / math.sqrt(2.0 * math.pi),
    ]
    assert_close([layer.activation.offset for layer in spec.layers], wanted, ROOTS)
    with pytest.raises(ValueError, match="centred"):
        nsd.coefficients(spec, tau0=1.0)


def test_its_deq_is_shifted_for_a_third_variance():
    tau = nsd.coefficients(nsd.DEQ("relu", 0.1, 0.9)).tau_star
    found = training_deq(nsd.DEQ("relu", 0.2, 0.8))
    assert_close(found.activation.offset, -tau / math.sqrt(2.0 * math.pi), ROOTS)
    assert (found.sigma_a2, found.center) == (0.2, False)
    assert training_deq(nsd.DEQ("tanh")) == nsd.DEQ("tanh")


@pytest.mark.parametrize("design", [figure_design, training_design, training_deq])
def test_other_activations_are_refused(design):
    with pytest.raises(ValueError, match="activation must be"):
        design(nsd.DEQ("silu"))
