"""What a shallow network is to reproduce: the numbers of a DEQ's kernel, and how a miss is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.equivalents.coefficients import coefficients
from notsodeep.spec import DEQ, MLP

_NOTHING = 1e-12  # share of the diagonal below which a target counts as zero


@dataclass(frozen=True)
class Target:
    """The four numbers of a kernel at a data scale, in the order linear, norms, products, diagonal."""

    kernel: str
    """``"ck"`` or ``"ntk"``"""
    tau0: float
    numbers: tuple[float, float, float, float]

    @classmethod
    def of(cls, deq: DEQ, kernel: str, trainable: Any) -> Target:
        """Return the target that ``deq`` sets."""
        return cls(kernel, deq.tau0, coefficients(deq, kernel, trainable=trainable).numbers)

    def residuals(self, numbers: tuple[Any, Any, Any, Any]) -> Any:
        """Return the relative miss of each number; of one that should be zero, relative to the diagonal."""
        return (np.array(numbers) - np.array(self.numbers)) / self._sizes

    def residual(self, mlp: MLP) -> float:
        """Return the largest relative miss of the numbers of ``mlp``, computed anew from its spec."""
        found = coefficients(mlp, self.kernel, tau0=self.tau0).numbers
        return float(np.abs(self.residuals(found)).max())

    @property
    def is_odd(self) -> bool:
        """Whether norms and products carry nothing, as for odd activations."""
        return bool((np.abs(np.array(self.numbers[1:3])) * self._units[1:3] <= _NOTHING * self.numbers[3]).all())

    @property
    def is_even(self) -> bool:
        """Whether there is no linear part, as for even activations."""
        return abs(self.numbers[0]) * self.tau0**2 <= _NOTHING * self.numbers[3]

    @property
    def spread(self) -> float:
        """Diagonal over the linear part of it: 1 for a linear model, more for any other."""
        return self.numbers[3] / (self.numbers[0] * self.tau0**2)

    @property
    def _units(self) -> FloatArray:
        return np.array([self.tau0**2, self.tau0**4, self.tau0**4, 1.0])

    @property
    def _sizes(self) -> FloatArray:
        size, diagonal = np.abs(np.array(self.numbers)), self.numbers[3]
        return np.where(size * self._units > _NOTHING * diagonal, size, diagonal / self._units)
