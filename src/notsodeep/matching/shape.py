"""What a designer needs of a layer: moments and Hermite coefficients as analytic functions of a few parameters."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from notsodeep.activations import Activation, Moments
from notsodeep.checks import FloatArray

STEEPEST = 30.0
"""Largest slope of a layer, of its root mean square one: steeper ones imitate polynomials, in tails that never come"""
TERMS = 15
"""Hermite coefficients a_0 ... a_14 of a profile"""


@dataclass(frozen=True)
class Profile:
    """A layer at several scales of its pre-activations, in units of the scale at which it is centred."""

    coefficients: Any
    """``a_k(s) = E[sigma(s xi) h_k(xi)]``, shape ``(TERMS, scales, ...)``"""
    squares: Any
    """``E[sigma(s xi)^2]``, shape ``(scales, ...)``"""
    slope_squares: Any
    """``E[sigma'(s xi)^2]``, shape ``(scales, ...)``"""


class Shape(Hashable, Protocol):
    """A family of activations, centred at scale 1, with ``size`` parameters.

    ``theta (size, ...)`` may be complex, so that complex steps differentiate everything exactly. The activation is
    linear in the first ``linear`` parameters: they carry its amplitude.
    """

    @property
    def size(self) -> int:
        """Number of parameters."""

    @property
    def linear(self) -> int:
        """How many of them, from the first, the activation is linear in."""

    @property
    def hidden(self) -> tuple[tuple[float, ...], ...]:
        """Parameters that searches for a hidden layer start from: layers that are not far from linear."""

    @property
    def straight(self) -> tuple[float, ...]:
        """The first ``linear`` parameters of a linear layer; as far as there is one."""

    def moments(self, theta: Any) -> Moments:
        """Return the moments at scale 1."""

    def profile(self, theta: Any, scales: Any) -> Profile:
        """Return the layer at ``scales (scales, ...)``."""

    def steepness(self, theta: FloatArray) -> float:
        """Return the largest slope over the root mean square slope; 0 where slopes are unbounded anyway."""

    def activation(self, theta: FloatArray, scale: float) -> Activation:
        """Return ``x -> sigma(x / scale)``."""

    def fits(self, wanted: FloatArray) -> list[FloatArray]:
        """Return parameters whose first Hermite coefficients at scale 1 are close to ``wanted``, a_1, a_2, ..."""


def scaled(shape: Shape, theta: Any, factor: Any) -> Any:
    """Return the parameters of ``factor`` times the activation."""
    return np.concatenate([theta[: shape.linear] * factor, theta[shape.linear :]])
