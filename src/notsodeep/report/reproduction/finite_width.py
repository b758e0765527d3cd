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
from notsodeep.experiments.reproduction.power_law import power_law
from notsodeep.experiments.reproduction.rows import Mean, column, distinct, groups, mean, where
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
from notsodeep.report.reproduction.words import data_words, mean_words, percent_words, phi_words, span_words
from notsodeep.report.table import Table

_NORMS = ("spectral", "frobenius")
_PANEL = 3.6, 2.9  # inches
_MODELS = {"DEQ": (BLUE, "o"), "twin": (VERMILION, "s")}
_WORDS = {"DEQ": "DEQ", "twin": "matched network"}
_DASHES = {"spectral": "-", "frobenius": (0, (4, 2))}
_SIZES = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (VERMILION, "D"))
_THEORY = -0.5
_CERTAIN = 3.0  # standard errors from which on a bias is called one; they are too large where there is none
_AGREES = 2.0  # standard errors within which an exponent agrees
_SHARED = (
    "Networks of one width have the same seeds on all data and for all activations, and one DEQ has all kernels: lines "
    "are not independent of each other."
)


class Curve(NamedTuple):
    """Errors of networks of one kind, ascending in what they depend on; values of several draws of samples averaged."""

    x: FloatArray
    y: FloatArray
    error: FloatArray
    """Standard error, NaN for a single average"""
    n: Sequence[int]
    """Averages that it is the mean of"""

    def beyond(self, least: float) -> Curve:
        """Return the part from ``least`` on."""
        first = int(np.searchsorted(self.x, least))
        return Curve(self.x[first:], self.y[first:], self.error[first:], self.n[first:])

    def at(self, x: float) -> Mean | None:
        """Return one of the errors, None where there is none."""
        found = [Mean(y, error, n) for at, y, error, n in zip(*self, strict=True) if at == x]
        return found[0] if found else None

    @property
    def exponent(self) -> Mean:
        """That of the power law through the points."""
        law = power_law(self.x, self.y, self.error)
        return Mean(law.exponent, law.error, len(self.x))


@dataclass(frozen=True, eq=False)
class Case:
    """Rows of one data set, activation, kernel and model."""

    dataset: str
    activation: str
    kernel: str
    model: str
    rows: list[Row]

    def __str__(self) -> str:
        return f"{data_words(self.dataset)}, {phi_words(self.activation)}, {self.kernel}, {_WORDS[self.model]}"

    def by_width(self, norm: str) -> Curve:
        """Return the error of one network against its width."""
        return _curve(where(self.rows, networks=1), "width", norm)

    def by_networks(self, width: int, norm: str) -> Curve:
        """Return the error of an average against the number of networks of one width."""
        return _curve(where(self.rows, width=width), "networks", norm)

    def bias(self, width: int) -> Mean:
        """Return the estimate of the squared relative bias at one width."""
        found = [row for row in where(self.rows, width=width) if row["bias_square"] is not None]
        errors = column(found, "bias_square_error")
        return Mean(mean(column(found, "bias_square")).value, float(np.linalg.norm(errors)) / len(found), len(found))

    @property
    def design(self) -> float:
        """Relative Frobenius distance of the exact kernels of model and DEQ."""
        return float(column([row for row in self.rows if row["design"] is not None], "design").mean())


def _curve(rows: Sequence[Row], name: str, norm: str) -> Curve:
    by_size = {int(str(x)): own for (x,), own in groups(rows, name).items()}
    ordered = [by_size[x] for x in sorted(by_size)]
    errors = [column(own, f"{norm}_error") for own in ordered]
    return Curve(
        np.array(sorted(by_size), dtype=np.float64),
        np.array([column(own, norm).mean() for own in ordered]),
        np.array([np.linalg.norm(each) / len(each) for each in errors]),
        [int(column(own, "groups").sum()) for own in ordered],
    )


