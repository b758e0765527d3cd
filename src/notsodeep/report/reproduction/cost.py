"""Cost of a forward pass: DEQs beside their twins of equal width and of equal accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from notsodeep.checks import FloatArray
from notsodeep.experiments.reproduction.cost import LOOSE, LOOSE_TOLERANCE
from notsodeep.experiments.reproduction.rows import Mean, column, distinct, mean, where
from notsodeep.experiments.reproduction.study import Row, Value
from notsodeep.report.drawing import BLACK, BLUE, GREEN, PLAIN, VERMILION, figure_legend, panels, set_title
from notsodeep.report.numerals import accuracy, decimal, duration
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import listed, mean_words, phi_words, span_words
from notsodeep.report.table import Table

WIDTH, ACCURACY = "equal width", "equal accuracy"
_PANEL = (4.6, 3.9)  # inches
_RATIOS = (
    ("seconds", "time", VERMILION, "o"),
    ("flops", "operations", BLUE, "s"),
    ("peak", "peak memory", GREEN, "^"),
)
_DOTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("ladder", "twin", {"color": VERMILION, "marker": "o", "ms": 4}),
    ("deq", "DEQ", {"color": BLUE, "marker": "D", "ms": 6}),
    (ACCURACY, "twin of equal accuracy", {"color": GREEN, "marker": "s", "ms": 7, "mfc": "none"}),
)


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what a DEQ costs more than its twin, at equal width and at equal accuracy."""
    return [sentence for activation in distinct(rows, "activation") for sentence in _findings(rows, activation)]


def _findings(rows: Sequence[Row], activation: Value) -> list[str]:
    of = where(rows, activation=activation)
    found = [_at_equal_width(activation, [where(of, deq_width=width) for width in distinct(of, "deq_width")])]
    compared = [where(of, deq_width=width) for width in distinct(where(of, role=ACCURACY), "deq_width")]
    return [*found, _at_equal_accuracy(activation, compared)] if compared else found


def _at_equal_width(activation: Value, groups: Sequence[Sequence[Row]]) -> str:
    def times(name: str, words: str) -> str:
        return f"{_each(groups, lambda at: decimal(_ratio(at, WIDTH, name).value, 2))} times {words}"

    parts = [times("seconds", "as long"), times("flops", "the operations"), times("peak", "the peak memory")]
    if np.isnan(_ratio(groups[0], WIDTH, "peak").value):
        parts.pop()
    return (
        f"{_widths(activation, groups)}: a forward pass of the DEQ ({_iterations(groups, 'deq')}) takes "
        f"{listed(parts)}, beside the twin of equal width; {_loosely(groups, WIDTH)}."
    )


def _at_equal_accuracy(activation: Value, groups: Sequence[Sequence[Row]]) -> str:
    def right(role: str) -> str:
        return _each(groups, lambda at: accuracy(mean(column(where(at, role=role), "accuracy")).value))

    deq, loose, drawn = right("deq"), right(LOOSE), right(ACCURACY)
    times = _each(groups, lambda at: mean_words(_ratio(at, ACCURACY, "seconds")))
    return (
        f"{_widths(activation, groups)}: a twin has the accuracy of the DEQ, {deq}, at "
        f"{_each(groups, lambda at: mean_words(_wider(at)))} times its width, read off the line through the accuracies "
        f"of twins ({drawn} as drawn there). Beside it the DEQ takes {times} times as long, means over seeds with "
        f"their standard errors; {_loosely(groups, ACCURACY)}, "
        f"with {'the same accuracy' if loose == deq else f'{loose} right'}."
    )


def _each(groups: Sequence[Sequence[Row]], words: Callable[[Sequence[Row]], str]) -> str:
    """Return an enumeration over widths."""
    return listed([words(at) for at in groups])


def _widths(activation: Value, groups: Sequence[Sequence[Row]]) -> str:
    widths = _each(groups, lambda at: f"{at[0]['deq_width']}")
    return f"{phi_words(activation)}, width{'s' if len(groups) > 1 else ''} {widths}"


