"""Errors of equivalents and distances of matched networks against classes, samples per dimension and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import spearmanr

from notsodeep.experiments.reproduction.dimension_and_classes import (
    BOUNDED,
    CLASSES,
    EIGENVALUES,
    FACTORS,
    GAUSSIAN,
    GROWING,
    NETWORK,
    NORMS,
    ONE_NORM,
    RATIO,
    STUDIED,
)
from notsodeep.experiments.reproduction.equivalent_errors import EXACT_SQUARES, MEANS_IN_T, NORM_AWARE, PAPER
from notsodeep.experiments.reproduction.kernels import CK, PAPERS_NTK
from notsodeep.experiments.reproduction.rows import Mean, column, distinct, groups, mean, where
from notsodeep.experiments.reproduction.study import Row, Value
from notsodeep.report.drawing import (
    BLACK,
    BLUE,
    GREEN,
    PURPLE,
    VERMILION,
    figure_legend,
    panels,
    plain_ticks,
    set_title,
)
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import listed, percent_words, phi_words, span_words
from notsodeep.report.table import Table

_STYLES: dict[str, dict[str, Any]] = {
    PAPER: {"color": VERMILION, "marker": "v", "ms": 5},
    MEANS_IN_T: {"color": PURPLE, "marker": "x", "ms": 5},
    NORM_AWARE: {"color": BLUE, "marker": "o", "ms": 6.5, "mfc": "none"},
    EXACT_SQUARES: {"color": GREEN, "marker": "^", "ms": 4},
    NETWORK: {"color": BLACK, "marker": "s", "ms": 4},
}
_LABELS = {
    PAPER: "equivalent, form of the paper",
    MEANS_IN_T: "the same, class means in T",
    NORM_AWARE: "norm-aware equivalent",
    EXACT_SQUARES: "norm-aware, exact squares",
    NETWORK: "matched network, exact kernel",
}
_SAID = {
    PAPER: "the paper's form is off",
    NORM_AWARE: "the norm-aware one",
    NETWORK: "the exact kernel of the network",
}
_FIGURES = {CK: "dimension-and-classes-ck", PAPERS_NTK: "dimension-and-classes-ntk"}
_SIZE = (13.0, 3.6)  # inches, the height for each activation
_AXES = {CLASSES: "Number of classes", RATIO: "Samples per dimension", NORMS: "Norms of samples"}
_CASE = ("n", "classes", "variances", "norms", "level")
_FEWEST = 6  # cases that a rank correlation is taken over


def findings(rows: Sequence[Row]) -> list[str]:
    """Return the errors along each axis, what orders the cases, and whether the network is still equivalent."""
    sentences = [sentence for axis in _AXES for sentence in _along(rows, axis)]
    sentences += [sentence for kernel in STUDIED for sentence in _order(rows, kernel)]
    return [*sentences, *(_still(rows, kernel) for kernel in STUDIED)]


def _cases(rows: Sequence[Row]) -> list[list[Row]]:
    """Return rows by case, in order of appearance."""
    return list(groups(rows, "axis", *_CASE).values())


def _distinct_cases(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the same without repetitions: the samples of K = 2 and those of Gaussian norms are the same ones."""
    cases: dict[tuple[Value, ...], list[Row]] = {}
    for (_, *case), own in groups(rows, "axis", *_CASE).items():
        cases.setdefault(tuple(case), own)
    return list(cases.values())


def case_words(row: Row) -> str:
    """Return what a case has of its own.

    Examples
    --------
    >>> case_words({"axis": "norms", "norms": "scale factors", "level": 0.4})
    'scale factors, 0.4'
    """
    if row["axis"] == CLASSES:
        return f"K = {row['classes']}" + (f", {row['variances']} variances" if row["classes"] != 2 else "")
    if row["axis"] == RATIO:
        return f"n/p = {decimal(_ratio(row), 3)}"
    return str(row["norms"]) + (f", {row['level']}" if row["level"] else "")


def _ratio(row: Row) -> float:
    n, p = column([row], "n"), column([row], "p")
    return float(n[0] / p[0])


def _error(rows: Sequence[Row], form: str) -> Mean:
    return mean(column(where(rows, form=form), "error"))


def _along(rows: Sequence[Row], axis: str) -> list[str]:
    """Say how far some forms of the CK are off over the cases of an axis."""
    some = where(rows, kernel=CK, axis=axis)
    if not some:
        return []
    parts = []
    for form, words in _SAID.items():
        spans = []
        for name in distinct(some, "activation"):
            errors = [_error(case, form).value for case in _cases(where(some, activation=name))]
            spans.append(f"{span_words(errors, percent)} ({phi_words(name)})")
        parts.append(f"{words} by {listed(spans)}")
    return [f"{_AXES[axis]}, CK: {'; '.join(parts)}."]


def _order(rows: Sequence[Row], kernel: str) -> list[str]:
    """Say how far the spread of norms puts the cases in order."""
    parts = []
    for name in distinct(rows, "activation"):
        cases = _distinct_cases(where(rows, activation=name, kernel=kernel))
        if len(cases) < _FEWEST:
            return []
        spreads = [float(column(case, "norm_cv").mean()) for case in cases]
        ranks = [spearmanr(spreads, [_error(case, form).value for case in cases])[0] for form in (PAPER, NETWORK)]
        parts.append(f"{ranks[0]:.2f} with the paper's form and {ranks[1]:.2f} with the network for {phi_words(name)}")
    return [
        f"{kernel}: over all cases the coefficient of variation of the squared norms has rank correlations of "
        f"{listed(parts)}."
    ]


