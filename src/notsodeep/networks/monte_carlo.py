"""Kernels of finite networks as a Monte Carlo estimate: mean over initialisations, errors, bias and chance apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch

from notsodeep.checks import FloatArray, choice, integer, table
from notsodeep.kernels.api import ck, ntk
from notsodeep.kernels.distance import spectral_norm
from notsodeep.networks.base import PRECISIONS, FiniteNetwork
from notsodeep.networks.empirical import empirical_ck, empirical_ntk
from notsodeep.spec import Spec, trainable_weights

KERNELS = ("ck", "ntk")


@dataclass(frozen=True)
class KernelError:
    """Relative errors ``|drawn - exact| / |exact|`` in one norm."""

    single: float
    """Of the kernel of one network, in the mean over the draws"""
    single_error: float
    """Standard error of ``single``"""
    mean: float
    """Of the mean kernel over the draws"""
    chance: float
    """What ``mean`` would be by chance alone: one that is much larger is a bias, of finite width for instance"""


@dataclass(frozen=True)
class SampledKernel:
    """Kernel of a network of finite width, over initialisations."""

    mean: FloatArray = field(repr=False)
    """Shape ``(n, n')``"""
    standard_error: FloatArray = field(repr=False)
    """Of each entry of ``mean``"""
    draws: int
    width: int
    spectral: KernelError
    """In the spectral norm"""
    frobenius: KernelError
    """In the Frobenius norm"""


def sampled_kernel(
    spec: Spec,
    X: Any,
    width: int,
    Y: Any = None,
    *,
    kernel: str = "ck",
    trainable: str | Iterable[str] = "all",
    exact: Any = None,
    draws: int = 10,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> SampledKernel:
    """Draw networks of one spec and return the mean of their kernels with its errors.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model.
    X : torch.Tensor or array_like
        Samples ``(n, p)``. The networks are on the device of a tensor.
    width : int
        Of the networks.
    Y : torch.Tensor or array_like, optional
        Other samples ``(n', p)``; ``X`` when not given.
    kernel : {"ck", "ntk"}
        Which kernel (:func:`empirical_ck`, :func:`empirical_ntk`).
    trainable : "all" or names
        Trained weights of the NTK.
    exact : array_like, optional
        Kernel ``(n, n')`` that errors are taken from; that of the spec at infinite width when not given.
    draws : int
        Number of networks (>= 2).
    seed : int
        Draw k has a seed of its own, made of ``seed`` and k alone: more draws begin with the same networks.
    dtype : torch.dtype
        Precision of the networks; the statistics are in float64.
    **options
        Of the networks, as the constructor of their class takes them.

    Returns
    -------
    SampledKernel
        NumPy arrays, whatever ``X`` is.

    Raises
    ------
    ValueError
        When an argument is illegal.
    ConvergenceError
        When a network or the exact kernel does not reach its equilibrium.

    Notes
    -----
    Mean and variance are updated draw by draw, so a handful of matrices is held for any number of draws. Chance is the
    root of the summed variances of the entries of ``mean`` in the Frobenius norm; in the spectral norm it is that of
    the difference of the means of two halves of the draws, which has the same covariance and no bias.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.networks import sampled_kernel
    >>> from notsodeep.spec import DEQ
    >>> found = sampled_kernel(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), np.eye(3), width=100, draws=4)
    >>> found.mean.shape, found.frobenius.mean < found.frobenius.single < 0.3
    ((3, 3), True)
    """
    choice("kernel", kernel, KERNELS)
    chosen = trainable_weights(spec, trainable)
    draws = integer("draws", draws, low=2)
    seed = integer("seed", seed, low=0)
    if dtype not in PRECISIONS:
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype!r}")
    samples = X if isinstance(X, torch.Tensor) else np.asarray(X)
    table("X", samples)
    networks = _networks(spec, samples, width, dtype, (_seed(seed, k) for k in range(draws)), options)
    networks = chain((next(networks),), networks)  # illegal options are refused before the exact kernel is worked on
    wanted = _exact(spec, samples, Y, kernel, chosen, exact)
    halves, errors = (_Moments(wanted.shape), _Moments(wanted.shape)), []
    for k, net in enumerate(networks):
        drawn = empirical_ck(net, samples, Y) if kernel == "ck" else empirical_ntk(net, samples, Y, chosen)
        values = _float64(drawn)
        halves[k % 2].add(values)
        errors.append(_norms(values - wanted, Y is None))
    return _summary(halves, np.array(errors), wanted, Y is None, int(width))


def _networks(
    spec: Spec, X: Any, width: int, dtype: torch.dtype, seeds: Iterable[int], options: dict[str, Any]
) -> Iterator[FiniteNetwork]:
    device = X.device if isinstance(X, torch.Tensor) else "cpu"
    for seed in seeds:
        yield spec.to_torch(X.shape[1], width, seed=seed, **options).to(device, dtype)


def _seed(seed: int, k: int) -> int:
    """Return the seed of draw ``k``, of 32 bits."""
    return int(np.random.SeedSequence([seed, k]).generate_state(1)[0])


def _exact(spec: Spec, X: Any, Y: Any, kernel: str, chosen: frozenset[str], given: Any) -> FloatArray:
    if given is None:
        return _float64(ck(spec, X, Y) if kernel == "ck" else ntk(spec, X, Y, chosen))
    wanted, shape = _float64(given), (len(X), len(X if Y is None else Y))
    if wanted.shape != shape or not np.isfinite(wanted).all() or not wanted.any():
        raise ValueError(f"exact must be a finite kernel of shape {shape} that is not zero, got {given!r}")
    return wanted


def _float64(matrix: Any) -> FloatArray:
    return np.asarray(matrix.detach().cpu() if isinstance(matrix, torch.Tensor) else matrix, dtype=np.float64)


class _Moments:
    """Mean and squared deviations of matrices that come one after the other (Welford)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n, self.mean, self.squares = 0, np.zeros(shape), np.zeros(shape)

    def add(self, matrix: FloatArray) -> None:
        self.n += 1
        gap = matrix - self.mean
        self.mean += gap / self.n
        self.squares += gap * (matrix - self.mean)


def _norms(matrix: FloatArray, symmetric: bool) -> FloatArray:
    """Return the spectral and the Frobenius norm."""
    spectral = spectral_norm(matrix) if symmetric else np.linalg.norm(matrix, 2)
    return np.array([spectral, np.linalg.norm(matrix)])


def _summary(
    halves: tuple[_Moments, _Moments], errors: FloatArray, wanted: FloatArray, symmetric: bool, width: int
) -> SampledKernel:
    a, b = halves
    draws, gap = a.n + b.n, b.mean - a.mean
    mean = a.mean + gap * (b.n / draws)
    squares = a.squares + b.squares + gap**2 * (a.n * b.n / draws)
    standard_error = np.sqrt(squares / (draws - 1) / draws)
    noise = gap * (math.sqrt(a.n * b.n) / draws)  # variance of each entry: that of the mean
    scale = _norms(wanted, symmetric)
    of_mean, (spectral, _) = _norms(mean - wanted, symmetric) / scale, _norms(noise, symmetric) / scale
    chance = spectral, float(np.linalg.norm(standard_error)) / scale[1]
    single, spread = errors.mean(axis=0) / scale, errors.std(axis=0, ddof=1) / math.sqrt(draws) / scale
    found = (KernelError(*map(float, each)) for each in zip(single, spread, of_mean, chance, strict=True))
    return SampledKernel(mean, standard_error, draws, width, *found)
