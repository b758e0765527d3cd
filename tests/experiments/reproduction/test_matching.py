from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.experiments.reproduction.draws import draw
from notsodeep.experiments.reproduction.matching import DESIGNS, FULL, QUICK, Design, designed, run, units
from notsodeep.experiments.reproduction.published_networks import figure_design, training_deq, training_design
from notsodeep.experiments.reproduction.rows import column, where
from notsodeep.networks import sampled_kernel
from tests.tolerances import KERNEL_STATISTICS, ROUNDING, SIX_DIGITS, assert_close

TINY = replace(QUICK, datasets=("gmm",), activations=("relu",), n=16, width=24, networks=2, points=5)


@pytest.fixture(scope="module")
def rows():
    return [row for unit in units(TINY) for row in run(unit)]


def samples():
    X, _ = draw("gmm", 16, 0, None)
    return X, nsd.DEQ("relu", 0.2, 0.8, tau0=float(np.sqrt(np.square(X).sum() / len(X))))


@pytest.mark.parametrize("config", [FULL, QUICK, TINY])
def test_units_are_distinct(config):
    found = units(config)
    assert len({unit.key for unit in found}) == len(found)
    per_draw = {"relu": len(config.designs) + 3, "tanh": len(config.designs) + 1}
    drawn = sum(per_draw[phi] for phi in config.activations) * config.seeds * len(config.datasets)
    assert sum(unit.at["part"] != "shape" for unit in found) == drawn
    assert all(set(unit.at) >= {"part", "activation", "sigma_a2"} for unit in found)


def off(A, B):
    return np.linalg.norm(A - B, 2) / np.linalg.norm(A, 2)


def test_distances_are_those_of_exact_kernels(rows):
    X, deq = samples()
    spec, its_deq = training_design(deq), training_deq(deq)
    wanted = {
        ("published", "CK"): off(nsd.ck(deq, X), nsd.ck(figure_design(deq), X)),
        ("training", "NTK"): off(nsd.ntk(deq, X), nsd.ntk(spec, X)),
        ("training, its DEQ", "CK"): off(nsd.ck(its_deq, X), nsd.ck(spec, X)),
    }
    m = nsd.match(deq, "ntk", "leaky_relu", trainable=("recurrent", "readout"))
    target = nsd.ntk(deq, X, trainable=("recurrent", "readout"))
    wanted["solved", "NTK {A, w}"] = off(target, nsd.ntk(m.spec, X, trainable=m.network_trainable))
    for (design, kernel), distance in wanted.items():
        row = where(rows, part="exact", design=design, kernel=kernel)[0]
        assert_close(row["spectral"], distance, SIX_DIGITS, what=f"{design}, {kernel}")


def test_equivalents_are_those_of_the_deq(rows):
    X, deq = samples()
    _, stats = draw("gmm", 16, 0, None)
    for design, order in (("equivalent", "paper"), ("norm-aware", "norm-aware")):
        bar = nsd.equivalent(deq, X, stats, order=order).dense()
        row = where(rows, part="exact", design=design, kernel="CK")[0]
        assert_close(row["spectral"], off(nsd.ck(deq, X), bar), SIX_DIGITS)


def test_misses_are_small_where_equations_are_solved(rows):
    misses = {row["design"]: row["miss"] for row in where(rows, part="exact", kernel="CK")}
    assert misses["solved"] < ROUNDING < misses["published"] < misses["training, centred"] < misses["unmatched"]
    assert misses["training"] is None
    assert misses["equivalent"] is None


def test_a_miss_is_the_largest_one_of_the_numbers():
    deq = nsd.DEQ("relu", 0.2, 0.8)
    found = designed("unmatched", deq)
    one, other = nsd.coefficients(deq), nsd.coefficients(found.spec, tau0=1.0)
    names = ("alpha1", "alpha2", "alpha3", "gamma2")
    wanted = max(abs(getattr(other, name) / getattr(one, name) - 1.0) for name in names)
    assert_close(found.miss, wanted, ROUNDING)


def test_finite_networks_are_averaged(rows):
    X, deq = samples()
    twin = figure_design(deq)
    specs = ((deq, 0), (deq, 1), (twin, 2))
    options = {"draws": 2, "dtype": torch.float32}
    ours, others, twins = (sampled_kernel(spec, X, 24, seed=seed, **options).mean for spec, seed in specs)
    found = {row["design"]: row["spectral"] for row in where(rows, part="finite")}
    wanted = {"published": off(ours, twins), "DEQ": off(ours, others), "exact": off(ours, nsd.ck(deq, X))}
    for design, distance in wanted.items():
        assert_close(found[design], distance, SIX_DIGITS + KERNEL_STATISTICS, what=design)


def test_shapes_are_the_activations_over_three_deviations(rows):
    shape = where(rows, part="shape", design="published")
    spec = figure_design(nsd.DEQ("relu", 0.2, 0.8))
    first, second = (where(shape, layer=layer) for layer in (1, 2))
    assert_close(column(first, "u"), [-3.0, -1.5, 0.0, 1.5, 3.0], SIX_DIGITS)
    assert_close(column(first, "phi"), spec.layers[0].activation(column(first, "u")), SIX_DIGITS)
    scale = nsd.coefficients(nsd.MLP(spec.layers[:1]), tau0=1.0).gamma2 ** 0.5
    assert_close(column(second, "u")[-1], 3.0 * scale, SIX_DIGITS)
    assert_close(column(second, "phi"), spec.layers[1].activation(column(second, "u")), SIX_DIGITS)
    deq = where(rows, part="shape", design="DEQ")
    tau = nsd.coefficients(nsd.DEQ("relu", 0.2, 0.8)).tau_star
    assert_close(deq[-1]["phi"], 3.0 * tau - tau / np.sqrt(2.0 * np.pi), SIX_DIGITS)


def test_a_run_repeats_itself(rows):
    for part in ("exact", "finite", "shape"):
        unit = next(unit for unit in units(TINY) if unit.at["part"] == part)
        assert run(unit) == [row for row in rows if {name: row.get(name) for name in unit.at} == dict(unit.at)]


def test_every_design_has_a_network():
    for name in DESIGNS:
        found = designed(name, nsd.DEQ("relu", 0.2, 0.8))
        assert isinstance(found, Design)
        assert found.spec.depth == 2
