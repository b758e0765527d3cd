"""SIGKILL at random moments: the run that is gone on with ends as one that was left in peace."""

from __future__ import annotations

import json
import multiprocessing
import signal

import numpy as np
import pytest
import torch
from safetensors import safe_open

from notsodeep.networks import load
from notsodeep.networks.training import run
from tests.networks.training import killed
from tests.networks.training.kit import same, weights_of

KILLS = 10
LONGEST = 0.1  # seconds to a kill, ten steps at most
STEPS = 4 * killed.EPOCHS


@pytest.fixture(scope="module")
def processes():
    """Processes that are forked from one that has loaded everything: each starts within milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.networks.training.killed"])
    return context


def finished(processes, folder, trainable):
    folder.mkdir(exist_ok=True)
    process = processes.Process(target=killed.run, args=(folder, trainable))
    process.start()
    process.join()
    assert process.exitcode == 0
    return weights_of(load(folder / "net.safetensors"))


@pytest.mark.parametrize("trainable", ["readout", "all"])
def test_a_run_that_is_killed_ten_times(processes, tmp_path, trainable):
    peaceful, folder = finished(processes, tmp_path / "peaceful", trainable), tmp_path / "killed"
    folder.mkdir()
    delays, reached = np.random.default_rng(1).uniform(0.0, LONGEST, size=KILLS), []
    for count, delay in enumerate(delays):
        begun, stepping = processes.Event(), processes.Event()
        process = processes.Process(target=killed.run, args=(folder, trainable, begun, stepping))
        process.start()
        assert (stepping if count % 2 else begun).wait(timeout=60)
        process.join(delay)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        reached.append(steps_done(folder / run.CHECKPOINT))
    assert reached == sorted(reached)
    assert KILLS // 2 <= reached[-1] < STEPS
    assert same(finished(processes, folder, trainable), peaceful)
    assert {path.name for path in folder.iterdir()} <= {*run.FILES, "net.safetensors"}


def steps_done(file):
    """Steps in a checkpoint that can be read, 0 without one."""
    if not file.exists():
        return 0
    with safe_open(file, framework="pt") as content:
        assert all(torch.isfinite(content.get_tensor(name)).all() for name in content.keys())  # noqa: SIM118
        state = json.loads(content.metadata()["notsodeep.training"])["state"]
    return 4 * len(state["history"]) + state["step"]
