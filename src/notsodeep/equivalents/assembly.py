"""The random-matrix equivalents of a kernel matrix: the paper's form, and the norm-aware one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import FloatArray, choice, samples
from notsodeep.data import Statistics
from notsodeep.equivalents.coefficients import KERNELS, coefficients
from notsodeep.equivalents.norm_aware import norm_aware
from notsodeep.equivalents.operator import EquivalentOperator
from notsodeep.kernels.scalar import warn_if_off_scale
from notsodeep.spec import DEQ, Spec, trainable_weights

ORDERS = ("paper", "norm-aware")
QUADRATICS = ("projected", "exact")


def equivalent(
    spec: Spec,
    X: Any,
    stats: Statistics | None = None,
    kernel: str = "ck",
    order: str = "paper",
    trainable: str | Iterable[str] = "all",
    tau0: float | None = None,
    quadratic: str = "projected",
) -> EquivalentOperator:
    """Return the high-dimensional equivalent of a kernel matrix on data from a mixture.

    ``order="paper"``, with ``V = [J / sqrt(p), psi]`` and the coefficients of :func:`~notsodeep.coefficients`::

        Gbar = alpha1 X X' + V C V' + (gamma2 - tau0^2 alpha1) I,
        C = [[alpha2 t t' + alpha3 T, alpha2 t], [alpha2 t', alpha2]]

    and ``Kbar`` of the same form with ``(beta1, beta2, beta3, kappa2)``.

    ``order="norm-aware"``, with ``k_0, k_1, k_2`` the coefficients of the kernel as a power series in ``x . y``,
    which depend on the norms of both samples::

        Gbar_ij = k_0(i, j) + k_1(i, j) x_i . x_j + k_2(i, j) Q_ij    (i != j),    Gbar_ii = G_ii

    ``Q`` stands for ``(x_i . x_j)^2``. Each ``k`` is a sum of few products of functions of one norm, so that the matrix
    stays a sum of scaled Gram matrices, a low-rank matrix and a diagonal.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model. The paper's form needs it without bias and with centred activations; the norm-aware form takes any:
        what does not vanish for orthogonal samples is ``k_0``.
    X : array or tensor (n, p)
        The samples.
    stats : Statistics, optional
        Of these samples: population values (:meth:`Statistics.from_mixture`) or estimates
        (:meth:`Statistics.from_data`, with labels, with clusters, or, as without this argument, of a single class).
        ``note`` of the result says which. The norm-aware form takes the classes alone from it.
    kernel : {"ck", "ntk"}
        Which kernel.
    order : {"paper", "norm-aware"}
        Which expansion.
    trainable : "all" or names
        Trained weights, for the NTK.
    tau0 : float
        For the paper's form of explicit layers (a DEQ has its own): the scale at which they are centred;
        ``stats.tau0`` by default.
    quadratic : {"projected", "exact"}
        For the norm-aware form: whether ``Q`` is projected on the classes, of low rank, or ``XX' o XX'`` itself, with
        which a product costs O(n p^2).

    Returns
    -------
    EquivalentOperator
        ``@``, ``solve``, ``logdet``, ``eigsh``, ``trace``, ``dense()``; ``note`` says what it is made of.

    Raises
    ------
    ValueError
        When an argument is illegal, ``stats`` belongs to samples of another shape, or, for the paper's form, the model
        has a bias or an activation that is not centred at its scale.
    ConvergenceError
        When the norm-aware expansion is out of reach: see :func:`notsodeep.equivalents.pair_series.pair_series`.

    Notes
    -----
    Sources: arXiv:2402.02697, theorems 1 and 2, with ``T_ab = tr(C_a C_b) / p`` a matrix trace (the official code's
    elementwise ``T`` makes the error fall more slowly); the norm-aware form is derived in ``docs/norm-aware.md``.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> gm = nsd.GaussianMixture.paper(400)
    >>> X, y = gm.sample(320, seed=0)
    >>> st = nsd.Statistics.from_mixture(gm, X, y)
    >>> deq = nsd.DEQ("relu", tau0=(X**2).sum(axis=1).mean() ** 0.5)
    >>> from notsodeep.kernels.distance import relative_distance
    >>> for order in ("paper", "norm-aware"):
    ...     bar = nsd.equivalent(deq, X, st, order=order)
    ...     print(f"{relative_distance(nsd.ck(deq, X), bar.dense()).spectral:.1%}")
    4.1%
    0.5%
    """
    choice("kernel", kernel, KERNELS)
    choice("order", order, ORDERS)
    choice("quadratic", quadratic, QUADRATICS)
    trained = trainable_weights(spec, trainable)
    if order == "paper" and quadratic != "projected":
        raise ValueError(f'quadratic={quadratic!r} belongs to order="norm-aware"')
    if order == "norm-aware" and tau0 is not None:
        raise ValueError(f'tau0 belongs to order="paper": the norm-aware form takes the norms from X, got {tau0!r}')
    checked = checked_samples(X, stats)
    if order == "norm-aware":
        J, source = (np.ones((len(checked), 1)), "one class") if stats is None else (stats.J, stats.source)
        return norm_aware(spec, X, checked, J, source, kernel, trained, quadratic)
    if stats is None:
        stats = Statistics.from_data(checked)
    if isinstance(spec, DEQ):
        warn_if_off_scale(spec, float(np.vdot(checked, checked)) / len(checked))
        scale = spec.tau0
    else:
        scale = tau0 = stats.tau0 if tau0 is None else tau0
    linear, norms, products, diagonal = coefficients(spec, kernel, trainable=trained, tau0=tau0).numbers
    V = np.column_stack([stats.J / math.sqrt(stats.p), stats.psi])
    core = _core(stats, norms, products)
    note = f"paper's form, statistics: {stats.source}"
    return EquivalentOperator(X, None, linear, V, core, diagonal - scale**2 * linear, note=note)


def checked_samples(X: Any, stats: Statistics | None) -> FloatArray:
    """Return X as an array, at least two samples; raise ``ValueError`` where ``stats`` is not of these samples."""
    if not isinstance(stats, Statistics | None):
        raise ValueError(f"stats must be a Statistics, got {type(stats).__name__}")
    checked = samples("X", X.detach().cpu().numpy() if is_tensor(X) else X, at_least=2)
    if stats is not None and checked.shape != (stats.n, stats.p):
        raise ValueError(f"stats belongs to samples of shape ({stats.n}, {stats.p}), X has {checked.shape}")
    return checked


def _core(stats: Statistics, norms: float, products: float) -> FloatArray:
    border = norms * stats.t[:, None]
    corner = norms * np.outer(stats.t, stats.t) + products * stats.T
    return np.block([[corner, border], [border.T, np.array([[norms]])]])
