"""Eigenvalues of the exact kernels and of what stands in for them: histograms, distances, findings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from notsodeep.experiments.reproduction.draws import CLASSES, SPHERE
from notsodeep.experiments.reproduction.rows import Mean, column, distinct, groups, mean, where
from notsodeep.experiments.reproduction.spectrum import LARGEST, STAND_INS
from notsodeep.experiments.reproduction.study import Row
from notsodeep.experiments.samples import MIXTURE
from notsodeep.report.drawing import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PLAIN,
    PURPLE,
    SMALL,
    VERMILION,
    figure_legend,
    panels,
    set_title,
)
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import data_words, listed, percent_words, phi_words, span_words
from notsodeep.report.table import Table

_WHOLE = (MIXTURE, SPHERE)  # any other one has its two classes in its name
_FLOOR = 0.6  # where the axis of counts starts
_PANEL = (5.4, 3.0)  # inches
_STRIPS = 0.9, 0.075  # height of the first strip of marks and distance to the next one, of the height of a panel
_COMPARED = {"spectral": "spectral norm", "kolmogorov": "Kolmogorov distance", "largest": "largest eigenvalues"}


class _Style(NamedTuple):
    color: str
    marker: str
    line: Any


_STYLES = {
    "exact": _Style(BLUE, "o", "-"),
    "paper": _Style(GREEN, "x", (0, (5, 2))),
    "norm_aware": _Style(BLACK, "+", (0, (1, 1.2))),
    "matched": _Style(VERMILION, ".", "-"),
    "one_deq": _Style(ORANGE, "^", "-"),
    "mean_deq": _Style(PURPLE, "s", "-"),
    "one_matched": _Style("0.45", "v", (0, (3, 1, 1, 1))),
}


class _Case(NamedTuple):
    """Rows of one data set and size, activation and kernel."""

    dataset: str
    n: int
    p: int
    activation: str
    kernel: str
    rows: list[Row]

    @property
    def place(self) -> str:
        return f"{_data_name(self.dataset)}, n = {self.n}"

    def __str__(self) -> str:
        return f"{self.place}, {phi_words(self.activation)}, {self.kernel}"

    def mean(self, what: str, name: str) -> Mean:
        """Return the mean of one distance of one matrix over the draws."""
        return mean(column(where(self.rows, what=what), name))


def _data_name(dataset: str) -> str:
    return data_words(dataset) if dataset in _WHOLE else f"{data_words(dataset)} {' vs '.join(map(str, CLASSES))}"


def _cases(rows: Sequence[Row]) -> list[_Case]:
    found = groups(rows, "dataset", "n", "p", "activation", "kernel")
    return [_Case._make((*key, own)) for key, own in found.items()]


def _labels(rows: Sequence[Row]) -> dict[str, str]:
    width, networks = rows[0]["width"], rows[0]["networks"]
    return {
        "exact": "DEQ, exact",
        "paper": "equivalent, paper's form",
        "norm_aware": "equivalent, norm-aware",
        "matched": "matched network, exact",
        "one_deq": f"one DEQ of width {width}",
        "mean_deq": f"mean of {networks} DEQs of width {width}",
        "one_matched": f"one matched network of width {width}",
    }


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what the distances say about each stand-in, in numbers of these rows."""
    if not rows:
        return []
    cases = _cases(rows)
    return [_on_matches(cases), _on_paper(cases), _on_norm_aware(cases), _on_networks(cases, rows), _on_shapes(cases)]


def _on_matches(cases: Sequence[_Case]) -> str:
    found = [row for case in cases for row in where(case.rows, what="residual")]
    missed = sum(row["status"] != "matched" for row in found)
    worst = max(cases, key=lambda case: case.mean("spectral", "matched").value)
    apart = percent(worst.mean("spectral", "matched").value)
    largest = percent(max(case.mean("largest", "matched").value for case in cases))
    solved = f"in {len(found) - missed} of {len(found)} cases and draws" if missed else "in every case and draw"
    return (
        f"A network with the numbers of the DEQ was found {solved}. On average over draws, the exact kernels of the "
        f"networks differ from those of the DEQs by at most {apart} in relative spectral norm ({worst}), their "
        f"{LARGEST} largest eigenvalues by at most {largest}."
    )


def _on_paper(cases: Sequence[_Case]) -> str:
    said = f"The paper's equivalent is off by {_by_data(cases, 'paper')} in relative spectral norm."
    sizes = sorted({case.n for case in cases if case.dataset == MIXTURE})
    if len(sizes) < 2:
        return said
    first, last = ([case for case in cases if (case.dataset, case.n) == (MIXTURE, n)] for n in (sizes[0], sizes[-1]))
    ratios = [
        b.mean("spectral", "paper").value / a.mean("spectral", "paper").value
        for a, b in product(first, last)
        if (a.activation, a.kernel) == (b.activation, b.kernel)
    ]
    return (
        f"{said} On the mixture, {sizes[-1] / sizes[0]:g} times as many samples and dimensions leave "
        f"{span_words(ratios, lambda ratio: decimal(ratio, 2))} of its error; n^(-1/2) would leave "
        f"{decimal((sizes[0] / sizes[-1]) ** 0.5, 2)}."
    )


