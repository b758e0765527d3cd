"""What pictures and their panels share: size of letters, colours, titles, legends, ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from notsodeep.checks import FloatArray

BLUE, ORANGE, GREEN, VERMILION, PURPLE, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000"
"""Colours that the colour-blind can tell apart (Okabe and Ito)"""
SMALL = 8.5
"""Size of letters of ticks and legends"""
DPI = 150
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
"""Writes ticks of logarithmic axes as plain numbers"""
_LONGEST = 24  # letters of a data set's name


def panels(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """Return a white figure, and the array of its axes, shape ``(rows, columns)``.

    Parameters
    ----------
    rows, columns : int
        How many panels.
    size : (float, float)
        Width and height of the figure in inches.
    **options
        Those of :meth:`matplotlib.figure.Figure.subplots`.
    """
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(wspace=0.06, w_pad=0.1, h_pad=0.1))
    figure.set_facecolor("white")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def figure_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], ncols: int, **more: Any) -> None:
    """Put a legend of all panels below them."""
    place: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": SMALL}
    figure.legend(handles, labels, ncols=ncols, **(place | more))


def plain_ticks(axes: Axes, at: Sequence[float] | FloatArray) -> None:
    """Tick the horizontal axis at these values alone, and write the numbers of both axes without powers of ten."""
    axes.set_xticks(at, [f"{value:g}" for value in at])
    axes.yaxis.set_major_formatter(PLAIN)
    axes.minorticks_off()


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
