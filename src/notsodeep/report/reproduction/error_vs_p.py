"""Errors of the equivalents against the dimension: curves, tables with fitted exponents, findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from notsodeep.checks import FloatArray
from notsodeep.experiments.reproduction.equivalent_errors import EXACT_SQUARES, MEANS_IN_T, NORM_AWARE, PAPER
from notsodeep.experiments.reproduction.error_vs_p import OFFICIAL_T, WITHIN_TAU0
from notsodeep.experiments.reproduction.kernels import CK, NTK, PAPERS_NTK
from notsodeep.experiments.reproduction.power_law import power_law
from notsodeep.experiments.reproduction.rows import Mean, column, distinct, mean, where
from notsodeep.experiments.reproduction.study import Row, Value
from notsodeep.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    figure_legend,
    panels,
    plain_ticks,
    set_title,
)
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import listed, mean_words, percent_words, phi_words, span_words
from notsodeep.report.table import Table

STYLES: dict[Value, dict[str, Any]] = {
    "relu": {"color": BLUE, "marker": "o", "ms": 7.5, "mfc": "none"},
    "leaky_relu": {"color": ORANGE, "marker": "s", "ms": 3.5, "ls": "--"},
    "elu": {"color": GREEN, "marker": "^", "ms": 5},
    "silu": {"color": PURPLE, "marker": "D", "ms": 4.5, "ls": "-."},
    "tanh": {"color": VERMILION, "marker": "v", "ms": 5},
}
_PANELS = (OFFICIAL_T, PAPER, MEANS_IN_T, NORM_AWARE, EXACT_SQUARES)
_TITLES = {
    PAPER: "The paper's form",
    OFFICIAL_T: "The paper's, official code's T",
    MEANS_IN_T: "The paper's, means in T",
    NORM_AWARE: "Norm-aware form",
    EXACT_SQUARES: "Norm-aware, exact squares",
}
_FIGURES = {CK: "error-vs-p-ck", PAPERS_NTK: "error-vs-p-ntk-recurrent-readout", NTK: "error-vs-p-ntk-all"}
_SIZE = (15.0, 4.4)  # inches
_LARGE = 3.0  # standard errors that a difference has to exceed
_BEND = 0.02  # change of an exponent that is worth a word
_SAME = 1e-6  # relative difference of errors that are one
_STRAIGHT = 2  # points that every power law goes through
REFERENCES = (
    (CK, PAPER, "relu", 1000, 0.0205),
    (CK, PAPER, "relu", 4000, 0.0075),
    (CK, OFFICIAL_T, "relu", 4000, 0.0138),
    (CK, PAPER, "tanh", 1000, 0.066),
    (CK, PAPER, "tanh", 4000, 0.036),
    (CK, PAPER, "silu", 1000, 0.017),
    (CK, PAPER, "silu", 4000, 0.0062),
    (NTK, PAPER, "relu", 1000, 0.027),
)
"""Kernel, form, activation, p and error, to two or three digits: this project's own values, of an independent
implementation, not published ones"""


class Exponent(NamedTuple):
    """How an error falls, ``error ~ p^-b``, each with the standard error that the draws show."""

    fitted: Mean
    """Over all dimensions"""
    last: Mean
    """From the last dimension but one to the last, which is the same where there are two"""
    change: Mean
    """Of each draw, the second less the first"""


def exponents(rows: Sequence[Row]) -> Exponent | None:
    """Return the exponents of the errors in some rows, of one activation, kernel and form; None of a single dimension.

    Each draw gives an exponent of its own, by least squares in logarithms; they are independent of each other.
    """
    sizes = sorted(set(column(rows, "p")))
    if len(sizes) < 2:
        return None
    each = [where(rows, seed=seed) for seed in distinct(rows, "seed")]
    whole = [draw for draw in each if len(draw) == len(sizes)]
    if not whole:
        return None
    fitted = np.array([_slope(draw) for draw in whole])
    last = np.array([_slope([row for row in draw if row["p"] in sizes[-2:]]) for draw in whole])
    return Exponent(mean(fitted), mean(last), mean(last - fitted))


def _slope(draw: Sequence[Row]) -> float:
    errors = column(draw, "error")
    return -power_law(column(draw, "p"), errors, errors).exponent


def _errors(rows: Iterable[Row], **at: Value) -> FloatArray:
    return column(where(rows, **at), "error")


def _mean(rows: Iterable[Row], **at: Value) -> Mean:
    return mean(_errors(rows, **at))


def findings(rows: Sequence[Row]) -> list[str]:
    """Return how large the errors are, how fast they fall, and what the variants of the form change."""
    sentences = [_paper(rows, kernel) for kernel in distinct(rows, "kernel")]
    return [*sentences, *_bending(rows), *_closer(rows), *_other_traces(rows), _within(rows)]


def _largest(rows: Sequence[Row]) -> int:
    return int(column(rows, "p").max())


def _paper(rows: Sequence[Row], kernel: Value) -> str:
    p = _largest(rows)
    some = where(rows, kernel=kernel, form=PAPER)
    parts = [_with_exponent(where(some, activation=name), p) for name in distinct(rows, "activation")]
    n = round(float(p * column(rows, "aspect")[0]))
    return f"{kernel}, the paper's form at p = {p}, n = {n}: off by {listed(parts)}, with errors that fall as p^-b."


def _bending(rows: Sequence[Row]) -> list[str]:
    """Say whether the error follows a power of p at all."""
    bent = []
    if len(set(column(rows, "p"))) <= _STRAIGHT:
        return []
    for name in distinct(rows, "activation"):
        found = exponents(where(rows, activation=name, kernel=CK, form=PAPER))
        if found is None or np.isnan(found.fitted.error):
            return []
        if abs(found.change.value) > max(_BEND, _LARGE * found.change.error):
            bent.append(f"{phi_words(name)} {mean_words(found.last, 3)} instead of {mean_words(found.fitted, 3)}")
    if not bent:
        return ["The errors of the CK follow these powers of p over the whole range, within their scatter."]
    return [
        "No single power describes the errors of the CK over the whole range: the exponent between the last two p "
        f"differs from the fitted one, for {listed(bent)}. Fitted exponents belong to this range."
    ]


def _closer(rows: Sequence[Row]) -> list[str]:
    p, sentences = _largest(rows), []
    for form, words in ((NORM_AWARE, "The norm-aware form's"), (EXACT_SQUARES, "With exact squares its")):
        times = [
            _mean(rows, activation=name, kernel=kernel, form=PAPER, p=p).value
            / _mean(rows, activation=name, kernel=kernel, form=form, p=p).value
            for name in distinct(rows, "activation")
            for kernel in distinct(rows, "kernel")
        ]
        verb = "smaller" if min(times) > 1.0 else "not always smaller"
        factors = span_words(times, lambda factor: decimal(factor, 2))
        sentences.append(
            f"{words} errors are {verb} than the paper's at p = {p}: by factors of {factors}, over all kernels."
        )
    return sentences


def _other_traces(rows: Sequence[Row]) -> list[str]:
    """Say what becomes of the errors with another T in the paper's form."""
    p = _largest(rows)
    even = [name for name in distinct(rows, "activation") if _is_moved(where(rows, activation=name, p=p))]
    odd = [phi_words(name) for name in distinct(rows, "activation") if name not in even]
    words = {
        OFFICIAL_T: "products of centred entries in place of T_ab = tr(C_a C_b)/p, as in the official scripts",
        MEANS_IN_T: "(mu_a . mu_b)^2/p added to T_ab, what class means bring to the mean of (x_i . x_j)^2",
    }
    sentences = [
        f"With {each}, the error of the paper's form of the CK at p = {p} becomes "
        f"{listed([_with_exponent(where(rows, activation=name, kernel=CK, form=form), p) for name in even])}."
        for form, each in words.items()
        if even
    ]
    return sentences + ([f"T does not enter for {listed(odd)}: without a quadratic term there is no T."] if odd else [])


