"""The random-matrix equivalents of the paper, assembled from coefficients and statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import FloatArray, choice, samples
from notsodeep.data import Statistics
from notsodeep.equivalents.coefficients import KERNELS, coefficients
from notsodeep.equivalents.operator import EquivalentOperator
from notsodeep.kernels.scalar import warn_if_off_scale
from notsodeep.spec import DEQ, Spec

ORDERS = ("paper",)


def equivalent(
    spec: Spec,
    X: Any,
    stats: Statistics,
    kernel: str = "ck",
    order: str = "paper",
    trainable: str | Iterable[str] = "all",
    tau0: float | None = None,
) -> EquivalentOperator:
    """Return the high-dimensional equivalent of a kernel matrix on data from a mixture.

    With ``V = [J / sqrt(p), psi]`` and the coefficients of :func:`~notsodeep.coefficients`::

        Gbar = alpha1 X X' + V C V' + (gamma2 - tau0^2 alpha1) I,
        C = [[alpha2 t t' + alpha3 T, alpha2 t], [alpha2 t', alpha2]]

    and ``Kbar`` of the same form with ``(beta1, beta2, beta3, kappa2)``.

    Parameters
    ----------
    spec : DEQ or MLP
        The model, centred.
    X : array or tensor (n, p)
        The samples that ``stats`` belongs to.
    stats : Statistics
        Population values (:meth:`Statistics.from_mixture`) or estimates (:meth:`Statistics.from_data`).
    kernel : {"ck", "ntk"}
        Which kernel.
    order : {"paper"}
        Which expansion: the one of arXiv:2402.02697, with ``T_ab = tr(C_a C_b) / p`` a matrix trace.
    trainable : "all" or names
        Trained weights, for the NTK.
    tau0 : float
        For an MLP (a DEQ has its own): the scale at which its layers are centred; ``stats.tau0`` by default.

    Returns
    -------
    EquivalentOperator
        ``@``, ``solve``, ``eigsh``, ``trace``, ``dense()``.

    Raises
    ------
    ValueError
        When an argument is illegal, ``stats`` belongs to samples of another shape, or an activation of an MLP is
        not centred at its scale.

    Notes
    -----
    Source: arXiv:2402.02697, theorems 1 and 2. The relative spectral error falls with p; the official
    code's elementwise ``T`` makes it fall more slowly.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> gm = nsd.GaussianMixture.paper(400)
    >>> X, y = gm.sample(320, seed=0)
    >>> st = nsd.Statistics.from_mixture(gm, X, y)
    >>> deq = nsd.DEQ("relu", tau0=(X**2).sum(axis=1).mean() ** 0.5)
    >>> nsd.equivalent(deq, X, st)
    EquivalentOperator(n=320, gram=0.210526 (rank 400), low rank 3, diagonal=0.112281)
    """
    choice("kernel", kernel, KERNELS)
    choice("order", order, ORDERS)
    if not isinstance(stats, Statistics):
        raise ValueError(f"stats must be a Statistics, got {type(stats).__name__}")
    checked = samples("X", X.detach().cpu().numpy() if is_tensor(X) else X, at_least=2)
    if checked.shape != (stats.n, stats.p):
        raise ValueError(f"stats belongs to samples of shape ({stats.n}, {stats.p}), X has {checked.shape}")
    if isinstance(spec, DEQ):
        warn_if_off_scale(spec, float(np.vdot(checked, checked)) / len(checked))
        scale = spec.tau0
    else:
        scale = tau0 = stats.tau0 if tau0 is None else tau0
    linear, norms, products, diagonal = coefficients(spec, kernel, trainable=trainable, tau0=tau0).numbers
    V = np.column_stack([stats.J / math.sqrt(stats.p), stats.psi])
    return EquivalentOperator(X, None, linear, V, _core(stats, norms, products), diagonal - scale**2 * linear)


def _core(stats: Statistics, norms: float, products: float) -> FloatArray:
    border = norms * stats.t[:, None]
    corner = norms * np.outer(stats.t, stats.t) + products * stats.T
    return np.block([[corner, border], [border.T, np.array([[norms]])]])
