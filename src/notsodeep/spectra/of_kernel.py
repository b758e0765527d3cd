"""The spectrum of a kernel on a mixture: the class model that the kernel matrix behaves like, and its limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from notsodeep.checks import FloatArray, choice, integer
from notsodeep.data import GaussianMixture
from notsodeep.equivalents import coefficients
from notsodeep.equivalents.assembly import ORDERS
from notsodeep.equivalents.coefficients import KERNELS
from notsodeep.equivalents.pair_series import pair_series
from notsodeep.kernels.diagonal import diagonals_at
from notsodeep.kernels.scalar import warn_if_off_scale
from notsodeep.spec import DEQ, Spec, trainable_weights
from notsodeep.spectra.eigenbasis import in_eigenbasis
from notsodeep.spectra.limit import Spectrum, limiting_spectrum
from notsodeep.spectra.model import ClassModel

PARTS = 6
"""Parts that each class is divided into by the norms of its samples"""
_DIGITS, _ROUNDING = 12, 1e-13  # of a shift and of the root of a variance, relative to the diagonal
_LEAST = 0.05  # of the mean squared norm of a class: no part is taken to have a smaller one


def spectrum(
    spec: Spec,
    gm: GaussianMixture,
    n: int | Sequence[int],
    kernel: str = "ck",
    order: str = "norm-aware",
    trainable: str | Iterable[str] = "all",
) -> Spectrum:
    """Return the spectrum that theory predicts for the kernel matrix of n samples of a mixture.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model; for the paper's form without bias and centred (explicit layers at the scale of the mixture).
    gm : GaussianMixture
        Where the samples come from.
    n : int, or K of them
        Number of samples, in all or of each class.
    kernel : {"ck", "ntk"}
        Which kernel.
    order : {"norm-aware", "paper"}
        Which equivalent the limit is taken of.
    trainable : "all" or names
        Trained weights, for the NTK.

    Returns
    -------
    Spectrum
        ``bulk`` (``pdf``, ``cdf``, ``support``, ``intervals``, ``atoms``) and ``isolated`` eigenvalues with the
        alignment of their eigenvectors with the classes.

    Raises
    ------
    ValueError
        When an argument is illegal.
    ConvergenceError
        When the spectral equations or the expansion of the kernel are out of reach.

    Notes
    -----
    The paper's form has ``alpha1`` times the spectrum of the Gram matrix, shifted. The norm-aware one divides each
    class by the norms of its samples, gives every part its own scale and shift, and adds the fluctuation of
    the quadratic and cubic terms as independent noise: derived in ``docs/spectra.md``. Sources: arXiv:2402.02697
    for the equivalent; Couillet and Liao, Random Matrix Methods for Machine Learning (2022), for mixtures;
    Cheng and Singer, arXiv:1202.3155, for the noise.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> found = nsd.spectrum(nsd.DEQ("tanh", tau0=1.09), nsd.GaussianMixture.paper(1000), 800)
    >>> [round(one.value, 1) for one in found.isolated]
    [8.1, 9.2]
    """
    choice("kernel", kernel, KERNELS)
    choice("order", order, ORDERS)
    trained = trainable_weights(spec, trainable)
    if not isinstance(gm, GaussianMixture):
        raise ValueError(f"gm must be a GaussianMixture, got {type(gm).__name__}")
    counts, gm = _class_counts(n, gm), in_eigenbasis(gm)
    if isinstance(spec, DEQ):
        warn_if_off_scale(spec, float(counts @ norm_moments(gm)[0] / counts.sum()))
    parts = _Parts.of(gm, counts)
    terms = (_paper if order == "paper" else _norm_aware)(spec, gm, counts, parts, kernel, trained)
    return limiting_spectrum(_assemble(gm, parts, terms))


@dataclass(frozen=True)
class _Parts:
    """Parts of the classes, of similar norm: what each of them is."""

    parent: NDArray[np.int64]
    counts: NDArray[np.int64]
    deviation: FloatArray
    """Mean of ``|x|^2 - E |x|^2`` in the part"""
    norms: FloatArray
    """Mean of ``|x|^2`` in the part"""
    relative: FloatArray
    """``norms`` over the mean of the class"""

    @classmethod
    def of(cls, gm: GaussianMixture, counts: NDArray[np.int64]) -> _Parts:
        """Divide each class at quantiles of its norms, which are Gaussian in high dimension."""
        means, variances = norm_moments(gm)
        parent = np.repeat(np.arange(gm.n_classes), PARTS)
        ends = np.round(np.linspace(0.0, 1.0, PARTS + 1) * counts[:, None]).astype(np.int64)
        sizes = np.diff(ends, axis=1)
        density = norm.pdf(norm.ppf(ends / np.maximum(counts, 1)[:, None]))
        xi = -np.diff(density, axis=1) * counts[:, None] / np.maximum(sizes, 1)
        deviation = np.maximum(xi * np.sqrt(variances)[:, None], (_LEAST - 1.0) * means[:, None]).ravel()
        norms = means[parent] + deviation
        return cls(parent, sizes.ravel(), deviation, norms, norms / means[parent])


@dataclass(frozen=True)
class _Terms:
    """What a kernel is on parts a, b: ``constant + linear z_i . z_j + noise`` off the diagonal, ``z`` without mean."""

    scales: FloatArray
    """``d``, with ``linear_ab`` close to ``d_a d_b``"""
    constant: FloatArray
    shifts: FloatArray
    """What the diagonal has beyond that"""
    noise: FloatArray
    """p times the variance of what is left"""
    relative: FloatArray
    """Covariance of a part over that of its class"""


def _paper(
    spec: Spec,
    gm: GaussianMixture,
    counts: NDArray[np.int64],
    parts: _Parts,
    kernel: str,
    trained: frozenset[str],
) -> _Terms:
    """Return ``alpha1 XX' + V C V' + (gamma2 - tau0^2 alpha1) I`` in terms of parts."""
    own = spec.tau0 if isinstance(spec, DEQ) else None
    means, _ = norm_moments(gm)
    tau0 = own or float(np.sqrt(counts @ means / counts.sum()))
    a1, a2, a3, diagonal = coefficients(spec, kernel, trainable=trained, tau0=None if own else tau0).numbers
    traces = np.array([gm.trace(a) for a in range(gm.n_classes)]) / gm.p
    norms = (traces - counts @ traces / counts.sum())[parts.parent] + parts.deviation
    products = gm.means @ gm.means.T / gm.p
    every = np.ones(len(parts.parent))
    return _Terms(
        scales=np.sqrt(a1) * every,
        constant=a2 * np.outer(norms, norms) + _between(parts, a3 * noise_squares(gm) + a1 * products),
        shifts=(diagonal - tau0**2 * a1) * every,
        noise=0.0 * np.outer(every, every),
        relative=every,
    )


def _norm_aware(
    spec: Spec,
    gm: GaussianMixture,
    counts: NDArray[np.int64],
    parts: _Parts,
    kernel: str,
    trained: frozenset[str],
) -> _Terms:
    """Return the kernel's power series in ``x . y = m + z``, m being the product of means, in terms of parts."""
    which = KERNELS.index(kernel)
    k0, k1, k2, k3 = pair_series(spec, parts.norms, trained)[which]
    squares = _between(parts, noise_squares(gm)) * np.outer(parts.relative, parts.relative)
    products = _between(parts, gm.means @ gm.means.T / gm.p)
    carried = _between(parts, carried_squares(gm) + carried_squares(gm).T)
    linear = k1 + 2.0 * k2 * products + 3.0 * k3 * (products**2 + squares)
    constant = k0 + k1 * products + k2 * (products**2 + squares + carried)
    scales = _rank_one(linear, parts.counts / parts.counts.sum())
    own = parts.norms - np.diag(products)
    itself = diagonals_at(spec, parts.norms, trained)[which]
    shifts = itself - np.diag(constant) - scales**2 * own
    rest = (linear - np.outer(scales, scales)) ** 2 * squares
    noise = rest + 2.0 * (k2 * squares) ** 2 + 6.0 * k3**2 * squares**3
    size = float(itself.max())
    return _Terms(
        scales=scales,
        constant=constant,
        shifts=np.round(shifts / size, _DIGITS) * size,  # equal ones make atoms, which rounding must not spoil
        noise=gm.p * np.where(noise > (_ROUNDING * size) ** 2, noise, 0.0),
        relative=parts.relative,
    )


