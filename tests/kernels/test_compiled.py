"""What the compiled loops are told: how far a series of each length is exact, and when longer ones are worth it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.activations.duals import Dual
from notsodeep.activations.duals.series import Mehler
from notsodeep.kernels import compiled, loops, tiling
from tests.tolerances import SAME_PAIR, TRUNCATED, assert_close

SCALES = torch.linspace(0.6, 1.5, 9, dtype=torch.float64), torch.linspace(0.5, 1.2, 5, dtype=torch.float64)


def prepared(name, terms=128):
    phi = nsd.activation(name)
    mehler = Mehler.over(phi, *SCALES)
    packed = [compiled.pack((mehler,), (scales,), terms) for scales in SCALES]
    return phi, mehler, packed, compiled.laws((mehler,), *packed)


@pytest.mark.parametrize("name", ["tanh", "silu", "relu", "hardtanh", "elu", "softsign", "sin", "mish", "sigmoid"])
def test_series_are_exact_as_far_as_they_are_said_to_reach(name):
    """Cut off where the law says, at the correlation where it says, for every pair of scales and both signs."""
    phi, mehler, _, law = prepared(name)
    a, b = (mehler.hermite(scales.numpy(), 128) for scales in SCALES)
    dual, squares = Dual(phi, *SCALES), [mehler.moments(scales.numpy()) for scales in SCALES]
    i, j = (torch.from_numpy(k.ravel()) for k in np.indices((9, 5)))
    size = np.sqrt(np.outer(squares[0].square, squares[1].square)).ravel()
    slope_size = np.sqrt(np.outer(squares[0].slope_square, squares[1].slope_square)).ravel()
    k = np.arange(128)
    for blocks in range(1, law.reach.shape[1]):
        for rho in (law.reach[0, blocks], -law.reach[0, blocks]):
            value, slope = dual(i, j, torch.full((45,), rho, dtype=torch.float64))
            part = a[i][:, : 8 * blocks] * b[j][:, : 8 * blocks]
            powers = rho ** k[: 8 * blocks]
            lowered = k[1 : 8 * blocks] * powers[:-1]
            s, t = SCALES[0][i].numpy(), SCALES[1][j].numpy()
            assert_close(part @ powers, value, TRUNCATED, scale=size, what=f"{name}, {blocks} blocks")
            assert_close(part[:, 1:] @ lowered / (s * t), slope, TRUNCATED, scale=slope_size, what=f"slope of {name}")


def test_longer_series_reach_further():
    for name in ("tanh", "hardtanh"):
        (_, _, _, short), (_, _, _, long) = prepared(name), prepared(name, 384)
        assert (np.diff(short.reach[0]) >= 0).all()
        assert long.reach[0, -1] > short.reach[0, -1] > 0.75
        assert (short.rough[0] >= short.reach[0]).all()


def test_absent_parities_cost_nothing():
    assert prepared("tanh")[3].blocks[0, 0] == 0  # odd
    assert prepared("cos")[3].blocks[0, 1] == 0  # even
    assert prepared("silu")[3].blocks[0, 1] == 1  # x / 2 and an even function


def test_the_arc_sine_in_the_loops():
    """Relu at correlations up to the end of the loops, against the closed form in torch."""
    rho = np.concatenate([np.linspace(-loops.END, loops.END, 63), [0.0]])
    S = np.zeros(loops.SLOTS * loops.LANES)
    S[: loops.LANES] = rho
    loops._arc_sine(0.25, 0.25, S)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(loops.LANES, dtype=torch.int64)
    value, slope = Dual(nsd.activation("relu"), one, one)(zero, zero, torch.from_numpy(rho))
    assert_close(S[loops._V : loops._V + loops.LANES] + 0.5 / np.pi, value, SAME_PAIR)
    assert_close(S[loops._D : loops._D + loops.LANES], slope, SAME_PAIR)


def test_many_pairs_near_one_make_the_series_longer(monkeypatch):
    """Strongly correlated samples: one by one they would take for ever; the values stay the same."""
    monkeypatch.setattr(tiling, "COMPILED_FROM", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6)) * 0.35 + 1.0
    X /= np.sqrt((X**2).sum(axis=1).mean())
    deq, found = nsd.DEQ("hardtanh"), []
    for worth in (0, 1 << 60):
        monkeypatch.setattr(compiled, "_WORTH_LONGER", worth)
        found.append(nsd.kernels.solve(deq, X, X[:90].copy()))
    assert found[0].record.singled_out <= found[1].record.singled_out
    assert_close(found[0].ck, found[1].ck, SAME_PAIR)


def test_threads_may_go_on_to_longer_series_while_others_work(monkeypatch):
    """Sides are packed anew under the hands of other threads; each tile keeps to one length."""
    monkeypatch.setattr(tiling, "COMPILED_FROM", 0)
    monkeypatch.setattr(tiling, "_SMALL", 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(compiled, "_WORTH_LONGER", 0)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 6)) * 0.3 + 1.0
    X /= np.sqrt((X**2).sum(axis=1).mean())
    deq = nsd.DEQ("elu")
    found = nsd.kernels.solve(deq, X)
    monkeypatch.setattr(tiling, "COMPILED_FROM", 1 << 60)
    for many, plain in zip((found.ck, found.ntk), nsd.kernels(deq, X), strict=True):
        assert_close(many, plain, SAME_PAIR)
