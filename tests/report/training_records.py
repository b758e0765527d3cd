"""Results of training runs, made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import notsodeep as nsd
from notsodeep.data import Dataset, Statistics
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.experiments.training import TrainingConfig, TrainingResult
from notsodeep.networks import Epoch, TrainResult, TrainSettings


def samples():
    X = np.random.default_rng(0).standard_normal((40, 3)) / 3**0.5
    y = np.arange(40) % 2
    part = Dataset(X, y, name="blobs")
    return LabelledSamples(part, part, Statistics.from_data(X, y))


def epochs(count, held_out):
    return tuple(
        Epoch(
            number=i,
            loss=2.0 * 0.9**i,
            accuracy=1.0 - 0.5 * 0.9**i,
            validation_loss=1.0 + 0.01 * (i - 7) ** 2 if held_out else None,
            validation_accuracy=0.75 - 0.001 * i if held_out else None,
            seconds=0.25,
        )
        for i in range(1, count + 1)
    )


def record(count=40, held_out=False, model="deq", **settings):
    if held_out:
        settings |= {"validation": 0.25, "patience": count - 7}
    config = TrainingConfig(nsd.DEQ("tanh"), model, 24, TrainSettings(epochs=40, **settings))
    spec = config.deq if model == "deq" else nsd.MLP(nsd.Layer("tanh"))
    trained = TrainResult(config.settings, epochs(count, held_out), 7 if held_out else count)
    return TrainingResult(config, spec, samples(), trained, 0.8, spec.to_torch(3, 24, 2))


RECORDS = {
    "plain": record(model="plain"),
    "stopped": record(20, held_out=True),
    "single": replace(record(1, trainable="all"), test_accuracy=1.0),
    "twin": record(3, model="twin", trainable=("layer1", "readout"), loss="mse"),
}
