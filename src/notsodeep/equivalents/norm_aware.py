"""The norm-aware equivalent: every sample keeps its own scale, and the diagonal is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import block_diag

from notsodeep.checks import FloatArray
from notsodeep.equivalents.operator import EquivalentOperator
from notsodeep.equivalents.pair_series import PairSeries, pair_series
from notsodeep.equivalents.quadratic import projected_squares
from notsodeep.equivalents.separable import separable
from notsodeep.kernels import diagonals
from notsodeep.spec import Spec

_TOLERANCES = np.array([1e-6, 1e-7, 1e-6])  # of the three terms, of the mean diagonal; the first one divided by n


def norm_aware(
    spec: Spec,
    X: Any,
    checked: FloatArray,
    J: FloatArray,
    source: str,
    kernel: str,
    trained: frozenset[str],
    quadratic: str,
) -> EquivalentOperator:
    """Return ``k_0 + k_1 o XX' + k_2 o Q`` off the diagonal and the exact kernel on it.

    ``k_0, k_1, k_2`` are functions of the two norms (:mod:`notsodeep.equivalents.pair_series`), written as few products
    of functions of one norm; ``Q`` is ``(x_i . x_j)^2``, exact or projected on the classes
    (:mod:`notsodeep.equivalents.quadratic`).
    """
    norms = np.einsum("ij,ij->i", checked, checked)
    exact = np.asarray(diagonals(spec, checked, trained)[PairSeries._fields.index(kernel)])
    low, high = float(norms.min()), float(norms.max())
    tolerances = _TOLERANCES * float(exact.mean()) / float(norms.mean()) ** np.arange(3)
    tolerances[0] /= len(norms)  # errors of one sign in all entries add up
    constant, linear, square = separable(
        lambda at: getattr(pair_series(spec, at, trained), kernel)[:3], low, high, tolerances
    )
    u0, w0 = constant.terms(norms, tolerances[0])
    u1, w1 = linear.terms(norms, tolerances[1])
    u2, w2 = square.terms(norms, tolerances[2])
    on_diagonal = np.square(u0) @ w0 + (np.square(u1) @ w1) * norms
    V, C = u0, np.diag(w0)
    squares = None
    if len(w2) and quadratic == "exact":
        squares = (u2, w2)
        on_diagonal += (np.square(u2) @ w2) * norms**2
    elif len(w2):
        factor, core = projected_squares(checked, J)
        V = np.hstack([u0, *(u * factor for u in u2.T[:, :, None])])
        blocks = [np.diag(w0), *(w * core for w in w2)]
        C = block_diag(*blocks)
        on_diagonal += (np.square(u2) @ w2) * np.einsum("ik,kl,il->i", factor, core, factor, optimize=True)
    if not len(w1):
        u1, w1 = np.zeros((len(norms), 1)), np.zeros(1)
    note = "norm-aware form, exact squares" if squares else f"norm-aware form, classes: {source}"
    return EquivalentOperator(X, u1, w1, V, C, exact - on_diagonal, squares=squares, note=note)
