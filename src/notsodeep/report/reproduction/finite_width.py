"""Kernels of finite networks: errors against width and number of networks, exponents, bias, findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from notsodeep.checks import FloatArray
from notsodeep.experiments.reproduction.power_law import PowerLaw, power_law
from notsodeep.experiments.reproduction.rows import column, distinct, where
from notsodeep.experiments.reproduction.study import Row
from notsodeep.report.drawing import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PLAIN,
    SMALL,
    VERMILION,
    figure_legend,
    panels,
    set_title,
)
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import data_words, phi_words
from notsodeep.report.table import Table

_NORMS = ("spectral", "frobenius")
_PANEL = 3.6, 2.9  # inches
_MODELS = {"DEQ": (BLUE, "o"), "twin": (VERMILION, "s")}
_DASHES = {"spectral": "-", "frobenius": (0, (4, 2))}
_SIZES = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (VERMILION, "D"))
_THEORY = -0.5
_CERTAIN = 3.0  # standard errors from which on a bias is called one; they are too large where there is none
_AGREES = 2.0  # standard errors within which an exponent agrees


class Curve(NamedTuple):
    """Errors of networks of one kind, ascending in what they depend on; values of several draws of samples averaged."""

    x: FloatArray
    y: FloatArray
    error: FloatArray
    """Standard error, NaN for a single average"""

    def beyond(self, least: float) -> Curve:
        """Return the part from ``least`` on."""
        kept = self.x >= least
        return Curve(self.x[kept], self.y[kept], self.error[kept])

    @property
    def law(self) -> PowerLaw:
        """The power law through the points."""
        return power_law(self.x, self.y, self.error)


@dataclass(frozen=True, eq=False)
class Case:
    """Rows of one data set, activation, kernel and model."""

    dataset: str
    activation: str
    kernel: str
    model: str
    rows: list[Row]

    def __str__(self) -> str:
        return f"{data_words(self.dataset)}, {phi_words(self.activation)}, {self.kernel}, {self.model}"

    def by_width(self, norm: str) -> Curve:
        """Return the error of one network against its width."""
        return _curve(where(self.rows, networks=1), "width", norm)

    def by_networks(self, width: int, norm: str) -> Curve:
        """Return the error of an average against the number of networks of one width."""
        return _curve(where(self.rows, width=width), "networks", norm)

    def bias(self, width: int) -> tuple[float, float]:
        """Return the estimate of the squared relative bias at one width and its standard error."""
        found = [row for row in where(self.rows, width=width) if row["bias_square"] is not None]
        errors = column(found, "bias_square_error")
        return float(column(found, "bias_square").mean()), float(np.linalg.norm(errors)) / len(found)

    @property
    def design(self) -> float:
        """Relative Frobenius distance of the exact kernels of model and DEQ."""
        return float(column([row for row in self.rows if row["design"] is not None], "design").mean())


def _curve(rows: Sequence[Row], name: str, norm: str) -> Curve:
    x = sorted({int(row[name]) for row in rows})  # type: ignore[arg-type]
    groups = [where(rows, **{name: each}) for each in x]
    errors = [column(group, f"{norm}_error") for group in groups]
    return Curve(
        np.array(x, dtype=np.float64),
        np.array([column(group, norm).mean() for group in groups]),
        np.array([np.linalg.norm(each) / len(each) for each in errors]),
    )


def cases(rows: Sequence[Row]) -> list[Case]:
    """Return the rows of each kind of network."""
    names = ("dataset", "activation", "kernel", "model")
    keys = dict.fromkeys(tuple(str(row[name]) for name in names) for row in rows)
    named = (dict(zip(names, key, strict=True)) for key in keys)
    return [Case(**each, rows=where(rows, **each)) for each in named]


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what the errors say, in numbers of these rows."""
    if not rows:
        return []
    found = cases(rows)
    return [
        *(sentence for sentence in (_on_width(found), _on_averages(found)) if sentence),
        *_on_bias(found),
        *_on_twins(found),
    ]


