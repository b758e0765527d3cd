"""Pairs of samples that kernels are compared at, and the distance, against kernels computed pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching.probe import Pairs, Probe
from tests.matching.helpers import ALL, PAPERS, kernel_pairs, naive_function
from tests.matching.test_target import ball
from tests.reference import naive_kernels
from tests.tolerances import KERNEL, ROUNDING, SAME_PAIR, assert_close

NETWORK = nsd.MLP((nsd.Layer("erf", learning_rate=0.5),))
WEIGHTS = frozenset({"layer1", "readout"})


@pytest.mark.parametrize("place", [0, 7, 11, 18])
def test_values_are_those_of_a_pair_by_pair_route(place):
    """Pairs of norms come in the order (0, 0), (0, 1), (0, 2), (1, 1), ..., then norms with themselves."""
    deq, trained = nsd.DEQ("tanh", 0.1, 0.9, 0.5), frozenset(PAPERS)
    left, right, cosine = {0: (0, 0, -0.4), 7: (0, 2, 0.1), 11: (1, 1, 0.6), 18: (0, 0, 1.0)}[place]
    a, b = (0.5 * np.sqrt((0.6, 1.0, 1.4)[i]) for i in (left, right))
    naive = naive_kernels.Deq(naive_function(deq.activation), 0.1, 0.9, 0.5)
    wanted = naive.kernels(np.array([a, 0.0]), b * np.array([cosine, np.sqrt(1.0 - cosine**2)]), PAPERS)
    probe = Probe.of(deq, ("ck", "ntk"), trained, None)
    assert_close([probe.values[name][place] for name in ("ck", "ntk")], wanted, KERNEL)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("trained", [ALL, PAPERS])
def test_distances_are_relative_to_the_size_of_the_kernel_at_two_norms(trained):
    """Of two samples, to the largest entry at their norms; of a sample with itself, to its value."""
    deq = nsd.DEQ("tanh", 0.3, 0.7, 0.5)
    samples = (np.sqrt([0.6, 1.0, 1.4]), [-0.4, 0.1, 0.6], 0.5)
    wanted, found = np.array(kernel_pairs(deq, *samples, trainable=trained)), np.array(kernel_pairs(NETWORK, *samples))
    sizes = np.abs(wanted)
    sizes[:, :18] = sizes[:, :18].reshape(2, 6, 3).max(axis=2).repeat(3, axis=1)
    probe = Probe.of(deq, ("ck", "ntk"), frozenset(trained), None)
    for name, row in zip(("ck", "ntk"), wanted, strict=True):
        assert_close(probe.values[name], row, SAME_PAIR)
    assert_close(probe.distance(NETWORK, WEIGHTS), (np.abs(found - wanted) / sizes).max(), KERNEL, scale=1.0)


def test_the_distance_is_of_the_kernels_asked_for():
    deq = nsd.DEQ("tanh", 0.3, 0.7)
    each = [
        Probe.of(deq, names, frozenset(ALL), None).distance(NETWORK, WEIGHTS)
        for names in (("ck",), ("ntk",), ("ck", "ntk"))
    ]
    assert each[2] == max(each[:2])
    assert each[0] != each[1]


def test_pairs_are_every_two_norms_at_every_cosine():
    pairs = Pairs(np.array([1.0, 2.0]), np.array([-0.5, 0.5]))
    assert (
        list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [(0, 0)] * 2 + [(0, 1)] * 2 + [(1, 1)] * 2
    )
    assert_close(pairs.products, [-0.5, 0.5, -1.0, 1.0, -2.0, 2.0], ROUNDING)


def test_default_pairs_are_around_the_scale():
    pairs = Pairs.of(None, 1.0)
    assert_close(pairs.norms**2, [0.6, 1.0, 1.4], ROUNDING)
    assert_close(pairs.cosines, [-0.4, 0.1, 0.6], ROUNDING)
    assert_close(Pairs.of(None, 1.0, 0.5).norms ** 2, [0.8, 1.0, 1.2], ROUNDING)
    assert_close(Pairs.of(None, 1.0, 0.0).norms, [1.0], ROUNDING)


def test_pairs_of_data_span_their_norms_and_cosines():
    X = ball(n=200, p=30)
    X *= 3.0
    stats = nsd.Statistics.from_data(X)
    pairs = Pairs.of(stats, stats.tau0)
    squares = np.sort((X**2).sum(axis=1)) / (X**2).sum(axis=1).mean()
    assert_close(pairs.norms**2, np.quantile(squares, [0.05, 0.5, 0.95]), ROUNDING)
    assert (pairs.cosines.min(), pairs.cosines.max()) == stats.cosines


def test_pairs_of_equal_norms_have_one():
    pairs = Pairs.of(nsd.Statistics.from_data(ball(equal=True)), 1.0)
    assert pairs.norms.tolist() == [1.0]
    assert len(pairs.cosines) >= 2


def test_cosines_stay_where_short_series_serve():
    """Of samples that are nearly parallel."""
    X = np.random.default_rng(0).random((50, 5)) + 3.0
    pairs = Pairs.of(nsd.Statistics.from_data(X / np.sqrt((X**2).sum(axis=1).mean())), 1.0)
    assert_close(pairs.cosines, [0.7, 0.7, 0.7], ROUNDING)


def test_samples_that_are_all_orthogonal_get_the_default_cosines():
    """Kernels of orthogonal samples of centred models are next to nothing: there is nothing to compare."""
    pairs = Pairs.of(nsd.Statistics.from_data(np.eye(40)), 1.0)
    assert_close(pairs.cosines, [-0.4, 0.6], ROUNDING)


def test_a_single_sample_gets_the_default_cosines():
    gm = nsd.GaussianMixture.paper(50)
    X, y = gm.sample(1, seed=0)
    assert_close(Pairs.of(nsd.Statistics.from_mixture(gm, X, y), 1.0).cosines, [-0.4, 0.6], ROUNDING)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_norms_at_which_the_deq_has_no_fixed_point_are_drawn_in():
    """A cubic at its limit: at a squared norm of 1.4 the iteration of variances runs away."""
    deq = nsd.DEQ(nsd.activation("hermite", coefficients=(0.0, 1.0, 0.3, 0.2)), 0.3, 0.7)
    with pytest.raises(ValueError, match="fixed point"):
        nsd.ck(deq, np.sqrt([[1.4]]))
    probe = Probe.of(deq, ("ck",), frozenset(ALL), None)
    assert probe.pairs.norms.max() ** 2 < 1.39
    assert np.isfinite(probe.values["ck"]).all()
