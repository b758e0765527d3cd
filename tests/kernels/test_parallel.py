"""Parallel branches in every way of asking for kernels: the sums of those of the branches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.kernels import tiling
from tests.tolerances import FLOAT32, SAME_PAIR, assert_close

ONE = nsd.MLP((nsd.Layer("relu", 2.0, 0.3), nsd.Layer("tanh", 0.6, 2.0, bias_var=0.2)))
OTHER = nsd.MLP(nsd.Layer("elu", 1.5, 0.5))
PARALLEL = nsd.Parallel((ONE, OTHER))
BOTH_ROUTES = pytest.mark.parametrize("compiled_from", [0, 1 << 60], ids=["compiled", "torch"])


def samples(n=90, p=6, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, p)) / np.sqrt(p)
    X[5], X[6] = X[4], -X[4]
    return X


def sums(X, Y=None):
    return [a + b for a, b in zip(nsd.kernels(ONE, X, Y), nsd.kernels(OTHER, X, Y), strict=True)]


@BOTH_ROUTES
def test_solve_and_tiles_are_the_sums(compiled_from, monkeypatch):
    monkeypatch.setattr(tiling, "COMPILED_FROM", compiled_from)
    X = samples()
    want = sums(X)
    solved = nsd.kernels.solve(PARALLEL, X)
    assert solved.record.converged
    assert solved.record.singled_out > 0  # copies
    found = [np.full((90, 90), np.nan) for _ in want]
    for tile in nsd.kernels.tiles(PARALLEL, X, size=40):
        for matrix, part in zip(found, (tile.ck, tile.ntk), strict=True):
            matrix[tile.rows, tile.columns] = part
            if tile.mirrored:
                matrix[tile.columns, tile.rows] = part.T
    for K, tiled, total in zip((solved.ck, solved.ntk), found, want, strict=True):
        assert_close(K, total, SAME_PAIR)
        assert_close(tiled, total, SAME_PAIR)


@BOTH_ROUTES
def test_single_precision(compiled_from, monkeypatch):
    monkeypatch.setattr(tiling, "COMPILED_FROM", compiled_from)
    X, Y = samples(), samples(70, seed=1)
    for K, total in zip(nsd.kernels(PARALLEL, X, Y, dtype="float32"), sums(X, Y), strict=True):
        assert K.dtype == np.float32
        assert_close(K, total, FLOAT32)


@BOTH_ROUTES
def test_weights_of_one_branch_have_its_kernel(compiled_from, monkeypatch):
    monkeypatch.setattr(tiling, "COMPILED_FROM", compiled_from)
    X = samples()
    names = ("branch1.layer1", "branch1.bias2")
    assert_close(nsd.ntk(PARALLEL, X, trainable=names), nsd.ntk(ONE, X, trainable=("layer1", "bias2")), SAME_PAIR)
    assert_close(nsd.ntk(PARALLEL, X, trainable="branch2.layer1"), nsd.ntk(OTHER, X, trainable="layer1"), SAME_PAIR)


def test_a_branch_that_jumps_has_no_tangent_kernel_below_the_readout():
    step = nsd.Activation(np.sign, lambda x: 0.0 * x, (0.0,), lambda x: 0.0 * x)
    spec, X = nsd.Parallel((nsd.MLP(nsd.Layer(step)), OTHER)), samples(9)
    assert np.isfinite(nsd.ntk(spec, X, trainable=("branch2.layer1", "readout"))).all()
    with pytest.raises(ValueError, match="the NTK is infinite on its diagonal: the activation of layer 1"):
        nsd.ntk(spec, X, trainable="branch1.layer1")


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"trainable must be .*, got 'layer1'"):
        nsd.ntk(PARALLEL, samples(), trainable="layer1")
    with pytest.raises(ValueError, match="variances are those of a DEQ, got Parallel"):
        nsd.ck(PARALLEL, samples(), variances={"sigma_a2": torch.tensor(0.2)})
    with pytest.raises(ValueError, match="no signal reaches"):
        nsd.ck(nsd.Parallel((OTHER, nsd.MLP((nsd.Layer("hermite:coefficients=0/0"), nsd.Layer())))), samples())
