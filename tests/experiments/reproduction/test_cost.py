"""Operations, widths of equal accuracy and memory of networks, by counting and by closed values; times only exist."""

from __future__ import annotations

import math
import mmap
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import notsodeep as nsd
from notsodeep.experiments.readout import accuracy, fitted_readout
from notsodeep.experiments.reproduction import cost
from notsodeep.experiments.reproduction.cost import FULL, LADDER, LOOSE, QUICK, batches, draw, equal_width, run, units
from notsodeep.experiments.reproduction.measuring import interleaved, median_ratio, peak
from notsodeep.experiments.samples import load_samples
from notsodeep.networks import DEQNetwork
from notsodeep.networks.solvers.record import default_tolerance
from tests.tolerances import ROUNDING, assert_close

CONFIG = replace(QUICK, widths=(32,), widest=32, n=300, n_test=100, batch=200, rounds=2)
MEASURED = ("seconds", "ratio", "peak")


@pytest.fixture(scope="module")
def rows():
    return run(units(CONFIG)[0], None)


def test_rows_are_the_deq_two_twins_and_a_ladder(rows):
    assert [row["role"] for row in rows] == ["deq", LOOSE, "equal width", "equal accuracy"] + ["ladder"] * len(LADDER)
    assert [row["width"] for row in rows[:3]] == [32, 32, 32]
    assert [row["width"] for row in rows[4:]] == [round(32 * 2 ** (step / 4)) for step in (-2, -1, 0, 1, 2)]
    assert all(row["seconds"] > 0.0 and row["ratio"] > 0.0 for row in rows[:4])
    assert rows[0]["ratio"] == 1.0
    assert rows[0]["tolerance"] == default_tolerance(torch.float32)
    assert rows[1]["tolerance"] == 1e-2
    assert rows[1]["iterations"] < 0.7 * rows[0]["iterations"]
    assert abs(rows[1]["accuracy"] - rows[0]["accuracy"]) <= 2 / 100 + ROUNDING
    assert rows[3]["width"] == equal_width({row["width"]: row["accuracy"] for row in rows[4:]}, rows[0]["accuracy"], 32)


def test_operations_are_those_of_the_matrix_products(rows):
    deq, _, twin, wider = rows[:4]
    p, b = 64, 200
    net, X = draw(units(CONFIG)[0].at, "deq", p, 32), load_samples("digits", n=300, n_test=100).train.X[:b]
    with FlopCounterMode(display=False) as counter:
        net.solve(X.astype(np.float32))
    assert deq["flops"] == counter.get_total_flops()
    assert (twin["products"], twin["flops"]) == (2, 2 * b * (p * 32 + 32 * 32))
    assert wider["flops"] == 2 * b * (p * wider["width"] + wider["width"] ** 2)
    assert deq["products"] == 1 + deq["iterations"]
    assert twin["weights"] == (64 * 32 + 32 * 32) * 4 / 2**20 == deq["weights"]


@torch.no_grad()
def test_accuracies_are_of_a_ridge_readout_of_features(rows):
    samples = load_samples("digits", n=300, n_test=100)
    net = draw(units(CONFIG)[0].at, "equal width", 64, 32)
    train, test = (net.features(part.X.astype(np.float32)) for part in (samples.train, samples.test))
    readout = fitted_readout(train, samples)
    own = accuracy((test @ readout.T).numpy(), samples)
    assert abs(rows[2]["accuracy"] - own) <= 1 / 100 + ROUNDING  # one sample may lie between two classes


def test_what_is_not_measured_is_repeatable(rows, monkeypatch):
    monkeypatch.setattr(cost, "_peaks", lambda probes: [None] * len(probes))
    again = run(units(CONFIG)[0], None)
    for one, other in zip(rows, again, strict=True):
        assert {n: v for n, v in one.items() if n not in MEASURED} == {
            n: v for n, v in other.items() if n not in MEASURED
        }


def test_batches_shrink_when_half_is_done():
    scales = torch.logspace(-3, 0.5, 40, dtype=torch.float64)[:, None]
    X = scales * torch.randn(40, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = DEQNetwork(nsd.DEQ("relu"), 20, 100)
    with FlopCounterMode(display=False) as counter:
        record = net.solve(X)[1]
    sizes = batches(record)
    assert counter.get_total_flops() == 2 * 100 * (40 * 20 + 100 * sum(sizes))
    assert sizes[0] == 40 > 2 * sizes[-1]


@pytest.mark.parametrize(
    ("wanted", "width"), [(0.80, 100), (0.82, 141), (0.84, 200), (0.78, 71), (2.0, 400), (0.1, 25)]
)
def test_width_of_equal_accuracy_on_a_line(wanted, width):
    ladder = {wide: 0.80 + 0.04 * math.log2(wide / 100) for wide in (70, 84, 100, 119, 141)}
    assert equal_width(ladder, wanted, 100) == width


def test_a_ladder_that_does_not_rise_leaves_the_width():
    assert equal_width({50: 0.9, 100: 0.85, 200: 0.8}, 0.95, 100) == 100


def test_calls_take_turns():
    order = []
    times = interleaved({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2)
    assert "".join(order) == "ababab"
    assert [len(times[name]) for name in "ab"] == [2, 2]
    assert median_ratio([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == 2.0


def _pages(mebibytes):
    """Memory from the system, written to: an array may lie where earlier ones have been, which counts for nothing."""
    pages = mmap.mmap(-1, mebibytes * 2**20)
    np.frombuffer(pages, np.uint8)[:] = 1
    return pages


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="this system does not tell peaks of memory")
def test_peak_counts_what_is_held_at_once(rows):
    mebibytes = peak(lambda: (_pages(64), _pages(40)))
    assert_close(mebibytes, 104.0, 0.1)
    assert all(0.0 <= row["peak"] < 100.0 for row in rows[:4])


@pytest.mark.parametrize("config", [FULL, QUICK])
def test_units_are_distinct(config):
    found = units(config)
    assert len({one.key for one in found}) == len(found) == config.seeds * len(config.widths) * len(config.activations)
    assert {one.at["deq_width"] for one in found if one.at["equal_accuracy"]} == {
        width for width in config.widths if width <= config.widest
    }
