"""The families of activations that networks are designed from."""

from __future__ import annotations

from dataclasses import dataclass

from notsodeep.matching import series, slopes
from notsodeep.matching.shape import Shape


@dataclass(frozen=True)
class Family:
    """A family of activations with a few parameters a layer."""

    name: str
    shape: Shape
    bounded: bool
    """Whether slopes are bounded"""
    sharp: bool
    """Whether slopes jump"""


FAMILIES = {
    family.name: family
    for family in (
        Family("hard_tanh", slopes.HARD_TANH, bounded=True, sharp=True),
        Family("leaky_relu", slopes.LEAKY_RELU, bounded=True, sharp=True),
        Family("soft_slopes", slopes.SOFT_SLOPES, bounded=True, sharp=False),
        Family("three_slope", slopes.THREE_SLOPE, bounded=True, sharp=True),
        Family("quadratic", series.QUADRATIC, bounded=False, sharp=False),
        Family("cubic", series.CUBIC, bounded=False, sharp=False),
        Family("quartic", series.QUARTIC, bounded=False, sharp=False),
    )
}
"""By name."""
