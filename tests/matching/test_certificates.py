"""Relations that rule networks out: never broken by random networks of the family, and sharp where they say so."""

from __future__ import annotations

import math

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching import FAMILIES
from notsodeep.matching.certificates import least_spent, why_not
from notsodeep.matching.target import Target
from tests.kernels.functions import bent, blurred
from tests.matching.helpers import ALL, PAPERS, naive_target
from tests.matching.layers import drawn, layer
from tests.reference import naive_equivalent as naive
from tests.tolerances import COEFFICIENTS, SPENT_ON_A_GRID, assert_close

SIZES = [(1,), (2,), (3,), (1, 2), (2, 2)]


def chain(name, depth, seed):
    """Return random layers (function, 1, learning rate), each at the scale of what the one before gives."""
    rng, scale, layers = np.random.default_rng(seed), 1.0, []
    for place in range(depth):
        f = layer(name, drawn(name, 100 * seed + place), scale)
        layers.append((f, 1.0, float(rng.choice([0.0, 1.0, rng.exponential()]))))
        scale = math.sqrt(naive.moments(f, scale).square)
    return layers


def numbers(branches, readout=1.0):
    """Return the four numbers of the CK and of the NTK; all layers are trained, the readout perhaps."""
    names = [f"branch{b}.layer{i}" for b, layers in enumerate(branches, 1) for i in range(1, len(layers) + 1)]
    trained = [*names, "readout"] if readout else names
    return naive.parallel_numbers(branches, 1.0), naive.parallel_numbers(branches, 1.0, trained)


def why(name, kernel, sizes, ck, ntk, readout=1.0):
    return why_not(Target(kernel, 1.0, np.asarray(ck), np.asarray(ntk), readout), FAMILIES[name], sizes)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sizes", SIZES)
def test_no_network_of_a_family_is_ruled_out(name, sizes):
    for seed in range(10):
        readout = float(seed % 3 > 0)
        ck, ntk = numbers([chain(name, depth, 10 * seed + b) for b, depth in enumerate(sizes)], readout)
        for kernel in ("ck", "ntk", "both") if ntk[3] > 0 else ("ck",):
            assert why(name, kernel, sizes, ck, ntk, readout) == "", (seed, kernel)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_learning_rates_bring_to_a_chain(depth):
    """The sums that the theorem on chains is made of, layer by layer.

    Layer j brings X_j to alpha3 and ``X_j (alpha4 / alpha1)^2 / 2`` to alpha2, alpha4 and alpha1 of the layers before
    it. Then beta1 / alpha1 - 1 is the sum C of the rates, beta2 - alpha2 what the norms of earlier layers bring, and
    beta3 - alpha3 lacks c_l X_j for each j < l to 2 C alpha3.
    """
    for seed in range(8):
        layers = chain("three_slope", depth, seed)
        g1, g2, parts, before, responses, scale, linear, response = [], [], [], [], [], 1.0, 1.0, 1.0
        for place, (f, _, _) in enumerate(layers):
            before.append(naive.mlp_numbers(layers[:place], 1.0)[1] if place else 0.0)
            m = naive.moments(f, scale)
            g1.append(m.d1**2)
            g2.append(m.d2**2)
            parts.append(g2[-1] * linear**2 / 2)
            responses.append(response / linear)
            linear, response, scale = linear * g1[-1], response * m.square_d2 / 2, math.sqrt(m.square)
        parts = [part * math.prod(g1[place + 1 :]) for place, part in enumerate(parts)]
        rates = [rate for _, _, rate in layers]
        total = sum(rates)
        ck, ntk = numbers([layers])
        halves = [part * ratio**2 / 2 for part, ratio in zip(parts, responses, strict=True)]
        assert_close([sum(parts), sum(halves)], ck[[2, 1]], COEFFICIENTS)
        norms = sum(rate * before[i] * math.prod(g1[i:]) for i, rate in enumerate(rates))
        products = 2 * total * ck[2] - sum(rate * sum(parts[:i]) for i, rate in enumerate(rates))
        gains = [(1 + total) * ck[0], ck[1] + norms, ck[2] + products]
        assert_close(ntk[:3], gains, COEFFICIENTS, scale=np.maximum(np.abs(gains), 1e-3 * ntk[3]))


