"""Small networks, samples and settings for the tests of training."""

from __future__ import annotations

import numpy as np
import torch

from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork, TrainSettings
from notsodeep.spec import DEQ, MLP, Layer, Parallel

N, P, WIDTH, CLASSES = 23, 4, 12, 3


def deq(**options):
    spec = DEQ("tanh", sigma_a2=0.2, sigma_b2=0.6, sigma_c2=0.2)
    return DEQNetwork(spec, P, WIDTH, CLASSES, **options)


def mlp(**options):
    layers = (Layer("tanh", weight_var=1.5, learning_rate=0.5), Layer("relu", bias_var=0.3))
    return ExplicitNetwork(MLP(layers), P, WIDTH, CLASSES, **options)


def parallel(**options):
    branches = MLP((Layer("tanh", bias_var=0.3),)), MLP((Layer("relu", weight_var=2.0), Layer("tanh")))
    return ParallelNetwork(Parallel(branches), P, WIDTH, CLASSES, **options)


def data(n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, P)) / P**0.5
    return X, (X @ rng.standard_normal((P, CLASSES))).argmax(axis=1)


def settings(**options):
    return TrainSettings(**({"lr": 0.5, "epochs": 3, "batch_size": 7, "seed": 5} | options))


def batches(rows, seed, epoch, size):
    """The order of an epoch, written out."""
    order = rows[np.random.default_rng((seed, epoch)).permutation(len(rows))]
    return [order[start : start + size] for start in range(0, len(order), size)]


def weights_of(net):
    return {name: weight.detach().clone() for name, weight in net.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def without_seconds(history):
    """Epochs as plain data, but for the time they took."""
    return [{key: value for key, value in vars(epoch).items() if key != "seconds"} for epoch in history]