def _assemble(gm: GaussianMixture, parts: _Parts, terms: _Terms) -> ClassModel:
    k = len(parts.parent)
    core = np.zeros((2 * k + 1, 2 * k + 1))
    core[:k, :k] = gm.p * terms.constant
    core[:k, k:-1] = core[k:-1, :k] = np.eye(k)
    widths = (terms.scales**2 * terms.relative).reshape(-1, *(1,) * (gm.covariances.ndim - 1))
    return ClassModel(
        counts=parts.counts,
        p=gm.p,
        covariances=widths * gm.covariances[parts.parent],
        means=terms.scales[:, None] * gm.means[parts.parent],
        shifts=terms.shifts,
        core=core,
        groups=parts.parent,
        noise=terms.noise,
    )


def _between(parts: _Parts, matrix: FloatArray) -> FloatArray:
    return matrix[np.ix_(parts.parent, parts.parent)]


def _rank_one(linear: FloatArray, shares: FloatArray) -> FloatArray:
    """Return ``d (K,)`` with ``d_a d_b`` close to ``linear_ab``, weighted by the shares of the parts."""
    roots = np.sqrt(shares)
    values, vectors = np.linalg.eigh(roots[:, None] * linear * roots)
    if not values[-1] > 0.0:
        return np.zeros(len(linear))
    return np.asarray(linear @ (roots * vectors[:, -1]) / values[-1] ** 0.5)


def norm_moments(gm: GaussianMixture) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of ``|x|^2`` in each class."""
    every = range(gm.n_classes)
    means = np.array([gm.trace(a) + gm.means[a] @ gm.means[a] for a in every]) / gm.p
    return means, 2.0 * np.diag(noise_squares(gm)) + 4.0 * np.diag(carried_squares(gm))


def noise_squares(gm: GaussianMixture) -> FloatArray:
    """Return ``E (z . z')^2 = tr(C_a C_b) / p^2`` of noise of two classes."""
    every = range(gm.n_classes)
    return np.array([[gm.trace_product(a, b) for b in every] for a in every]) / gm.p**2


def carried_squares(gm: GaussianMixture) -> FloatArray:
    """Return ``E (mu_a . z)^2 / p = mu_a' C_b mu_a / p^2``."""
    out = np.empty((gm.n_classes, gm.n_classes))
    for b, c in enumerate(gm.covariances):
        spread = gm.means @ c if np.ndim(c) == 2 else gm.means * c
        out[:, b] = np.einsum("ij,ij->i", spread, gm.means) / gm.p**2
    return out


def _class_counts(n: Any, gm: GaussianMixture) -> NDArray[np.int64]:
    if np.ndim(n) == 0:
        return gm.counts(integer("n", n, low=2))
    counts = np.asarray(n)
    if counts.shape != (gm.n_classes,) or counts.dtype.kind not in "iu" or (counts < 0).any() or counts.sum() < 2:
        raise ValueError(f"n must be an integer >= 2 or {gm.n_classes} of them, one a class, got {n!r}")
    return counts.astype(np.int64)