def cases(rows: Sequence[Row]) -> list[Case]:
    """Return the rows of each kind of network."""
    found = groups(rows, "dataset", "activation", "kernel", "model")
    return [
        Case(str(data), str(phi), str(kernel), str(model), own) for (data, phi, kernel, model), own in found.items()
    ]


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what the errors say, in numbers of these rows."""
    if not rows:
        return []
    found = cases(rows)
    return [
        *(sentence for sentence in (_on_width(found), _on_averages(found)) if sentence),
        *_on_bias(found),
        *_on_matched(found),
    ]


def _on_width(found: Sequence[Case]) -> str:
    widths = _widths(found)
    curves = {(case, norm): case.by_width(norm) for case in found for norm in _NORMS}
    fits = {key: curve.exponent for key, curve in curves.items() if len(curve.x) > 1}
    if not fits:
        return ""
    parts = []
    for norm in _NORMS:
        exponents = [exponent for (_, which), exponent in fits.items() if which == norm]
        agree = sum(abs(each.value - _THEORY) <= _AGREES * each.error for each in exponents)
        parts.append(
            f"{_three(exponents)} in the {_norm(norm)} norm, where {agree} of {len(exponents)} have -1/2 within two "
            "standard errors"
        )
    n = int(max(column(case.rows, "n").max() for case in found))
    upper = [curve.beyond(n) for (_, norm), curve in curves.items() if norm == "spectral"]
    beyond = [curve.exponent for curve in upper if len(curve.x) > 1]
    wide = (
        f" Fitted to the widths from {n} on, the number of samples, the exponent in the spectral norm is "
        f"{_three(beyond)}."
        if beyond
        else ""
    )
    (case, norm), worst = max(fits.items(), key=lambda item: abs(item[1].value - _THEORY))
    return (
        f"The error of the kernel of one network falls from width {widths[0]} to {widths[-1]} with an exponent of "
        f"{'; of '.join(parts)}. The furthest from -1/2 is {mean_words(worst, 3)} ({case}, {_norm(norm)} norm).{wide}"
    )


def _three(exponents: Sequence[Mean]) -> str:
    return span_words([each.value for each in exponents], "{:.3f}".format)


def _on_averages(found: Sequence[Case]) -> str:
    parts = []
    for width in dict.fromkeys((_widths(found)[0], _widths(found)[-1])):
        curves = [case.by_networks(width, "frobenius") for case in found if _has(case, width)]
        networks = int(min(curve.x[-1] for curve in curves))
        gains = [float(curve.y[0] / curve.y[list(curve.x).index(networks)]) for curve in curves]
        closer = span_words(gains, lambda gain: decimal(gain, 3))
        parts.append(
            f"of {networks} networks of width {width} is {closer} times closer (Frobenius) than one network, where "
            f"chance alone would give {decimal(math.sqrt(networks), 3)}"
        )
    return f"An average {'; one '.join(parts)}."


def _on_bias(found: Sequence[Case]) -> list[str]:
    squares = {(case, width): case.bias(width) for case in found for width in _widths([case])}
    seen = {key: math.sqrt(square.value) for key, square in squares.items() if square.value > _CERTAIN * square.error}
    limits = [math.sqrt(_CERTAIN * square.error) for key, square in squares.items() if key not in seen]
    said = (
        f"A bias of the mean kernel is seen beyond {_CERTAIN:g} standard errors in {len(seen)} of {len(squares)} cases "
        "(each width of each kernel counts as one; they share seeds)"
    )
    hidden = f"as small as {span_words(limits, percent)} could not have been seen" if limits else ""
    if not seen:
        return [f"{said}. One {hidden} (case by case, {_CERTAIN:g} standard errors; Frobenius, relative)."]
    (case, width), largest = max(seen.items(), key=lambda item: item[1])
    smallest = _widths(found)[0]
    there = [value for (_, at), value in seen.items() if at == smallest]
    where_small = f", {span_words(there, percent)} at width {smallest}" if there else ""
    others = f" In the other cases one {hidden}." if limits else ""
    return [
        f"{said}{where_small}; the largest is {percent(largest)} ({case}, width {width}). It is what an average of any "
        f"number of networks keeps (Frobenius, relative).{others}"
    ]


def _on_matched(found: Sequence[Case]) -> list[str]:
    """Say by how many times a matched network is further off than a DEQ of its width."""
    deqs = {(case.dataset, case.activation, case.kernel): case for case in found if case.model == "DEQ"}
    ratios: dict[str, dict[str, list[float]]] = {}
    for case in found:
        deq = deqs.get((case.dataset, case.activation, case.kernel))
        if case.model != "DEQ" and deq is not None:
            theirs = deq.by_width("frobenius")
            pairs = ((ours, theirs.at(width)) for width, ours, *_ in zip(*case.by_width("frobenius"), strict=True))
            own = ratios.setdefault(case.activation, {}).setdefault(case.kernel, [])
            own += [float(ours / other.value) for ours, other in pairs if other is not None]
    return [
        f"At equal width a network matched to the {phi_words(phi)} DEQ is off by this many times what a DEQ of that "
        f"width is (Frobenius, one network): {', '.join(_of_kernel(*pair) for pair in of_kernels.items())}."
        for phi, of_kernels in ratios.items()
    ]


def _of_kernel(kernel: str, ratios: Sequence[float]) -> str:
    return f"{span_words(ratios, lambda ratio: decimal(ratio, 2))} for the {kernel}"


def _widths(found: Sequence[Case]) -> list[int]:
    return sorted({int(row["width"]) for case in found for row in case.rows})  # type: ignore[arg-type]


def _has(case: Case, width: int) -> bool:
    return bool(where(case.rows, width=width))


def _norm(norm: str) -> str:
    return {"frobenius": "Frobenius"}.get(norm, norm)


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
            errors = [curve.at(width) for width in (low, high)]
            cells.append(mean_words(curve.exponent, 3) if len(curve.x) > 1 else "-")
            cells += ["-" if error is None else percent_words(error) for error in errors]
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
            _SHARED,
        ),
    )


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
            _SHARED,
        ),
    )


def _bias(case: Case, width: int) -> str:
    square = case.bias(width)
    return f"{1e4 * square.value:.2g} ± {1e4 * square.error:.1g}"


def figures(rows: Sequence[Row]) -> Mapping[str, Figure]:
    """Return, for each data set, the errors against the width, and against the number of networks averaged."""
    if not rows:
        return {}
    datasets = [str(dataset) for dataset in distinct(rows, "dataset")]
    against_width = {f"finite-width-{name}": _by_width(where(rows, dataset=name)) for name in datasets}
    return against_width | {
        f"finite-width-averages-{name}": _by_networks(where(rows, dataset=name)) for name in datasets
    }


def _grid(rows: Sequence[Row], xlabel: str, ylabel: str) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Return a figure with a row for each activation and a column for each kernel."""
    names, kernels = ([str(value) for value in distinct(rows, name)] for name in ("activation", "kernel"))
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