@pytest.mark.parametrize("name", ["relu", "silu", "elu", "tanh", "abs"])
@pytest.mark.parametrize("sigma_a2", [0.2, 0.6])
@pytest.mark.parametrize("trained", [ALL, PAPERS, ("input", "readout"), ("recurrent",), ("recurrent", "input")])
def test_a_deq_asks_for_more_than_a_chain_has(name, sigma_a2, trained):
    """``beta3 = alpha3 + 2 C alpha3``, and where the recurrent weights are trained ``sigma_a2 alpha3 g1 / r`` more.

    Without a readout that is trained, ``beta3 = 2 C alpha3`` with ``C = beta1 / alpha1``, and the same more.
    """
    readout = float("readout" in trained)
    deq = nsd.DEQ(name, sigma_a2, 1.0 - sigma_a2)
    ck, ntk = (naive_target(deq, kernel, trained) for kernel in ("ck", "ntk"))
    g1 = ck[0] / (1.0 - sigma_a2 + sigma_a2 * ck[0])  # as alpha1 = g1 lambda1
    more = sigma_a2 * ck[2] * g1 / (1.0 - sigma_a2 * g1) if "recurrent" in trained else 0.0
    if g1 > 1e-12:
        chains = readout * ck[2] + 2.0 * (ntk[0] / ck[0] - readout) * ck[2]
        assert_close(ntk[2], chains + more, COEFFICIENTS, scale=ntk[3])
    bent_and_sloped = more > 1e-12 * ntk[3]
    reason = why("cubic", "both", (3,), ck, ntk, readout)
    assert ("two parallel branches are needed" in reason) == bent_and_sloped
    assert why("cubic", "both", (1, 2), ck, ntk, readout) == ""


def test_one_layer_without_a_trained_readout_has_no_norms():
    ck, ntk = numbers([chain("quartic", 1, 3)], readout=0.0)
    assert_close(ntk[1], 0.0, COEFFICIENTS, scale=1.0)
    off = ntk + np.array([0.0, 1e-3, 0.0, 0.0])
    assert "one layer whose readout is not trained has beta2 = 0" in why("quartic", "ntk", (1,), ck, off, 0.0)
    assert why("quartic", "ntk", (2,), ck, off, 0.0) == ""


def test_the_bound_of_a_chain_is_attained_by_rates_of_the_first_layer():
    layers = [(f, w, 0.7 * (place == 0)) for place, (f, w, _) in enumerate(chain("cubic", 3, 5))]
    ck, ntk = numbers([layers])
    assert_close(ntk[2], (1.0 + 2.0 * 0.7) * ck[2], COEFFICIENTS)
    more = ntk * np.array([1.0, 1.0, 1.0 + 1e-6, 1.0])
    assert why("cubic", "both", (3,), ck, ntk) == ""
    assert "beta3 - alpha3 <= 2 (beta1 / alpha1 - 1) alpha3" in why("cubic", "both", (3,), ck, more)
    assert why("cubic", "both", (1, 2), ck, more) == ""
    assert why("cubic", "ntk", (3,), ck, more) == ""


def test_two_branches_go_beyond_the_bound_of_one():
    """A branch with a rate beside a branch of other slope that has none: C is an average, what it multiplies is not."""
    beyond = 0
    for seed in range(8):
        ck, ntk = numbers([chain("cubic", depth, 10 * seed + depth) for depth in (1, 2)])
        beyond += ntk[2] - ck[2] > 2.0 * (ntk[0] / ck[0] - 1.0) * ck[2]
    assert 1 <= beyond <= 7


@pytest.mark.parametrize("change", [1.0 + 1e-6, 1.0 - 1e-6])
def test_one_layer_has_one_ratio_of_norms_to_products(change):
    ck, ntk = numbers([chain("quartic", 1, 3)])
    off = ck * np.array([1.0, change, 1.0, 1.0])
    assert f"alpha2 / alpha3 = 1/2, here it is {0.5 * change:.6g}" in why("quartic", "ck", (1,), off, ntk)
    assert why("quartic", "ck", (2,), off, ntk) == ""
    assert why("quartic", "ntk", (1,), off, ntk) == ""


