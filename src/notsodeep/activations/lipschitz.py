"""Lipschitz constant of an activation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from scipy.optimize import minimize_scalar

from notsodeep.activations.activation import Activation
from notsodeep.activations.mesh import mesh
from notsodeep.activations.moments import jumps, one_sided

_RANGE = 64.0
_FAR = 1e6
_NODES = legendre.leggauss(64)[0]


@lru_cache(maxsize=256)
def lipschitz(activation: Activation) -> float:
    """Return ``sup |phi'|``, infinite where the function jumps or outgrows every line.

    Sampled on the panels that resolve ``phi`` within ``[-64, 64]``, polished at the largest value, and
    taken at both sides of each kink and far out.
    """
    if any(jumps(activation, k) for k in activation.kinks):
        return float("inf")
    with np.errstate(over="ignore", invalid="ignore"):
        inside = _inside(activation)
        near, end = activation(np.array([-0.5, 0.5]) * _FAR), activation(np.array([-_FAR, _FAR]))
        far = float(np.abs((end - near) / (0.5 * _FAR)).max())
    if not far <= 1e3 * inside:  # NaN, from an overflow, is no bound either
        return float("inf")
    sides = [abs(d) for k in activation.kinks for d in one_sided(activation.derivative, k)]
    return max(inside, far, *sides)


def _inside(activation: Activation) -> float:
    ends = mesh(activation.fn, activation.kinks, _RANGE)
    half, centre = 0.5 * np.diff(ends)[:, None], 0.5 * (ends[1:] + ends[:-1])[:, None]
    x = centre + half * _NODES
    slopes = np.abs(activation.derivative(x))
    panel, node = np.unravel_index(slopes.argmax(), slopes.shape)
    around = (x[panel, max(node - 1, 0)], x[panel, min(node + 1, _NODES.size - 1)])
    peak = minimize_scalar(
        lambda u: -abs(float(activation.derivative(u))), bounds=around, method="bounded", options={"xatol": 1e-9}
    )
    return max(float(slopes.max()), -float(peak.fun))
