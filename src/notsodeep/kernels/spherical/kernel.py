"""The kernel between samples of one norm: a function of one number, with its derivative and its power series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import FloatArray, choice, integer, number
from notsodeep.kernels.spherical.explicit import ExplicitSphere, ParallelSphere
from notsodeep.kernels.spherical.implicit import ImplicitSphere
from notsodeep.kernels.spherical.table import GradedTable
from notsodeep.spec import DEQ, MLP, Spec, trainable_weights

_ROUNDING = 16 * np.finfo(np.float64).eps  # a cosine that exceeds 1 by no more is 1
_MOST_COEFFICIENTS = 2048
_LARGEST_NORM = 1e6


@dataclass(frozen=True)
class SphereKernel:
    """A kernel ``f(rho)`` of samples of one norm whose angle has the cosine rho; made by :func:`sphere`.

    A call takes a number, a NumPy array or a torch tensor of cosines, of any shape, and returns float64 values of
    its kind (a tensor: on its device).

    Raises
    ------
    ValueError
        When a cosine is NaN or outside [-1, 1]; what rounding adds to 1 (16 units of it) is overlooked.
    """

    spec: Spec
    """The model"""
    kernel: str
    """``"ck"`` or ``"ntk"``"""
    trained: frozenset[str]
    """The weights that the NTK is of; empty for the CK"""
    norm: float
    """Norm of the samples"""

    def __call__(self, rho: Any) -> Any:
        """Return ``f(rho)``, to 1e-12 of ``f(1)`` for every cosine in [-1, 1]."""
        return _apply(self._table, rho)

    def derivative(self, rho: Any) -> Any:
        """Return ``df / d rho``, as accurate as f where it is finite.

        The NTK of an activation whose slope jumps behaves like ``sqrt(1 - rho)`` near 1: there its derivative is
        infinite. So it is at -1 if the pre-activations of opposite samples are opposite too.

        Raises
        ------
        ValueError
            As for a call.
        ConvergenceError
            When the second derivatives that the NTK's derivative takes cannot be tabulated.
        """
        return _apply(self._slope_table, rho)

    def coefficients(self, count: int) -> FloatArray:
        """Return ``c_k`` for ``k < count``, in ``f(rho) = sum_k c_k rho^k``: all nonnegative, with the sum ``f(1)``.

        By Mehler, ``E[phi(u) phi(v)]`` at correlation t is ``sum_k a_k^2 t^k``, whose coefficients are nonnegative,
        and so are those of its derivative D. The correlation t of a DEQ's pre-activations is the limit of
        ``t <- (sigma_a2 sum_k a_k^2 t^k + sigma_b2 r^2 rho + sigma_c2) / q``, iterated from 0: nonnegative
        coefficients grow at every step, and their sum stays at most 1, the fixed point for rho = 1. Sums and
        products keep the sign, as does ``1 / (1 - sigma_a2 D) = sum_k (sigma_a2 D)^k``: so it is for both kernels,
        centred or not, and for explicit layers, which are compositions of such series.

        No step subtracts one number from another of its size: the error of a coefficient is a small multiple of
        1e-16 times itself, and of ``1e-16 sqrt(c_k f(1))`` from the Hermite coefficients, of which double precision
        keeps the absolute error small.

        Raises
        ------
        ValueError
            When ``count`` is not an integer from 1 to 2048.
        ConvergenceError
            When orthogonal samples have nearly equal pre-activations, so that a series about them needs too many
            Hermite coefficients.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> from notsodeep.kernels.spherical import sphere
        >>> sphere(nsd.DEQ("relu")).coefficients(3).round(6)
        array([0.      , 0.210526, 0.06919 ])
        """
        return self._model.coefficients(integer("count", count, low=1, high=_MOST_COEFFICIENTS))

    def __reduce__(self) -> Any:
        """Copy and pickle by what the kernel is of; the tables are made again when they are needed."""
        return SphereKernel, (self.spec, self.kernel, self.trained, self.norm)

    @cached_property
    def _model(self) -> ImplicitSphere | ExplicitSphere | ParallelSphere:
        trained = self.trained or frozenset({"readout"})  # the NTK of the readout is the CK
        if isinstance(self.spec, DEQ):
            return ImplicitSphere(self.spec, self.norm**2, trained)
        if isinstance(self.spec, MLP):
            return ExplicitSphere(self.spec, self.norm**2, trained)
        return ParallelSphere(self.spec, self.norm**2, trained)

    @cached_property
    def _table(self) -> GradedTable:
        return GradedTable.tabulate(self._model.values)

    @cached_property
    def _slope_table(self) -> GradedTable:
        at_one, at_minus_one = ~np.isfinite(self._model.derivatives(np.array([1.0, -1.0])))
        return GradedTable.tabulate(self._model.derivatives, (int(at_one), int(at_minus_one)))


def sphere(
    spec: Spec, kernel: str = "ck", trainable: str | Iterable[str] = "all", norm: float | None = None
) -> SphereKernel:
    """Return an exact kernel of ``spec`` between samples of one norm, as a function of their cosine.

    For samples of norm r, ``nsd.ck(spec, X)`` and ``nsd.ntk(spec, X)`` are functions of ``rho = x . y / r^2`` alone.
    This is that function, tabulated: some twenty nanoseconds an entry, once the table is made (some tenths of a second,
    and more for smooth activations at large scales).

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model. The shift of a centred DEQ is that of its own ``tau0``, whatever the norm.
    kernel : str
        ``"ck"`` or ``"ntk"``.
    trainable : "all" or names
        The weights that the NTK is of, as for ``nsd.ntk``.
    norm : float, optional
        Norm r of the samples (> 0); a DEQ's ``tau0`` by default, needed for explicit layers.

    Returns
    -------
    SphereKernel
        A callable, with ``derivative`` and ``coefficients``.

    Raises
    ------
    ValueError
        An unknown kernel or weight, a bad norm, no stable fixed point, or the NTK of an activation that jumps.
    ConvergenceError
        When no table resolves the kernel: the model is too close to instability, or its activation nearly jumps.

    Notes
    -----
    The CK of a DEQ determines its NTK here: with all weights trained and no bias,
    ``K = G + rho G' + sigma_a2 / (sigma_b2 r^2) G G'``. Setting: arXiv:2308.16425.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.kernels.spherical import sphere
    >>> f = sphere(nsd.DEQ("relu"))
    >>> f([-1.0, 0.0, 1.0]).round(6) + 0.0
    array([-0.135737,  0.      ,  0.292624])
    >>> round(f.derivative(0.0), 6), sphere(nsd.DEQ("relu"), "ntk").derivative(1.0)
    (0.210526, inf)
    """
    kernel = choice("kernel", kernel, ("ck", "ntk"))
    trained = trainable_weights(spec, trainable)
    if norm is None:
        if not isinstance(spec, DEQ):
            kind = "an MLP" if isinstance(spec, MLP) else "a Parallel"
            raise ValueError(f"norm must be given for {kind}, which has no tau0: the norm of the samples")
        norm = spec.tau0
    norm = number("norm", norm, low=0.0, high=_LARGEST_NORM, strict=True)
    built = SphereKernel(spec, kernel, trained if kernel == "ntk" else frozenset(), norm)
    _ = built._table
    return built


def _apply(table: GradedTable, rho: Any) -> Any:
    if is_tensor(rho):
        return torch.from_numpy(np.asarray(_apply(table, rho.detach().cpu().numpy()))).to(rho.device)
    array = np.asarray(rho)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"rho must be real numbers, got dtype {array.dtype}")
    values = table(_checked(np.ascontiguousarray(array, dtype=np.float64).reshape(-1))).reshape(array.shape)
    return values if array.ndim or isinstance(rho, np.ndarray) else float(values)


def _checked(rho: FloatArray) -> FloatArray:
    low, high = (rho.min(), rho.max()) if rho.size else (0.0, 0.0)
    if -1.0 <= low and high <= 1.0:
        return rho
    if -1.0 - _ROUNDING <= low and high <= 1.0 + _ROUNDING:
        return np.clip(rho, -1.0, 1.0)
    wrong = np.count_nonzero(np.isnan(rho))
    got = f"{wrong} NaN" if wrong else repr(float(low if low < -1.0 else high))
    raise ValueError(f"rho must be cosines in [-1, 1], got {got}")
