"""Every bound that a test compares with, in one table, and the comparison that prints the error achieved.

A bound says what the method promises, not what a run happened to reach: it is derived from the precision of the
arithmetic, the order of the method or the noise of the data, as its line says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EXACT = 1e-15
"""Same formula, other library or order of the sums: a few units in the last place."""

ROUNDING = 1e-14
"""Sums of some thousand rounded terms; quadrature to rounding."""

MOMENTS = 1e-14
"""Gaussian moments against 50-digit values, relative to the integral of the absolute value of the integrand."""

TABLE = 1e-13
"""Values interpolated from a converged Chebyshev table, which stops at 4e-15 of the largest coefficient."""

ROOTS = 1e-13
"""Roots of scalar equations: rounding of the moments times the conditioning of the root, below 10 in the tests."""

INTERPOLATED = 1e-10
"""Derivative by piecewise Legendre interpolation: rounding of the values times the squared degree over the width."""

CENTRAL = 1e-8
"""Central differences, step 1e-5: its square times a third derivative, plus 1e-16 over the step."""

SAMPLED = 2e-4
"""A maximum looked up on a grid instead of solved for."""

SERIES = 1e-10
"""A truncated Mehler series, or a plain Gauss-Hermite grid, of a smooth function."""

KERNEL = 1e-12
"""Kernels, of sqrt(K_ii K_jj): 1e-13 of the bivariate expectations times the conditioning of the fixed point."""

SAME_PAIR = 1e-13
"""The same pair met elsewhere in the matrix, where another branch or another table may serve it."""

DEFINITE = -1e-10
"""Smallest eigenvalue of a kernel, of the mean one: rounding leaves a singular one slightly indefinite."""

UNTIED = 1e-9
"""The recursion over layers loses digits near its diagonal, where arccos and arcsin are steep."""

COEFFICIENTS = 1e-12
"""Equivalents and matches: rounding of the moments times the conditioning of the fixed point and of 1 / r^2."""

LINEAR_SOLVE = 1e-13
"""Of the condition number: rounding of a solution by elimination or by the Woodbury identity."""

LANCZOS = 1e-12
"""Eigenvalues by Lanczos to machine precision, of the largest eigenvalue."""

PUBLISHED = 0.25
"""Around a published error: three draws of one mixture differ by 1 to 5 per cent, and the draws are others."""

SYMMETRY_FLOOR = 1e-18
"""Unit of a number that symmetry makes vanish: odd functions have E[phi''] = 0, of which rounding leaves the square."""

DERIVED = 2e-10
"""Second derivatives of a Chebyshev interpolant of the exact kernels: some 1e-14 over the squared half width."""

VANISHED = 1e-28
"""A number that symmetry makes vanish, absolute: the square of a moment that rounding leaves at 1e-14."""

INTERPOLATED_KERNEL = 1e-11
"""Tangent kernel of which the derivative of the dual is interpolated, of the diagonal."""


def assert_close(actual: Any, desired: Any, tolerance: float, *, scale: Any = None, what: str = "") -> None:
    """Fail unless ``|actual - desired| <= tolerance * scale`` everywhere, and print the error achieved.

    ``scale`` is what errors are relative to: by default the largest ``|desired|``; pass an array (of the shape of
    ``desired``) for a bound on each entry, or 1.0 for an absolute one.
    """
    __tracebackhide__ = True
    actual, desired = _array(actual), _array(desired)
    if actual.shape != desired.shape:
        raise AssertionError(f"{what or 'shapes'}: got {actual.shape}, want {desired.shape}")
    if not actual.size:
        raise AssertionError(f"{what or 'comparison'}: nothing to compare")
    size = np.broadcast_to(np.abs(desired).max() if scale is None else np.abs(_array(scale)), desired.shape)
    same = actual == desired  # infinities, and zeros whose size is zero
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(same, 0.0, np.abs(actual - desired) / size)
    wrong = ~(error <= tolerance)  # NaN is wrong
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        where = f" at {tuple(map(int, worst))}" if error.ndim else ""
        raise AssertionError(
            f"{what or 'error'}: {error[worst]:.3e} of {size[worst]:.6g} exceeds {tolerance:.1e}{where} "
            f"({int(wrong.sum())} of {error.size} do): got {actual[worst]!r}, want {desired[worst]!r}"
        )


def _array(x: Any) -> np.ndarray:
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    return np.asarray(x, dtype=np.float64)
