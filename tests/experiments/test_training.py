"""The training experiment, against its pieces put together by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.errors import DataError
from notsodeep.experiments.centred import centred_mlp
from notsodeep.experiments.samples import load_samples
from notsodeep.experiments.training import MODELS, TrainingConfig, model_spec, run_training
from notsodeep.networks import DEQNetwork, ExplicitNetwork, TrainSettings, train

DEQ = nsd.DEQ("tanh")


@pytest.fixture(scope="module")
def samples():
    return load_samples("digits", (2, 5, 7), n=150, n_test=90)


def config(**options):
    settings = TrainSettings(epochs=4, batch_size=32, lr=2.0, seed=3)
    return TrainingConfig(**({"deq": DEQ, "width": 48, "settings": settings} | options))


def network(model):
    options = {"seed": 3, "dtype": torch.float32}
    if model == "deq":
        return DEQNetwork(DEQ, 64, 48, 3, **options)
    spec = nsd.match(DEQ).spec if model == "twin" else centred_mlp(["tanh", "tanh"])
    return ExplicitNetwork(spec, 64, 48, 3, **options)


@pytest.mark.parametrize("model", MODELS)
def test_it_trains_the_model_and_counts_hits_on_the_test_samples(samples, model):
    result, net = run_training(config(model=model), samples), network(model)
    assert type(result.network) is type(net)
    assert result.spec == net.spec
    place = {2: 0, 5: 1, 7: 2}
    by_hand = train(net, samples.train.X, np.array([place[y] for y in samples.train.y]), result.config.settings)
    assert all(torch.equal(weight, net.state_dict()[name]) for name, weight in result.network.state_dict().items())
    assert [epoch.loss for epoch in result.training.history] == [epoch.loss for epoch in by_hand.history]
    with torch.no_grad():
        predicted = np.array([2, 5, 7])[net(samples.test.X).argmax(dim=1).numpy()]
    share = np.mean(predicted == samples.test.y)
    assert result.test_accuracy == share
    assert share > 0.5
    assert result.standard_error == pytest.approx(np.std(predicted == samples.test.y) / 90**0.5)


def test_an_interrupted_run_goes_on(samples, tmp_path, monkeypatch):
    monkeypatch.setattr("notsodeep.networks.training.loop.BETWEEN", 0.0)
    monkeypatch.setattr("notsodeep.networks.training.checkpoint._TIMES", 0)

    def stop(words, done, total):
        if done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(config(), samples, tmp_path, progress=stop)
    seen = []
    result = run_training(config(), samples, tmp_path, progress=lambda *at: seen.append(at))
    assert [done for words, done, _ in seen if words.startswith("epoch")] == list(range(11, 21))
    whole = run_training(config(), samples)
    assert torch.equal(result.network.readout.weight, whole.network.readout.weight)
    with pytest.raises(DataError, match="another network"):
        run_training(config(width=32), samples, tmp_path)
    assert len(run_training(config(width=32), samples, tmp_path, restart=True).training.history) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [({"model": "resnet"}, "model must be one of"), ({"width": 0}, "width must be")],
)
def test_configurations_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deq": nsd.DEQ("relu", sigma_a2=3.0)}, "no stable kernel fixed point"),
        ({"settings": TrainSettings(trainable="layer1")}, "trainable must be"),
        ({"settings": TrainSettings(trainable="recurrent"), "model": "twin"}, "trainable must be"),
        ({"settings": TrainSettings(trainable="layer3"), "model": "plain"}, "trainable must be"),
    ],
)
def test_models_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        model_spec(config(**options))


def test_without_a_network_that_matches_there_is_no_twin(monkeypatch):
    closest = replace(nsd.match(DEQ), status="infeasible", reason="too steep")
    monkeypatch.setattr("notsodeep.experiments.training.match", lambda deq: closest)
    with pytest.raises(ValueError, match="which has no twin: too steep"):
        model_spec(config(model="twin"))
