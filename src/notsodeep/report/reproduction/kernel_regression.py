"""Regression with exact kernels: how often a DEQ and the networks beside it predict the same class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from notsodeep.experiments.reproduction.rows import Mean, column, distinct, groups, mean, where
from notsodeep.experiments.reproduction.study import Row, Value
from notsodeep.report.drawing import BLACK, BLUE, GREEN, VERMILION, figure_legend, panels, plain_ticks, set_title
from notsodeep.report.numerals import accuracy, decimal, percent
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import data_words, phi_words
from notsodeep.report.table import Table

OTHERS = ("twin", "plain", "linear")
_WORDS = {"deq": "DEQ", "twin": "matched network", "plain": "plain network", "linear": "linear model"}
_LINES: dict[str, dict[str, Any]] = {
    "twin": {"color": VERMILION, "ms": 4.0, "lw": 1.2, "zorder": 3},
    "plain": {"color": GREEN, "ms": 7.5, "lw": 1.2, "mfc": "none"},
    "linear": {"color": BLACK, "ms": 4.0, "lw": 1.0, "alpha": 0.7},
}
_MARKS = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", (0, (5, 1))))
_SETTING = ("dataset", "activation", "kernel", "n", "seed", "ridge")
_PANEL = (4.0, 3.2)  # inches
_MARGIN = 1.2
_GAINS = (-30, -10, -3, -1, -0.5, 0, 0.5, 1, 3)
_APART = "other class than the DEQ predicted,\n% of test samples (lowest: none)"
_SCORES = "difference of the scores to the DEQ's,\n% of their norm"
_GAIN = "accuracy less that of the DEQ, points\n(linear within 1)"


class _Comparison(NamedTuple):
    """One network against the DEQ in one setting."""

    network: Row
    deq: Row

    @property
    def gain(self) -> float:
        """Accuracy of the network less that of the DEQ."""
        return _number(self.network, "accuracy") - _number(self.deq, "accuracy")

    @property
    def apart(self) -> float:
        """Share of test samples of which the two predict different classes."""
        return 1.0 - _number(self.network, "agreement")


def _number(row: Row, name: str) -> float:
    value = row[name]
    return float("nan") if value is None else float(value)


def _comparisons(rows: Sequence[Row], model: str) -> list[_Comparison]:
    deqs = {_setting(row): row for row in where(rows, model="deq")}
    return [_Comparison(row, deqs[_setting(row)]) for row in where(rows, model=model)]


def _setting(row: Row) -> tuple[Value, ...]:
    return tuple(row[name] for name in _SETTING)


def _usual(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the ridge that most settings were tried with."""
    return max((where(rows, ridge=ridge) for ridge in distinct(rows, "ridge")), key=len)


def findings(rows: Sequence[Row]) -> list[str]:
    """Return how far apart the predictors are, against the controls, samples, ridges and distances of the kernels."""
    usual = _usual(rows)
    sentences = [_agreement(usual, model) for model in OTHERS]
    sentences.append(_sizes(usual))
    sentences += _each_activation(usual)
    sentences += _ridges(rows)
    sentences.append(_distances(usual))
    return sentences


def _agreement(rows: Sequence[Row], model: str) -> str:
    found = _comparisons(rows, model)
    same = 1.0 - np.array([one.apart for one in found])
    gains = 100.0 * np.array([one.gain for one in found])
    scores = column([one.network for one in found], "scores")
    return (
        f"The {_WORDS[model]} and the DEQ predict the same class for {_share(same.mean())} of the test samples on "
        f"average over {len(found)} settings, and for {_share(same.min())} at least; their accuracies differ by "
        f"{decimal(float(np.abs(gains).mean()), 2)} points on average and {decimal(float(np.abs(gains).max()), 2)} "
        f"at most, their scores by {percent(float(np.median(scores)))} (median)."
    )


def _share(share: float) -> str:
    return f"{100.0 * share:.2f} %"


def _sizes(rows: Sequence[Row]) -> str:
    sizes = sorted(int(n) for n in distinct(rows, "n") if n is not None)
    parts = []
    for model in ("twin", "plain"):
        first, last = (
            mean(np.array([c.apart for c in _comparisons(where(rows, n=n), model)])) for n in (sizes[0], sizes[-1])
        )
        parts.append(f"the {_WORDS[model]} {percent(first.value)} and {percent(last.value)}")
    return (
        f"Test samples of which another class is predicted than by the DEQ, with {sizes[0]} and with {sizes[-1]} "
        f"training samples: {', '.join(parts)}."
    )


