"""Forms of the random-matrix equivalents, and how far they are from the exact kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data import Statistics
from notsodeep.equivalents import coefficients, equivalent
from notsodeep.experiments.reproduction.kernels import KERNELS, Kernel, exact_kernel
from notsodeep.kernels.distance import spectral_norm
from notsodeep.spec import Spec

PAPER, NORM_AWARE, EXACT_SQUARES = "paper", "norm-aware", "exact squares"
FORMS: dict[str, dict[str, Any]] = {
    PAPER: {"order": "paper"},
    NORM_AWARE: {"order": "norm-aware"},
    EXACT_SQUARES: {"order": "norm-aware", "quadratic": "exact"},
}
"""Options of :func:`notsodeep.equivalent` by the name in the table"""
MEANS_IN_T = "paper, means in T"
"""The paper's form with the squared products of class means, ``(mu_a . mu_b)^2 / p``, added to T"""


def equivalent_errors(
    spec: Spec,
    X: FloatArray,
    stats: Statistics,
    kernels: Iterable[str] = tuple(KERNELS),
    forms: Mapping[str, Mapping[str, Any]] = FORMS,
    traces: Mapping[str, FloatArray] | None = None,
) -> dict[tuple[str, str], float]:
    """Return the relative spectral errors of equivalents on samples, by the names of kernel and form.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model.
    X : array (n, p)
        Samples.
    stats : Statistics
        Of these samples.
    kernels : iterable of str
        Names of :data:`~notsodeep.experiments.reproduction.kernels.KERNELS`.
    forms : dict
        Which; values as those of :data:`FORMS`.
    traces : dict, optional
        Other matrices T, ``(K, K)``, for errors of the paper's form with them, by the names that these get.
    """
    errors: dict[tuple[str, str], float] = {}
    for name in kernels:
        exact = exact_kernel(spec, name, X)
        for form, gap in _gaps(spec, X, stats, exact, KERNELS[name], forms, traces or {}):
            errors[name, form] = spectral_norm(gap) / spectral_norm(exact)
    return errors


def _gaps(
    spec: Spec,
    X: FloatArray,
    stats: Statistics,
    exact: FloatArray,
    kernel: Kernel,
    forms: Mapping[str, Mapping[str, Any]],
    traces: Mapping[str, FloatArray],
) -> Iterator[tuple[str, FloatArray]]:
    for form, options in forms.items():
        gap = exact - equivalent(spec, X, stats, kernel.name, trainable=kernel.trainable, **options).dense()
        yield form, gap
        if form == PAPER and traces:
            products = coefficients(spec, kernel.name, trainable=kernel.trainable).numbers[2]
            for name, other in traces.items():
                yield name, gap + stats.J @ (products / stats.p * (stats.T - other)) @ stats.J.T


def traces_with_means(stats: Statistics) -> FloatArray:
    """Return ``T_ab + (mu_a . mu_b)^2 / p``, p times the mean of ``(x_i . x_j)^2`` to leading order.

    The paper's form has T alone, as for means of bounded length. On its mixture, ``|mu_a| = 8``, the other term is
    ``4096 / p``, as large as T at p = 4000.
    """
    return np.asarray(stats.T + stats.p * stats.mean_products**2)
