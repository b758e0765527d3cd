"""Accuracies of DEQs, matched and plain networks: beside the published ones, and whether the pattern holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from notsodeep.experiments.reproduction.accuracy import MODELS, OFFICIAL, RESCALED
from notsodeep.experiments.reproduction.published_accuracy import UNCERTAINTY, published_accuracy
from notsodeep.experiments.reproduction.rows import Mean, column, difference, distinct, mean, where
from notsodeep.experiments.reproduction.study import Row
from notsodeep.report.drawing import BLUE, GREEN, SMALL, VERMILION, figure_legend, panels, set_title
from notsodeep.report.numerals import decimal
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.reproduction.words import data_words, listed, mean_words, phi_words, span_words
from notsodeep.report.table import Table

_STYLES = {"deq": (BLUE, "o", "-"), "matched": (VERMILION, "s", "--"), "plain": (GREEN, "^", ":")}
_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}
_WIDE = 512
"""Width from which on accuracies are held against the published ones"""
_NEAR = 1.0
"""Points"""
_SPREAD = 2.0
"""Standard errors that a difference is told from 0 by"""


class _Point(NamedTuple):
    """One width of one data set, activation and optimiser: accuracies of the three models in percent, by seed."""

    dataset: str
    activation: str
    optimizer: str
    width: int
    values: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]

    def at(self, model: str) -> Mean:
        return mean(self.values[model])

    def behind(self, model: str) -> Mean:
        """Return how many points a model is behind the DEQ."""
        return difference(self.values["deq"], self.values[model])

    def published(self, model: str) -> float | None:
        known = published_accuracy(self.dataset, self.activation, model, self.width)
        return None if known is None or self.optimizer != "sgd" else 100.0 * known


def _points(rows: Sequence[Row], **chosen: str) -> list[_Point]:
    names = "dataset", "activation", "optimizer", "width"
    found = []
    for key in product(*(distinct(rows, name) for name in names)):
        at = where(rows, **dict(zip(names, key, strict=True)), **chosen)
        if at:
            values = {
                str(model): 100.0 * column(where(at, model=model), "test_accuracy") for model in distinct(at, "model")
            }
            found.append(_Point(str(key[0]), str(key[1]), str(key[2]), int(str(key[3])), values))
    return found


def findings(rows: Sequence[Row]) -> list[str]:
    """Return how far ours is from the published, and where the pattern holds."""
    points = _points(rows)
    return [
        *_beside_published(points),
        *_official(points),
        *_pattern(points),
        *_narrow(points),
        *_rescaled(rows, points),
        *_exceptions(points),
    ]


def _beside_published(points: Sequence[_Point]) -> list[str]:
    compared = [
        (abs(point.at(model).value - known), point, model)
        for point in points
        for model in ("deq", "matched")
        for known in (point.published(model),)
        if known is not None and point.width >= _WIDE and point.dataset != "cifar10_features"
    ]
    if not compared:
        return ["There is no published accuracy to compare with for these data and widths."]
    near = sum(gap <= _NEAR for gap, _, _ in compared)
    gap, point, model = max(compared, key=lambda each: each[0])
    data = listed([data_words(name) for name in dict.fromkeys(each.dataset for _, each, _ in compared)])
    return [
        f"At widths from {_WIDE} on, {near} of {len(compared)} mean accuracies of DEQs and matched networks, by SGD "
        f"as published, are within {_NEAR:g} point of the published ones on {data}; the largest "
        f"distance is {gap:.2f} points ({_model(point.activation, model)}, {data_words(point.dataset)}, width "
        f"{point.width})."
    ]


def _official(points: Sequence[_Point]) -> list[str]:
    """Say what the variances and the centring of the published code do to the distance from the published figure."""
    parts = []
    for phi, official in product(_once(points, "activation"), OFFICIAL):
        model = official.removeprefix("official_")
        gaps = [
            (point.at(model).value - known, point.at(official).value - known)
            for point in points
            for known in (point.published(model),)
            if known is not None and official in point.values and point.activation == phi
        ]
        if gaps:
            ours, theirs = zip(*gaps, strict=True)
            parts.append(f"{_model(phi, model)} {_range(ours)} with ours, {_range(theirs)} with theirs")
    if not parts:
        return []
    return [
        "The published code trains other models than it designs: its equations have another sigma_a2, its ReLU DEQ "
        f"another centring, its second layer none. Points above the published figure: {'; '.join(parts)}."
    ]


def _pattern(points: Sequence[_Point]) -> list[str]:
    found = []
    for optimizer, phi in product(_once(points, "optimizer"), _once(points, "activation")):
        chosen = [point for point in points if (point.optimizer, point.activation) == (optimizer, phi)]
        wide = [point for point in chosen if point.width >= _WIDE] or chosen
        gaps = {model: [point.behind(model).value for point in wide] for model in ("matched", "plain")}
        closer = sum(abs(a) < abs(b) for a, b in zip(gaps["matched"], gaps["plain"], strict=True))
        at = f"widths from {_WIDE} on" if wide[0].width >= _WIDE else "all widths here"
        found.append(
            f"{phi_words(phi)}, {_OPTIMIZERS[optimizer]}, {at}: the accuracy of the DEQ less that of its matched "
            f"network is {_range(gaps['matched'])} points, less that of the plain one {_range(gaps['plain'])}; the "
            f"matched network is the nearer one in {closer} of {len(wide)} cases."
        )
    return found


def _narrow(points: Sequence[_Point]) -> list[str]:
    """Say how far matched networks are behind at the smallest width, by the first optimiser."""
    width, optimizer = min(point.width for point in points), points[0].optimizer
    if width >= _WIDE:
        return []
    parts = []
    for phi in _once(points, "activation"):
        at = [p for p in points if (p.activation, p.width, p.optimizer) == (phi, width, optimizer)]
        gaps = listed([f"{mean_words(point.behind('matched'))} on {data_words(point.dataset)}" for point in at])
        seen = any(abs(p.behind("matched").value) > _SPREAD * p.behind("matched").error for p in at)
        parts.append(f"{gaps} for {phi_words(phi)}{'' if seen else ', within two standard errors'}")
    return [
        f"At width {width}, by {_OPTIMIZERS[optimizer]}, the accuracy of the DEQ less that of its matched network is "
        f"{'; '.join(parts)} (points)."
    ]


def _rescaled(rows: Sequence[Row], points: Sequence[_Point]) -> list[str]:
    """Say what is left of the distance to the plain network where its kernel has the DEQ's scale."""
    parts = []
    for phi in _once(points, "activation"):
        chosen = [p for p in points if RESCALED in p.values and (p.activation, p.optimizer) == (phi, "sgd")]
        if chosen:
            of = where(rows, activation=phi, dataset=chosen[0].dataset)
            used, usual = (column(where(of, model=m), "sgd")[0] for m in (RESCALED, "plain"))
            before, after = (_range([p.behind(m).value for p in chosen]) for m in ("plain", RESCALED))
            parts.append(f"{phi_words(phi)} {before}, with {decimal(used / usual, 3)} times the rate {after}")
    if not parts:
        return []
    return [
        "The scale of a kernel counts like the learning rate, since the readout by SGD does not converge in these "
        "epochs. Points that the DEQ is ahead of the plain network, and of the same network at the rate that makes up "
        f"for the diagonals of the two kernels: {'; '.join(parts)}."
    ]