def _each_activation(rows: Sequence[Row]) -> list[str]:
    """Return where the match brings the predictions closer than a plain network's are, and where it does not."""
    sentences = []
    for activation in distinct(rows, "activation"):
        of = where(rows, activation=activation)
        twin, plain = ({_setting(c.network): c for c in _comparisons(of, model)} for model in ("twin", "plain"))
        closer = sum(twin[key].apart < plain[key].apart for key in twin)
        further = sum(twin[key].apart > plain[key].apart for key in twin)
        scores = [float(np.median(column([c.network for c in each.values()], "scores"))) for each in (twin, plain)]
        sentences.append(
            f"{phi_words(activation)}: the matched network agrees with the DEQ on more test samples than the plain one "
            f"does in {closer} of {len(twin)} settings, on fewer in {further}; its scores differ from the DEQ's by "
            f"{percent(scores[0])} (median), those of the plain one by {percent(scores[1])}."
        )
    return sentences


def _ridges(rows: Sequence[Row]) -> list[str]:
    settings = _with_all_ridges(rows)
    ridges = _ascending(settings, "ridge")
    if len(ridges) < 2:
        return []
    parts = []
    for ridge in ridges:
        found = _comparisons(where(settings, ridge=ridge), "twin")
        same = 1.0 - np.array([one.apart for one in found])
        parts.append(f"{_share(same.mean())} (at least {_share(same.min())}) with a ridge of {ridge:g}")
    return [
        f"Where all ridges were tried, the matched network predicts the same class as the DEQ for {', '.join(parts)} "
        "of the mean diagonal."
    ]