def test_branches_of_one_layer_have_that_ratio_too():
    ck, ntk = numbers([chain("quartic", 1, 3), chain("quartic", 1, 4)])
    off = ck * np.array([1.0, 1.1, 1.0, 1.0])
    assert why("quartic", "ck", (1, 1), ck, ntk) == ""
    assert "one layer has alpha2 / alpha3 = 1/2" in why("quartic", "both", (1, 1), off, ntk)


def test_one_layer_without_a_rate_has_the_least_ratio_of_products_to_norms():
    ck, ntk = numbers([[(f, w, 0.0) for f, w, _ in chain("quartic", 1, 3)]])
    off = ntk * np.array([1.0, 1.0 + 1e-6, 1.0, 1.0])
    assert why("quartic", "ntk", (1,), ck, ntk) == ""
    assert "one layer has beta3 >= 2 beta2 at any learning rate" in why("quartic", "ntk", (1,), ck, off)
    assert why("quartic", "ntk", (2,), ck, off) == ""


@pytest.mark.parametrize("kernel", ["ck", "ntk", "both"])
def test_equal_norms_leave_the_ratio_out(kernel):
    ck, ntk = numbers([chain("quartic", 1, 3)])
    off = np.array([1.0, 1.5, 1.0, 1.0])
    free = Target(kernel, 1.0, ck * off, ntk * off, equal_norms=True)
    assert why_not(free, FAMILIES["quartic"], (1,)) == ""


def spent(left, middle, right, knot):
    """Return ``(E[s^2] - a_1^2 - a_2^2) / a_2^2`` by quadrature; ``a_1 = E[s']``, ``a_2 = E[s''] / sqrt 2``."""
    raw = bent(left, middle, right, knot)
    f = raw.shifted(-naive.moments(raw, 1.0).mean)
    m = naive.moments(f, 1.0)
    return (m.square - m.d1**2 - m.d2**2 / 2) / (m.d2**2 / 2)


def test_the_least_spent_is_that_of_a_scan_of_all_slopes():
    """Slopes left, middle, right of any signs (one of them 1: amplitudes do not matter), knots up to 2.5."""
    slopes = np.linspace(-1.5, 1.5, 7)
    grid = [(-1.0, m, r) for m in slopes for r in slopes if abs(r + 1.0) > 1e-9]
    least = min(spent(*each, knot) for each in grid for knot in np.linspace(0.1, 2.5, 9))
    assert least >= least_spent() * (1.0 - COEFFICIENTS)
    fine = min(spent(-1.0, 0.0, 1.0, knot) for knot in np.linspace(0.3, 1.0, 141))
    assert_close(fine, least_spent(), SPENT_ON_A_GRID)


def even_layer():
    """Return the layer that spends least, by a scan of its knots."""
    knots = np.linspace(0.3, 1.0, 1401)
    knot = knots[np.argmin([spent(-1.0, 0.0, 1.0, knot) for knot in knots])]
    raw = bent(-1.0, 0.0, 1.0, knot)
    return raw.shifted(-naive.moments(raw, 1.0).mean)


def test_the_least_diagonal_of_sharp_knots_is_attained_by_one_layer():
    ck, ntk = numbers([[(even_layer(), 1.0, 0.0)]])
    less = np.array([1.0, 1.0, 1.0, 1.0 - 1e-6])
    assert why("three_slope", "ck", (1,), ck, ntk) == ""
    for name, kernel in (("three_slope", "ck"), ("three_slope", "ntk"), ("leaky_relu", "ntk")):
        assert "sharp knots spend at least" in why(name, kernel, (3,), ck * less, ntk * less)
    assert why("soft_slopes", "ck", (1,), ck * less, ntk) == ""


