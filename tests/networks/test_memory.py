"""Bits of networks, counted by hand."""

import math

import pytest
import torch

import notsodeep as nsd
from notsodeep.networks import memory_bits
from notsodeep.networks.memory import Bits
from tests.tolerances import STANDARD_ERRORS

SPEC = nsd.MLP((nsd.Layer("tanh"), nsd.Layer("relu", bias_var=0.5)))


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 32), (torch.float64, 64)])
def test_gaussian_networks_are_floats(dtype, bits):
    memory = memory_bits(SPEC.to_torch(7, 10, 3).to(dtype))
    assert memory.hidden == Bits(170, 170 * bits, 170 * bits, 170 * bits)
    assert memory.biases == Bits(10, 10 * bits, 10 * bits, 10 * bits)
    assert memory.readout == Bits(30, 30 * bits, 30 * bits, 30 * bits)
    assert memory.total == Bits(210, 210 * bits, 210 * bits, 210 * bits)


def test_deqs_are_floats():
    memory = memory_bits(nsd.DEQ("tanh", sigma_c2=0.1).to_torch(7, 10, 3))
    assert [part.weights for part in (memory.hidden, memory.biases, memory.readout)] == [170, 10, 30]
    assert memory_bits(nsd.DEQ("tanh").to_torch(7, 10, 3)).biases == Bits(0, 0, 0, 0.0)


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 32), (torch.float64, 64)])
def test_ternary_networks_are_codes(dtype, bits):
    memory = memory_bits(SPEC.to_torch(7, 10, 3, weights="ternary", sparsity=0.5).to(dtype))
    assert memory.hidden.floats == 170 * bits
    assert memory.hidden.codes == 8 * (18 + 25) + 2 * bits  # bytes: 70 and 100 weights of two bits
    assert memory.readout.codes == 30 * bits
    assert memory.total.codes == memory.hidden.codes + 40 * bits


def test_parallel_networks_are_their_branches():
    memory = memory_bits(nsd.Parallel((SPEC, SPEC)).to_torch(7, 20, 3, weights="ternary"))
    assert [part.weights for part in (memory.hidden, memory.biases, memory.readout)] == [340, 20, 60]
    assert memory.hidden.codes == 2 * memory_bits(SPEC.to_torch(7, 10, weights="ternary")).hidden.codes


@pytest.mark.parametrize("sparsity", [0.0, 0.35, 0.9, 0.99])
def test_the_entropy_is_that_of_the_sparsity(sparsity):
    hidden = memory_bits(SPEC.to_torch(300, 200, weights="ternary", sparsity=sparsity)).hidden
    parts = [share for share in (sparsity, (1 - sparsity) / 2, (1 - sparsity) / 2) if share > 0]
    surprise = [-math.log2(share) for share in parts]
    entropy = sum(share * bits for share, bits in zip(parts, surprise, strict=True))
    variance = sum(share * (bits - entropy) ** 2 for share, bits in zip(parts, surprise, strict=True))
    found = (hidden.entropy - 2 * 64) / hidden.weights
    fitted = 4 / hidden.weights  # two shares a matrix come from the entries: some bits less, over all of them
    assert abs(found - entropy) < STANDARD_ERRORS * math.sqrt(variance / hidden.weights) + fitted
    assert hidden.entropy < hidden.codes


def test_the_entropy_by_hand():
    net = nsd.MLP((nsd.Layer("tanh"),)).to_torch(4, 2)
    with torch.no_grad():
        net.layers[0].copy_(torch.tensor([[0.0, 0.0, 0.0, 0.0], [2.0, -2.0, -2.0, 2.0]]))
    assert memory_bits(net).hidden == Bits(8, 8 * 64, 16 + 64, 8 * 1.5 + 64)


def test_bad_argument():
    with pytest.raises(
        ValueError, match="net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got Linear"
    ):
        memory_bits(torch.nn.Linear(2, 2))
