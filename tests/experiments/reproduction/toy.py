"""A study whose units write down that they run, for the tests of what runs studies."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from notsodeep.experiments.reproduction.runner import Task, reproduce
from notsodeep.experiments.reproduction.store import locked
from notsodeep.experiments.reproduction.study import Config, Study, Unit


class Stubborn(Exception):
    """An exception that no other process can make again from its arguments."""

    def __init__(self, one, other):
        super().__init__(f"{one} {other}")


@dataclass(frozen=True)
class ToyConfig(Config):
    sizes: tuple[int, ...] = (3, 1, 2)
    pause: float = 0.0


def units(config):
    return [
        Unit({"size": size, "seed": seed, "pause": config.pause}, work=size)
        for size in config.sizes
        for seed in range(config.seeds)
    ]


def run(unit, data_dir):
    with (data_dir / "log.txt").open("a") as log:
        log.write(f"{unit.at['size']} {unit.at['seed']} {os.getpid()}\n")
    if (data_dir / f"fail-{unit.at['size']}").exists():
        raise Stubborn("it does", "not converge")
    time.sleep(unit.at["pause"])
    rng = np.random.default_rng(unit.at["seed"])
    return [
        dict(unit.at) | {"k": k, "value": rng.standard_normal(), "empty": np.nan, "even": k % 2 == 0}
        for k in range(unit.at["size"])
    ]


def study(**options):
    quick = ToyConfig(seeds=2, datasets=("gmm",))
    return Study("toy", "Toy", "Does it run?", full=quick, quick=quick, units=units, run=run, **options)


def task(folder, version=1, **options):
    chosen = ToyConfig(**({"seeds": 2, "datasets": ("gmm",)} | options))
    return Task(study(version=version), chosen, folder)


def log(data_dir):
    """What ran so far: size and seed of each unit, in the order in which they began."""
    path = data_dir / "log.txt"
    return [tuple(map(int, line.split()[:2])) for line in path.read_text().splitlines()] if path.exists() else []


def to_be_killed(folder, data_dir):
    """Run slow units; this process is killed in the middle."""
    list(reproduce([task(folder, pause=0.2, seeds=6)], jobs=2, data_dir=data_dir))


def threads(unit, data_dir):
    """How many threads a unit may use, of each library that computes."""
    import numba
    import torch
    from threadpoolctl import threadpool_info

    return [
        {
            "numba": numba.get_num_threads(),
            "torch": torch.get_num_threads(),
            "libraries": max(each["num_threads"] for each in threadpool_info()),
        }
    ]


def hold(folder, holding, enough):
    """Keep the folder from others until it is enough."""
    with locked(folder):
        holding.set()
        enough.wait(60)
