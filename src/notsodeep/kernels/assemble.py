"""Fill kernel matrices block by block: most pairs together, the hard ones afterwards, the diagonal exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch

from notsodeep.kernels.samples import Samples

_BLOCK = 1 << 17  # pairs held at a time: a dozen arrays of them that stay in cache
_PUT_OFF = 1 << 16  # hard pairs gathered before they are treated


class Values(NamedTuple):
    """Conjugate kernel and NTK of some pairs."""

    ck: torch.Tensor
    ntk: torch.Tensor


class PairKernel(Protocol):
    """A model's kernels on chosen pairs of the samples that it was prepared for."""

    def bulk(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> tuple[Values, torch.Tensor]:
        """Return the kernels of a block (``i``, ``j`` broadcast) and a mask of the pairs that they are right for."""

    def pairs(self, i: torch.Tensor, j: torch.Tensor, gram: torch.Tensor) -> Values:
        """Return the kernels of single pairs, whatever it takes."""

    def diagonals(self) -> Values:
        """Return the kernels of each sample with itself, from one-dimensional integrals."""


def assemble(kernel: PairKernel, x: Samples, y: Samples, wanted: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return the wanted kernels (``ck``, ``ntk``) of ``x`` against ``y``, symmetric work done once for ``y is x``."""
    shape, device = (len(x.rows), len(y.rows)), x.rows.device
    out = {name: torch.empty(shape, dtype=torch.float64, device=device) for name in wanted}
    hard: list[torch.Tensor] = []
    for rows, columns in _blocks(x, y):
        i = torch.arange(rows.start, rows.stop, device=device)[:, None]
        j = torch.arange(columns.start, columns.stop, device=device)[None, :]
        values, right = kernel.bulk(i, j, x.rows[rows] @ y.rows[columns].T)
        for name, matrix in out.items():
            matrix[rows, columns] = getattr(values, name)
        left = torch.nonzero(~right)
        if y is x:
            left = left[left[:, 0] < left[:, 1]]  # the diagonal and what is below it come otherwise
        hard.append(left + torch.tensor([rows.start, columns.start], device=device))
        if sum(map(len, hard)) > _PUT_OFF:
            _fill_hard(kernel, x, y, out, torch.cat(hard))
            hard = []
    if hard:
        _fill_hard(kernel, x, y, out, torch.cat(hard))
    if y is x:
        diagonals = kernel.diagonals()
        for name, matrix in out.items():
            _mirror(matrix)
            matrix.diagonal().copy_(getattr(diagonals, name))
    return out


def _blocks(x: Samples, y: Samples) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns that cover every pair; when ``y`` is ``x``, those from the diagonal on."""
    n, m = len(x.rows), len(y.rows)
    start = 0
    while start < n:
        first = start if y is x else 0
        stop = min(n, start + max(1, _BLOCK // (m - first)))
        yield slice(start, stop), slice(first, m)
        start = stop


def _fill_hard(kernel: PairKernel, x: Samples, y: Samples, out: dict[str, torch.Tensor], places: torch.Tensor) -> None:
    for part in places.split(_PUT_OFF):
        i, j = part.unbind(dim=1)
        if i.numel():
            values = kernel.pairs(i, j, torch.linalg.vecdot(x.rows[i], y.rows[j]))
            for name, matrix in out.items():
                matrix[i, j] = getattr(values, name)


def _mirror(matrix: torch.Tensor) -> None:
    """Copy what is above the diagonal below it, a band of rows at a time."""
    n = len(matrix)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        stop = min(n, start + step)
        square = torch.triu(matrix[start:stop, start:stop], diagonal=1)
        matrix[start:stop, start:stop] = square + square.T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