def _iterations(groups: Sequence[Sequence[Row]], role: str) -> str:
    """Return how many iterations a DEQ takes, and to which relative step."""
    of = [where(at, role=role) for at in groups]
    counts = span_words([mean(column(deq, "iterations")).value for deq in of], lambda value: decimal(value, 3))
    return f"{counts} iterations, to a relative step of {decimal(float(column(of[0], 'tolerance')[0]), 2)}"


def _loosely(groups: Sequence[Sequence[Row]], role: str) -> str:
    """Say what is left of the gain in time beside a DEQ that is not iterated further than its accuracy needs."""
    ratios = _each(groups, lambda at: decimal(_loose_ratio(at, role).value, 2))
    return f"after {_iterations(groups, LOOSE)} only, {ratios} times as long"


def _loose_ratio(rows: Sequence[Row], role: str) -> Mean:
    """Return the time of the DEQ at the loose tolerance over that of a twin, mean over seeds."""
    faster = {row["seed"]: row["ratio"] for row in where(rows, role=LOOSE)}
    of = where(rows, role=role)
    return mean(column(of, "ratio") / np.array([faster[row["seed"]] for row in of], dtype=float))


def _ratio(rows: Sequence[Row], role: str, name: str) -> Mean:
    """Return the mean over seeds of a quantity of the DEQ over that of a twin, the time as of the same rounds."""
    if name == "seconds":
        return mean(column(where(rows, role=role), "ratio"))
    return mean(_of_deqs(rows, role, name) / column(where(rows, role=role), name))


def _of_deqs(rows: Sequence[Row], role: str, name: str) -> FloatArray:
    deqs = where(rows, role="deq")
    by_seed = dict(zip((row["seed"] for row in deqs), column(deqs, name), strict=True))
    return np.array([by_seed[row["seed"]] for row in where(rows, role=role)])


def _wider(rows: Sequence[Row]) -> Mean:
    """Return the width of equal accuracy over that of the DEQ."""
    return mean(column(where(rows, role=ACCURACY), "width") / _of_deqs(rows, ACCURACY, "width"))


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return costs at equal width and, where it was looked for, at equal accuracy."""
    found = [_table(rows, WIDTH)]
    if where(rows, role=ACCURACY):
        found.append(_table(rows, ACCURACY))
    return found


def _table(rows: Sequence[Row], role: str) -> Table:
    lines = []
    for activation in distinct(rows, "activation"):
        for width in distinct(where(rows, activation=activation, role=role), "deq_width"):
            at = where(rows, activation=activation, deq_width=width)
            lines.append((f"{phi_words(activation)}, {width}", _cells(at, role)))
    header = (
        "activation, width of the DEQ",
        *(("width of the twin", "right") if role == ACCURACY else ()),
        "matrix products",
        "time",
        "time, ratio",
        "the same, loose DEQ",
        "Gflop",
        "Gflop, ratio",
        "peak, MiB",
        "weights, MiB",
    )
    first = rows[0]
    notes = (
        f"DEQ : twin of {role}; means over {len(distinct(rows, 'seed'))} seed(s). A batch of {first['batch']} samples "
        f"of {first['dataset']} in float32; times are medians of {first['rounds']} interleaved rounds and differ from "
        "run to run, their ratios less. Peak: resident memory of the forward pass beyond weights and samples, in a "
        "fresh process. Weights: of the hidden layers. Gflop: of the matrix products. Loose: the states of the DEQ are "
        f"computed to a relative step of {LOOSE_TOLERANCE:g} instead of the default tolerance.",
        f"Right: of {first['n_test']} test samples, those of the right class; readout by ridge regression on "
        f"{first['n']} samples.",
    )
    return Table(f"At {role}", header, tuple(lines), notes if role == ACCURACY else notes[:1])


def _cells(rows: Sequence[Row], role: str) -> tuple[str, ...]:
    def pair(name: str, write: Callable[[float], str]) -> str:
        return " : ".join(write(mean(column(where(rows, role=each), name)).value) for each in ("deq", role))

    cells = (
        pair("products", lambda value: decimal(value, 3)),
        pair("seconds", duration),
        decimal(_ratio(rows, role, "seconds").value, 3),
        decimal(_loose_ratio(rows, role).value, 3),
        pair("flops", lambda value: decimal(value / 1e9, 3)),
        decimal(_ratio(rows, role, "flops").value, 3),
        pair("peak", lambda value: decimal(value, 2)),
        pair("weights", lambda value: decimal(value, 3)),
    )
    if role == WIDTH:
        return cells
    times = mean(column(where(rows, role=role), "width")).value
    return (f"{times:.0f} ({mean_words(_wider(rows))} times)", pair("accuracy", accuracy), *cells)


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return ratios of costs by width, and the accuracies that the widths of equal accuracy are read from."""
    found = {"ratios": _ratios(rows)}
    if where(rows, role="ladder"):
        found["accuracy"] = _ladders(rows)
    return found