def _with_all_ridges(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the settings that every ridge was tried in."""
    tried = {ridge: {_draw(row) for row in where(rows, ridge=ridge)} for ridge in distinct(rows, "ridge")}
    common = set.intersection(*tried.values())
    return [row for row in rows if _draw(row) in common]


def _draw(row: Row) -> tuple[Value, ...]:
    return tuple(row[name] for name in _SETTING if name != "ridge")


def _distances(rows: Sequence[Row]) -> str:
    parts = [
        f"{percent(float(np.median(column(where(rows, model=model), 'distance'))))} ({_WORDS[model]})"
        for model in OTHERS
    ]
    return (
        f"Kernels of test with training samples, each over its mean diagonal, differ from the DEQ's by "
        f"{', '.join(parts)}; medians, in the Frobenius norm."
    )


def _ascending(rows: Sequence[Row], name: str) -> list[Any]:
    return sorted(distinct(rows, name), key=lambda value: float(value or 0.0))


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return accuracies and agreement on the largest training sets, agreement by their size, and by the ridge."""
    usual = _usual(rows)
    largest = _ascending(usual, "n")[-1]
    ridge = usual[0]["ridge"]
    found = [_results(where(usual, n=largest, kernel=kernel)) for kernel in distinct(usual, "kernel")]
    found.append(
        _agreements(
            usual,
            "n",
            "Same predicted class as the DEQ, matched network : plain network",
            lambda n: f"n = {n}",
            (f"Ridge {ridge:g} of the mean diagonal; means over draws of the training samples.",),
        )
    )
    varied = _with_all_ridges(rows)
    if len(distinct(varied, "ridge")) > 1:
        sizes = ", ".join(str(n) for n in _ascending(varied, "n"))
        found.append(
            _agreements(
                varied,
                "ridge",
                "The same by the ridge",
                lambda ridge: f"{ridge:g}",
                (f"Ridge relative to the mean diagonal; means over n = {sizes}.",),
            )
        )
    return found


def _results(rows: Sequence[Row]) -> Table:
    first = rows[0]
    lines = []
    for (dataset, activation), of in groups(rows, "dataset", "activation").items():
        by_model = {model: where(of, model=model) for model in _WORDS}
        right = tuple(accuracy(mean(column(by_model[model], "accuracy")).value) for model in _WORDS)
        same = tuple(_share(mean(column(by_model[model], "agreement")).value) for model in OTHERS)
        scores = (percent(mean(column(by_model["twin"], "scores")).value),)
        lines.append((f"{data_words(dataset)}, {phi_words(activation)}", right + same + scores))
    header = (
        "data, activation",
        *(f"{_WORDS[model]}: right" for model in _WORDS),
        *(f"{_WORDS[model]}: as the DEQ" for model in OTHERS),
        "matched network: scores off",
    )
    note = (
        f"Ridge {first['ridge']:g} of the mean diagonal, {first['n_test']} test samples; means over "
        f"{len(distinct(rows, 'seed'))} draw(s) of the training samples. As the DEQ: share of test samples of the same "
        "predicted class. Scores off: relative difference to the DEQ's scores in the Frobenius norm."
    )
    return Table(f"{str(first['kernel']).upper()}, n = {first['n']}", header, tuple(lines), (note,))


def _agreements(
    rows: Sequence[Row], over: str, title: str, head: Callable[[Any], str], notes: tuple[str, ...]
) -> Table:
    """Return the agreement of matched and plain networks by the values of a column."""
    values = _ascending(rows, over)
    lines = []
    for (dataset, activation, kernel), of in groups(rows, "dataset", "activation", "kernel").items():
        cells = tuple(_both(where(of, **{over: value})) for value in values)
        lines.append((f"{data_words(dataset)}, {phi_words(activation)}, {str(kernel).upper()}", cells))
    return Table(title, ("data, activation, kernel", *map(head, values)), tuple(lines), notes)


def _both(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    shares = [mean(column(where(rows, model=model), "agreement")).value for model in ("twin", "plain")]
    return " : ".join(map(_share, shares))


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return different predictions, scores and accuracies by training samples, and predictions by the ridge."""
    usual, varied = _usual(rows), _with_all_ridges(rows)
    found = {
        "agreement": _grid(usual, "n", "training samples", _draw_apart, _APART),
        "scores": _grid(usual, "n", "training samples", _draw_scores, _SCORES),
        "accuracy": _grid(usual, "n", "training samples", _draw_gains, _GAIN),
    }
    if len(distinct(varied, "ridge")) > 1:
        largest = where(varied, n=_ascending(varied, "n")[-1])
        found["ridge"] = _grid(largest, "ridge", "ridge / mean diagonal", _draw_apart, _APART)
    return found


def _grid(
    rows: Sequence[Row], over: str, label: str, draw: Callable[[Axes, Sequence[Row], str], None], quantity: str
) -> Figure:
    """Draw a row of panels for each kernel, one for each data set."""
    kernels, datasets, values = distinct(rows, "kernel"), distinct(rows, "dataset"), _ascending(rows, over)
    size = (_PANEL[0] * len(datasets), _PANEL[1] * len(kernels) + 0.5)
    margin = max(_MARGIN, (values[-1] / values[0]) ** 0.05)
    figure, grid = panels(len(kernels), len(datasets), size, sharex=True, sharey="row")
    for kernel, line in zip(kernels, grid, strict=True):
        for dataset, axes in zip(datasets, line, strict=True):
            axes.set(xscale="log", xlim=(values[0] / margin, values[-1] * margin))
            draw(axes, where(rows, kernel=kernel, dataset=dataset), over)
            plain_ticks(axes, values)
            axes.grid(color="0.9", lw=0.6)
            set_title(axes, f"{str(kernel).upper()}, {data_words(dataset)}")
    for axes in grid[-1]:
        axes.set(xlabel=label)
    for axes in grid[:, 0]:
        axes.set(ylabel=quantity)
    _legend(figure, distinct(rows, "activation"))
    return figure


def _legend(figure: Figure, activations: Sequence[Value]) -> None:
    marks = [style for _, style in zip(activations, _MARKS, strict=False)]
    handles = [Line2D([], [], color=_LINES[model]["color"], lw=3.0) for model in OTHERS]
    handles += [Line2D([], [], color="0.4", marker=mark, ls=dashes, ms=5) for mark, dashes in marks]
    labels = [*(_WORDS[model] for model in OTHERS), *map(phi_words, activations)]
    figure_legend(figure, handles, labels, ncols=len(handles))


def _draw_apart(axes: Axes, rows: Sequence[Row], over: str) -> None:
    """Different predictions, in percent; none at all is drawn where half a test sample of one draw would be."""
    floor = 50.0 / _number(rows[0], "n_test")
    for style, values, means in _lines(rows, over, lambda one: 100.0 * one.apart):
        axes.plot(values, [max(each.value, floor) for each in means], **style)
    axes.set(yscale="log", ylim=(0.7 * floor, 100.0))


def _draw_scores(axes: Axes, rows: Sequence[Row], over: str) -> None:
    for style, values, means in _lines(rows, over, lambda one: 100.0 * _number(one.network, "scores")):
        axes.plot(values, [each.value for each in means], **style)
    axes.set(yscale="log")


def _draw_gains(axes: Axes, rows: Sequence[Row], over: str) -> None:
    """Differences of accuracy in points, with standard errors over draws."""
    axes.axhline(0.0, color=BLUE, lw=2.5, alpha=0.4, zorder=0)
    for style, values, means in _lines(rows, over, lambda one: 100.0 * one.gain):
        errors = np.nan_to_num([each.error for each in means])
        axes.errorbar(values, [each.value for each in means], errors, capsize=2, **style)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_yticks(_GAINS)


def _lines(
    rows: Sequence[Row], over: str, quantity: Callable[[_Comparison], float]
) -> list[tuple[Mapping[str, Any], list[Any], list[Mean]]]:
    """Return style, abscissae and means over draws of each line, the matched network above the others."""
    found: list[tuple[Mapping[str, Any], list[Any], list[Mean]]] = []
    for model in OTHERS:
        for activation, (mark, dashes) in zip(distinct(rows, "activation"), _MARKS, strict=False):
            of = _comparisons(where(rows, activation=activation), model)
            values = _ascending([one.network for one in of], over)
            means = [mean(np.array([quantity(one) for one in of if one.network[over] == value])) for value in values]
            found.append(({"marker": mark, "ls": dashes, **_LINES[model]}, values, means))
    return found


PRESENTATION = Presentation(findings, tables, figures)
