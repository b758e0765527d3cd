"""Matrices with a row a sample: taken in without a copy, and worked through by blocks of rows in double precision."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from notsodeep.activations.backend import is_tensor

BLOCK = 2**21
"""Numbers in a block: 16 MiB in double precision."""


def row_blocks(X: torch.Tensor, width: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield the rows of ``X`` in double precision, so many at a time that ``width`` numbers a row stay few."""
    height = max(1, BLOCK // max(1, width))
    for start in range(0, len(X), height):
        rows = slice(start, min(start + height, len(X)))
        yield rows, X[rows].to(torch.float64)


def shared(name: str, value: Any) -> torch.Tensor:
    """Return a real, finite matrix: single and double precision without a copy, other numbers in double."""
    matrix = _real(name, value)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be a matrix, got shape {tuple(matrix.shape)}")
    _check_finite(name, matrix)
    return matrix


def copied(name: str, value: Any, like: torch.Tensor) -> torch.Tensor:
    """Return real, finite ``value`` as a double precision tensor of its own, where ``like`` is."""
    given = _real(name, value)
    _check_finite(name, given)
    return given.to(device=like.device, dtype=torch.float64, copy=True)


def _real(name: str, value: Any) -> torch.Tensor:
    """Return real ``value`` as a tensor that shares its memory, where there is a tensor that can."""
    if not is_tensor(value):
        value = _from_array(name, np.asarray(value))
    if value.is_complex():
        raise ValueError(f"{name} must be real numbers, got dtype {value.dtype}")
    return value.detach()


def _from_array(name: str, array: np.ndarray[Any, Any]) -> torch.Tensor:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if any(step < 0 or step % array.itemsize for step in array.strides):  # views that no tensor can be
        array = np.ascontiguousarray(array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nor is it written to
        return torch.from_numpy(array)


def _check_finite(name: str, tensor: torch.Tensor) -> None:
    table = tensor.reshape(-1, 1) if tensor.ndim < 2 else tensor.flatten(1)
    if not all(bool(rows.isfinite().all()) for _, rows in row_blocks(table, table.shape[1])):
        raise ValueError(f"{name} has NaN or infinite values")
