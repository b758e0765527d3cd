"""Activations block by block are those of the whole batch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.networks import blocks
from notsodeep.networks.blocks import BLOCK, activated

WIDTH = 1000


def pre_activations(dtype, n=None):
    rows = 3 * BLOCK // (WIDTH * dtype.itemsize) if n is None else n
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(0), dtype=dtype)


def close(got, want):
    """But for the last bits: torch treats what is left over at the end of its vectors by other code."""
    eps = torch.finfo(want.dtype).eps
    torch.testing.assert_close(got, want, rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "phi",
    [
        nsd.activation("relu").shifted(-0.3),
        nsd.activation("gelu"),
        nsd.activation("identity"),
        nsd.activation("soft_slopes"),
        nsd.Activation(lambda x: np.arctan(np.asarray(x)), lambda x: 1.0 / (1.0 + np.asarray(x) ** 2)),
    ],
    ids=lambda phi: phi.name,
)
def test_blocks_give_what_the_whole_batch_gives(phi, dtype):
    U = pre_activations(dtype)
    want = phi(U) / 7.0
    with torch.no_grad():
        got = activated(phi, U.clone(), 7.0)
    assert got.dtype == want.dtype
    close(got, want)


def test_no_more_than_a_block_is_looked_at_and_the_place_is_that_of_the_argument():
    seen = []
    phi = nsd.Activation(lambda x: (seen.append(x.numel() * x.element_size()), torch.tanh(x))[1])
    U = pre_activations(torch.float32)
    seen.clear()
    with torch.no_grad():
        assert activated(phi, U).data_ptr() == U.data_ptr()
    assert max(seen) <= BLOCK
    assert sum(seen) == U.numel() * U.element_size()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_small_batches_are_one_block(n):
    U = pre_activations(torch.float64, n)
    with torch.no_grad():
        assert torch.equal(activated(nsd.activation("gelu"), U), nsd.activation("gelu")(U))


def test_with_gradients_pre_activations_stay():
    U = pre_activations(torch.float64).requires_grad_()
    before = U.detach().clone()
    activated(nsd.activation("tanh"), U, 2.0).sum().backward()
    assert torch.equal(U.detach(), before)
    assert torch.allclose(U.grad, (1.0 - torch.tanh(before) ** 2) / 2.0)


@pytest.mark.parametrize("spec", [nsd.DEQ("tanh"), nsd.MLP((nsd.Layer("gelu"), nsd.Layer("tanh", weight_var=2.0)))])
def test_networks_give_the_same_features_by_blocks_and_at_once(spec, monkeypatch):
    net = spec.to_torch(in_features=5, width=WIDTH, seed=0)
    X = torch.randn(200, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        features = net.features(X)
        monkeypatch.setattr(blocks, "BLOCK", 1 << 40)
        close(features, net.features(X))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, that tracing is no longer recommended
def test_a_traced_network_takes_batches_of_all_sizes():
    net = nsd.MLP((nsd.Layer("tanh"),)).to_torch(in_features=5, width=WIDTH, seed=0)
    X = torch.randn(400, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = [torch.jit.trace(net, X[:200])]  # torch compares with a second trace, without gradients
        with torch.no_grad():
            traced.append(torch.jit.trace(net, X[:200]))
    wanted = torch.autograd.grad(net(X[:10]).sum(), tuple(net.parameters()))
    for each in traced:
        for n in (1, 10, 400):
            with torch.no_grad():
                assert torch.allclose(each(X[:n]), net(X[:n]), rtol=1e-12, atol=1e-14)
        gradients = torch.autograd.grad(each(X[:10]).sum(), tuple(each.parameters()))
        for got, want in zip(gradients, wanted, strict=True):
            assert torch.allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own forward mode
def test_transforms_go_through_blocks():
    """Forward mode and vmap know no ``out=``."""
    net = nsd.MLP((nsd.Layer("tanh"), nsd.Layer("relu"))).to_torch(in_features=5, width=WIDTH, seed=0)
    X = torch.randn(2, 200, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tangent = torch.ones_like(X[0])
    want = torch.func.jvp(net.features, (X[0],), (tangent,))
    with torch.no_grad():
        got = torch.func.jvp(net.features, (X[0],), (tangent,))
        batched = torch.func.vmap(net.features)(X)
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in zip(got, want, strict=True))
    assert torch.allclose(batched, torch.stack([net.features(x) for x in X]), rtol=1e-12, atol=1e-14)
