"""Ternary matrices in two bits a weight: four codes a byte and one scale."""

from __future__ import annotations

from collections.abc import Mapping

import torch

BITS = 2
"""Bits of a code: 0 is zero, 1 the scale, 2 its negative, 3 nothing."""
_CODES, _SCALE = ".codes", ".scale"
_SHIFTS = torch.arange(0, 8, BITS, dtype=torch.uint8, device="cpu")


def ternary_scale(W: torch.Tensor) -> torch.Tensor | None:
    """Return ``s`` if ``W`` is a matrix with entries 0, ``s`` and ``-s`` alone, bit for bit, else None."""
    if W.ndim != 2:
        return None
    size = W.abs()
    scale = size.max()
    ternary = ((size == 0) | (size == scale)).all() and torch.equal(torch.signbit(W), W < 0)  # no negative zeros
    return scale if ternary else None


def pack(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``weights`` with each ternary matrix replaced by its codes, row by row, and its scale."""
    packed: dict[str, torch.Tensor] = {}
    for name, W in weights.items():
        scale = ternary_scale(W)
        packed |= {name: W} if scale is None else {name + _CODES: _encode(W), name + _SCALE: scale}
    return packed


def is_packed(name: str) -> bool:
    """Tell whether an entry of what :func:`pack` gave holds codes."""
    return name.endswith(_CODES)


def unpack(packed: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Return the weights that :func:`pack` was given; ``shapes`` are those of the matrices.

    Raises
    ------
    ValueError
        When codes have no matrix or no scale, are too few or too many, or mean nothing.
    """
    weights = dict(packed)
    for entry in filter(is_packed, packed):
        name = entry.removesuffix(_CODES)
        if name not in shapes or name + _SCALE not in packed:
            raise ValueError(f"{entry} has no {'scale' if name in shapes else 'matrix'} that it belongs to")
        codes, scale = weights.pop(entry), weights.pop(name + _SCALE)
        weights[name] = _decode(entry, codes, scale, shapes[name])
    return weights


def _encode(W: torch.Tensor) -> torch.Tensor:
    codes = W.new_zeros(-(-W.numel() // len(_SHIFTS)) * len(_SHIFTS), dtype=torch.uint8)
    codes[: W.numel()] = ((W > 0) + 2 * (W < 0).to(torch.uint8)).flatten()
    return (codes.view(-1, len(_SHIFTS)) << _SHIFTS).sum(dim=1, dtype=torch.uint8)


def _decode(entry: str, packed: torch.Tensor, scale: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    size = -(-shape.numel() // len(_SHIFTS))
    if packed.dtype != torch.uint8 or packed.shape != (size,) or scale.ndim:
        raise ValueError(f"{entry} must be {size} bytes for a matrix of shape {tuple(shape)}, with one scale")
    codes = ((packed[:, None] >> _SHIFTS) & 3).flatten()[: shape.numel()].long()
    if (codes == 3).any():
        raise ValueError(f"{entry} has codes that mean nothing")
    return torch.stack([torch.zeros_like(scale), scale, -scale])[codes].view(shape)
