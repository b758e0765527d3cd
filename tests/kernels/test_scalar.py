"""The scale of a DEQ and of its samples, against 30-digit values, plain bisection and polynomial roots."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.activations import moments, names
from notsodeep.errors import StabilityWarning
from notsodeep.kernels.scalar import rest_point, sample_variances
from tests.tolerances import EXACT, ROOTS, ROUNDING, assert_close

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "coefficients.json").read_text())
GRID = np.arange(-13.0, 13.0, 1 / 128)
DENSITY = np.exp(-0.5 * GRID**2) / math.sqrt(2 * math.pi) / 128


def deq_of(record, share):
    """Return the model of a record, with this share of what the input brings moved to a bias."""
    name = record["activation"].replace("leaky_relu_0.01", "leaky_relu:slope=0.01")
    sigma_a2, sigma_b2, tau0 = (float(record[key]) for key in ("sigma_a2", "sigma_b2", "tau0"))
    return nsd.DEQ(name, sigma_a2, (1 - share) * sigma_b2, tau0, sigma_c2=share * sigma_b2 * tau0**2)


@pytest.mark.parametrize("share", [0.0, 0.75], ids=["plain", "biased"])
@pytest.mark.parametrize("record", REFERENCE, ids=lambda r: f"{r['activation']}-{r['sigma_a2']}")
def test_rest_point_matches_reference(record, share):
    found = rest_point(deq_of(record, share))
    expected = {key: float(record[key]) for key in record if isinstance(record[key], str) and key != "activation"}
    assert_close(found.tau_star, expected["tau_star"], ROOTS)
    assert_close(found.shift, expected["shift"], ROOTS, scale=1.0)
    for name, key in (
        ("square", "gamma2"),
        ("slope", "E_d1"),
        ("curvature", "E_d2"),
        ("slope_square", "E_d1_squared"),
        ("square_curvature", "E_phi2_dd"),
    ):
        assert_close(getattr(found.moments, name), expected[key], ROOTS, scale=1.0, what=name)
    assert_close(found.moments.mean, 0.0, ROOTS, scale=1.0)


@pytest.mark.parametrize("name", ["relu", "tanh", "silu", "softsign", "cos", "gelu"])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("tau0", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("sigma_c2", [0.0, 0.3, 1e3])
def test_rest_point_solves_its_equation(name, center, tau0, sigma_c2):
    deq = nsd.DEQ(name, sigma_a2=0.6, sigma_b2=0.5, tau0=tau0, center=center, sigma_c2=sigma_c2)
    found = rest_point(deq)
    power = float(moments(found.activation, found.tau_star).square)
    assert_close(found.tau_star**2, 0.6 * power + 0.5 * tau0**2 + sigma_c2, ROOTS)
    assert_close(
        moments(found.activation, found.tau_star).mean, 0.0 if center else found.moments.mean, ROUNDING, scale=1.0
    )
    assert found.shift == (0.0 if not center else pytest.approx(float(moments(deq.activation, found.tau_star).mean)))
    assert found.contraction < 1.0


@pytest.mark.parametrize("sigma_c2", [0.0, 0.2, 1e6])
def test_relu_in_closed_form(sigma_c2):
    """Uncentred: ``q = sigma_a2 q / 2 + sigma_b2 tau0^2 + sigma_c2``; centred, ``1/2`` becomes ``1/2 - 1/(2 pi)``."""
    for center, share in ((False, 0.5), (True, 0.5 - 0.5 / math.pi)):
        found = rest_point(nsd.DEQ("relu", 0.9, 0.3, 1.7, center, sigma_c2))
        tau2 = (0.3 * 1.7**2 + sigma_c2) / (1 - 0.9 * share)
        assert_close(found.tau_star**2, tau2, ROOTS)
        assert_close(found.shift, math.sqrt(tau2 / (2 * math.pi)) if center else 0.0, ROOTS)
        assert_close(found.contraction, 0.45, ROUNDING)
        assert_close(found.global_contraction, 0.9, ROUNDING)
        assert_close(found.wide_contraction, 3.6, ROUNDING)


def test_no_recurrence_leaves_the_input_and_the_bias():
    for sigma_c2 in (0.0, 0.4):
        deq = nsd.DEQ("tanh", sigma_a2=0.0, sigma_b2=0.7, tau0=2.0, sigma_c2=sigma_c2)
        assert_close(rest_point(deq).tau_star ** 2, 2.8 + sigma_c2, EXACT)
        assert_close(sample_variances(deq, np.array([0.5, 3.0])), [0.35 + sigma_c2, 2.1 + sigma_c2], EXACT)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("name", names())
def test_a_bias_is_one_more_feature_that_all_samples_share(name, center):
    """With ``sqrt(sigma_c2 / sigma_b2)`` appended to each sample, the bias is a part of the input."""
    sigma_b2, sigma_c2, norms = 0.6, 1.3, np.geomspace(0.01, 9.0, 60)
    biased = nsd.DEQ(name, 0.25, sigma_b2, 0.9, center, sigma_c2)
    longer = nsd.DEQ(name, 0.25, sigma_b2, math.sqrt(0.81 + sigma_c2 / sigma_b2), center)
    found, same = rest_point(biased), rest_point(longer)
    assert_close([found.tau_star, found.contraction], [same.tau_star, same.contraction], ROOTS)
    assert_close(found.shift, same.shift, ROOTS, scale=1.0)
    want = sample_variances(longer, norms + sigma_c2 / sigma_b2)
    assert_close(sample_variances(biased, norms), want, ROOTS, scale=want)


def polynomial_power(coefficients):
    """Return ``E[p(sqrt(q) xi)^2]`` as a polynomial of q, for ``p`` with these power coefficients (p odd or even)."""
    square = np.polynomial.polynomial.polymul(coefficients, coefficients)
    return [c * math.prod(range(2 * i - 1, 0, -2)) for i, c in enumerate(square[::2])]


@pytest.mark.parametrize("sigma_c2", [0.0, 0.1])
def test_the_smallest_of_two_fixed_points_is_taken(sigma_c2):
    """``phi = 0.5 h_3``: the variance map is a cubic that crosses the identity down, then up."""
    cubic = np.array([0.0, -3.0, 0.0, 1.0]) * 0.5 / math.sqrt(6.0)
    roots = np.roots(np.polynomial.polynomial.polysub([0.3, -1.0], -0.4 * np.array(polynomial_power(cubic)))[::-1])
    positive = np.sort(roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)])
    assert positive.size == 2
    phi = nsd.activation("hermite", coefficients=(0, 0, 0, 0.5))
    with pytest.warns(StabilityWarning):
        found = rest_point(nsd.DEQ(phi, 0.4, 0.3 - sigma_c2, sigma_c2=sigma_c2))
    assert_close(found.tau_star**2, positive[0], ROOTS)


def bisect(deq, rest, squared_norm):
    """Variance of one sample by bisection on a trapezoidal sum, which is exact to rounding for analytic functions."""
    phi = np.tanh if deq.activation.name == "tanh" else lambda u: u / (1 + np.exp(-u))

    def excess(q):
        power = DENSITY @ (phi(math.sqrt(q) * GRID) - rest.shift) ** 2
        return deq.sigma_a2 * power + deq.sigma_b2 * squared_norm + deq.sigma_c2 - q

    low, high = deq.sigma_b2 * squared_norm + deq.sigma_c2, 50.0 * (1.0 + squared_norm + deq.sigma_c2)
    for _ in range(120):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return 0.5 * (low + high)


@pytest.mark.parametrize("sigma_c2", [0.0, 0.4, 30.0])
@pytest.mark.parametrize("count", [5, 400])
@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_sample_variances_are_those_of_bisection(name, count, sigma_c2):
    """Few samples are solved one by one, many through a table."""
    deq = nsd.DEQ(name, sigma_a2=0.5, sigma_b2=0.6, sigma_c2=sigma_c2)
    norms = np.random.default_rng(3).uniform(0.05, 4.0, count)
    found = sample_variances(deq, norms)
    for i in range(0, count, max(1, count // 5)):
        assert_close(found[i], bisect(deq, rest_point(deq), norms[i]), ROOTS)


@pytest.mark.parametrize("sigma_c2", [0.0, 0.5, 1e4])
@pytest.mark.parametrize("count", [7, 300])
def test_sample_variances_of_relu_are_roots_of_a_quadratic(count, sigma_c2):
    """``q = sigma_a2 (q/2 - 2 b sqrt(q/2pi) + b^2) + sigma_b2 |x|^2 + sigma_c2``, b the shift: quadratic in sqrt(q)."""
    deq = nsd.DEQ("relu", sigma_a2=0.7, sigma_b2=0.4, tau0=1.2, sigma_c2=sigma_c2)
    b, norms = rest_point(deq).shift, np.geomspace(1e-2, 30.0, count)
    half, rest = 0.7 * b / math.sqrt(2 * math.pi), 0.7 * b**2 + 0.4 * norms + sigma_c2
    root = (-half + np.sqrt(half**2 + 0.65 * rest)) / 0.65
    assert_close(sample_variances(deq, norms), root**2, ROOTS, scale=root**2)


def test_the_sample_of_norm_tau0_has_the_rest_point():
    for sigma_c2 in (0.0, 2.0):
        deq = nsd.DEQ("elu", sigma_a2=0.4, sigma_b2=0.6, tau0=1.3, sigma_c2=sigma_c2)
        assert_close(sample_variances(deq, np.array([1.69]))[0], rest_point(deq).tau_star ** 2, ROOTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("relu", 3.0, 0.8),
            r"no stable kernel fixed point: the variance of .* grows without bound; lower sigma_a2 \(now 3\)",
        ),
        (("hermite", 1.0, 0.8), "grows without bound"),
        (("tanh", 3.0, 0.01), r"sigma_a2 E\[phi'\(tau_star xi\)\^2\] = 1\.2\d* >= 1 at tau_star = 1\.1"),
        (("sin:frequency=3", 2.0, 0.1), r"no stable kernel fixed point: .* = 9 >= 1"),
    ],
)
def test_models_without_a_stable_fixed_point(arguments, message):
    with pytest.raises(ValueError, match=message):
        rest_point(nsd.DEQ(*arguments))


def test_samples_without_a_stable_fixed_point_are_named():
    deq = nsd.DEQ("tanh", sigma_a2=3.0, sigma_b2=0.8)
    with pytest.warns(StabilityWarning), pytest.raises(ValueError, match=r"samples of squared norm 0\.01 "):
        sample_variances(deq, np.array([1.0, 0.01]))


@pytest.mark.parametrize(
    ("name", "sigma_a2", "bound"), [("selu", 0.5, "1.55"), ("tanh", 3.0, "3"), ("silu", 0.9, "1.09")]
)
def test_no_global_contraction_warns(name, sigma_a2, bound):
    with pytest.warns(StabilityWarning, match=f"sigma_a2 L\\^2 = {bound} >= 1"):
        found = rest_point(nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=0.8))
    assert found.contraction < 1.0 <= found.global_contraction


def test_the_warning_comes_each_time_though_the_result_is_kept():
    deq = nsd.DEQ("selu", sigma_a2=0.5)
    for _ in range(2):
        with pytest.warns(StabilityWarning):
            rest_point(deq)


@pytest.mark.parametrize(("name", "sigma_a2"), [("relu", 0.9), ("tanh", 0.95), ("selu", 0.3), ("silu", 0.8)])
def test_contractions_do_not_warn(name, sigma_a2):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rest_point(nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=0.2)).global_contraction < 1.0


def test_odd_functions_are_not_shifted_by_rounding():
    for name in ("tanh", "erf", "hardtanh", "sin", "softsign"):
        found = rest_point(nsd.DEQ(name))
        assert found.shift == 0.0
        assert found.activation == nsd.activation(name)
