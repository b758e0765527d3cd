"""What a shallow network is to reproduce: the numbers of a DEQ's kernels, and how a miss is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data import Statistics
from notsodeep.equivalents.coefficients import coefficients
from notsodeep.spec import DEQ, MLP, Parallel, trainable_weights

KERNELS = ("ck", "ntk", "both")
NAMES = {"ck": ("alpha1", "alpha2", "alpha3", "gamma2"), "ntk": ("beta1", "beta2", "beta3", "kappa2")}
"""The four numbers that a kernel depends on, in the order of ``Coefficients.numbers``"""
NORMS = 1
"""Place of the number that weighs the fluctuations of norms, among the four of a kernel"""
NOTHING = 1e-12
"""Share of the diagonal below which a number counts as zero"""
_EQUAL = 1e-6  # relative spread of squared norms below which they count as equal


@dataclass(frozen=True)
class Target:
    """Four numbers of a kernel, or of both, in units of the data scale: linear, norms, products, diagonal."""

    kernel: str
    """``"ck"``, ``"ntk"`` or ``"both"``"""
    tau0: float
    ck: FloatArray
    ntk: FloatArray
    """Each ``(4,)``, multiplied by ``(tau0^2, tau0^4, tau0^4, 1)``: shares of the diagonal of samples of norm tau0"""
    readout: float = 1.0
    """Learning rate of the network's readout: 0 where that of the DEQ is not trained"""
    equal_norms: bool = False
    """Whether the data have no fluctuations of norms, so that the second number is idle"""

    @classmethod
    def of(cls, deq: DEQ, kernel: str, trainable: Any, stats: Statistics | None = None) -> Target:
        """Return the target that ``deq`` sets, on data with statistics ``stats`` if they are given."""
        ck, ntk = (
            np.array(coefficients(deq, name, trainable=trainable).numbers) * units(deq.tau0) for name in ("ck", "ntk")
        )
        readout = float("readout" in trainable_weights(deq, trainable))
        return cls(kernel, deq.tau0, ck, ntk, readout, stats is not None and has_equal_norms(stats))

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels to be reproduced."""
        return ("ck", "ntk") if self.kernel == "both" else (self.kernel,)

    def of_kernel(self, name: str) -> FloatArray:
        """Return the four numbers of one kernel."""
        return self.ck if name == "ck" else self.ntk

    @cached_property
    def numbers(self) -> FloatArray:
        """The numbers to be reproduced, four for each kernel; of idle ones too."""
        return np.concatenate([self.of_kernel(name) for name in self.kernels])

    @cached_property
    def active(self) -> FloatArray:
        """Which of :attr:`numbers` matter on the data."""
        each = np.ones(4, dtype=bool)
        each[NORMS] = not self.equal_norms
        return np.tile(each, len(self.kernels))

    def misses(self, ck: Any, ntk: Any) -> Any:
        """Return the relative misses ``(M, ...)`` of a network's numbers ``(4, ...)``, in units of the data scale.

        That of a number which should be zero is relative to the diagonal. A kernel that is not to be reproduced may be
        None.
        """
        found = np.concatenate([ck if name == "ck" else ntk for name in self.kernels])[self.active]
        shape = (-1,) + (1,) * (found.ndim - 1)
        return (found - self.numbers[self.active].reshape(shape)) / self._sizes[self.active].reshape(shape)

    def residual(self, spec: MLP | Parallel) -> float:
        """Return the largest relative miss of a network, computed anew from its spec."""
        trained = network_weights(spec, self.readout > 0)
        found = {
            name: np.array(coefficients(spec, name, tau0=self.tau0, trainable=trained).numbers) for name in self.kernels
        }
        each = (found[name] * units(self.tau0) if name in found else None for name in ("ck", "ntk"))
        return float(np.abs(self.misses(*each)).max())

    @property
    def is_odd(self) -> bool:
        """Whether norms and products carry nothing, as for odd activations."""
        return all((np.abs(four[1:3]) <= NOTHING * four[3]).all() for four in map(self.of_kernel, self.kernels))

    @property
    def is_even(self) -> bool:
        """Whether there is no linear part, as for even activations."""
        return all(abs(four[0]) <= NOTHING * four[3] for four in map(self.of_kernel, self.kernels))

    @cached_property
    def _sizes(self) -> FloatArray:
        diagonals = np.repeat(self.numbers[3::4], 4)
        size = np.abs(self.numbers)
        return np.where(size > NOTHING * diagonals, size, diagonals)


def network_weights(spec: MLP | Parallel, readout: bool) -> frozenset[str]:
    """Return the weights that a network trains: all, or all but its readout."""
    return trainable_weights(spec, "all") - (frozenset() if readout else {"readout"})


def units(tau0: float) -> FloatArray:
    """Return what turns the four numbers into shares of the diagonal."""
    return np.array([tau0**2, tau0**4, tau0**4, 1.0])


def has_equal_norms(stats: Statistics) -> bool:
    """Tell whether all samples have one norm, so that nothing but their angles matters."""
    squares = stats.squared_norms
    return bool(np.ptp(squares) <= _EQUAL * squares.mean())
