"""The study of eigenvalues: exact kernels of DEQs and what stands in for them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.reproduction.draws import draw
from notsodeep.experiments.reproduction.rows import column, where
from notsodeep.experiments.reproduction.spectrum import (
    DISTANCES,
    FULL,
    LARGEST,
    QUICK,
    STAND_INS,
    STUDY,
    distances,
    kolmogorov,
)
from notsodeep.experiments.reproduction.study import Unit
from notsodeep.experiments.samples import load_samples, unit_mixture
from tests.tolerances import KERNEL, ROUNDING, SIX_DIGITS, assert_close

AT = {"n": 60, "activation": "relu", "kernel": "CK", "sigma_a2": 0.2, "width": 40, "networks": 2, "seed": 0}


@pytest.fixture(scope="module")
def rows():
    return STUDY.run(Unit(AT | {"dataset": "gmm"}), None)


@pytest.fixture(scope="module")
def on_sphere():
    at = AT | {"dataset": "sphere", "activation": "tanh", "kernel": "NTK {A, w}", "seed": 1}
    return STUDY.run(Unit(at), None)


@pytest.fixture(scope="module")
def exact():
    return np.linalg.eigvalsh(nsd.ck(nsd.DEQ("relu", 0.2, 0.8), draw("gmm", 60, 0).X))


def test_units_are_distinct_and_those_of_the_issue():
    for config in (FULL, QUICK):
        units = STUDY.units(config)
        assert len({unit.key for unit in units}) == len(units)
        assert len(units) == len(config.sizes) * len(config.activations) * len(config.kernels) * config.seeds
    cases = {(unit.at["dataset"], unit.at["n"]) for unit in STUDY.units(FULL)}
    assert cases == {("gmm", 800), ("gmm", 1600), ("mnist", 400), ("mnist", 2000), ("sphere", 1000)}
    assert {unit.at["dataset"] for unit in STUDY.units(replace(FULL, datasets=("mnist",)))} == {"mnist"}


def test_samples_have_the_dimensions_of_the_papers():
    assert draw("gmm", 80, 0).X.shape == (80, 100)
    X, stats = draw("sphere", 100, 3)
    assert X.shape == (100, 120)
    assert_close((X**2).sum(axis=1), np.ones(100), ROUNDING)
    assert_close(stats.psi, np.zeros(100), ROUNDING, scale=1.0)
    assert_close([stats.t[0], stats.T[0, 0], stats.tau0], [0.0, 1.0, 1.0], ROUNDING)
    assert not np.allclose(X, draw("sphere", 100, 4).X)
    assert_close(draw("gmm", 80, 2).X, load_samples("gmm", n=80, seed=2).train.X, 0.0)


def test_rows_are_the_same_whenever_they_are_computed(rows):
    assert STUDY.run(Unit(AT | {"dataset": "gmm"}), None) == rows


def test_rows_stand_alone(rows, on_sphere):
    assert all(row["dataset"] == "gmm" and row["p"] == 75 and row["width"] == 40 for row in rows)
    assert all(row["p"] == 72 for row in on_sphere)
    assert [row["what"] for row in on_sphere] == [*DISTANCES, "residual"]


def test_largest_eigenvalues_are_those_of_the_exact_kernel(rows, exact):
    found = where(rows, what="eigenvalue")
    assert [row["rank"] for row in found] == list(range(1, LARGEST + 1))
    assert_close(column(found, "exact"), exact[::-1][:LARGEST], SIX_DIGITS, scale=exact[::-1][:LARGEST])


def test_bins_hold_every_eigenvalue(rows, exact):
    found = where(rows, what="count")
    for name in ("exact", *STAND_INS):
        assert column(found, name).sum() == 60
    for row in found[1:-1]:
        assert row["exact"] == sum(row["low"] <= value < row["high"] for value in exact)
    assert found[0]["low"] is None
    assert found[-1]["high"] is None
    assert found[0]["exact"] == 0
    assert all(a["high"] == b["low"] for a, b in pairwise(found))


def test_a_network_of_fewer_units_than_samples_has_a_singular_kernel(rows):
    below = where(rows, what="count", low=None)[0]
    assert below["one_deq"] >= 60 - 40
    assert below["one_matched"] >= 60 - 40
    assert below["matched"] == 0


def test_distances_are_those_of_kernels_built_by_hand(rows):
    X, y = unit_mixture(75).sample(60, seed=np.random.default_rng([0, 0]))
    deq, stats = nsd.DEQ("relu", 0.2, 0.8), nsd.Statistics.from_mixture(unit_mixture(75), X, y)
    exact = nsd.ck(deq, X)
    seeds = [int(np.random.SeedSequence((0, k)).generate_state(1)[0]) for k in (0, 1)]
    drawn = [nets.features(X).detach().numpy() for nets in (deq.to_torch(75, 40, seed=seed) for seed in seeds)]
    twin = nsd.match(deq, stats=stats)
    wanted = {
        "paper": nsd.equivalent(deq, X, stats).dense(),
        "norm_aware": nsd.equivalent(deq, X, stats, order="norm-aware").dense(),
        "matched": nsd.ck(twin.spec, X),
        "one_deq": drawn[0] @ drawn[0].T,
        "mean_deq": (drawn[0] @ drawn[0].T + drawn[1] @ drawn[1].T) / 2.0,
    }
    spectral, frobenius = (where(rows, what=what)[0] for what in ("spectral", "frobenius"))
    for name, matrix in wanted.items():
        assert_close(spectral[name], np.linalg.norm(exact - matrix, 2) / np.linalg.norm(exact, 2), 1e-4, what=name)
        assert_close(frobenius[name], np.linalg.norm(exact - matrix) / np.linalg.norm(exact), 1e-4, what=name)


def test_distances_between_eigenvalues_by_their_definitions():
    rng = np.random.default_rng(0)
    a, b = (sample @ sample.T / 30 for sample in rng.standard_normal((2, 20, 30)))
    matrices = {"exact": a, "other": b}
    spectra = {name: np.linalg.eigvalsh(matrix) for name, matrix in matrices.items()}
    found = {row["what"]: row["other"] for row in distances(matrices, spectra)}
    assert tuple(found) == DISTANCES
    one, other = (sorted(values, reverse=True) for values in spectra.values())
    shift = max(abs(x - y) for x, y in zip(one, other, strict=True)) / one[0]
    largest = max(abs(y / x - 1.0) for x, y in list(zip(one, other, strict=True))[:LARGEST])
    assert_close([found["shift"], found["largest"]], [shift, largest], ROUNDING)
    assert found["shift"] <= found["spectral"] + KERNEL
    gaps = [abs(sum(x <= at for x in one) - sum(y <= at for y in other)) / 20 for at in (*one, *other)]
    assert_close(found["kolmogorov"], max(gaps), ROUNDING)


def test_kolmogorov_distance_of_separate_and_of_equal_values():
    assert kolmogorov(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert kolmogorov(np.array([2.0, 1.0]), np.array([1.0, 2.0])) == 0.0


def test_the_matched_network_has_the_kernel_and_the_sphere_leaves_little_to_norms(rows, on_sphere):
    for found in (rows, on_sphere):
        residual, spectral = where(found, what="residual")[0], where(found, what="spectral")[0]
        assert residual["status"] == "matched"
        assert residual["matched"] < 1e-10
        assert spectral["matched"] < spectral["norm_aware"] < spectral["one_deq"]
    on_mixture, on_sphere = (where(found, what="spectral")[0]["paper"] for found in (rows, on_sphere))
    assert on_sphere < 0.1 * on_mixture