def _on_width(found: Sequence[Case]) -> str:
    widths = _widths(found)
    if len(widths) < 2:
        return ""
    fits = {(case, norm): case.by_width(norm).law for case in found for norm in _NORMS if _fits(case, norm)}
    parts = []
    for norm in _NORMS:
        laws = [law for (_, which), law in fits.items() if which == norm]
        agree = sum(abs(law.exponent - _THEORY) <= _AGREES * law.error for law in laws)
        exponents = [law.exponent for law in laws]
        parts.append(
            f"{min(exponents):.3f} to {max(exponents):.3f} in the {_norm(norm)} norm, where {agree} of {len(laws)} "
            "have -1/2 within two standard errors"
        )
    n = max(int(row["n"]) for case in found for row in case.rows)  # type: ignore[arg-type]
    upper = [case.by_width("spectral").beyond(n) for case in found]
    beyond = [curve.law.exponent for curve in upper if len(curve.x) > 1]
    wide = (
        f" In the spectral norm it is {min(beyond):.3f} to {max(beyond):.3f} for networks with more units than the "
        f"{n} samples."
        if beyond
        else ""
    )
    (case, norm), worst = max(fits.items(), key=lambda item: abs(item[1].exponent - _THEORY))
    return (
        f"The error of the kernel of one network falls from width {widths[0]} to {widths[-1]} with an exponent of "
        f"{'; of '.join(parts)}. The furthest from -1/2 is {worst.exponent:.3f} ± {worst.error:.3f} ({case}, "
        f"{_norm(norm)} norm).{wide}"
    )


def _fits(case: Case, norm: str) -> bool:
    return len(case.by_width(norm).x) > 1


def _on_averages(found: Sequence[Case]) -> str:
    parts = []
    for width in dict.fromkeys((_widths(found)[0], _widths(found)[-1])):
        curves = [case.by_networks(width, "frobenius") for case in found if _has(case, width)]
        networks = int(min(curve.x[-1] for curve in curves))
        gains = [float(curve.y[0] / curve.y[list(curve.x).index(networks)]) for curve in curves]
        chance = decimal(math.sqrt(networks), 3)
        parts.append(
            f"of {networks} networks of width {width} is {_span(gains, lambda gain: decimal(gain, 3))} times closer "
            f"(Frobenius) than one network, where chance alone would give {chance}"
        )
    return f"An average {'; one '.join(parts)}."


def _on_bias(found: Sequence[Case]) -> list[str]:
    sure = {case: [width for width in _widths([case]) if _is_sure(case, width)] for case in found}
    total = sum(len(_widths([case])) for case in found)
    count = sum(map(len, sure.values()))
    said = (
        f"A bias of the mean kernel is seen beyond {_CERTAIN:g} standard errors in {count} of {total} cases "
        "(each width of each kernel counts as one)"
    )
    if not count:
        return [f"{said}: averages are as good as their number says."]
    biases = {(case, width): math.sqrt(case.bias(width)[0]) for case, widths in sure.items() for width in widths}
    case, width = max(biases, key=lambda key: biases[key])
    smallest = _widths(found)[0]
    there = [value for (_, at), value in biases.items() if at == smallest]
    where_small = f", {_span(there, percent)} at width {smallest}" if there else ""
    slopes = [_bias_slope(each, widths) for each, widths in sure.items() if len(widths) > 2]
    laws = f" Where three widths or more show it, it falls as m^b with b = {_span(slopes, _two)}." if slopes else ""
    return [
        f"{said}{where_small}; the largest is {percent(biases[case, width])} ({case}, width {width}). It is what an "
        f"average of any number of networks keeps (Frobenius, relative).{laws}"
    ]


def _is_sure(case: Case, width: int) -> bool:
    square, error = case.bias(width)
    return square > _CERTAIN * error


def _bias_slope(case: Case, widths: Sequence[int]) -> float:
    squares, errors = np.array([case.bias(width) for width in widths]).T
    return 0.5 * power_law(np.array(widths, dtype=np.float64), squares, errors).exponent


