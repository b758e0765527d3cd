"""Quadrature against Gaussians of many scales at once: ``E[f(s xi)]`` for ``xi ~ N(0, 1)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from notsodeep.activations.activation import Activation
from notsodeep.activations.mesh import mesh
from notsodeep.checks import FloatArray
from notsodeep.errors import ConvergenceError

EXTENT = 13.0  # standard deviations kept; the mass beyond is 1e-38
ORDER = 32
_CAPTURED = 1e-15  # what an integrand may have left at the end of the range, relative to its largest value
SQRT_2PI = float(np.sqrt(2.0 * np.pi))
_NODES, _WEIGHTS = legendre.leggauss(ORDER)
_BATCH = 2_000_000  # nodes held at a time


def density(x: Any) -> Any:
    """Standard normal density."""
    return np.exp(-0.5 * np.square(x)) / SQRT_2PI


def nodes(activation: Activation, scales: FloatArray, panel: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return nodes ``x`` and weights ``w``, both ``(len(scales), N)``, with ``E[f(s xi)] = sum w f(s x)``.

    Exact to rounding for products of ``activation``, its derivatives and a Gaussian; ``panel`` is
    the widest panel in standard deviations (narrower ones resolve Hermite polynomials of high degree).
    """
    limit = 2.0 ** np.ceil(np.log2(EXTENT * float(scales.max())))
    own = mesh(activation.fn, activation.kinks, float(limit))
    base = np.linspace(-EXTENT, EXTENT, 1 + int(np.ceil(2 * EXTENT / panel)))
    ends = np.clip(own / scales[:, None], -EXTENT, EXTENT)
    ends = np.sort(np.concatenate([ends, np.broadcast_to(base, (scales.size, base.size))], axis=1), axis=1)
    used = (np.diff(ends, axis=1) > 0).any(axis=0)
    half = 0.5 * np.diff(ends, axis=1)[:, used, None]
    x = 0.5 * (ends[:, :-1] + ends[:, 1:])[:, used, None] + half * _NODES
    w = half * _WEIGHTS * density(x)
    return x.reshape(scales.size, -1), w.reshape(scales.size, -1)


def expect(
    activation: Activation, scales: FloatArray, integrands: Callable[[FloatArray, FloatArray], list[FloatArray]]
) -> list[FloatArray]:
    """Return ``E[f(s xi)]`` for each ``f`` that ``integrands(x, s x)`` lists, each as an array like ``scales``.

    Raises
    ------
    ConvergenceError
        When an integrand is still large at the end of the Gaussian range, that is, when the
        activation grows so fast that its moments are not captured (or do not exist).
    """
    scales = np.asarray(scales, dtype=np.float64)
    flat = scales.reshape(-1)
    step = max(1, _BATCH // max(1, nodes(activation, flat.max(keepdims=True))[0].size))
    parts = [_expect_batch(activation, flat[i : i + step], integrands) for i in range(0, flat.size, step)]
    return [np.concatenate(column).reshape(scales.shape) for column in zip(*parts, strict=True)]


def _expect_batch(activation: Activation, scales: FloatArray, integrands: Any) -> list[FloatArray]:
    x, w = nodes(activation, scales)
    with np.errstate(over="ignore", invalid="ignore"):
        terms = [w * values for values in integrands(x, x * scales[:, None])]
        sizes = [np.abs(part).max(axis=1) for part in terms]
    least = _CAPTURED * np.max(sizes, axis=0)  # of a bump far out of the range, all that is left is at its end
    return [_total(activation, scales, part, np.maximum(size, least)) for part, size in zip(terms, sizes, strict=True)]


def _total(activation: Activation, scales: FloatArray, terms: FloatArray, size: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        total = terms.sum(axis=1)
    edge = np.abs(terms[:, [0, -1]]).max(axis=1)
    bad = ~np.isfinite(total) | (edge > _CAPTURED * size)
    if bad.any():
        raise ConvergenceError(
            f"the Gaussian moments of {activation!r} at scale {scales[bad][0]:.3g} are not captured within "
            f"{EXTENT:g} standard deviations: the activation grows too fast there; use a smaller scale"
        )
    return total
