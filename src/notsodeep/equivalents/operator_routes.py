"""Which factorisation, if any, a structured matrix is within reach of, and what an iteration is preconditioned with."""

from __future__ import annotations

import numpy as np

from notsodeep.equivalents.operator_parts import Parts
from notsodeep.equivalents.operator_refinement import Map
from notsodeep.equivalents.symmetric import SymmetricFactor
from notsodeep.equivalents.woodbury import Woodbury

Direct = Woodbury | SymmetricFactor

DENSE_ORDER = 4096
"""Largest order of a matrix that is stored and factorised."""
CORE_ORDER = 16384
"""Largest order of a capacitance matrix: 2 GiB."""

_CLEARLY_BELOW = 0.5
_CLEARLY_BELOW_IF_LARGE = 0.9
_SMALL_DIAGONAL = 1e-8  # of the mean one: not divided by in a preconditioner
_ROUNDING = 1e-13  # of the mean diagonal: an entry of the diagonal part that may be nothing else


def direct_route(parts: Parts) -> Direct | None:
    """Return a factorisation, or None where only iteration is left.

    Raises
    ------
    ValueError
        When the matrix is singular to working precision.
    """
    n, width = parts.n, parts.factor.width
    small = int((parts.d.abs() <= _ROUNDING * float(parts.whole_diagonal.abs().mean())).sum())
    if small > width and not parts.has_squares:
        raise ValueError(
            f"the operator has no diagonal part on {small} of {n} samples, more than the rank {width} of the rest, and "
            "may be singular; add a ridge, that is, a larger diagonal"
        )
    share = _CLEARLY_BELOW if n <= DENSE_ORDER else _CLEARLY_BELOW_IF_LARGE
    if not small and not parts.has_squares and width <= min(share * n, CORE_ORDER):
        return Woodbury(parts.factor, parts.d)
    return SymmetricFactor(parts.dense()) if n <= DENSE_ORDER else None


def preconditioner(parts: Parts) -> Map:
    """Return a positive definite map close to the inverse: that of the matrix without squares, or of the diagonal."""
    near = _inverse_without_squares(parts) if parts.has_squares else None
    if near is not None:
        return near
    sizes = parts.whole_diagonal.abs()
    scale = sizes.clamp(min=max(_SMALL_DIAGONAL * float(sizes.mean()), np.finfo(float).tiny))[:, None]
    return lambda b: b / scale


def _inverse_without_squares(parts: Parts) -> Map | None:
    try:
        route = direct_route(parts.without_squares())
    except ValueError:  # singular
        return None
    return route.solve if route is not None and not route.negative else None
