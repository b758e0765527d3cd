"""Gaussian mixtures: the data model of the theory, and samples from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray, choice, integer
from notsodeep.data import covariances as forms
from notsodeep.data.dataset import Dataset
from notsodeep.data.fitting import LEDOIT_WOLF, fitted_covariances
from notsodeep.data.groups import Groups, compact_samples
from notsodeep.data.partition import by_label
from notsodeep.data.seeds import generator

_FORMS = {1: "isotropic", 2: "diagonal", 3: "full"}


@dataclass(frozen=True, eq=False, repr=False)
class GaussianMixture:
    """Mixture of K Gaussian classes, ``x ~ N(mu_a / sqrt(p), C_a / p)`` for a sample of class a.

    Parameters
    ----------
    means : array (K, p)
        ``mu_a``, before the division by ``sqrt(p)``.
    covariances : array (K, p, p), (K, p), (K,) or one number
        ``C_a``, before the division by ``p``: full matrices, diagonals, or multiples of the identity.
        They stay in the form given: diagonals are never made dense.
    weights : array (K,), optional
        Class proportions, positive, of sum 1. Equal when not given.

    Raises
    ------
    ValueError
        When an array has a wrong shape or is not finite, a covariance is not symmetric positive
        semidefinite (up to rounding), all of them are zero, or the weights are no proportions.

    Notes
    -----
    Source: arXiv:2402.02697, the high-dimensional Gaussian mixture assumption.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> gm = nsd.GaussianMixture(means=[[1.0, 0.0], [-1.0, 0.0]], covariances=[1.0, 2.0])
    >>> gm.trace(1), gm.trace_product(0, 1)
    (4.0, 4.0)
    """

    means: FloatArray
    covariances: FloatArray
    weights: FloatArray = None  # type: ignore[assignment]  # equal weights are filled in below

    def __post_init__(self) -> None:
        means = _means(self.means)
        n_classes, p = means.shape
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "covariances", forms.normalise(self.covariances, n_classes, p))
        object.__setattr__(self, "weights", _weights(self.weights, n_classes))
        if not self.covariances.any():
            raise ValueError("covariances must not all be zero: the samples would have no noise to scale by")

    def __repr__(self) -> str:
        return f"GaussianMixture(n_classes={self.n_classes}, p={self.p}, {_FORMS[self.covariances.ndim]} covariances)"

    @classmethod
    def paper(cls, p: int) -> GaussianMixture:
        """Return the two-class mixture of arXiv:2402.02697.

        ``mu_a = 8 e_{8a}`` and ``C_a = (1 + 8 a / sqrt(p)) I`` for ``a = 0, 1``, coordinates counted from 0.

        Raises
        ------
        ValueError
            When ``p < 9``: there is no coordinate 8.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> nsd.GaussianMixture.paper(400)
        GaussianMixture(n_classes=2, p=400, isotropic covariances)
        """
        p = integer("p", p, low=9)
        means = np.zeros((2, p))
        means[0, 0] = means[1, 8] = 8.0
        return cls(means, np.array([1.0, 1.0 + 8.0 / math.sqrt(p)]))

    @classmethod
    def from_data(cls, X: Any, y: Any = None, shrinkage: str | None = LEDOIT_WOLF) -> GaussianMixture:
        """Return the mixture fitted to scaled samples ``X``: their class means, covariances and shares.

        ``mu_a = sqrt(p) xbar_a``, ``C_a = p S_a``, so that :meth:`sample` draws on the scale of ``X``. ``S_a`` is the
        unbiased covariance, or shrunk: ``(1 - s) S_a + s (tr S_a / p) I`` with the intensity ``s`` of Ledoit and
        Wolf. Shrinkage keeps ``tr C_a``.

        Parameters
        ----------
        X : array (n, p)
            Scaled samples.
        y : array (n,), optional
            Labels, integers or strings; at least 2 samples a class. Class a of the mixture is the a-th label in
            sorted order. Without labels there is one class.
        shrinkage : str or None
            ``"ledoit-wolf"`` or ``None`` for the unbiased sample covariance.

        Raises
        ------
        ValueError
            When shapes disagree, samples are not finite or all zero, a class has fewer than 2 samples, no class
            has any spread, or ``shrinkage`` is unknown.

        Notes
        -----
        The sample covariance misleads unless ``n_a`` is much larger than p: its eigenvalues spread (those of the
        identity over ``(1 - sqrt(p/n_a))^2 .. (1 + sqrt(p/n_a))^2``), ``p - n_a + 1`` of them are 0 if ``n_a <= p``,
        and ``tr(C_a^2)`` is too large by about ``(tr C_a)^2 / n_a``. Shrinkage removes most of that, yet it leaves
        the eigenvectors as they are and has a bias of its own. Means keep their noise in either case: ``|mu_a|^2``
        is too large by ``tr C_a / n_a``. For the traces alone, :meth:`notsodeep.Statistics.from_data` has no bias.

        Memory K p^2, as the mixture holds full covariances. Source: Ledoit and Wolf, Journal of Multivariate
        Analysis 88 (2004), 365-411.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> nsd.GaussianMixture.from_data(*nsd.load_dataset("digits", classes=(6, 8)))
        GaussianMixture(n_classes=2, p=64, full covariances)
        """
        if shrinkage is not None:
            choice("shrinkage", shrinkage, (LEDOIT_WOLF,))
        X = compact_samples("X", X, at_least=2)
        n, p = X.shape
        groups = Groups.about_means(X, by_label(y, n, 2, "have a covariance").index)
        return cls(math.sqrt(p) * groups.means, p * fitted_covariances(groups, shrinkage), groups.counts / n)

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return len(self.means)

    @property
    def p(self) -> int:
        """Dimension of a sample."""
        return int(self.means.shape[1])

    def covariance(self, a: int) -> FloatArray:
        """Return ``C_a`` of class ``a`` as a dense ``(p, p)`` matrix."""
        c = self.covariances[self._class(a)]
        return c.copy() if c.ndim == 2 else np.diag(np.broadcast_to(c, self.p))

    def trace(self, a: int) -> float:
        """Return ``tr C_a``."""
        return forms.trace(np.asarray(self.covariances[self._class(a)]), self.p)

    def trace_product(self, a: int, b: int) -> float:
        """Return ``tr(C_a C_b)``, a true matrix trace, in O(p) for diagonals and O(p^2) for full matrices."""
        one, other = (np.asarray(self.covariances[self._class(i)]) for i in (a, b))
        return forms.trace_product(one, other, self.p)

    def counts(self, n: int) -> NDArray[np.int64]:
        """Return how many of ``n`` samples :meth:`sample` draws from each class, ``(K,)``."""
        return _counts(integer("n", n, low=1), self.weights)

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> Dataset:
        """Draw ``n`` labelled samples, scaled as the theory has them.

        Parameters
        ----------
        n : int
            Number of samples (>= 1).
        seed : int or numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        Dataset
            ``X (n, p)`` with rows ``mu_a / sqrt(p) + C_a^{1/2} g / sqrt(p)``, ``y`` in ``0..K-1``.

        Raises
        ------
        ValueError
            When ``n`` or ``seed`` is illegal.

        Notes
        -----
        The class counts are not random: ``n * weights`` is rounded to integers of sum ``n`` by the
        largest remainder (ties go to the lower class), then the labels are shuffled. A class whose
        share is below one sample may stay empty.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> X, y = nsd.GaussianMixture.paper(100).sample(50, seed=1)
        >>> X.shape, int((y == 1).sum())
        ((50, 100), 25)
        """
        n = integer("n", n, low=1)
        rng = generator(seed)
        y = rng.permutation(np.repeat(np.arange(self.n_classes), self.counts(n)))
        X = rng.standard_normal((n, self.p))
        for a in range(self.n_classes):
            rows = np.flatnonzero(y == a)
            X[rows] = self.means[a] + forms.color(X[rows], np.asarray(self.covariances[a]))
        X /= math.sqrt(self.p)
        return Dataset(X, y, name="mixture", classes=tuple(range(self.n_classes)))

    def _class(self, a: int) -> int:
        a = integer("class", a, low=0)
        if a >= self.n_classes:
            raise ValueError(f"class must be in 0..{self.n_classes - 1}, got {a}")
        return a


def _means(value: Any) -> FloatArray:
    try:
        means = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("means must be an array of numbers of shape (K, p)") from None
    if means.ndim != 2 or 0 in means.shape:
        raise ValueError(f"means must have shape (K, p) with K, p >= 1, got {means.shape}")
    if not np.isfinite(means).all():
        raise ValueError("means has NaN or infinite values")
    return means


def _weights(value: Any, n_classes: int) -> FloatArray:
    if value is None:
        return np.full(n_classes, 1.0 / n_classes)
    try:
        weights = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"weights must be {n_classes} numbers, got {value!r}") from None
    if weights.shape != (n_classes,):
        raise ValueError(f"weights must have shape ({n_classes},), one a class, got {weights.shape}")
    if not (weights > 0.0).all() or not math.isclose(weights.sum(), 1.0, abs_tol=1e-9):
        raise ValueError(f"weights must be positive numbers of sum 1, got {weights.tolist()}")
    return np.asarray(weights / weights.sum())


def _counts(n: int, weights: FloatArray) -> NDArray[np.int64]:
    quota = n * weights
    counts = np.floor(quota + 1e-9).astype(np.int64)
    last = np.argsort(counts - quota, kind="stable")[: n - counts.sum()]
    counts[last] += 1
    return counts
