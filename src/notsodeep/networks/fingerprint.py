"""What a network and its samples are, as a short text: to tell whether a file belongs to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch


def fingerprint(described: Any, tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of JSON data and of named tensors: their dtypes, shapes and bytes, on whichever device.

    Examples
    --------
    >>> fingerprint({"a": 1}, {"W": torch.ones(2)}) == fingerprint({"a": 1}, {"W": torch.ones(2)})
    True
    >>> fingerprint({"a": 1}, {"W": torch.ones(2)}) == fingerprint({"a": 1}, {"W": torch.ones(2, 1)})
    False
    """
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
