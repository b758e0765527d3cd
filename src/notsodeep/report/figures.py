"""The picture of the main job, drawn with matplotlib's objects: no global state."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from notsodeep.experiments.twin import TwinResult
from notsodeep.files import StrPath
from notsodeep.report.drawing import panels
from notsodeep.report.files import write_bytes
from notsodeep.report.panels import draw_activations, draw_eigenvalues, draw_entries, draw_slopes

_WIDTH, _HEIGHT = 12.0, 4.4  # inches, the height for each kernel


def twin_figure(result: TwinResult) -> Figure:
    """Return the picture of a result: eigenvalues of the kernels, activations, entries against entries.

    Of two kernels each has a row; beside the entries of the second one, the slopes of the activations.
    """
    kernels = list(result.evidence)
    figure, grid = panels(len(kernels), 3, (_WIDTH, _HEIGHT * len(kernels)))
    for kernel, (left, _, right) in zip(kernels, grid, strict=True):
        draw_eigenvalues(left, result, kernel)
        draw_entries(right, result, kernel)
    draw_activations(grid[0, 1], result)
    if len(kernels) > 1:
        draw_slopes(grid[1, 1], result)
    return figure


def png(figure: Figure) -> bytes:
    """Return ``figure`` as the content of a PNG file."""
    return _rendered(figure, "png")


def save_figure(figure: Figure, path: StrPath) -> Path:
    """Write ``figure`` to ``path`` in the format that its ending names (png, svg, pdf); complete or not at all.

    Raises
    ------
    ValueError
        When matplotlib has no such format.
    OSError
        When ``path`` cannot be written.
    """
    kind = Path(path).suffix[1:].lower()
    legal = figure.canvas.get_supported_filetypes()
    if kind not in legal:
        raise ValueError(f"path must end in one of {', '.join(f'.{name}' for name in sorted(legal))}, got {path}")
    return write_bytes(path, _rendered(figure, kind))


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()
