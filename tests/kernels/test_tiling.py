"""Tiles: together they are the matrix, alone they are independent of each other, and failures are told."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.errors import ConvergenceError
from notsodeep.kernels import implicit, sides, tiling
from tests.tolerances import SAME_PAIR, SINGLE, SINGLE_NTK, assert_close

DEQ = nsd.DEQ("silu", sigma_a2=0.3, sigma_b2=0.7)
MLP = nsd.MLP([nsd.Layer("relu", 2.0), nsd.Layer("tanh", bias_var=0.1)])
SPECS = pytest.mark.parametrize("spec", [DEQ, MLP], ids=["deq", "mlp"])
ROUTES = pytest.mark.parametrize("compiled_from", [0, 1 << 60], ids=["compiled", "torch"])


def samples(n=150, p=7, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal(p)
    X *= (rng.uniform(0.7, 1.4, n) / np.linalg.norm(X, axis=1))[:, None]
    X[3 % n], X[5 % n] = X[-90 % n], -X[-50 % n]
    return X / np.sqrt((X**2).sum(axis=1).mean())


@pytest.fixture(autouse=True)
def route(request, monkeypatch):
    if "compiled_from" in request.fixturenames:
        monkeypatch.setattr(tiling, "COMPILED_FROM", request.getfixturevalue("compiled_from"))


def filled(spec, X, Y=None, **options):
    """Return both matrices from tiles, and how often each entry was written."""
    shape = len(X), len(X if Y is None else Y)
    G, K, count = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=int)
    for tile in nsd.kernels.tiles(spec, X, Y, **options):
        places = [(tile.rows, tile.columns, False)] + [(tile.columns, tile.rows, True)] * tile.mirrored
        for rows, columns, turned in places:
            G[rows, columns] = tile.ck.T if turned else tile.ck
            K[rows, columns] = tile.ntk.T if turned else tile.ntk
            count[rows, columns] += 1
    return G, K, count


@ROUTES
@SPECS
@pytest.mark.parametrize("size", [1, 64, 70, 1000])
def test_tiles_make_up_the_matrices(spec, size, compiled_from):
    X = samples(30 if size == 1 else 150)
    G, K, count = filled(spec, X, size=size)
    assert (count == 1).all()
    for got, want in zip((G, K), nsd.kernels(spec, X), strict=True):
        assert_close(got, want, SAME_PAIR)


@ROUTES
@SPECS
def test_rectangular_tiles_make_up_the_matrices(spec, compiled_from):
    X, Y = samples(), samples(90, seed=1)
    G, K, count = filled(spec, X, Y, size=40)
    assert (count == 1).all()
    for got, want in zip((G, K), nsd.kernels(spec, X, Y), strict=True):
        assert_close(got, want, SAME_PAIR)


@SPECS
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 129])
def test_both_routes_agree_for_any_number_of_samples(spec, n, monkeypatch):
    X, Y = samples(130)[-n:], samples(70, seed=1)
    X = X / np.sqrt((X**2).sum(axis=1).mean())
    found = {}
    for route in (0, 1 << 60):
        monkeypatch.setattr(tiling, "COMPILED_FROM", route)
        found[route] = *nsd.kernels(spec, X), *nsd.kernels(spec, X, Y)
    for compiled, plain in zip(*found.values(), strict=True):
        assert_close(compiled, plain, SAME_PAIR)


def test_work_is_done_once_for_symmetric_pairs():
    tiles = list(nsd.kernels.tiles(DEQ, samples(), size=50))
    assert [(t.rows.start, t.columns.start) for t in tiles] == [
        (0, 0),
        (0, 50),
        (0, 100),
        (50, 50),
        (50, 100),
        (100, 100),
    ]
    assert [t.mirrored for t in tiles] == [False, True, True, False, True, False]


def test_only_the_wanted_kernel_is_there():
    for kernel, other in (("ck", "ntk"), ("ntk", "ck")):
        (tile,) = nsd.kernels.tiles(DEQ, samples(20), kernel=kernel)
        assert getattr(tile, other) is None
        np.testing.assert_array_equal(getattr(tile, kernel), getattr(nsd, kernel)(DEQ, samples(20)))


@ROUTES
@SPECS
def test_records_certify_the_fixed_point(spec, compiled_from):
    found = nsd.kernels.solve(spec, samples())
    record = found.record
    assert record.converged
    assert record.failure is None
    assert record.residual <= 1e-14
    assert record.singled_out >= 1  # the copies
    assert record.steps > 0 if spec is DEQ else record.steps == 0
    np.testing.assert_array_equal(found.ck, nsd.ck(spec, samples()))


@ROUTES
def test_pairs_that_do_not_converge_are_told(compiled_from, monkeypatch):
    """With the steps cut short, near copies do not settle: an error says where, or NaN stand in their place."""
    monkeypatch.setattr(implicit, "_NEWTON_STEPS", 1)
    X = samples()
    X[7] = X[20] + 1e-4
    where = r"did not settle in 1 Newton steps .* at row (\d+), column (\d+)\): lower sigma_a2"
    with pytest.raises(ConvergenceError, match=where):
        nsd.ck(DEQ, X)
    found = nsd.kernels.solve(DEQ, X, on_failure="return")
    assert not found.record.converged
    bad = np.isnan(found.ck)
    row, column = map(int, re.search(where, found.record.failure).groups())
    assert bad[row, column]
    assert bad[7, 20]
    assert bad[20, 7]
    assert bad.sum() < 0.01 * bad.size
    np.testing.assert_array_equal(bad, np.isnan(found.ntk))
    with pytest.raises(ConvergenceError):
        list(nsd.kernels.tiles(DEQ, X))


@ROUTES
@SPECS
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_single_precision(spec, kind, compiled_from):
    X = samples()
    X[9] = X[30] + 1e-5  # near copies are taken in double precision
    given = X if kind == "array" else torch.from_numpy(X)
    for single, double, bound in zip(
        nsd.kernels(spec, given, dtype="float32"), nsd.kernels(spec, X), (SINGLE, SINGLE_NTK), strict=True
    ):
        assert single.dtype in (np.float32, torch.float32)
        assert_close(single, double, bound)
        assert_close(single[3, 60], double[3, 60], SINGLE)
        matrix = np.asarray(single)
        np.testing.assert_array_equal(matrix, matrix.T)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "gram"}, "kernel must be one of 'both', 'ck', 'ntk'"),
        ({"size": 0}, "size must be an integer >= 1"),
        ({"dtype": "float16"}, "dtype must be one of 'float64', 'float32'"),
        ({"on_failure": "ignore"}, "on_failure must be one of 'raise', 'return'"),
        ({"trainable": "bias"}, "no bias"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_tile(options, message):
    with pytest.raises(ValueError, match=message):
        nsd.kernels.tiles(DEQ, samples(4), **options)


def test_bad_samples_are_refused_before_the_first_tile():
    with pytest.raises(ValueError, match="X has NaN"):
        nsd.kernels.tiles(DEQ, np.array([[1.0, np.nan]]))


def test_kept_sides_are_few(monkeypatch):
    monkeypatch.setattr(sides, "_KEPT", 2)
    X = samples()
    G, _, _ = filled(DEQ, X, size=20)
    assert_close(G, nsd.ck(DEQ, X), SAME_PAIR)


def test_single_precision_input_is_not_copied_whole():
    """Blocks are converted when they are read; the result is that of the converted whole."""
    X = samples().astype(np.float32)
    np.testing.assert_array_equal(nsd.ck(DEQ, X), nsd.ck(DEQ, X.astype(np.float64)))


@ROUTES
@SPECS
def test_features_that_are_zero_throughout_add_nothing(spec, compiled_from):
    X, Y = samples(), samples(70, seed=1)
    wide_x, wide_y = np.zeros((150, 12)), np.zeros((70, 12))
    wide_x[:, 2:9], wide_y[:, 2:9] = X, Y
    wide_y[:, 10] = 0.1  # used by one side alone
    for K, wide in zip(nsd.kernels(spec, X), nsd.kernels(spec, wide_x), strict=True):
        assert_close(wide, K, SAME_PAIR)
    for block, whole in zip(
        nsd.kernels(spec, wide_x, wide_y), nsd.kernels(spec, np.vstack([wide_x, wide_y])), strict=True
    ):
        assert_close(block, whole[:150, 150:], SAME_PAIR)
