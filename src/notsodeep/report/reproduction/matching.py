"""Kernels of designed networks against those of their DEQs: distances, networks, activations, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from notsodeep.experiments.reproduction.rows import Mean, column, distinct, groups, mean, where
from notsodeep.experiments.reproduction.study import Row, Value
from notsodeep.experiments.samples import MIXTURE
from notsodeep.report.drawing import (
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

_NAMES = {
    "matched": "closest of all families",
    "solved": "paper's family, equations solved",
    "published": "published figures",
    "training": "published training code",
    "training, centred": "the same, second layer centred",
    "training, its DEQ": "the same, with its own DEQ",
    "unmatched": "unmatched, the DEQ's activation",
    "norm-aware": "norm-aware equivalent",
    "equivalent": "paper's equivalent",
}
"""Designs and equivalents, in the order of tables and pictures"""
_EQUIVALENTS = ("norm-aware", "equivalent")
_MARKS = {"CK": (BLUE, "o"), "NTK": (VERMILION, "s"), "NTK {A, w}": (GREEN, "^")}
_LAYERS = {1: (VERMILION, "-"), 2: (PURPLE, (0, (4, 2)))}
_SHAPE_TITLES = {
    "published": "published figures",
    "training": "training code",
    "solved": "equations solved",
    "matched": "closest",
}


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what the distances say, in numbers of these rows."""
    exact = where(rows, part="exact")
    said = []
    for phi in distinct(exact, "activation"):
        own = where(exact, activation=phi)
        said += [_on_published(own, phi), _on_training(own, phi), _on_ntk(own, phi)]
    return [
        sentence for sentence in (*said, _on_finite(where(rows, part="finite")), _on_equivalents(exact)) if sentence
    ]


def _on_published(rows: Sequence[Row], phi: Value) -> str:
    parts = [
        f"{_of_data(rows, name, 'CK')} {words}"
        for name, words in (
            ("published", "with the published settings, one start of the minimisation"),
            ("solved", "with the equations solved to rounding"),
            ("matched", "with the closest network of all families"),
            ("unmatched", "for as many layers with the DEQ's own activation"),
        )
        if where(rows, design=name)
    ]
    if not parts:
        return ""
    misses = [column(where(rows, design=name, kernel="CK"), "miss") for name in ("published", "solved")]
    said = f"{phi_words(phi)} DEQ, CK: the exact kernels differ, in relative spectral norm, by {'; by '.join(parts)}."
    if not all(each.size for each in misses):
        return said
    missed = listed([percent(float(each.max())) for each in misses])
    return f"{said} The first two miss the four numbers that are to agree by at most {missed}."


def _on_training(rows: Sequence[Row], phi: Value) -> str:
    if not where(rows, design="training"):
        return ""
    said = (
        f"{phi_words(phi)} DEQ, CK: the network of the published training code, which is designed for another variance "
        f"of the recurrent weights than its DEQ has, is off by {_of_data(rows, 'training', 'CK')}"
    )
    if where(rows, design="training, centred"):
        centred = _of_data(rows, "training, centred", "CK")
        said += f"; with its second layer centred, which that code leaves off centre, by {centred}"
    if where(rows, design="training, its DEQ"):
        said += f"; against the DEQ as that code centres it, by {_of_data(rows, 'training, its DEQ', 'CK')}"
    worse = [
        data
        for data in distinct(rows, "dataset")
        if _apart(rows, data, "training", "CK") > _apart(rows, data, "unmatched", "CK")
    ]
    where_worse = (
        f" It is further off than unmatched layers are on {listed([_with_article(each) for each in worse])}."
        if worse
        else ""
    )
    return f"{said}.{where_worse}"


def _on_ntk(rows: Sequence[Row], phi: Value) -> str:
    kernels = [name for name in distinct(rows, "kernel") if name != "CK"]
    parts = [
        f"by {_of_data(rows, 'published', kernel)} for the {kernel}, where a network designed for it is off by "
        f"{_of_data(rows, 'solved', kernel)}"
        for kernel in kernels
        if where(rows, design="published", kernel=kernel) and where(rows, design="solved", kernel=kernel)
    ]
    if not parts:
        return ""
    return (
        f"{phi_words(phi)} DEQ, NTK: a network designed for the CK does not have the DEQ's NTK, all its weights "
        f"trained at one rate. The published one is off {'; '.join(parts)} (same family, learning rates of its own)."
    )


