from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.experiments.reproduction.finite_width import (
    FULL,
    QUICK,
    STUDY,
    designs,
    empirical_kernels,
    exact_kernels,
    run,
    samples,
    units,
)
from notsodeep.experiments.reproduction.kernels import KERNELS
from notsodeep.experiments.reproduction.rows import column, where
from notsodeep.networks import empirical_ck, empirical_ntk, sampled_kernel
from tests.tolerances import FROBENIUS, PER_SAMPLE, SIX_DIGITS, SPECTRAL, STANDARD_ERRORS, assert_close

TINY = replace(QUICK, activations=("relu",), n=12, widths=(16, 64), draws=(8, 8))


@pytest.fixture(scope="module")
def rows():
    return [row for unit in units(TINY) for row in run(unit)]


@pytest.mark.parametrize("config", [FULL, QUICK, replace(QUICK, seeds=2)])
def test_units_are_distinct_and_cover_every_width(config):
    found = units(config)
    assert len({unit.key for unit in found}) == len(found)
    assert len(found) == config.seeds * len(config.datasets) * len(config.activations) * 2 * len(config.widths)
    assert all(unit.work > 0.0 for unit in found)


def test_rows_are_those_of_naive_averages(rows):
    """DEQs of width 64, one by one, with the seeds of the unit."""
    unit = next(unit for unit in units(TINY) if (unit.at["model"], unit.at["width"]) == ("DEQ", 64))
    X, deq = samples("gmm", 12, 0, None), nsd.DEQ("relu", 0.2, 0.8)
    exact = nsd.ntk(deq, X, trainable=("recurrent", "readout"))
    gaps = []
    for k in range(8):
        seed = int(np.random.SeedSequence([0, 64, 0, 0, k]).generate_state(1)[0])
        net = deq.to_torch(X.shape[1], 64, seed=seed).to(torch.float32)
        gaps.append(empirical_ntk(net, X, trainable=("recurrent", "readout")).astype(float) - exact)
    for norm, order in (("spectral", 2), ("frobenius", "fro")):
        single = np.array([np.linalg.norm(gap, order) for gap in gaps]) / np.linalg.norm(exact, order)
        pairs = np.array([np.linalg.norm(gaps[k] + gaps[k + 1], order) for k in range(0, 8, 2)]) / 2.0
        pairs /= np.linalg.norm(exact, order)
        of_one, of_two = (
            where(rows, model="DEQ", width=64, kernel="NTK {A, w}", networks=networks)[0] for networks in (1, 2)
        )
        found = [of_one[norm], of_one[f"{norm}_error"], of_two[norm]]
        assert_close(found, [single.mean(), single.std(ddof=1) / 8**0.5, pairs.mean()], SIX_DIGITS)
    assert set(unit.at) <= set(rows[0])


def test_a_run_repeats_itself(rows):
    unit = units(TINY)[-1]
    assert run(unit) == [row for row in rows if {name: row[name] for name in unit.at} == dict(unit.at)]


def test_kernels_of_one_network_are_the_empirical_ones():
    X = samples("gmm", 12, 0, None)
    for model in ("DEQ", "twin"):
        for design in designs(model, "relu", 0.2):
            net = design.spec.to_torch(X.shape[1], 32, seed=3)
            for kernel, found in empirical_kernels(net, X, design.trained).items():
                wanted = empirical_ck(net, X) if kernel == "CK" else empirical_ntk(net, X, None, design.trained[kernel])
                assert_close(found, wanted, PER_SAMPLE, what=f"{model}, {kernel}")


def test_exact_kernels_are_those_of_deq_and_twins():
    X, deq = samples("gmm", 12, 0, None), nsd.DEQ("relu", 0.2, 0.8)
    ours, twins = (exact_kernels(model, "relu", 0.2, "gmm", 12, 0, None) for model in ("DEQ", "twin"))
    assert list(ours) == list(twins) == list(KERNELS)
    assert_close(ours["CK"], nsd.ck(deq, X), PER_SAMPLE)
    assert_close(ours["NTK"], nsd.ntk(deq, X), PER_SAMPLE)
    m = nsd.match(deq, "ntk", trainable=("recurrent", "readout"))
    assert_close(twins["NTK {A, w}"], nsd.ntk(m.spec, X, trainable=m.network_trainable), PER_SAMPLE)


def test_twins_are_compared_with_the_deq_and_design_is_what_they_miss(rows):
    X, deq = samples("gmm", 12, 0, None), nsd.DEQ("relu", 0.2, 0.8)
    found = where(rows, model="twin", kernel="CK", width=16, networks=8)[0]
    apart = nsd.match(deq, "ck").report(X)
    assert_close(found["design"], apart.frobenius, SPECTRAL + FROBENIUS)
    assert all(row["design"] == 0.0 for row in where(rows, model="DEQ", networks=8))


def test_errors_agree_with_other_draws():
    """The error of one network, against draws of other seeds by the library's own estimate."""
    unit = next(unit for unit in units(replace(TINY, draws=(32, 8))) if unit.at["model"] == "DEQ")
    found = where(run(unit), kernel="CK", networks=1)[0]
    other = sampled_kernel(nsd.DEQ("relu", 0.2, 0.8), samples("gmm", 12, 0, None), 16, draws=32, seed=5).frobenius
    error = np.hypot(found["frobenius_error"], other.single_error)
    assert abs(found["frobenius"] - other.single) < STANDARD_ERRORS * error


def test_the_number_of_networks_of_an_average_is_in_its_row(rows):
    for row in rows:
        assert row["networks"] * row["groups"] == row["draws"]
        assert (row["frobenius_error"] is None) == (row["groups"] == 1) == (row["bias_square"] is not None)
    assert column(rows, "frobenius").min() > 0.0
    assert STUDY.config(quick=True) is QUICK
