"""A training run in a process of its own, to be killed."""

from __future__ import annotations

import time

import torch

from notsodeep.networks import save, train
from notsodeep.networks.training import checkpoint, loop
from tests.networks.training.kit import data, deq, settings

EPOCHS = 60
PAUSE = 0.01  # seconds after each step, so that a kill meets the middle of a run


def run(folder, trainable, begun=None, stepping=None):
    """Train with a checkpoint after every step, then save the network; the events tell when work and steps begin."""
    torch.set_num_threads(1)
    loop.BETWEEN = loop.WITHIN = 0.0
    checkpoint._TIMES = 0

    def progress(words, done, total):
        if stepping is not None:
            if words.startswith("epoch"):
                stepping.set()
            time.sleep(PAUSE)

    net, given = deq(dtype=torch.float32), settings(trainable=trainable, momentum=0.9, epochs=EPOCHS)
    if begun is not None:
        begun.set()
    train(net, *data(), given, folder=folder, progress=progress)
    save(net, folder / "net.safetensors")
