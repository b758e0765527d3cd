"""A design's numbers and kernels, which know scale 1 alone, against those of the specs that it gives at any scale."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching import FAMILIES
from notsodeep.matching.design import Design
from notsodeep.matching.probe import Pairs
from tests.matching.helpers import kernel_pairs, naive_achieved, units
from tests.matching.layers import drawn
from tests.tolerances import CENTRAL, COEFFICIENTS, ROUNDING, SERIES, SHORT_SERIES, assert_close

BRANCHES = [(1,), (2,), (3,), (1, 2), (2, 2)]
NEAR = Pairs(np.sqrt([0.7, 1.0, 1.3]), np.array([-0.15, 0.1, 0.2]))
"""Cosines whose powers vanish soon"""


def design(name, branches, with_rates=True):
    return Design(FAMILIES[name].shape, branches, with_rates)


def point(one, name, seed=0):
    """Return random layers; the last ones of branches are smaller, hidden ones of any size."""
    rng = np.random.default_rng(seed)
    thetas = [drawn(name, 10 * seed + i) for i in range(one.layers)]
    return one.join(thetas, list(rng.uniform(0.0, 2.0, one.layers)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("branches", BRANCHES)
@pytest.mark.parametrize("tau0", [0.3, 2.5])
def test_numbers_are_those_of_the_spec(name, branches, tau0):
    one = design(name, branches)
    z = point(one, name)
    spec = one.spec(z, tau0)
    for kernel, found in zip(("ck", "ntk"), one.numbers(z), strict=True):
        wanted = np.array(nsd.coefficients(spec, kernel, tau0=tau0).numbers) * units(tau0)
        assert_close(found, wanted, COEFFICIENTS, scale=np.maximum(np.abs(wanted), 1e-3 * wanted[3]), what=kernel)


@pytest.mark.parametrize("name", FAMILIES)
def test_numbers_are_those_of_the_naive_route(name):
    one = design(name, (1, 2))
    z = point(one, name, seed=1)
    for kernel, found in zip(("ck", "ntk"), one.numbers(z), strict=True):
        assert_close(found, naive_achieved(one.spec(z, 0.7), kernel, 0.7) * units(0.7), COEFFICIENTS)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("branches", "tau0"), [((3,), 0.5), ((1, 2), 2.0)])
def test_kernels_are_the_exact_ones_of_the_spec(name, branches, tau0):
    one = design(name, branches)
    z = point(one, name, seed=2)
    for found, wanted in zip(
        one.kernels(z[:, None], NEAR), kernel_pairs(one.spec(z, tau0), NEAR.norms, NEAR.cosines, tau0), strict=True
    ):
        assert_close(found[:, 0], wanted, SERIES)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("name", ["hard_tanh", "leaky_relu", "three_slope", "soft_slopes"])
def test_kernels_of_the_default_pairs_are_exact_enough(name):
    """Where series of fifteen terms end, at a cosine of 0.6."""
    one, pairs = design(name, (2,)), Pairs.of(None, 1.0)
    z = point(one, name)
    for found, wanted in zip(
        one.kernels(z[:, None], pairs), kernel_pairs(one.spec(z, 1.0), pairs.norms, pairs.cosines, 1.0), strict=True
    ):
        assert_close(found[:, 0], wanted, SHORT_SERIES)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("branches", [(2,), (1, 2)])
def test_complex_steps_are_derivatives_of_numbers_and_kernels(name, branches):
    one = design(name, branches)
    z = point(one, name, seed=3)

    def everything(z):
        return np.concatenate([*one.numbers(z), *one.kernels(z, NEAR)])

    eye = np.eye(z.size)
    steps = everything(z[:, None] + 1e-30j * eye).imag / 1e-30
    differences = (everything(z[:, None] + 1e-5 * eye) - everything(z[:, None] - 1e-5 * eye)) / 2e-5
    assert_close(steps, differences, CENTRAL, scale=max(1.0, np.abs(differences).max()))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_amplitude_of_a_hidden_layer_is_a_gauge(name):
    """Scaled by any factor, it gives the same network."""
    one, shape = design(name, (2,)), FAMILIES[name].shape
    z = point(one, name)
    louder = z.copy()
    louder[: shape.linear] *= 2.7
    for found, wanted in zip(one.numbers(louder), one.numbers(z), strict=True):
        assert_close(found, wanted, ROUNDING, scale=np.abs(wanted).max() * 10)


def test_unit_rates_are_those_of_a_design_without_them():
    fixed, free = design("cubic", (1, 2), with_rates=False), design("cubic", (1, 2))
    z = point(free, "cubic")[: fixed.size]
    assert fixed.size == free.size - 3
    for found, wanted in zip(fixed.numbers(z), free.numbers(np.concatenate([z, np.ones(3)])), strict=True):
        assert_close(found, wanted, ROUNDING)
    spec = fixed.spec(z, 1.0)
    assert [layer.learning_rate for branch in spec.branches for layer in branch.layers] == [1.0] * 3


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
def test_a_readout_that_is_not_trained_leaves_its_share_out():
    """What its rate of 1 brings to the NTK is the CK."""
    one = design("soft_slopes", (1, 2))
    without, z = Design(one.shape, one.branches, with_rates=True, readout=0.0), point(one, "soft_slopes")
    for method in (lambda d: d.numbers(z), lambda d: d.kernels(z[:, None], NEAR)):
        ck, ntk = method(without)
        assert_close(np.stack([ck, ntk + ck]), np.stack(method(one)), ROUNDING)
    assert_close(without.numbers(z)[1], naive_achieved(one.spec(z, 1.0), "ntk", 1.0, readout=False), COEFFICIENTS)


def test_specs_have_the_sizes_asked_for():
    for branches in BRANCHES:
        one = design("soft_slopes", branches)
        spec = one.spec(point(one, "soft_slopes"), 1.0)
        depths = [spec.depth] if isinstance(spec, nsd.MLP) else [branch.depth for branch in spec.branches]
        assert tuple(depths) == branches
        assert one.size == 6 * sum(branches)


def test_hidden_layers_give_back_the_scale_that_they_get():
    one = design("three_slope", (3,))
    spec = one.spec(point(one, "three_slope"), 0.4)
    for depth in (1, 2):
        part = nsd.MLP(spec.layers[:depth])
        assert_close(nsd.coefficients(part, tau0=0.4).gamma2, 0.4**2, COEFFICIENTS)


def test_a_rate_that_rounding_leaves_is_none():
    one = design("leaky_relu", (2,))
    spec = one.spec(one.join([drawn("leaky_relu", 0), drawn("leaky_relu", 1)], [1e-20, 0.5]), 1.0)
    assert spec.layers[0].learning_rate == 0.0
    assert_close(spec.layers[1].learning_rate, 0.5, ROUNDING)
