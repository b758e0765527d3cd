"""What the theory needs to know about the data: scale, class traces, norms, cosines, class indicator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray, labels
from notsodeep.data.geometry import cosine_range, squared_norms
from notsodeep.data.groups import Groups, compact_samples
from notsodeep.data.mixture import GaussianMixture
from notsodeep.data.partition import Partition, by_cluster, by_label
from notsodeep.data.traces import trace_products, trace_square

LEAST = 4
"""Samples of a class that :meth:`Statistics.from_data` needs."""
_PURPOSE = "estimate tr(C_a^2)"


@dataclass(frozen=True, eq=False, repr=False)
class Statistics:
    """Statistics of n samples of dimension p in K classes, ``x ~ N(mu_a / sqrt(p), C_a / p)`` in class a.

    With ``C0 = sum_a (n_a / n) C_a``. Made by :meth:`from_mixture` (population values) or :meth:`from_data`
    (unbiased estimates).

    Notes
    -----
    Source: arXiv:2402.02697, the definitions before Theorem 1. ``T`` is a true matrix trace of products of
    uncentred covariances.
    """

    tau0: float
    """Scale of the samples: ``sqrt(tr C0 / p)`` of a mixture, ``sqrt(mean |x|^2)`` of data"""
    within_tau0: float
    """``sqrt(tr C0 / p)``: the scale without the class means"""
    t: FloatArray
    """``t_a = tr(C_a - C0) / sqrt(p)``, shape ``(K,)``"""
    T: FloatArray
    """``T_ab = tr(C_a C_b) / p``, shape ``(K, K)``"""
    mean_products: FloatArray
    """``mu_a . mu_b / p``, inner products of the class means in the unit of ``|x|^2``, shape ``(K, K)``"""
    psi: FloatArray
    """``psi_i = |x_i - mu_a / sqrt(p)|^2 - tr C_a / p``, shape ``(n,)``"""
    squared_norms: FloatArray
    """``|x_i|^2``, shape ``(n,)``"""
    cosines: tuple[float, float]
    """0.5 % and 99.5 % quantiles of ``x_i . x_j / (|x_i| |x_j|)``, ``i != j``, over 1000 samples at most, evenly
    spaced in ``X``; NaN for a single sample"""
    J: FloatArray
    """Class indicator: ``J_ia = 1`` when sample i is of class a, else 0; shape ``(n, K)``"""
    classes: tuple[Any, ...]
    """Labels in the order of the columns of ``J``"""
    p: int
    """Dimension of a sample"""
    source: str
    """Where the numbers come from: ``"population"`` of a mixture, or samples divided by ``"labels"``, into
    ``"one class"`` or by, say, ``"k-means, 3 clusters"``"""

    def __repr__(self) -> str:
        return (
            f"Statistics(n={self.n}, p={self.p}, classes={self.classes}, tau0={self.tau0:.6g}, source={self.source!r})"
        )

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.psi)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples in each class, shape ``(K,)``."""
        return np.asarray(self.J.sum(axis=0), dtype=np.int64)

    @classmethod
    def from_mixture(cls, gm: GaussianMixture, X: Any, y: Any) -> Statistics:
        """Return the population values of ``gm`` at the samples ``X`` with labels ``y``.

        The class proportions are those of the sample, ``n_a / n``. A class may be empty.

        Parameters
        ----------
        gm : GaussianMixture
            Where the samples come from.
        X : array (n, p)
            Samples.
        y : array (n,)
            Labels in ``0..K-1``.

        Raises
        ------
        ValueError
            When ``gm`` is no mixture, shapes disagree, or a label is no class of ``gm``.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> gm = nsd.GaussianMixture.paper(400)
        >>> st = nsd.Statistics.from_mixture(gm, *gm.sample(300, seed=0))
        >>> st.t.round(12).tolist()
        [-4.0, 4.0]
        """
        if not isinstance(gm, GaussianMixture):
            raise ValueError(f"gm must be a GaussianMixture, got {type(gm).__name__}")
        X = compact_samples("X", X)
        if X.shape[1] != gm.p:
            raise ValueError(f"X must have p = {gm.p} features as the mixture, got {X.shape[1]}")
        index = _mixture_labels(labels("y", y, len(X)), gm.n_classes)
        every = range(gm.n_classes)
        J = np.eye(gm.n_classes)[index]
        traces = np.array([gm.trace(a) for a in every])
        norms = squared_norms(X)
        common = float(J.mean(axis=0) @ traces)
        return cls(
            tau0=math.sqrt(common / gm.p),
            within_tau0=math.sqrt(common / gm.p),
            t=(traces - common) / math.sqrt(gm.p),
            T=np.array([[gm.trace_product(a, b) for b in every] for a in every]) / gm.p,
            mean_products=gm.means @ gm.means.T / gm.p,
            squared_norms=norms,
            cosines=cosine_range(X, norms),
            psi=Groups.about(X, index, gm.means / math.sqrt(gm.p)).squared_norms() - traces[index] / gm.p,
            J=J,
            classes=tuple(every),
            p=gm.p,
            source="population",
        )

    @classmethod
    def from_data(
        cls, X: Any, y: Any = None, clusters: int | None = None, seed: int | np.random.Generator = 0
    ) -> Statistics:
        """Return estimates from scaled samples ``X``, divided into classes by labels, by clustering or not at all.

        ``tr C_a / p`` is the trace of the unbiased covariance of class a; ``T_ab`` is unbiased for every
        distribution, on the diagonal too (:func:`notsodeep.data.traces.trace_square`); so is ``mean_products``,
        ``xbar_a . xbar_b`` less the noise ``tr C_a / (p n_a)`` of the mean on its diagonal; ``psi`` allows for
        the class mean being estimated from the same samples: it sums to 0 in each class.

        Parameters
        ----------
        X : array (n, p)
            Scaled samples, such as :func:`notsodeep.load_dataset` returns.
        y : array (n,), optional
            Labels, integers or strings; at least 4 samples a class. Without them all samples are one class.
        clusters : int, optional
            Find so many classes (>= 2) by k-means instead; class 0 is the largest. The centres are fitted to
            10 000 samples at most, drawn at random.
        seed : int or numpy.random.Generator
            Source of the randomness of k-means.

        Raises
        ------
        ValueError
            When shapes disagree, samples are not finite or all zero, both ``y`` and ``clusters`` are given, or a
            class has fewer than 4 samples.

        Notes
        -----
        Cost O(n p min(n, p)); memory a few blocks of 64 MiB beside ``X``, which may be in single precision. A
        diagonal entry of ``T`` or ``mean_products`` may come out negative where it is small against the noise of
        a class of few samples: that is the price of no bias.

        Clusters are cut out of the very samples that are then averaged, so nothing is unbiased for them: k-means
        pulls the means apart and narrows the classes, also where there is only one. One isotropic Gaussian cut
        in two has ``mean_products`` of ``2 / (pi p)`` of ``|x|^2`` for many samples, and about twice that for n = p.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> X, y = nsd.load_dataset("digits", classes=(6, 8))
        >>> st = nsd.Statistics.from_data(X, y)
        >>> round(st.tau0, 6), st.T.shape
        (1.0, (2, 2))
        >>> nsd.Statistics.from_data(X, clusters=2)
        Statistics(n=284, p=64, classes=(0, 1), tau0=1, source='k-means, 2 clusters')
        """
        X = compact_samples("X", X, at_least=LEAST)
        return cls._estimated(X, _partition(X, y, clusters, seed))

    @classmethod
    def _estimated(cls, X: NDArray[np.floating[Any]], partition: Partition) -> Statistics:
        n, p = X.shape
        index = partition.index
        groups = Groups.about_means(X, index)
        counts, squares = groups.counts, groups.squared_norms()
        traces = np.bincount(index, squares) / (counts - 1)
        norms = squared_norms(X)
        within = float(counts @ traces) / n
        T, means = p * trace_products(groups), groups.means @ groups.means.T
        np.fill_diagonal(T, p * trace_square(counts, np.diag(T) / p, traces, np.bincount(index, squares**2)))
        return cls(
            tau0=math.sqrt((float(squares.sum()) + float(counts @ np.diag(means))) / n),
            within_tau0=math.sqrt(within),
            t=math.sqrt(p) * (traces - within),
            T=T,
            mean_products=means - np.diag(traces / counts),
            squared_norms=norms,
            cosines=cosine_range(X, norms),
            psi=squares * (counts / (counts - 1))[index] - traces[index],
            J=np.eye(len(counts))[index],
            classes=partition.classes,
            p=p,
            source=partition.source,
        )


def _partition(
    X: NDArray[np.floating[Any]], y: Any, clusters: int | None, seed: int | np.random.Generator
) -> Partition:
    if clusters is None:
        return by_label(y, len(X), LEAST, _PURPOSE)
    if y is not None:
        raise ValueError(f"y and clusters = {clusters!r} exclude each other: give labels, or have classes found")
    return by_cluster(X, clusters, seed, LEAST, _PURPOSE)


def _mixture_labels(y: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    strange = [value for value in np.unique(y).tolist() if value not in range(n_classes)]
    if strange:
        raise ValueError(f"y must hold labels in 0..{n_classes - 1}, the classes of the mixture, got {strange[0]!r}")
    return y.astype(np.int64)