def _on_finite(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    width, networks = rows[0]["width"], rows[0]["networks"]
    twins, others, exact = (
        [_spectral(each).value for each in groups(where(rows, design=name), "dataset", "activation").values()]
        for name in ("published", "DEQ", "exact")
    )
    ratios = [a / b for a, b in zip(twins, others, strict=True)]
    return (
        f"Finite networks, means of {networks} CKs at width {width}: those of DEQs and of published designs differ by "
        f"{span_words(twins, percent)} in relative spectral norm, which is {_ratio(ratios)} times what those of two "
        f"sets of DEQs differ by, {span_words(others, percent)}; a set of DEQs is {span_words(exact, percent)} off its "
        "own limit."
    )


def _ratio(ratios: Sequence[float]) -> str:
    return span_words(ratios, lambda ratio: decimal(ratio, 2))


def _spectral(rows: Sequence[Row]) -> Mean:
    return mean(column(rows, "spectral"))


def _on_equivalents(rows: Sequence[Row]) -> str:
    ratios = []
    for own in groups(rows, "dataset", "activation", "kernel").values():
        network, stand_in = (where(own, design=name) for name in ("solved", "equivalent"))
        if network and stand_in:
            ratios.append(_spectral(stand_in).value / _spectral(network).value)
    if not ratios:
        return ""
    closer = sum(ratio > 1.0 for ratio in ratios)
    return (
        f"Networks of the paper's families, equations solved, are designed by its random-matrix equivalent. They are "
        f"closer to the DEQ's exact kernel than that is in {closer} of {len(ratios)} cases (data, activation, kernel): "
        f"its distance is {_ratio(ratios)} times theirs."
    )


def _apart(rows: Sequence[Row], dataset: Value, design: str, kernel: str) -> float:
    found = where(rows, dataset=dataset, design=design, kernel=kernel)
    return _spectral(found).value if found else float("nan")


def _of_data(rows: Sequence[Row], design: str, kernel: Value) -> str:
    """Return the mean distance on each data set, in words."""
    by_data = groups(where(rows, design=design, kernel=kernel), "dataset")
    return listed([f"{percent(_spectral(own).value)} ({data_words(name)})" for (name,), own in by_data.items()])


def _with_article(dataset: Value) -> str:
    return f"the {data_words(dataset)}" if dataset == MIXTURE else data_words(dataset)


def _present(rows: Sequence[Row]) -> list[str]:
    there = distinct(rows, "design")
    return [name for name in _NAMES if name in there]


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the distances of exact kernels, the networks, and the distances of finite ones."""
    exact, finite = where(rows, part="exact"), where(rows, part="finite")
    found = [_distances(exact), _networks(exact)] if exact else []
    return [*found, _finite_distances(finite)] if finite else found


def _distances(rows: Sequence[Row]) -> Table:
    kernels = [str(kernel) for kernel in distinct(rows, "kernel")]
    lines = []
    for (data, phi), own in groups(rows, "dataset", "activation").items():
        for name in _present(own):
            cells = [_cell(where(own, design=name, kernel=kernel)) for kernel in kernels]
            lines.append((f"{data_words(data)}, {phi_words(phi)}: {_NAMES[name]}", (*cells, _miss(own, name))))
    n = rows[0]["n"]
    return Table(
        "Exact kernels: relative spectral distance from the DEQ's",
        ("design", *kernels, "miss of the four numbers, CK"),
        tuple(lines),
        (
            f"{n} samples; of data sets, two classes. Mean over draws of samples ± standard error. Designs of the "
            "published code are for the CK; the others are made for each kernel.",
        ),
    )


def _cell(rows: Sequence[Row]) -> str:
    return percent_words(_spectral(rows), 2) if rows else "-"


def _miss(rows: Sequence[Row], name: str) -> str:
    misses = column(where(rows, design=name, kernel="CK"), "miss")
    known = misses[~np.isnan(misses)]
    return percent(float(known.max())) if known.size else "-"


def _networks(rows: Sequence[Row]) -> Table:
    lines = []
    for phi in distinct(rows, "activation"):
        own = where(rows, dataset=rows[0]["dataset"], seed=rows[0]["seed"], activation=phi)
        for name in _present(own):
            for kernel in distinct(own, "kernel"):
                texts = [str(row["network"]) for row in where(own, design=name, kernel=kernel) if row["network"]]
                if texts and (kernel == "CK" or name in ("solved", "matched")):
                    lines.append((f"{phi_words(phi)}, {kernel}: {_NAMES[name]}", (texts[0],)))
    return Table(
        f"Networks, for the first draw of samples ({data_words(rows[0]['dataset'])})",
        ("design", "activations, from the first layer on"),
        tuple(lines),
        ("two_slope is max(a x, b x) + offset, hardtanh is scale clip(x, -clip, clip). Learning rates are left out.",),
    )


def _finite_distances(rows: Sequence[Row]) -> Table:
    heads = {"published": "published design", "DEQ": "other DEQs", "exact": "exact CK of the DEQ"}
    lines = [
        (
            f"{data_words(data)}, {phi_words(phi)}",
            tuple(_cell(where(own, design=name)) for name in heads),
        )
        for (data, phi), own in groups(rows, "dataset", "activation").items()
    ]
    width, networks = rows[0]["width"], rows[0]["networks"]
    return Table(
        f"Mean CK of {networks} DEQs of width {width}: relative spectral distance from the mean of as many networks",
        ("samples, activation", *heads.values()),
        tuple(lines),
        ("Mean over draws ± standard error; all networks are independent.",),
    )


def figures(rows: Sequence[Row]) -> Mapping[str, Figure]:
    """Return the distances of the exact kernels, and the activations."""
    exact, shapes = where(rows, part="exact"), where(rows, part="shape")
    found = {"matching-distances": _draw_distances(exact)} if exact else {}
    return found | ({"matching-activations": _draw_activations(shapes)} if shapes else {})


def _draw_distances(rows: Sequence[Row]) -> Figure:
    datasets, activations = distinct(rows, "dataset"), distinct(rows, "activation")
    size = 2.4 + 3.8 * len(datasets), 0.7 + 2.9 * len(activations)
    figure, grid = panels(len(activations), len(datasets), size, sharex=True, sharey="row")
    for i, phi in enumerate(activations):
        for j, data in enumerate(datasets):
            axes = grid[i, j]
            own = where(rows, dataset=data, activation=phi)
            _draw_marks(axes, own, _present(where(rows, activation=phi)))
            set_title(axes, f"{phi_words(phi)}, {data_words(data)}")
    for axes in grid[-1]:
        axes.set_xlabel("relative spectral distance, %")
    handles = [Line2D([], [], color=color, marker=marker, ls="none") for color, marker in _MARKS.values()]
    figure_legend(figure, handles, list(_MARKS), ncols=3)
    return figure


def _draw_marks(axes: Axes, rows: Sequence[Row], names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        axes.axhline(place, color="0.9", lw=0.8, zorder=0)
        for shift, (kernel, (color, marker)) in zip((-0.22, 0.0, 0.22), _MARKS.items(), strict=True):
            found = where(rows, design=name, kernel=kernel)
            if found:
                each = _spectral(found)
                bar = 0.0 if np.isnan(each.error) else 200.0 * each.error
                at = place + shift
                axes.errorbar(100.0 * each.value, at, xerr=bar, color=color, marker=marker, ms=5, lw=1.2, ls="none")
    if any(name in _EQUIVALENTS for name in names):
        axes.axhline(len(names) - sum(name in _EQUIVALENTS for name in names) - 0.5, color="0.5", lw=0.8)
    axes.set(xscale="log", ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), [_NAMES[name] for name in names])
    axes.xaxis.set_major_formatter(PLAIN)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="x", alpha=0.25)


def _draw_activations(rows: Sequence[Row]) -> Figure:
    activations = distinct(rows, "activation")
    names = [name for name in _SHAPE_TITLES if name in distinct(rows, "design")]
    columns = max(len(names), 1)
    size = 1.2 + 2.7 * columns, 0.7 + 2.7 * len(activations)
    figure, grid = panels(len(activations), columns, size, sharex="row", sharey="row")
    for i, phi in enumerate(activations):
        own = where(rows, activation=phi)
        for j, name in enumerate(names):
            axes = grid[i, j]
            axes.axhline(0.0, color="0.8", lw=0.8, zorder=0)
            axes.axvline(0.0, color="0.8", lw=0.8, zorder=0)
            deq, design = where(own, design="DEQ"), where(own, design=name)
            axes.plot(column(deq, "u"), column(deq, "phi"), color=ORANGE, lw=4.0, alpha=0.5)
            for layer, (color, dashes) in _LAYERS.items():
                curve = where(design, layer=layer)
                axes.plot(column(curve, "u"), column(curve, "phi"), color=color, ls=dashes, lw=1.4)
            set_title(axes, f"{phi_words(phi)}: {_SHAPE_TITLES[name]}")
        grid[i, 0].set_ylabel("activation")
    for axes in grid[-1]:
        axes.set_xlabel("pre-activation (±3 s.d.)")
    handles = [Line2D([], [], color=ORANGE, lw=4.0, alpha=0.5)]
    handles += [Line2D([], [], color=color, ls=dashes, lw=1.4) for color, dashes in _LAYERS.values()]
    labels = ["DEQ, centred", "first layer", "second layer"]
    figure_legend(figure, handles, labels, ncols=3)
    return figure


PRESENTATION = Presentation(findings, tables, figures)