def _exceptions(points: Sequence[_Point]) -> list[str]:
    """Say where the matched network is not seen to be nearer to the DEQ than the plain one."""
    if min(len(values) for point in points for values in point.values.values()) < 2:
        return ["One seed has no standard error: nothing is said of where the pattern does not hold."]
    parts, total = [], 0
    for phi, optimizer in product(_once(points, "activation"), _once(points, "optimizer")):
        of = [point for point in points if (point.activation, point.optimizer) == (phi, optimizer)]
        open_ = [point for point in of if not _lead(point).value > _SPREAD * _lead(point).error]
        total += len(open_)
        if open_:
            parts.append(f"{phi_words(phi)}, {_OPTIMIZERS[optimizer]}: {len(open_)} of {len(of)}{_where(open_, of)}")
    if not total:
        return ["In every case the matched network is nearer to the DEQ than the plain one, by two standard errors."]
    return [
        f"The pattern does not hold everywhere: in {total} of {len(points)} cases the matched network is not nearer to "
        "the DEQ than the plain one by two standard errors, which are themselves uncertain with so few seeds "
        f"({'; '.join(parts)})."
    ]


def _where(some: Sequence[_Point], of: Sequence[_Point]) -> str:
    """Return the data and widths of some points, unless they are most of them."""
    if 2 * len(some) > len(of):
        return ""
    places = [
        f"{data_words(dataset)} at {listed([f'{point.width}' for point in some if point.dataset == dataset])}"
        for dataset in _once(some, "dataset")
    ]
    return f", on {', '.join(places)}"


