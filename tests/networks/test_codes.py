"""Matrices in two bits a weight: exact round trips, and what is no such matrix."""

import numpy as np
import pytest
import torch

from notsodeep.networks.codes import pack, ternary_scale, unpack


def matrix(rows, columns, scale=2.5, dtype=torch.float64):
    signs = np.random.default_rng(rows * columns).integers(-1, 2, (rows, columns))
    return torch.tensor(scale * signs, dtype=dtype) + 0.0  # no negative zeros


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (5, 5), (8, 4), (7, 6)])
def test_round_trip(shape, dtype):
    weights = {"W": matrix(*shape, 0.1, dtype), "other": torch.randn(2, 3, generator=torch.Generator().manual_seed(0))}
    packed = pack(weights)
    assert packed.keys() == {"W.codes", "W.scale", "other"}
    assert packed["W.codes"].numel() == -(-shape[0] * shape[1] // 4)
    again = unpack(packed, {name: W.shape for name, W in weights.items()})
    assert again.keys() == weights.keys()
    for name, W in weights.items():
        assert again[name].dtype == W.dtype
        assert torch.equal(again[name], W)


def test_bytes_by_hand():
    W = torch.tensor([[0.0, 3.0, -3.0], [3.0, 0.0, 0.0]])
    packed = pack({"W": W})
    assert packed["W.codes"].tolist() == [0 + 4 * 1 + 16 * 2 + 64 * 1, 0]
    assert packed["W.scale"].item() == 3.0


@pytest.mark.parametrize(
    "W",
    [
        torch.tensor([[1.0, 2.0]]),
        torch.tensor([[1.0, torch.nan]]),
        torch.tensor([[1.0, -0.0]]),
        torch.tensor([1.0, 0.0]),
    ],
    ids=["two sizes", "nan", "negative zero", "vector"],
)
def test_what_is_not_ternary(W):
    assert ternary_scale(W) is None
    assert pack({"W": W}) == {"W": W}


def test_zeros_are_ternary():
    W = torch.zeros(3, 3)
    assert ternary_scale(W) == 0.0
    assert torch.equal(unpack(pack({"W": W}), {"W": W.shape})["W"], W)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"V.codes": torch.zeros(1, dtype=torch.uint8)}, "V.codes has no matrix"),
        ({"W.scale": None}, "W.codes has no scale"),
        ({"W.scale": torch.zeros(1)}, "with one scale"),
        ({"W.codes": torch.zeros(2, dtype=torch.uint8)}, r"W.codes must be 3 bytes for a matrix of shape \(3, 4\)"),
        ({"W.codes": torch.zeros(3, dtype=torch.int8)}, "W.codes must be 3 bytes"),
        ({"W.codes": torch.full((3,), 192, dtype=torch.uint8)}, "W.codes has codes that mean nothing"),
    ],
)
def test_damaged_codes(change, message):
    packed = {name: W for name, W in (pack({"W": matrix(3, 4)}) | change).items() if W is not None}
    with pytest.raises(ValueError, match=message):
        unpack(packed, {"W": torch.Size((3, 4))})
