"""Gauss-Hermite quadrature, and orthonormal Hermite polynomials at given points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from notsodeep.checks import FloatArray


def gauss_hermite(degree: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes ``x`` and weights ``w`` with ``E[f(xi)] = w @ f(x)`` for polynomials up to ``degree``.

    Examples
    --------
    >>> from notsodeep.matching.hermite_rule import gauss_hermite
    >>> x, w = gauss_hermite(4)
    >>> round(float(w @ x**4), 12)
    3.0
    """
    x, w = hermegauss(degree // 2 + 1)
    return x, w / w.sum()


def basis(x: Any, count: int) -> Any:
    """Return ``h_k(x)`` for ``k < count``, shape ``(count, *x.shape)``; x may be complex."""
    out = np.ones((count, *x.shape), dtype=x.dtype)
    for k in range(1, count):
        below = out[k - 2] if k > 1 else 0.0
        out[k] = (x * out[k - 1] - (k - 1) ** 0.5 * below) / k**0.5
    return out
