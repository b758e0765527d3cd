"""Panels of the picture of a spectrum; what is exact is blue, what is predicted is vermilion."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from notsodeep.checks import FloatArray
from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.report.drawing import BLUE, VERMILION, set_legend, set_title, shortened
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.spectrum_facts import SpectrumFacts
from notsodeep.report.spectrum_scale import Curve, Scale

_BELOW = 3.0  # the smallest eigenvalue over what a logarithmic axis starts with
_NOTHING = 5e-4  # of all eigenvalues: what is not worth saying
_NEAR = 0.5  # of the width of the bulk: isolated eigenvalues so close to it are drawn with it, too
_TALL = 2.0  # of the 90 % quantile of a density: what is higher, as it is beside a hard edge, is cut off
_UNEVEN = 20.0  # ratio of heights from which on their axis is logarithmic
_WIDE = 10.0  # ratio of isolated eigenvalues, likewise
_FOUND: dict[str, Any] = {"color": BLUE, "marker": "o", "ms": 4.5, "ls": "none"}
_PREDICTED: dict[str, Any] = {"color": VERMILION, "marker": "o", "ms": 9.0, "mfc": "none", "mew": 1.4, "ls": "none"}


def draw_bulk(axes: Axes, result: SpectrumResult) -> None:
    """Histogram of the exact eigenvalues, predicted density, and atoms as high as a bin that holds them."""
    facts, law = SpectrumFacts.of(result), result.prediction.bulk
    n, scale, near = len(result.eigenvalues), Scale.of(facts.bulk), _near(result)
    start = facts.bulk[0] / _BELOW if scale.logarithmic else -np.inf  # what is lower is left out
    shown = np.concatenate([facts.bulk, law.support(), *near])
    edges = scale.edges(np.maximum(shown, start), int(np.clip(2.0 * n**0.5, 12, 60)))
    width = scale.width(edges)
    heights = np.histogram(facts.bulk, edges)[0] / (n * width)
    axes.stairs(heights, edges, fill=True, color=BLUE, alpha=0.35, label=f"exact, {n} eigenvalues")
    curves = [scale.curve(law, max(low, start), high) for low, high in law.intervals if high > start]
    for i, curve in enumerate(curves):
        axes.plot(*curve, color=VERMILION, lw=1.6, label="_more" if i else f"predicted density{_below(law, start)}")
    atoms = np.array([atom for atom in law.atoms if atom[0] > start]).reshape(-1, 2)
    if len(atoms):
        axes.vlines(atoms[:, 0], 0.0, atoms[:, 1] / width, color=VERMILION, lw=1.6)
        axes.plot(atoms[:, 0], atoms[:, 1] / width, "^", color=VERMILION, ms=7, label=_atoms(atoms.tolist()))
    one = 1.0 / (n * width)
    for values, style in zip(near, (_PREDICTED, _FOUND), strict=True):
        if len(values):  # an empty line that is not clipped takes up space
            axes.plot(values, np.full(len(values), one), clip_on=False, **style)
    _scale_heights(axes, [float(heights.max()), *(atoms[:, 1] / width)], curves, one)
    _label_bulk(axes, result, scale)
    axes.set_xlim(edges[0], edges[-1])


def _label_bulk(axes: Axes, result: SpectrumResult, scale: Scale) -> None:
    if scale.logarithmic:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set(xlabel="eigenvalue", ylabel=f"density{' of ln(eigenvalue)' if scale.logarithmic else ''}")
    data = result.samples.data
    none = "" if result.isolated else "; no isolated eigenvalue"
    set_title(axes, f"Bulk on {data.n} samples of {shortened(data.name)}{none}")
    set_legend(axes, ncols=2 if scale.logarithmic else 3)


def _below(law: Any, start: float) -> str:
    """Say how much of a law is left out because it is below ``start``."""
    share = float(law.cdf(start)) if start > -np.inf else 0.0
    return f" ({percent(share)} below {decimal(start, 2)} left out)" if share > _NOTHING else ""


def _near(result: SpectrumResult) -> tuple[FloatArray, FloatArray]:
    """Return isolated eigenvalues close to the bulk or within it, predicted and found."""
    low, high = result.prediction.bulk.support()
    reach = _NEAR * (high - low)
    predicted, found = _values(result)
    return tuple(v[(v > low - reach) & (v < high + reach)] for v in (predicted, found))  # type: ignore[return-value]


def _values(result: SpectrumResult) -> tuple[FloatArray, FloatArray]:
    """Return isolated eigenvalues in order of size, predicted and found; not numbers where there is none."""
    columns = [(pair.predicted, pair.found) for pair in result.isolated]
    predicted, found = np.array(columns, dtype=np.float64).reshape(-1, 2).T
    return predicted, found


def _atoms(atoms: list[list[float]]) -> str:
    total = percent(sum(mass for _, mass in atoms))
    if len(atoms) == 1:
        return f"predicted atom: {total} at {decimal(atoms[0][0], 3)}"
    return f"{len(atoms)} predicted atoms: {total} together"


def _scale_heights(axes: Axes, heights: list[float], curves: list[Curve], one: float) -> None:
    """Let every density be seen: on a logarithmic axis where a linear one would hide the lowest of them."""
    peaks = [min(float(d.max()), _TALL * float(np.quantile(d, 0.9))) for _, d in curves]
    top, least = max(heights + peaks), min(peaks, default=np.inf)
    if top > _UNEVEN * least:
        axes.set_yscale("log")
        axes.set_ylim(0.3 * min(one, least), 2.0 * top)
    else:
        axes.set_ylim(0.0, 1.08 * top)


def draw_isolated(axes: Axes, result: SpectrumResult) -> None:
    """Isolated eigenvalues in order of size, with the bulk as a band."""
    predicted, found = _values(result)
    places = np.arange(1, 1 + len(predicted))
    axes.plot(places, predicted, label="predicted", **_PREDICTED)
    axes.plot(places, found, label="exact", **_FOUND)
    law = result.prediction.bulk
    for i, (low, high) in enumerate([*law.intervals, *((x, x) for x, _ in law.atoms)]):
        axes.axhspan(low, high, color="0.85", lw=1.0, zorder=0, label="_more" if i else "predicted bulk")
    _scale_values(axes, np.concatenate([predicted, found]), law.support())
    axes.set(xlim=(0.4, len(places) + 0.6), xlabel="in order of size", ylabel="eigenvalue")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    set_title(axes, "Isolated eigenvalues")
    set_legend(axes, ncols=2)


def _scale_values(axes: Axes, values: FloatArray, bulk: tuple[float, float]) -> None:
    least, most = min(float(np.nanmin(values)), bulk[1]), max(float(np.nanmax(values)), bulk[1])
    if least > 0.0 and most > _WIDE * least:
        least = bulk[0] if least / _WIDE < bulk[0] < least else least
        axes.set_yscale("log")
        axes.set_ylim(least / (most / least) ** 0.08, most * (most / least) ** 0.08)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if most < 100.0 * least else (1.0,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, 3)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        least = min(least, bulk[0])
        axes.set_ylim(least - 0.08 * (most - least), most + 0.08 * (most - least))
