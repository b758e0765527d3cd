"""Arithmetic of truncated power series with arrays as coefficients: ``f[k]`` is the coefficient of ``g^k``."""

from __future__ import annotations

import numpy as np

from notsodeep.checks import FloatArray


def product(f: FloatArray, h: FloatArray) -> FloatArray:
    """Return the series of ``f h``, as long as ``f``."""
    out = np.zeros_like(f)
    for k in range(len(f)):
        out[k] = sum(f[j] * h[k - j] for j in range(k + 1))
    return out


def quotient(f: FloatArray, h: FloatArray) -> FloatArray:
    """Return the series of ``f / h``; ``h[0]`` must not vanish."""
    out = np.zeros_like(f)
    for k in range(len(f)):
        out[k] = (f[k] - sum(out[j] * h[k - j] for j in range(k))) / h[0]
    return out


def composition(f: FloatArray, h: FloatArray) -> FloatArray:
    """Return the series of ``f(h(g) - h[0])``: ``f`` is a Taylor series around ``h[0]``, at least as long as ``h``."""
    step = h.copy()
    step[0] = 0.0
    out = np.zeros_like(h)
    for k in range(len(h) - 1, -1, -1):
        out = product(out, step)
        out[0] += f[k]
    return out
