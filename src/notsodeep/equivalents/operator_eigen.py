"""A few eigenpairs of a structured symmetric matrix by the Lanczos method."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

_BASIS = 32  # Lanczos vectors at least: fewer cost more products, more are not needed by isolated eigenvalues
_RESTARTS = 100


def lanczos(operator: LinearOperator, k: int, which: str, what: str) -> tuple[FloatArray, FloatArray]:
    """Return ``k`` eigenvalues and eigenvectors; ``what`` describes the operator in an error.

    Raises
    ------
    ConvergenceError
        When the iteration does not settle.
    """
    n = operator.shape[0]
    start = np.random.default_rng(0).standard_normal(n)
    try:
        return eigsh(operator, k=k, which=which, v0=start, ncv=min(n, max(3 * k, _BASIS)), maxiter=_RESTARTS)
    except ArpackError as error:
        raise ConvergenceError(
            f"the Lanczos iteration for {k} eigenvalues ({which}) of {what} stopped: {error}; "
            "ask for fewer, or take numpy.linalg.eigvalsh of dense()"
        ) from error


def selected(values: Any, k: int, which: str) -> Any:
    """Return the positions of the ``k`` of the ascending ``values`` (a tensor) that ``which`` names, ascending."""
    if which == "LM":
        return values.abs().argsort()[-k:].sort().values
    return slice(0, k) if which == "SA" else slice(len(values) - k, len(values))