def _on_twins(found: Sequence[Case]) -> list[str]:
    sentences = []
    for phi in dict.fromkeys(case.activation for case in found):
        parts = []
        for kernel in dict.fromkeys(case.kernel for case in found):
            ratios = [ratio for ratio in _ratios(found, phi, kernel) if math.isfinite(ratio)]
            if ratios:
                parts.append(f"{_span(ratios, _two)} for the {kernel}")
        if parts:
            sentences.append(
                f"At equal width a twin of the {phi_words(phi)} DEQ is off by this many times what a DEQ of that width "
                f"is (Frobenius, one network): {', '.join(parts)}."
            )
    return sentences


def _ratios(found: Sequence[Case], phi: str, kernel: str) -> list[float]:
    ratios = []
    for dataset in dict.fromkeys(case.dataset for case in found):
        pair = {
            case.model: case for case in found if (case.dataset, case.activation, case.kernel) == (dataset, phi, kernel)
        }
        if len(pair) == len(_MODELS):
            ours, theirs = (dict(zip(*pair[model].by_width("frobenius")[:2], strict=True)) for model in ("twin", "DEQ"))
            ratios += [float(ours[width] / theirs[width]) for width in ours if width in theirs]
    return ratios


def _widths(found: Sequence[Case]) -> list[int]:
    return sorted({int(row["width"]) for case in found for row in case.rows})  # type: ignore[arg-type]


def _has(case: Case, width: int) -> bool:
    return bool(where(case.rows, width=width))


def _norm(norm: str) -> str:
    return {"frobenius": "Frobenius"}.get(norm, norm)


def _two(value: float) -> str:
    return decimal(value, 2) if value > 0.0 else f"{value:.2f}"


def _span(values: Sequence[float], show: Any) -> str:
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} to {high}"


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the exponents and errors of single networks, and the bias."""
    if not rows:
        return []
    found = cases(rows)
    return [_exponents(found), _biases(found)]


def _exponents(found: Sequence[Case]) -> Table:
    low, high = _widths(found)[0], _widths(found)[-1]
    lines = []
    for case in found:
        cells = []
        for norm in _NORMS:
            curve = case.by_width(norm)
            law = curve.law if len(curve.x) > 1 else None
            cells += [
                "-" if law is None else f"{law.exponent:.3f} ± {law.error:.3f}",
                *(_at(curve, width) for width in (low, high)),
            ]
        lines.append((str(case), tuple(cells)))
    heads = [f"{_norm(norm)}: {what}" for norm in _NORMS for what in ("b", f"m = {low}", f"m = {high}")]
    return Table(
        "Error of the kernel of one network, and its exponent",
        ("kernel", *heads),
        tuple(lines),
        (
            "Relative to the exact kernel of the DEQ, mean over networks ± standard error; b of error ~ m^b over all "
            "widths, by least squares weighted with the errors, its error widened where the misfit asks for it. "
            "Theory: b = -1/2.",
        ),
    )


def _at(curve: Curve, width: int) -> str:
    at = np.flatnonzero(curve.x == width)
    return f"{percent(curve.y[at[0]], 3)} ± {100.0 * curve.error[at[0]]:.1g}" if at.size else "-"


def _biases(found: Sequence[Case]) -> Table:
    widths = _widths(found)
    lines = [
        (str(case), (*(_bias(case, width) if _has(case, width) else "-" for width in widths), percent(case.design)))
        for case in found
    ]
    return Table(
        "Squared bias of the mean kernel, relative, in units of 1e-4 (1e-4 is a bias of 1 %)",
        ("kernel", *(f"m = {width}" for width in widths), "design"),
        tuple(lines),
        (
            "Frobenius norm, estimated from products of averages of different networks, so that chance alone may make "
            "it negative; ± standard error (jackknife).",
            "Design: relative Frobenius distance of the exact kernels of model and DEQ, the bias at infinite width.",
        ),
    )


def _bias(case: Case, width: int) -> str:
    square, error = case.bias(width)
    return f"{1e4 * square:.2g} ± {1e4 * error:.1g}"


def figures(rows: Sequence[Row]) -> Mapping[str, Figure]:
    """Return, for each data set, the errors against the width, and against the number of networks averaged."""
    if not rows:
        return {}
    datasets = [str(dataset) for dataset in distinct(rows, "dataset")]
    against_width = {f"finite-width-{name}": _by_width(cases(where(rows, dataset=name))) for name in datasets}
    return against_width | {
        f"finite-width-averages-{name}": _by_networks(cases(where(rows, dataset=name))) for name in datasets
    }


def _grid(found: Sequence[Case], xlabel: str, ylabel: str) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Return a figure with a row for each activation and a column for each kernel."""
    names, kernels = (list(dict.fromkeys(getattr(case, name) for case in found)) for name in ("activation", "kernel"))
    size = _PANEL[0] * len(kernels), _PANEL[1] * len(names) + 0.7
    figure, grid = panels(len(names), len(kernels), size, sharex=True, sharey="row")
    by_case = {(phi, kernel): grid[i, j] for i, phi in enumerate(names) for j, kernel in enumerate(kernels)}
    for (phi, kernel), axes in by_case.items():
        set_title(axes, f"{phi_words(phi)}, {kernel}")
        axes.set(yscale="log")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "25" else "")
        axes.tick_params(which="both", labelsize=SMALL)
        axes.grid(alpha=0.25, which="major")
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
    return figure, by_case


