"""Finite networks that were designed for a DEQ: their kernels and how they train, against the DEQ's, finite and exact.

Both are also held against a network of as many layers of the DEQ's own activation, which is not designed: it is off.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import notsodeep as nsd
from benchmarks.finite import Task, descents, fastest_rate
from notsodeep.experiments.centred import centred_mlp
from notsodeep.networks import empirical_ck, empirical_ntk
from tests.tolerances import STANDARD_ERRORS, WIDTH_TIMES_LOSS

FAR_OFF = 10.0
"""Standard errors that a network which is not designed is off by, at least."""
TRAINED, STEPS, WIDTH = 30, 8, 192


def digits(n, **options):
    return nsd.load_dataset("digits", n=n, n_test=0, **options)


def deviation(drawn, limit):
    """Return how far the mean of independent draws is from their limit, in standard errors, at the worst entry."""
    drawn = np.array(drawn)
    return float(np.abs((drawn.mean(axis=0) - limit) / (drawn.std(axis=0, ddof=1) / math.sqrt(len(drawn)))).max())


@pytest.mark.parametrize(
    ("activation", "kernel", "trainable"), [("relu", "both", "all"), ("gelu", "ntk", ("recurrent", "readout"))]
)
def test_gradients_of_finite_twins_have_the_ntk_of_the_deq(activation, kernel, trainable):
    deq, X = nsd.DEQ(activation), digits(6).X
    spec = nsd.match(deq, kernel, trainable=trainable).spec
    nets = [spec.to_torch(X.shape[1], 300, seed=seed) for seed in range(25)]
    drawn = [empirical_ntk(net, X) for net in nets]
    assert deviation(drawn, nsd.ntk(deq, X, trainable=trainable)) < STANDARD_ERRORS
    assert deviation(drawn, nsd.ntk(centred_mlp([activation] * spec.depth), X)) > FAR_OFF
    if kernel == "both":
        assert deviation([empirical_ck(net, X) for net in nets], nsd.ck(deq, X)) < STANDARD_ERRORS


@pytest.fixture(scope="module")
def runs():
    """Losses under gradient descent of all weights (of the DEQ by implicit gradients), actual and linearised.

    What is linearised is the training from the network's own start, with the exact NTK of the DEQ: this takes most of
    the scatter out of the difference.
    """
    deq, data = nsd.DEQ("gelu"), digits(40, classes=(0, 1))
    ntk = nsd.ntk(deq, data.X)
    task = Task(data.X, np.where(data.y == 0, -1.0, 1.0), TRAINED, STEPS, fastest_rate(ntk[:TRAINED, :TRAINED]))
    specs = {"deq": (deq, 8), "twin": (nsd.match(deq, "both").spec, 32), "other": (centred_mlp(["gelu", "gelu"]), 8)}
    return {
        name: descents(spec, task, ntk, WIDTH, range(start, start + pairs)).swapaxes(0, 1)
        for start, (name, (spec, pairs)) in zip((0, 100, 200), specs.items(), strict=True)
    }


def off(runs, name):
    """Return the relative differences of the losses of each pair from the linearised ones, first step on."""
    drawn, linear = runs[name]
    return ((drawn - linear) / linear.mean(axis=0))[:, 1:]


def standard_error(values):
    return values.std(axis=0, ddof=1) / math.sqrt(len(values))


@pytest.mark.parametrize("name", ["deq", "twin"])
def test_losses_are_those_of_the_exact_ntk(runs, name):
    drawn, gap = runs[name][0], off(runs, name)
    assert drawn[:, -1, 0].mean() < 0.1 * drawn[:, 0, 0].mean()
    excess = np.abs(gap.mean(axis=0)) - WIDTH_TIMES_LOSS / WIDTH
    assert (excess < STANDARD_ERRORS * standard_error(gap)).all()


def test_twin_trains_like_the_deq(runs):
    deq, twin = off(runs, "deq"), off(runs, "twin")
    error = np.hypot(standard_error(deq), standard_error(twin))
    assert (np.abs(deq.mean(axis=0) - twin.mean(axis=0)) < STANDARD_ERRORS * error).all()


def test_another_network_does_not(runs):
    gap = off(runs, "other")
    assert (gap.mean(axis=0) > FAR_OFF * standard_error(gap))[:, 0].any()
    assert gap[..., 0].mean(axis=0).max() > 0.5