def _ratios(rows: Sequence[Row]) -> Figure:
    activations = distinct(rows, "activation")
    figure, grid = panels(1, len(activations), (_PANEL[0] * len(activations), _PANEL[1]))
    for activation, axes in zip(activations, grid[0], strict=True):
        _draw_ratios(axes, where(rows, activation=activation))
        set_title(axes, phi_words(activation))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure_legend(figure, handles, labels, ncols=3)
    return figure


def _draw_ratios(axes: Axes, rows: Sequence[Row]) -> None:
    widths = sorted(int(width) for width in distinct(rows, "deq_width") if width is not None)
    axes.set(xscale="log", yscale="log", xlim=(widths[0] / 1.4, widths[-1] * 1.4))
    for role, dashes, filled in ((WIDTH, "-", True), (ACCURACY, ":", False)):
        shown = [width for width in widths if where(rows, role=role, deq_width=width)]
        for name, word, color, mark in _RATIOS:
            ratios = [_ratio(where(rows, deq_width=width), role, name) for width in shown]
            errors = np.nan_to_num([ratio.error for ratio in ratios])
            style: dict[str, Any] = {"color": color, "marker": mark, "ls": dashes, "mfc": color if filled else "none"}
            if shown and np.isfinite([ratio.value for ratio in ratios]).all():
                axes.errorbar(
                    shown, [ratio.value for ratio in ratios], errors, capsize=2, label=f"{word}, {role}", **style
                )
    axes.axhline(1.0, color=BLACK, lw=0.8)
    _plain_ticks(axes, widths)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(PLAIN)
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="width of the DEQ", ylabel="DEQ / twin")


def _plain_ticks(axes: Axes, values: Sequence[int]) -> None:
    axes.set_xticks(values, [str(value) for value in values])
    axes.set_xticks([], minor=True)


def _ladders(rows: Sequence[Row]) -> Figure:
    activations = distinct(rows, "activation")
    widths = distinct(where(rows, role="ladder"), "deq_width")
    size = (_PANEL[0] * len(widths), _PANEL[1] * len(activations))
    figure, grid = panels(len(activations), len(widths), size)
    for activation, line in zip(activations, grid, strict=True):
        for width, axes in zip(widths, line, strict=True):
            _draw_ladder(axes, where(rows, activation=activation, deq_width=width))
            set_title(axes, f"{phi_words(activation)}, DEQ of width {width}")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure_legend(figure, handles, labels, ncols=4)
    return figure


def _draw_ladder(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set(xscale="log")
    for role, label, style in _DOTS:
        of = where(rows, role=role)
        axes.plot(column(of, "width"), 100.0 * column(of, "accuracy"), ls="none", label=label, **style)
    ladder = where(rows, role="ladder")
    wide, right = column(ladder, "width"), 100.0 * column(ladder, "accuracy")
    slope, middle = np.polyfit(np.log(wide), right, 1)
    ends = np.array([wide.min(), wide.max()])
    axes.plot(ends, middle + slope * np.log(ends), color=VERMILION, lw=1.0, label="line through all twins")
    axes.axhline(100.0 * mean(column(where(rows, role="deq"), "accuracy")).value, color=BLUE, lw=1.0, ls="--")
    _plain_ticks(axes, sorted({int(width) for width in wide}))
    axes.set(xlabel="width", ylabel="test samples of the right class, %")


PRESENTATION = Presentation(findings, tables, figures)
