"""What every panel of a picture shares: colours, titles, legends."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, VERMILION, PURPLE, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000"
"""Colours that the colour-blind can tell apart (Okabe and Ito)"""
SMALL = 8.5
"""Size of letters of ticks and legends"""
_LONGEST = 24  # letters of a data set's name


def set_title(axes: Axes, text: str) -> None:
    """Write ``text`` above the axes, as it is."""
    axes.set_title(text, fontsize=10, parse_math=False)
    axes.tick_params(labelsize=SMALL)


def set_legend(axes: Axes, **more: Any) -> None:
    """Put the legend below the axes, where it covers no data."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=SMALL, **more)


def shortened(name: str) -> str:
    """Return a name cut to what fits into a title.

    Examples
    --------
    >>> shortened("digits"), shortened(10 * "long")
    ('digits', 'longlonglonglonglongl...')
    """
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
