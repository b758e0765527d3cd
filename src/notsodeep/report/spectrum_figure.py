"""The picture of a spectrum: its bulk, and beside it the eigenvalues that leave it."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.report.figures import DPI
from notsodeep.report.spectrum_panels import draw_bulk, draw_isolated

_SIZE = (10.0, 4.4)  # inches
_RATIO = (2.4, 1.0)


def spectrum_figure(result: SpectrumResult) -> Figure:
    """Return the picture: histogram and predicted density of the bulk, isolated eigenvalues on an axis of their own."""
    figure = Figure(figsize=_SIZE, dpi=DPI, layout=ConstrainedLayoutEngine(wspace=0.06, w_pad=0.1, h_pad=0.1))
    figure.set_facecolor("white")
    if not result.isolated:
        draw_bulk(figure.subplots(), result)
        return figure
    left, right = figure.subplots(1, 2, width_ratios=_RATIO)
    draw_bulk(left, result)
    draw_isolated(right, result)
    return figure
