"""The nearest model with a stable kernel, for weights whose mean squares have none."""

from __future__ import annotations

import math
import warnings

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.errors import StabilityWarning
from notsodeep.kernels.scalar import rest_point, sample_variances
from notsodeep.spec import DEQ

CONTRACTION = 0.9
"""``sigma_a2 E[phi'^2]`` of a model that is taken in the place of an unstable one"""
_HALVINGS = 40


def stable(deq: DEQ, squared_norms: FloatArray | None = None) -> DEQ:
    """Return ``deq``, or, where it has no stable kernel, the same with the largest ``sigma_a2`` that is safe.

    Parameters
    ----------
    deq : DEQ
        The model.
    squared_norms : array (n,), optional
        Of samples, at each of which the kernel has to exist.

    Examples
    --------
    >>> from notsodeep.compiler.stability import stable
    >>> from notsodeep.spec import DEQ
    >>> stable(DEQ("relu", sigma_a2=3.0, center=False))  # stable below 2
    DEQ(activation=relu(), sigma_a2=1.8, sigma_b2=0.8, tau0=1.0, center=False)
    """
    ends = None if squared_norms is None else np.array([np.min(squared_norms), np.max(squared_norms)])
    if _contraction(deq, ends) < 1.0:
        return deq
    low, high = 0.0, deq.sigma_a2
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        safe = _contraction(_with(deq, middle), ends) <= CONTRACTION
        low, high = (middle, high) if safe else (low, middle)
    return _with(deq, float(f"{low:.6g}"))


def _contraction(deq: DEQ, squared_norms: FloatArray | None) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)  # of models that are tried
        try:
            if squared_norms is not None:
                sample_variances(deq, squared_norms)
            return rest_point(deq).contraction
        except ValueError:
            return math.inf


def _with(deq: DEQ, sigma_a2: float) -> DEQ:
    return DEQ(deq.activation, sigma_a2, deq.sigma_b2, deq.tau0, deq.center, deq.sigma_c2)