def _on_norm_aware(cases: Sequence[_Case]) -> str:
    closer = sum(case.mean("spectral", "norm_aware").value < case.mean("spectral", "paper").value for case in cases)
    return (
        f"The norm-aware equivalent is off by {_by_data(cases, 'norm_aware')}; it is closer to the exact kernel than "
        f"the paper's form in {closer} of {len(cases)} cases."
    )


def _on_networks(cases: Sequence[_Case], rows: Sequence[Row]) -> str:
    width, networks = rows[0]["width"], rows[0]["networks"]
    single, several = ([case.mean("spectral", name).value for case in cases] for name in ("one_deq", "mean_deq"))
    farther = sum(error > case.mean("spectral", "paper").value for error, case in zip(single, cases, strict=True))
    shares = _shares_below(cases)
    below = (
        f" Up to {percent(max(shares))} of the eigenvalues of one DEQ lie below half the smallest exact one (a CK of n "
        "samples and m units has n - m zeros where n > m)."
        if shares
        else ""
    )
    return (
        f"The kernel of one DEQ of width {width} is off by {span_words(single, percent)} in relative spectral norm, "
        f"the mean of {networks} by {span_words(several, percent)}; one DEQ is farther from the exact kernel than the "
        f"paper's equivalent in {farther} of {len(cases)} cases.{below}"
    )


def _shares_below(cases: Sequence[_Case]) -> list[float]:
    """Return the share of the eigenvalues of one DEQ below the first bin, in each case that has bins."""
    below = [(case.n, where(case.rows, what="count", low=None)) for case in cases]
    return [float(column(rows, "one_deq").sum()) / n for n, rows in below if rows]


def _on_shapes(cases: Sequence[_Case]) -> str:
    spans = {
        name: span_words([case.mean("kolmogorov", name).value for case in cases], percent)
        for name in ("matched", "mean_deq", "one_deq")
    }
    return (
        f"Shares of eigenvalues up to a point differ from those of the exact kernel (Kolmogorov distance), on average "
        f"over draws, by {spans['matched']} for the matched network, {spans['mean_deq']} for the mean of finite DEQs "
        f"and {spans['one_deq']} for a single one; for the paper's equivalent by "
        f"{_by_data(cases, 'paper', 'kolmogorov')}, for the norm-aware one by "
        f"{_by_data(cases, 'norm_aware', 'kolmogorov')}."
    )


def _by_data(cases: Sequence[_Case], name: str, what: str = "spectral") -> str:
    spans = []
    for dataset in dict.fromkeys(case.dataset for case in cases):
        errors = [case.mean(what, name).value for case in cases if case.dataset == dataset]
        spans.append(f"{span_words(errors, percent)} on {'the ' * (dataset in _WHOLE)}{_data_name(dataset)}")
    return listed(spans)


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the distances in the spectral norm, of distribution functions, and of the largest eigenvalues."""
    cases, labels = _cases(rows), _labels(rows)
    notes = {
        "spectral": "Spectral norm of the difference over spectral norm of the exact kernel.",
        "kolmogorov": "Largest difference between the shares of eigenvalues up to a point.",
        "largest": f"Largest relative difference of one of the {LARGEST} largest eigenvalues, rank by rank.",
    }
    draws = f"Mean ± standard error over {len(distinct(rows, 'seed'))} draws of samples and networks."
    return [
        Table(
            f"Distance from the exact kernel of the DEQ: {title}",
            ("", *(labels[name] for name in STAND_INS)),
            tuple((str(case), tuple(percent_words(case.mean(what, name), 2) for name in STAND_INS)) for case in cases),
            (notes[what], draws),
        )
        for what, title in _COMPARED.items()
    ]


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return a figure of eigenvalues for each kernel, and one of the distances in the spectral norm."""
    kernels = [str(kernel) for kernel in distinct(rows, "kernel")]
    of_kernels = {f"eigenvalues-{_file_name(kernel)}": eigenvalues(where(rows, kernel=kernel)) for kernel in kernels}
    return {**of_kernels, "distances": spectral_distances(rows)}


def _file_name(kernel: str) -> str:
    """Return ``ntk-a-w`` for ``NTK {A, w}``."""
    return "-".join(re.findall(r"\w+", kernel.lower()))