def _lead(point: _Point) -> Mean:
    """Return how much nearer to the DEQ the matched network is, ``|d - p| - |d - m|``, for means d, p and m.

    With d outside of m and p, it is plus or minus ``m - p``; between them, ``2 d - m - p`` up to the sign.
    """
    deq, matched, plain = (point.at(model) for model in MODELS)
    between = (deq.value - matched.value) * (deq.value - plain.value) < 0.0
    value = abs(deq.value - plain.value) - abs(deq.value - matched.value)
    error = math.hypot(2.0 * deq.error * between, matched.error, plain.error)
    return Mean(value, error, deq.n)


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return accuracies beside the published ones, then differences to the DEQ."""
    points = _points(rows)
    found = []
    for optimizer, dataset in product(_once(points, "optimizer"), _once(points, "dataset")):
        chosen = [point for point in points if (point.optimizer, point.dataset) == (optimizer, dataset)]
        found += [_accuracies(chosen), _differences(chosen)]
    return found


def _accuracies(points: Sequence[_Point]) -> Table:
    lines = []
    for phi, model in product(_once(points, "activation"), MODELS):
        chosen = [point for point in points if point.activation == phi]
        lines.append((_model(phi, model), tuple(mean_words(point.at(model)) for point in chosen)))
        known = [point.published(model) for point in chosen]
        if any(value is not None for value in known):
            cells = tuple("" if value is None else f"{value:.1f}" for value in known)
            lines.append((f"{_model(phi, model)}, published", cells))
        control, words = _CONTROLS[model]
        if any(control in point.values for point in chosen):
            cells = tuple(mean_words(point.at(control)) if control in point.values else "" for point in chosen)
            lines.append((f"{_model(phi, model)}, {words}", cells))
    n = len(points[0].values["deq"])
    notes = [
        f"Mean over {n} seeds ± its standard error; readout trained alone. A seed draws the weights and the order "
        "of the samples; the samples are the same for all."
    ]
    if any(point.published("deq") is not None for point in points):
        notes.append(f"Published values were read off a figure, to about {100.0 * UNCERTAINTY:.1f} points.")
    if any(RESCALED in point.values for point in points):
        notes.append("At the scale of the DEQ: at a learning rate as if the kernel had the diagonal of the DEQ's.")
    if points[0].dataset == "cifar10_features" and points[0].optimizer == "sgd":
        notes.append("The published numbers are of other features of CIFAR-10: patterns compare, levels do not.")
    return Table(_title("Test accuracy, %", points), _head(points), tuple(lines), tuple(notes))


def _differences(points: Sequence[_Point]) -> Table:
    lines = tuple(
        (
            f"{_model(phi, 'deq')} less {_model(phi, model)}",
            tuple(mean_words(point.behind(model)) for point in points if point.activation == phi),
        )
        for phi, model in product(_once(points, "activation"), ("matched", "plain"))
    )
    return Table(_title("Accuracy of the DEQ less that of shallow networks, points", points), _head(points), lines)


def _head(points: Sequence[_Point]) -> tuple[str, ...]:
    return "model", *(f"width {width}" for width in _once(points, "width"))


def _title(what: str, points: Sequence[_Point]) -> str:
    return f"{what}: {data_words(points[0].dataset)}, {_OPTIMIZERS[points[0].optimizer]}"


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return one picture for each optimiser, SGD first."""
    points = _points(rows)
    return {
        "accuracy" if optimizer == "sgd" else f"accuracy-{optimizer}": _figure(
            [point for point in points if point.optimizer == optimizer]
        )
        for optimizer in _once(points, "optimizer")
    }


def _figure(points: Sequence[_Point]) -> Figure:
    datasets, activations = _once(points, "dataset"), _once(points, "activation")
    size = (1.6 + 3.5 * len(datasets), 0.6 + 2.9 * len(activations))
    figure, grid = panels(len(activations), len(datasets), size, sharex=True)
    for (row, phi), (place, dataset) in product(enumerate(activations), enumerate(datasets)):
        axes = grid[row, place]
        chosen = [point for point in points if (point.dataset, point.activation) == (dataset, phi)]
        widths = [point.width for point in chosen]
        for model, (color, marker, line) in _STYLES.items():
            ours = [point.at(model) for point in chosen]
            axes.errorbar(
                widths,
                [each.value for each in ours],
                [_SPREAD * each.error for each in ours],
                color=color,
                marker=marker,
                ls=line,
                ms=4.5,
                lw=1.4,
                label=_ROLES[model],
            )
            known = [point.published(model) for point in chosen]
            if any(value is not None for value in known):
                shown = [np.nan if value is None else value for value in known]
                axes.plot(widths, shown, marker, ls="none", color=color, mfc="none", ms=9, mew=0.9)
        axes.set_xscale("log", base=2)
        axes.set_xticks(widths, [str(width) for width in widths], rotation=45)
        axes.grid(alpha=0.25)
        set_title(axes, f"{phi_words(phi)}, {data_words(dataset)}")
        axes.tick_params(labelsize=SMALL)
    for axes in grid[-1]:
        axes.set_xlabel("width m")
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy, %")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if any(point.published("deq") is not None for point in points):
        (open_mark,) = grid[0, 0].plot([], [], "o", ls="none", color="0.4", mfc="none", ms=9, mew=0.9)
        handles, labels = [*handles, open_mark], [*labels, "published, same colours"]
    figure_legend(figure, handles, labels, 4)
    return figure


_CONTROLS = {
    "deq": (OFFICIAL[0], "of the published code"),
    "matched": (OFFICIAL[1], "of the published code"),
    "plain": (RESCALED, "at the scale of the DEQ"),
}
_ROLES = {"deq": "DEQ", "matched": "matched network", "plain": "plain network"}


def _model(phi: str, model: str) -> str:
    return f"{phi_words(phi)} {_ROLES[model]}"


def _range(values: Sequence[float]) -> str:
    return span_words(values, "{:+.2f}".format)


def _once(points: Sequence[_Point], name: str) -> list[Any]:
    return list(dict.fromkeys(getattr(point, name) for point in points))


PRESENTATION = Presentation(findings, tables, figures)