def test_sharp_layers_keep_their_distance_from_the_least_diagonal():
    """``diagonal - linear - (1 + s) products`` of CK and NTK, for random networks: a layer can only add to it."""
    for seed in range(20):
        for depth in (1, 2, 3):
            for four in numbers([chain("three_slope", depth, seed)]):
                assert four[3] >= (four[0] + (1.0 + least_spent()) * four[2]) * (1.0 - COEFFICIENTS)


@pytest.mark.parametrize("width", [0.3, 1.0])
def test_blurring_escapes_the_least_diagonal(width):
    """It multiplies a_k by ``t^-k`` at scale ``t = sqrt(1 + w^2)``: higher orders go first."""
    knot, t = 0.7, math.sqrt(1.0 + width**2)
    f = math.exp(-0.5 * (knot / t) ** 2) / math.sqrt(2 * math.pi)
    raw = blurred(-1.0, 0.0, 1.0, knot, width)
    m = naive.moments(raw.shifted(-naive.moments(raw, 1.0).mean), 1.0)
    assert_close(m.d2, 2.0 * f / t, COEFFICIENTS)
    assert (m.square - m.d2**2 / 2) / (m.d2**2 / 2) < spent(-1.0, 0.0, 1.0, knot / t) / t**4


def test_an_identity_of_leaky_relu_layers():
    """Of any depth: with ``k = pi/2 - 1``, ``gamma2 = tau0^2 alpha1 + 4 k tau0^4 alpha2``; not of other layers."""
    k = 0.5 * math.pi - 1.0
    for depth in (1, 2, 3):
        for seed in range(6):
            ck, ntk = numbers([chain("leaky_relu", depth, seed)])
            assert_close(ck[0] + 4.0 * k * ck[1], ck[3], COEFFICIENTS)
            off = ck * np.array([1.0, 1.0, 1.0, 1.0 + 1e-6])
            assert "leaky ReLU layers have gamma2 = tau0^2 alpha1" in why("leaky_relu", "ck", (3,), off, ntk)
            assert why("leaky_relu", "ck", (depth,), ck, ntk) == ""


@pytest.mark.parametrize("readout", [0.0, 1.0])
def test_one_leaky_relu_layer_has_an_identity_for_its_ntk(readout):
    ck, ntk = numbers([[(f, w, 0.6) for f, w, _ in chain("leaky_relu", 1, 2)]], readout)
    assert_close(ntk[0] + 0.5 * math.pi * ntk[2] - (4.0 - math.pi) * ntk[1], ntk[3], COEFFICIENTS)
    off = ntk * np.array([1.0, 1.0, 1.0, 1.0 + 1e-6])
    assert "one leaky ReLU layer has kappa2" in why("leaky_relu", "ntk", (1,), ck, off, readout)
    assert why("leaky_relu", "ntk", (2,), ck, off, readout) == ""


def test_odd_layers_are_told_from_what_they_cannot_do():
    odd, bent_too, even = [0.5, 0.0, 0.0, 0.6], [0.5, 0.1, 0.2, 1.0], [0.0, 0.1, 0.2, 1.0]
    for kernel in ("ck", "ntk"):
        assert "odd layers have none" in why("hard_tanh", kernel, (1,), bent_too, bent_too)
        assert "the target has no linear part" in why("hard_tanh", kernel, (2,), even, even)
        assert why("hard_tanh", kernel, (1,), odd, odd) == ""


def test_one_hard_tanh_ends_at_the_sign():
    """``diagonal / linear`` of a sign is pi/2: its Hermite coefficient a_1 is ``sqrt(2 / pi)``."""
    ntk = np.array([1.0, 0.0, 0.0, 4.0])
    for spread, ruled_out in ((0.5 * math.pi * (1.0 - 1e-5), False), (0.5 * math.pi, True), (2.0, True)):
        ck = np.array([1.0, 0.0, 0.0, spread])
        for kernel in ("ck", "both"):
            assert bool(why("hard_tanh", kernel, (1,), ck, ntk)) == ruled_out
        assert why("hard_tanh", "ntk", (1,), ck, ntk) == ""
        assert why("hard_tanh", "ck", (2,), ck, ntk) == ""
