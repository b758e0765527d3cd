"""Errors and warnings that the library raises on purpose."""

from __future__ import annotations

import sys
import warnings


class ConvergenceError(RuntimeError):
    """A numerical method stopped before it reached its tolerance.

    The message names the method, the residual reached and what to change.
    """


class UnitError(RuntimeError):
    """Units of a long computation failed; what else was computed is kept."""


class DataError(ValueError):
    """A data file or array is missing, corrupt, truncated or unusable."""


class NotCoveredError(ValueError):
    """The four equations do not cover the model: it has a bias, or an activation that is not centred."""


class StabilityWarning(UserWarning):
    """The model has a stable kernel fixed point but no global contraction guarantee."""


class ScaleWarning(UserWarning):
    """The mean squared norm of the data is far from the ``tau0**2`` of the spec."""


class SmoothnessWarning(UserWarning):
    """An activation is rougher than its declared kinks say."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that led here: that is where the remedy is, and where it shows once."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


_PACKAGE = __name__.partition(".")[0] + "."
