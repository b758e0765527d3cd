"""Several readouts side by side: what training them one after the other gives, and what misuse says."""

from __future__ import annotations

import copy

import pytest
import torch

from notsodeep.errors import ConvergenceError
from notsodeep.networks import train
from notsodeep.networks.training.readouts import fit_readouts
from tests.networks.training.kit import CLASSES, WIDTH, data, mlp, settings
from tests.tolerances import FUNCTIONAL, assert_close

SGD = settings(epochs=4, batch_size=5)
SLOW = settings(epochs=4, batch_size=5, lr=0.1)
ADAM = settings(epochs=4, batch_size=5, optimizer="adam", lr=0.05)


@pytest.fixture
def net():
    return mlp(dtype=torch.float64)


def trained(net, chosen):
    other = copy.deepcopy(net)
    train(other, *data(), chosen)
    return other.readout.weight.detach()


@pytest.mark.parametrize(
    "together", [(SGD,), (ADAM,), (SGD, ADAM), (ADAM, SGD, settings(epochs=4, batch_size=5, lr=0.1))]
)
def test_they_are_those_that_are_trained_one_after_the_other(net, together):
    X, y = data()
    begun = net.readout.weight.detach().clone()
    found = fit_readouts(net.features(X).detach(), y, net.readout.weight, together)
    assert found.shape == (len(together), CLASSES, WIDTH)
    for weight, chosen in zip(found, together, strict=True):
        wanted = trained(net, chosen)
        assert not torch.allclose(wanted, begun, atol=1e-3)
        assert_close(weight, wanted, FUNCTIONAL)
    assert torch.equal(net.readout.weight, begun)


def test_a_batch_may_be_larger_than_the_samples(net):
    X, y = data()
    chosen = settings(batch_size=100)
    found = fit_readouts(net.features(X), y, net.readout.weight, [chosen])
    assert not found.requires_grad
    assert_close(found[0], trained(net, chosen), FUNCTIONAL)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "settings must not be empty"),
        ([{}, {"epochs": 5}], "must have the same epochs, got 3 and 5"),
        ([{}, {"seed": 6}], "must have the same seed"),
        ([{"loss": "mse"}], "must have loss = 'cross_entropy' here, got 'mse': use train"),
        ([{"momentum": 0.5}], "momentum = 0.0"),
        ([{"validation": 0.5}], "validation = 0.0"),
        ([{"trainable": "all"}], "trainable"),
    ],
)
def test_misuse(options, words):
    with pytest.raises(ValueError, match=words):
        fit_readouts(torch.ones(3, 2), [0, 1, 1], torch.zeros(2, 2), [settings(**each) for each in options])


@pytest.mark.parametrize(
    ("features", "y", "words"),
    [
        (torch.ones(3, 4), [0, 1, 1], r"features must have shape \(n, 2\)"),
        (torch.ones(3), [0, 1, 1], "features must have shape"),
        (torch.ones(3, 2), [0, 1], "y must be 3 integers"),
        (torch.ones(3, 2, dtype=torch.float64), [0, 1, 1], "of one dtype, got torch.float64 and torch.float32"),
        (torch.full((3, 2), float("nan")), [0, 1, 1], "features must be finite"),
        (torch.ones(3, 2), [0, 1, 2], "classes from 0 to 1"),
    ],
)
def test_arrays_that_do_not_fit(features, y, words):
    with pytest.raises(ValueError, match=words):
        fit_readouts(features, y, torch.zeros(2, 2), [settings()])


def test_divergence_is_told():
    with pytest.raises(ConvergenceError, match="training diverged in epoch 1; lower lr"):
        fit_readouts(torch.full((3, 2), 1e30), [0, 1, 1], torch.zeros(2, 2), [settings(lr=1e30)])
