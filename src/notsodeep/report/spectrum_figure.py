"""The picture of a spectrum: its bulk, and beside it the eigenvalues that leave it."""

from __future__ import annotations

from matplotlib.figure import Figure

from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.report.drawing import panels
from notsodeep.report.spectrum_panels import draw_bulk, draw_isolated

_SIZE = (10.0, 4.4)  # inches
_RATIO = (2.4, 1.0)


def spectrum_figure(result: SpectrumResult) -> Figure:
    """Return the picture: histogram and predicted density of the bulk, isolated eigenvalues on an axis of their own."""
    columns = 2 if result.isolated else 1
    figure, grid = panels(1, columns, _SIZE, width_ratios=_RATIO[:columns])
    draw_bulk(grid[0, 0], result)
    if result.isolated:
        draw_isolated(grid[0, 1], result)
    return figure