def _by_width(found: Sequence[Case]) -> Figure:
    figure, by_case = _grid(found, "width m", "relative error, %")
    for case in found:
        axes, (color, marker) = by_case[case.activation, case.kernel], _MODELS[case.model]
        for norm in _NORMS:
            curve = case.by_width(norm)
            axes.errorbar(curve.x, 100.0 * curve.y, 200.0 * curve.error, ms=4.5, lw=1.3, **_look(color, marker, norm))
            if case.model == "DEQ":
                axes.plot(curve.x, 100.0 * curve.y[0] * (curve.x / curve.x[0]) ** _THEORY, color=BLACK, lw=0.9, ls=":")
    handles = [Line2D([], [], **_look(*style, norm)) for style in _MODELS.values() for norm in _NORMS]
    labels = [f"{model}, {_norm(norm)} norm" for model in _MODELS for norm in _NORMS]
    slope = Line2D([], [], color=BLACK, lw=0.9, ls=":")
    figure_legend(figure, [*handles, slope], [*labels, "$m^{-1/2}$ from the first point of the DEQ"], ncols=4)
    return figure


def _look(color: str, marker: str, norm: str) -> dict[str, Any]:
    filled = color if norm == "spectral" else "white"
    return {"color": color, "marker": marker, "ls": _DASHES[norm], "mfc": filled}


def _by_networks(found: Sequence[Case]) -> Figure:
    figure, by_case = _grid(found, "networks averaged, k", "relative Frobenius error, %")
    widths = _shown(_widths(found))
    for case in found:
        axes = by_case[case.activation, case.kernel]
        for width, (color, marker) in zip(widths, _SIZES, strict=False):
            if not _has(case, width):
                continue
            curve = case.by_networks(width, "frobenius")
            deq = case.model == "DEQ"
            look: dict[str, Any] = {"ls": "-", "mfc": color} if deq else {"ls": (0, (3, 1.5)), "mfc": "white"}
            axes.plot(curve.x, 100.0 * curve.y, color=color, marker=marker, ms=4.0, lw=1.2, **look)
            if deq:
                axes.plot(curve.x, 100.0 * curve.y[0] * curve.x**_THEORY, color=BLACK, lw=0.9, ls=":")
    marks = [style for _, style in zip(widths, _SIZES, strict=False)]
    handles = [Line2D([], [], color=color, marker=marker, ls="none") for color, marker in marks]
    handles += [Line2D([], [], color="0.3", ls=ls) for ls in ("-", (0, (3, 1.5)))]
    handles.append(Line2D([], [], color=BLACK, lw=0.9, ls=":"))
    labels = [*(f"width {width}" for width in widths), "DEQ", "twin", "$k^{-1/2}$ from one DEQ"]
    figure_legend(figure, handles, labels, ncols=4)
    return figure


def _shown(widths: Sequence[int]) -> list[int]:
    """Return four widths at most, from the smallest to the largest."""
    places = np.unique(np.linspace(0, len(widths) - 1, len(_SIZES)).round().astype(int))
    return [widths[place] for place in places]


PRESENTATION = Presentation(findings, tables, figures)