def eigenvalues(rows: Sequence[Row]) -> Figure:
    """Draw the eigenvalues of one kernel on draw 0: a line of panels for each data set and size."""
    first = where(rows, seed=0)
    cases, activations = _cases(first), distinct(first, "activation")
    places = list(dict.fromkeys(case.place for case in cases))
    figure, grid = _grid(len(places), len(activations))
    for case in cases:
        _draw_case(grid[places.index(case.place), activations.index(case.activation)], case)
    _hide_empty(grid)
    labels = _labels(rows)
    handles: list[Any] = [(_line(name), _mark(name)) for name in _STYLES]
    title = f"lines: eigenvalues in a bin; marks: those of the {LARGEST} largest ones that are above all bins"
    figure_legend(figure, handles, [labels[name] for name in _STYLES], ncols=3, title=title)
    return figure


def _line(name: str) -> Patch | Line2D:
    style = _STYLES[name]
    return Patch(color=style.color, alpha=0.35) if name == "exact" else Line2D([], [], color=style.color, ls=style.line)


def _mark(name: str) -> Line2D:
    return Line2D([], [], color=_STYLES[name].color, marker=_STYLES[name].marker, mfc="none", ls="none")


def _grid(lines: int, columns: int) -> tuple[Figure, Any]:
    return panels(lines, columns, (_PANEL[0] * columns, _PANEL[1] * lines + 0.6))


def _hide_empty(grid: Any) -> None:
    for axes in grid.flat:
        axes.set_visible(axes.has_data())


def _draw_case(axes: Axes, case: _Case) -> None:
    """Counts in logarithmic bins; what lies above the bins as marks, a strip for each matrix."""
    bins = [row for row in where(case.rows, what="count") if None not in (row["low"], row["high"])]
    edges = np.append(column(bins, "low"), column(bins, "high")[-1])
    top = where(case.rows, what="eigenvalue")
    for i, (name, style) in enumerate(_STYLES.items()):
        line: dict[str, Any] = {"fill": True, "alpha": 0.35} if name == "exact" else {"lw": 1.2, "ls": style.line}
        counts = np.maximum(column(bins, name), _FLOOR)
        axes.stairs(counts, edges, baseline=_FLOOR, color=style.color, **line)
        largest = column(top, name)
        apart = largest[largest >= edges[-1]]
        height = np.full(len(apart), _STRIPS[0] - i * _STRIPS[1])
        mark: dict[str, Any] = {"color": style.color, "marker": style.marker, "mfc": "none", "ms": 5}
        axes.plot(apart, height, ls="none", transform=axes.get_xaxis_transform(), **mark)
    axes.set(xscale="log", yscale="log", ylim=(_FLOOR, None), ylabel="eigenvalues in a bin")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"eigenvalue{_below(case)}", fontsize=SMALL)
    set_title(axes, f"{case.place}, p = {case.p}: {phi_words(case.activation)}, {case.kernel}")


def _below(case: _Case) -> str:
    """Say how many eigenvalues are smaller than those shown."""
    first = where(case.rows, what="count", low=None)[0]
    words = {"one_deq": "one DEQ", "mean_deq": "mean", "one_matched": "one matched"}
    hidden = ", ".join(f"{word} {first[name]}" for name, word in words.items() if first[name])
    return f" (smaller ones: {hidden})" if hidden else ""


def spectral_distances(rows: Sequence[Row]) -> Figure:
    """Draw the relative spectral distances: a line of panels for each kernel, a column for each activation."""
    cases, labels = _cases(rows), _labels(rows)
    kernels, activations = ([str(value) for value in distinct(rows, name)] for name in ("kernel", "activation"))
    places = list(dict.fromkeys(case.place for case in cases))
    figure, grid = _grid(len(kernels), len(activations))
    for i, kernel in enumerate(kernels):
        for j, activation in enumerate(activations):
            own = [case for case in cases if (case.kernel, case.activation) == (kernel, activation)]
            _draw_distances(grid[i, j], own, places, labels)
            set_title(grid[i, j], f"{phi_words(activation)}, {kernel}")
    _hide_empty(grid)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure_legend(figure, handles, names, ncols=3)
    return figure


def _draw_distances(axes: Axes, cases: Sequence[_Case], places: Sequence[str], labels: Mapping[str, str]) -> None:
    for i, name in enumerate(STAND_INS):
        found = [case.mean("spectral", name) for case in cases]
        at = [places.index(case.place) + 0.1 * (i - 2.5) for case in cases]
        errors = [0.0 if math.isnan(one.error) else 100.0 * one.error for one in found]
        style = _STYLES[name]
        mark: dict[str, Any] = {"color": style.color, "marker": style.marker, "mfc": "none", "ms": 6, "ls": "none"}
        axes.errorbar(at, [100.0 * one.value for one in found], errors, label=labels[name], **mark)
    axes.set(yscale="log", xlim=(-0.5, len(places) - 0.5), ylabel="relative spectral distance, %", xlabel="samples")
    axes.set_xticks(range(len(places)), [place.replace(", ", "\n") for place in places], fontsize=SMALL)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.grid(axis="y", alpha=0.3)


PRESENTATION = Presentation(findings=findings, tables=tables, figures=figures)