def _still(rows: Sequence[Row], kernel: str) -> str:
    """Say how far apart DEQ and network ever are, beside the equivalent that they were matched by."""
    parts = []
    for name in distinct(rows, "activation"):
        cases = _distinct_cases(where(rows, activation=name, kernel=kernel))
        worst = max(cases, key=lambda case: _error(case, NETWORK).value)
        usual = min(cases, key=lambda case: _error(case, NETWORK).value)
        ratios = [_error(case, PAPER).value / _error(case, NETWORK).value for case in cases]
        nearer = sum(ratio > 1.0 for ratio in ratios)
        parts.append(
            f"{phi_words(name)} {percent_words(_error(usual, NETWORK))} ({case_words(usual[0])}) to "
            f"{percent_words(_error(worst, NETWORK))} ({case_words(worst[0])}), less than the error of the paper's "
            f"form in {nearer} of {len(cases)} cases"
        )
    return f"{kernel}, is the network still equivalent? Distance of its exact kernel from the DEQ's: {listed(parts)}."


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return a table of all cases for each kernel."""
    return [_table(where(rows, kernel=kernel), kernel) for kernel in STUDIED]


def _table(rows: Sequence[Row], kernel: str) -> Table:
    lines = []
    for name in distinct(rows, "activation"):
        for case in _cases(where(rows, activation=name)):
            spread = decimal(float(column(case, "norm_cv").mean()), 2)
            cells = (spread, *(percent_words(_error(case, form)) for form in _STYLES))
            lines.append((f"{phi_words(name)}, {case_words(case[0])}", cells))
    p, n = (int(distinct(rows, name)[0] or 0) for name in ("p", "n"))
    return Table(
        f"Relative spectral distance from the DEQ's {kernel}",
        ("activation, case", "CV of |x|^2", *_STYLES),
        tuple(lines),
        (
            f"Gaussian mixtures of p = {p}; where nothing else is said n = {n} samples of the paper's, K = 2. "
            "K = 2 and Gaussian norms are the same samples. Means over draws with their standard errors. CV: standard "
            "deviation over mean.",
            "Growing variances: 1 + 8 a / sqrt(p) for class a = 0 .. K-1; bounded: as many between those of K = 2. "
            "Scale factors: every sample is multiplied by one of its own, whose square has that CV. Large eigenvalues: "
            "ten hold that share of the trace.",
            f"{MEANS_IN_T}: the paper's form with (mu_a . mu_b)^2 / p added to T_ab. {EXACT_SQUARES}: the norm-aware "
            "form with (x_i . x_j)^2 itself.",
            "network: exact kernel of the network that notsodeep matches for the DEQ, the same one in all cases.",
        ),
    )


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return a figure for each kernel: a row for each activation, a panel for each axis."""
    return {_FIGURES[kernel]: _figure(where(rows, kernel=kernel)) for kernel in STUDIED}


def _figure(rows: Sequence[Row]) -> Figure:
    names = distinct(rows, "activation")
    figure, grid = panels(len(names), 3, (_SIZE[0], _SIZE[1] * len(names)), sharey=True)
    grid[0, 0].set(yscale="log")  # and that of all the others
    for name, line in zip(names, grid, strict=True):
        some = where(rows, activation=name)
        for axes, draw in zip(line, (_draw_classes, _draw_ratios, _draw_norms), strict=True):
            draw(axes, some)
            axes.grid(alpha=0.25, lw=0.6)
            set_title(axes, phi_words(name))
        line[0].set_ylabel("distance from the DEQ's kernel, %")
    handles = [Line2D([], [], **style) for style in _STYLES.values()]
    figure_legend(figure, handles, [_LABELS[form] for form in _STYLES], ncols=len(handles))
    return figure


def _draw_classes(axes: Axes, rows: Sequence[Row]) -> None:
    every = where(rows, axis=CLASSES)
    for variances, dashes in ((GROWING, "-"), (BOUNDED, "--")):
        some = [row for row in every if row["variances"] == variances or row["classes"] == 2]
        _curves(axes, _cases(some), lambda case: float(column(case, "classes")[0]), dashes)
    axes.set(xlabel="classes K (dashed: variances within those of K = 2)", xscale="log")
    plain_ticks(axes, sorted(set(column(every, "classes"))))


def _draw_ratios(axes: Axes, rows: Sequence[Row]) -> None:
    cases = _cases(where(rows, axis=RATIO))
    _curves(axes, cases, lambda case: _ratio(case[0]), "-")
    axes.set(xlabel=f"samples per dimension n/p, p = {distinct(rows, 'p')[0]}", xscale="log")
    plain_ticks(axes, sorted({_ratio(case[0]) for case in cases}))


def _draw_norms(axes: Axes, rows: Sequence[Row]) -> None:
    every = where(rows, axis=NORMS)
    for families, dashes in (((ONE_NORM, GAUSSIAN, FACTORS), "-"), ((GAUSSIAN, EIGENVALUES), "--")):
        some = [row for row in every if row["norms"] in families]
        _curves(axes, _cases(some), lambda case: float(column(case, "norm_cv").mean()), dashes)
    axes.set(xlabel="coefficient of variation of |x|² (dashed: large eigenvalues)")


def _curves(axes: Axes, cases: list[list[Row]], at: Any, dashes: str) -> None:
    for form, style in _STYLES.items():
        points = sorted((at(case), *_error(case, form)[:2]) for case in cases)
        if points:
            x, y, error = np.array(points).T
            axes.errorbar(x, 100.0 * y, np.nan_to_num(100.0 * error), lw=1.2, capsize=2, ls=dashes, **style)


PRESENTATION = Presentation(findings, tables, figures)