def _is_moved(rows: Sequence[Row]) -> bool:
    """Tell whether T matters."""
    one, other = (_mean(rows, kernel=CK, form=form).value for form in (PAPER, OFFICIAL_T))
    return abs(other / one - 1.0) > _SAME


def _with_exponent(rows: Sequence[Row], p: int) -> str:
    """Return the error at p with the activation's name and the exponent, of rows of one activation and form."""
    found = exponents(rows)
    falls = "" if found is None else f" (b = {mean_words(found.fitted, 3)})"
    return f"{percent_words(mean(_errors(rows, p=p)))} for {phi_words(rows[0]['activation'])}{falls}"


def _within(rows: Sequence[Row]) -> str:
    p = _largest(rows)
    parts = [
        f"{percent_words(_mean(rows, activation=name, kernel=CK, form=WITHIN_TAU0, p=p))} for {phi_words(name)}"
        for name in distinct(rows, "activation")
    ]
    return (
        "All that takes tau0^2 = mean |x|^2. The literal tau0^2 = tr C^o / p leaves the class means out: errors of the "
        f"paper's form of the CK at p = {p} become, of a DEQ centred there, {listed(parts)}."
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return a table of errors and exponents for each kernel, and errors beside those known before."""
    return [*(_errors_table(rows, kernel) for kernel in distinct(rows, "kernel")), *_references(rows)]


def _errors_table(rows: Sequence[Row], kernel: Value) -> Table:
    sizes = sorted(set(column(rows, "p").astype(int).tolist()))
    curved = len(sizes) > _STRAIGHT
    lines = []
    for name in distinct(rows, "activation"):
        for form in distinct(where(rows, kernel=kernel), "form"):
            some = where(rows, activation=name, kernel=kernel, form=form)
            found = exponents(some)
            fits = ("none", "none") if found is None else (mean_words(found.fitted, 3), mean_words(found.last, 3))
            cells = [_cell(some, p) for p in sizes]
            lines.append((f"{phi_words(name)}, {form}", (*cells, *fits[: 1 + curved])))
    return Table(
        f"Relative spectral error of equivalents of the {kernel}",
        ("activation, form", *(f"p = {p}" for p in sizes), "b", *(curved * ("b, last two p",))),
        tuple(lines),
        (
            "|K - Kbar| / |K| in the spectral norm, mean over draws with its standard error. It falls as p^-b; b is "
            "the mean exponent of the draws.",
            f"{OFFICIAL_T}: products of entries of centred covariances instead of the trace. {MEANS_IN_T}: "
            f"with (mu_a . mu_b)^2 / p beside it. {EXACT_SQUARES}: the norm-aware form with (x_i . x_j)^2 itself.",
            *(
                (kernel == CK)
                * (f"{WITHIN_TAU0}: the DEQ is centred at tau0^2 = tr C^o / p, without the class means.",)
            ),
        ),
    )


def _cell(rows: Sequence[Row], p: int) -> str:
    errors = _errors(rows, p=p)
    return percent_words(mean(errors)) if len(errors) else "none"


def _references(rows: Sequence[Row]) -> list[Table]:
    lines = []
    for kernel, form, name, p, value in REFERENCES:
        errors = _errors(rows, kernel=kernel, form=form, activation=name, p=p)
        if len(errors):
            lines.append(
                (f"{kernel}, {form}, {phi_words(name)}, p = {p}", (percent_words(mean(errors)), percent(value, 3)))
            )
    if not lines:
        return []
    note = (
        "Independent: the same quantity of one draw, to two or three digits, by an independent implementation of this "
        "project's own, not from a publication."
    )
    title, head = "Errors beside those of an independent implementation", ("kernel, form, activation", "here")
    return [Table(title, (*head, "independent"), tuple(lines), (note,))]


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return a figure for each kernel: errors against p, a panel for each form."""
    return {_FIGURES[kernel]: _figure(where(rows, kernel=kernel)) for kernel in _FIGURES}


def _figure(rows: Sequence[Row]) -> Figure:
    figure, grid = panels(1, len(_PANELS), _SIZE, sharex=True, sharey=True)
    for axes, form in zip(grid[0], _PANELS, strict=True):
        _draw(axes, where(rows, form=form))
        set_title(axes, _TITLES[form])
    grid[0, 0].set_ylabel("relative spectral error, %")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure_legend(figure, handles, labels, ncols=len(labels))
    return figure


def _draw(axes: Axes, rows: Sequence[Row]) -> None:
    for name in distinct(rows, "activation"):
        some = where(rows, activation=name)
        sizes = sorted(set(column(some, "p")))
        means = [mean(100.0 * _errors(some, p=p)) for p in sizes]
        bars = np.nan_to_num([each.error for each in means])
        style = STYLES.get(name, {"marker": "."})
        axes.errorbar(sizes, [each.value for each in means], bars, label=phi_words(name), lw=1.2, capsize=2, **style)
    at = np.unique(column(rows, "p"))
    highest = max(float(np.mean(100.0 * _errors(rows, p=at[0], activation=a))) for a in distinct(rows, "activation"))
    guide = 1.6 * highest * np.sqrt(at[0] / at)
    axes.plot(at, guide, color="0.45", ls=":", lw=1.2, label="slope of p$^{-1/2}$")
    axes.set(xscale="log", yscale="log", xlabel=f"dimension p (n = {decimal(column(rows, 'aspect')[0])} p)")
    plain_ticks(axes, at)
    axes.grid(alpha=0.25, lw=0.6)


PRESENTATION = Presentation(findings, tables, figures)
