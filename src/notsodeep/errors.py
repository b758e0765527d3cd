"""Errors and warnings that the library raises on purpose."""

from __future__ import annotations


class ConvergenceError(RuntimeError):
    """A numerical method stopped before it reached its tolerance.

    The message names the method, the residual reached and what to change.
    """


class DataError(ValueError):
    """A data file or array is missing, corrupt, truncated or unusable."""


class StabilityWarning(UserWarning):
    """The model has a stable kernel fixed point but no global contraction guarantee."""


class ScaleWarning(UserWarning):
    """The mean squared norm of the data is far from the ``tau0**2`` of the spec."""


class SmoothnessWarning(UserWarning):
    """An activation is rougher than its declared kinks say."""
