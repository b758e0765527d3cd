"""Exponents: how an error falls with a size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from notsodeep.checks import FloatArray


class PowerLaw(NamedTuple):
    """``y = factor * x**exponent``."""

    exponent: float
    error: float
    """Standard error of the exponent"""
    factor: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return ``y``."""
        return self.factor * x**self.exponent


def power_law(x: FloatArray, y: FloatArray, error: FloatArray) -> PowerLaw:
    """Fit a power law to values that are independent of each other.

    Least squares in logarithms, weighted by the standard errors of ``y``; where the misfit is larger than these
    explain, the standard error of the exponent is widened by it.

    Parameters
    ----------
    x, y : array
        Sizes and values (> 0), two or more sizes.
    error : array
        Standard errors of ``y`` (> 0).

    Raises
    ------
    ValueError
        When there are fewer than two sizes, or a number is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 4.0, 16.0])
    >>> fit = power_law(x, 3.0 / np.sqrt(x), 0.1 / np.sqrt(x))
    >>> round(fit.exponent, 12), round(fit.factor, 12)
    (-0.5, 3.0)
    """
    for name, values in (("x", x), ("y", y), ("error", error)):
        if not (np.asarray(values) > 0.0).all():
            raise ValueError(f"{name} must be positive, got {values}")
    if len(np.unique(x)) < 2:
        raise ValueError(f"x must have two or more sizes, got {x}")
    weights = y / error
    design = np.column_stack([np.ones(len(x)), np.log(x)]) * weights[:, None]
    wanted = weights * np.log(y)
    covariance = np.linalg.inv(design.T @ design)
    fitted = covariance @ (design.T @ wanted)
    misfit = float(np.square(wanted - design @ fitted).sum()) / max(len(x) - 2, 1)
    return PowerLaw(float(fitted[1]), float(np.sqrt(covariance[1, 1] * max(misfit, 1.0))), float(np.exp(fitted[0])))
