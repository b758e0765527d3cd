"""What the theory needs to know about the data: scale, class traces, norm fluctuations, class indicator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray, labels, samples
from notsodeep.data.mixture import GaussianMixture
from notsodeep.data.traces import trace_products, trace_square

LEAST = 4
"""Samples of a class that :meth:`Statistics.from_data` needs."""


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
    psi: FloatArray
    """``psi_i = |x_i - mu_a / sqrt(p)|^2 - tr C_a / p``, shape ``(n,)``"""
    J: FloatArray
    """Class indicator: ``J_ia = 1`` when sample i is of class a, else 0; shape ``(n, K)``"""
    classes: tuple[Any, ...]
    """Labels in the order of the columns of ``J``"""
    p: int
    """Dimension of a sample"""

    def __repr__(self) -> str:
        return f"Statistics(n={self.n}, p={self.p}, classes={self.classes}, tau0={self.tau0:.6g})"

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
        X = samples("X", X)
        if X.shape[1] != gm.p:
            raise ValueError(f"X must have p = {gm.p} features as the mixture, got {X.shape[1]}")
        index = _mixture_labels(labels("y", y, len(X)), gm.n_classes)
        every = range(gm.n_classes)
        J = np.eye(gm.n_classes)[index]
        traces = np.array([gm.trace(a) for a in every])
        common = float(J.mean(axis=0) @ traces)
        squares = np.empty(len(X))
        for a in every:
            squares[index == a] = _squared_norms(X[index == a] - gm.means[a] / math.sqrt(gm.p))
        return cls(
            tau0=math.sqrt(common / gm.p),
            within_tau0=math.sqrt(common / gm.p),
            t=(traces - common) / math.sqrt(gm.p),
            T=np.array([[gm.trace_product(a, b) for b in every] for a in every]) / gm.p,
            psi=squares - traces[index] / gm.p,
            J=J,
            classes=tuple(every),
            p=gm.p,
        )

    @classmethod
    def from_data(cls, X: Any, y: Any) -> Statistics:
        """Return estimates from scaled samples ``X`` with labels ``y``.

        ``tr C_a / p`` is the trace of the unbiased covariance of class a; ``T_ab`` is unbiased for every
        distribution, on the diagonal too (:func:`notsodeep.data.traces.trace_square`); ``psi`` allows for
        the class mean being estimated from the same samples: it sums to 0 in each class.

        Parameters
        ----------
        X : array (n, p)
            Scaled samples, such as :func:`notsodeep.load_dataset` returns.
        y : array (n,)
            Labels, integers or strings; at least 4 samples a class.

        Raises
        ------
        ValueError
            When shapes disagree, samples are not finite or all zero, or a class has fewer than 4 samples.

        Notes
        -----
        Cost O(n p min(n, p)), memory that of ``X``. A diagonal entry of ``T`` may come out negative where
        a class has few samples and many comparable directions: that is the price of no bias.

        Examples
        --------
        >>> import notsodeep as nsd
        >>> st = nsd.Statistics.from_data(*nsd.load_dataset("digits", classes=(6, 8)))
        >>> round(st.tau0, 6), st.T.shape
        (1.0, (2, 2))
        """
        X = samples("X", X)
        n, p = X.shape
        classes, index = np.unique(labels("y", y, n), return_inverse=True)
        counts = np.bincount(index)
        _check_counts(classes.tolist(), counts)
        order = np.argsort(index, kind="stable")
        groups = np.split(X[order], np.cumsum(counts)[:-1])
        for group in groups:
            group -= group.mean(axis=0)
        squares = np.empty(n)
        squares[order] = np.concatenate([_squared_norms(group) for group in groups])
        traces = np.bincount(index, squares) / (counts - 1)
        within = float(counts @ traces) / n
        T = p * trace_products(groups)
        plug_in = np.diag(T) / p
        np.fill_diagonal(T, p * trace_square(counts, plug_in, traces, np.bincount(index, squares**2)))
        return cls(
            tau0=math.sqrt(float(np.vdot(X, X)) / n),
            within_tau0=math.sqrt(within),
            t=math.sqrt(p) * (traces - within),
            T=T,
            psi=squares * (counts / (counts - 1))[index] - traces[index],
            J=np.eye(len(classes))[index],
            classes=tuple(classes.tolist()),
            p=p,
        )


def _squared_norms(X: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", X, X))


def _mixture_labels(y: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    strange = [value for value in np.unique(y).tolist() if value not in range(n_classes)]
    if strange:
        raise ValueError(f"y must hold labels in 0..{n_classes - 1}, the classes of the mixture, got {strange[0]!r}")
    return y.astype(np.int64)


def _check_counts(classes: list[Any], counts: NDArray[np.int64]) -> None:
    few = np.flatnonzero(counts < LEAST)
    if few.size:
        a = int(few[0])
        raise ValueError(
            f"y must have at least {LEAST} samples of each class to estimate tr(C_a^2), "
            f"class {classes[a]!r} has {counts[a]}"
        )
