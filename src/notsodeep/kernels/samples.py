"""Checked samples that are read block by block, and the correlations that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import FloatArray, samples, table

_ROUNDING = 16 * torch.finfo(torch.float64).eps
_CHUNK = 1 << 20  # entries that are looked at together


@dataclass(frozen=True)
class Block:
    """Some samples in float64: their rows and their squared norms."""

    rows: torch.Tensor
    squared_norms: torch.Tensor


class Samples:
    """Rows of data ``(n, p)``, as the user has them: nothing is copied, blocks are converted when they are read.

    ``used`` tells which features are not zero throughout: the borders of images often are.

    Raises
    ------
    ValueError
        When ``value`` is not a table of finite numbers without zero rows; ``name`` is what the message calls it.
    """

    def __init__(self, name: str, value: Any) -> None:
        self._table: Any = value.detach() if is_tensor(value) else np.asarray(value)
        table(name, self._table)
        self.n, self.p = map(int, self._table.shape)
        self.used = torch.zeros(self.p, dtype=torch.bool, device=self.device)
        self.low, self.high, self.mean_square = self._norms(name)

    @property
    def device(self) -> torch.device:
        """Where the blocks live."""
        return self._table.device if is_tensor(self._table) else torch.device("cpu")

    def block(self, start: int, stop: int) -> Block:
        """Return the samples from ``start`` to ``stop``."""
        return self._block(self._read(start, stop))

    def gather(self, rows: torch.Tensor) -> Block:
        """Return single samples."""
        return self._block(self._convert(self._table[rows if is_tensor(self._table) else rows.numpy()]))

    @staticmethod
    def _block(rows: torch.Tensor) -> Block:
        return Block(rows, rows.square().sum(dim=1))

    def _read(self, start: int, stop: int) -> torch.Tensor:
        return self._convert(self._table[start:stop])

    @staticmethod
    def _convert(part: Any) -> torch.Tensor:
        if is_tensor(part):
            return part.to(torch.float64)
        array = np.ascontiguousarray(part, dtype=np.float64)
        return torch.from_numpy(array if array.flags.writeable else array.copy())  # torch warns of the others

    def _norms(self, name: str) -> tuple[float, float, float]:
        """Return the smallest and the largest norm, and the mean of the squared ones; note which features are used."""
        step = max(1, _CHUNK // self.p)
        low, high, total = np.inf, 0.0, 0.0
        for start in range(0, self.n, step):
            rows = self._read(start, min(self.n, start + step))
            squares = rows.square().sum(dim=1)
            self.used |= rows.count_nonzero(dim=0) > 0
            least, most = float(squares.min()), float(squares.max())
            if not (least > 0.0 and most < np.inf):
                self._refuse(name, start, step)
            low, high, total = min(low, least), max(high, most), total + float(squares.sum())
        return low**0.5, high**0.5, total / self.n

    def _refuse(self, name: str, start: int, step: int) -> None:
        """Say what is wrong with the rows from ``start`` on."""
        samples(name, self._table.cpu().numpy() if is_tensor(self._table) else self._table)
        raise ValueError(f"{name} has samples of norm 0 or infinity from row {start} to row {start + step}")


def norms_between(low: float, high: float) -> FloatArray:
    """Return norms that a function of the norm is looked at, to find the range of its values."""
    return np.geomspace(low, high, 17 if high > low else 1)


def correlation(covariance: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
    """Return ``covariance / bound`` in [-1, 1], ``bound = s t``; what rounding cannot tell from +-1 is +-1.

    Without that, the copies of a sample would differ from it by ``sqrt(rounding)`` in the derivative
    kernel of a kinked activation.
    """
    rho = (covariance / bound).clamp(-1.0, 1.0)
    return torch.where(1.0 - rho.abs() <= _ROUNDING, torch.sign(rho), rho)
