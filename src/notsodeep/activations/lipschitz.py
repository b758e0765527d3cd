"""Lipschitz constant of an activation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre

from notsodeep.activations.activation import Activation
from notsodeep.activations.mesh import mesh
from notsodeep.activations.moments import jumps, one_sided

_RANGE = 64.0
_FAR = 1e6
_NODES = legendre.leggauss(64)[0]


@lru_cache(maxsize=256)
def lipschitz(activation: Activation) -> float:
    """Return ``sup |phi'|`` (to about 1e-4), infinite where the function jumps or outgrows every line.

    Sampled on the panels that resolve ``phi`` within ``[-64, 64]``, at both sides of each kink and far out.
    """
    ends = mesh(activation.fn, activation.kinks, _RANGE)
    half, centre = 0.5 * np.diff(ends)[:, None], 0.5 * (ends[1:] + ends[:-1])[:, None]
    inside = float(np.abs(activation.derivative(centre + half * _NODES)).max())
    far = float(np.abs(activation.derivative(np.array([-_FAR, _FAR]))).max())
    sides = [abs(d) for k in activation.kinks for d in one_sided(activation.derivative, k)]
    if far > 1e3 * inside or any(jumps(activation, k) for k in activation.kinks):
        return float("inf")
    return max(inside, far, *sides)