def _by_width(rows: Sequence[Row]) -> Figure:
    figure, by_case = _grid(rows, "width m", "relative error, %")
    for case in cases(rows):
        axes, (color, marker) = by_case[case.activation, case.kernel], _MODELS[case.model]
        for norm in _NORMS:
            curve = case.by_width(norm)
            axes.errorbar(curve.x, 100.0 * curve.y, 200.0 * curve.error, ms=4.5, lw=1.3, **_look(color, marker, norm))
            if case.model == "DEQ":
                axes.plot(curve.x, 100.0 * curve.y[0] * (curve.x / curve.x[0]) ** _THEORY, color=BLACK, lw=0.9, ls=":")
    handles = [Line2D([], [], **_look(*style, norm)) for style in _MODELS.values() for norm in _NORMS]
    labels = [f"{_WORDS[model]}, {_norm(norm)} norm" for model in _MODELS for norm in _NORMS]
    slope = Line2D([], [], color=BLACK, lw=0.9, ls=":")
    figure_legend(figure, [*handles, slope], [*labels, "$m^{-1/2}$ from the first point of the DEQ"], ncols=4)
    return figure


def _look(color: str, marker: str, norm: str) -> dict[str, Any]:
    filled = color if norm == "spectral" else "white"
    return {"color": color, "marker": marker, "ls": _DASHES[norm], "mfc": filled}


def _by_networks(rows: Sequence[Row]) -> Figure:
    figure, by_case = _grid(rows, "networks averaged, k", "relative Frobenius error, %")
    found = cases(rows)
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
    labels = [*(f"width {width}" for width in widths), *_WORDS.values(), "$k^{-1/2}$ from one DEQ"]
    figure_legend(figure, handles, labels, ncols=4)
    return figure


def _shown(widths: Sequence[int]) -> list[int]:
    """Return four widths at most, from the smallest to the largest."""
    places = np.unique(np.linspace(0, len(widths) - 1, len(_SIZES)).round().astype(int))
    return [widths[place] for place in places]


PRESENTATION = Presentation(findings, tables, figures)
