"""What a network is to reproduce, and how a miss is measured, in units of the data scale."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching.target import Target, has_equal_norms, network_weights, units
from tests.matching.helpers import ALL, PAPERS, naive_target
from tests.matching.helpers import units as naive_units
from tests.tolerances import COEFFICIENTS, ROUNDING, assert_close

CK, NTK = np.array([0.5, 0.1, 0.2, 1.0]), np.array([0.8, 0.1, 0.4, 2.0])


def ball(n=30, p=20, seed=0, equal=False):
    X = np.random.default_rng(seed).standard_normal((n, p))
    return X / (np.linalg.norm(X, axis=1)[:, None] if equal else np.sqrt((X**2).sum(axis=1).mean()))


@pytest.mark.parametrize("tau0", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("trainable", [ALL, PAPERS])
def test_targets_are_the_numbers_of_the_deq(tau0, trainable):
    target = Target.of(nsd.DEQ("silu", tau0=tau0), "both", trainable)
    for kernel in ("ck", "ntk"):
        wanted = naive_target(nsd.DEQ("silu", tau0=tau0), kernel, trainable) * naive_units(tau0)
        assert_close(target.of_kernel(kernel), wanted, COEFFICIENTS)
    assert_close(units(tau0), naive_units(tau0), ROUNDING)


@pytest.mark.parametrize(("trainable", "readout"), [("all", 1.0), (PAPERS, 1.0), (("recurrent", "input"), 0.0)])
def test_the_readout_is_trained_where_that_of_the_deq_is(trainable, readout):
    """Each kernel of a network against itself; its NTK lacks the CK where the readout is not trained."""
    target = Target.of(nsd.DEQ("tanh"), "both", trainable)
    assert target.readout == readout
    mlp = nsd.MLP((nsd.Layer("tanh"),))
    ck, ntk = (np.array(nsd.coefficients(mlp, name, tau0=1.0).numbers) for name in ("ck", "ntk"))
    assert_close(Target("both", 1.0, ck, ntk - (1.0 - readout) * ck, readout).residual(mlp), 0.0, ROUNDING, scale=1.0)
    assert network_weights(mlp, readout > 0) == ({"layer1", "readout"} if readout else {"layer1"})


def test_numbers_are_four_for_each_kernel():
    for kernel, count in (("ck", 4), ("ntk", 4), ("both", 8)):
        target = Target(kernel, 1.0, CK, NTK)
        assert len(target.kernels) == count // 4
        assert target.numbers.shape == target.active.shape == (count,)
        assert target.active.all()
    assert (Target("ntk", 1.0, CK, NTK).numbers == NTK).all()
    assert (Target("both", 1.0, CK, NTK).numbers == np.concatenate([CK, NTK])).all()


def test_misses_are_relative():
    target = Target("both", 1.0, CK, NTK)
    assert_close(target.misses(1.1 * CK, 0.9 * NTK), [0.1] * 4 + [-0.1] * 4, ROUNDING)


def test_misses_of_numbers_that_should_be_zero_are_relative_to_the_diagonal():
    target = Target("ck", 2.0, np.array([0.5, 0.0, 0.25, 4.0]), NTK)
    assert_close(target.misses(np.array([0.6, 0.1, 0.25, 5.0]), NTK), [0.2, 0.1 / 4.0, 0.0, 0.25], ROUNDING)


def test_misses_take_many_points_at_once():
    target = Target("both", 1.0, CK, NTK)
    many = np.stack([CK, 2.0 * CK], axis=1), np.stack([NTK, 3.0 * NTK], axis=1)
    assert_close(target.misses(*many), np.array([[0.0, 1.0]] * 4 + [[0.0, 2.0]] * 4), ROUNDING)


def test_equal_norms_leave_the_number_of_norms_out():
    deq = nsd.DEQ("relu")
    target = Target.of(deq, "both", "all", nsd.Statistics.from_data(ball(equal=True)))
    assert target.equal_norms
    assert target.active.tolist() == [True, False, True, True] * 2
    wrong = [number * np.array([1.0, 7.0, 1.0, 1.0]) for number in (target.ck, target.ntk)]
    assert_close(target.misses(*wrong), np.zeros(6), ROUNDING, scale=1.0)
    assert not Target.of(deq, "both", "all", nsd.Statistics.from_data(ball())).equal_norms


@pytest.mark.parametrize(("spread", "equal"), [(0.0, True), (1e-8, True), (1e-4, False)])
def test_norms_are_equal_up_to_rounding(spread, equal):
    X = ball(equal=True)
    X[0] *= 1.0 + spread
    assert has_equal_norms(nsd.Statistics.from_data(X)) == equal


def test_the_residual_is_of_the_spec_at_the_scale_of_the_target():
    """A ReLU's NTK misses that of its double everywhere by the same share, but what a rate brings."""
    mlp = nsd.MLP((nsd.Layer(nsd.activation("tanh")),))
    numbers = [np.array(nsd.coefficients(mlp, name, tau0=0.7).numbers) * naive_units(0.7) for name in ("ck", "ntk")]
    assert Target("both", 0.7, *numbers).residual(mlp) == 0.0
    assert_close(Target("both", 0.7, 2.0 * numbers[0], numbers[1]).residual(mlp), 0.5, ROUNDING)
    assert Target("both", 1.0, *numbers).residual(mlp) > 0.01


@pytest.mark.parametrize("kernel", ["ck", "ntk", "both"])
def test_odd_and_even_are_told_by_what_vanishes(kernel):
    odd, even = np.array([0.5, 1e-30, 0.0, 0.6]), np.array([1e-30, 0.1, 0.1, 0.6])
    for numbers, wanted in ((odd, (True, False)), (CK, (False, False)), (even, (False, True))):
        target = Target(kernel, 1.0, numbers, numbers)
        assert (target.is_odd, target.is_even) == wanted


@pytest.mark.parametrize("tau0", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("name", "odd", "even"), [("tanh", True, False), ("abs", False, True), ("relu", False, False)])
def test_symmetry_does_not_depend_on_the_unit_of_the_data(tau0, name, odd, even):
    target = Target.of(nsd.DEQ(name, tau0=tau0), "ck", "all")
    assert (target.is_odd, target.is_even) == (odd, even)
