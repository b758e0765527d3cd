"""Kernels of designed networks against those of their DEQs: distances, networks, activations, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from notsodeep.experiments.reproduction.rows import Mean, column, distinct, mean, where
from notsodeep.experiments.reproduction.study import Row
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
from notsodeep.report.reproduction.words import data_words, percent_words, phi_words
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
    for phi in _distinct(exact, "activation"):
        own = where(exact, activation=phi)
        said += [_on_published(own, phi), _on_training(own, phi), _on_ntk(own, phi)]
    return [
        sentence for sentence in (*said, _on_finite(where(rows, part="finite")), _on_equivalents(exact)) if sentence
    ]


def _on_published(rows: Sequence[Row], phi: str) -> str:
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
    missed = " and ".join(percent(float(each.max())) for each in misses if each.size)
    first_two = f" The first two miss the four numbers that are to agree by at most {missed}." if len(parts) > 1 else ""
    return (
        f"{phi_words(phi)} DEQ, CK: the exact kernels differ, in relative spectral norm, by {'; by '.join(parts)}."
        f"{first_two if all(each.size for each in misses) else ''}"
    )


def _on_training(rows: Sequence[Row], phi: str) -> str:
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
        for data in _distinct(rows, "dataset")
        if _apart(rows, data, "training", "CK") > _apart(rows, data, "unmatched", "CK")
    ]
    where_worse = (
        f" It is further off than unmatched layers are on {' and '.join(_with_article(each) for each in worse)}."
        if worse
        else ""
    )
    return f"{said}.{where_worse}"


def _on_ntk(rows: Sequence[Row], phi: str) -> str:
    kernels = [name for name in _distinct(rows, "kernel") if name != "CK"]
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
    twins, others, exact = (_spectral(where(rows, design=name)) for name in ("published", "DEQ", "exact"))
    ratios = np.array([a.value / b.value for a, b in zip(twins, others, strict=True)])
    return (
        f"Finite networks, means of {networks} CKs at width {width}: those of DEQs and of published designs differ by "
        f"{_span(twins, percent)} in relative spectral norm, which is {_ratio(ratios)} times what those of two sets of "
        f"DEQs differ by, {_span(others, percent)}; a set of DEQs is {_span(exact, percent)} off its own limit."
    )


def _ratio(ratios: Any) -> str:
    low, high = decimal(float(ratios.min()), 2), decimal(float(ratios.max()), 2)
    return low if low == high else f"{low} to {high}"


def _spectral(rows: Sequence[Row]) -> list[Mean]:
    groups = dict.fromkeys((str(row["dataset"]), str(row["activation"])) for row in rows)
    return [mean(column(where(rows, dataset=data, activation=phi), "spectral")) for data, phi in groups]


def _span(means: Sequence[Mean], show: Callable[[float], str]) -> str:
    low, high = show(min(each.value for each in means)), show(max(each.value for each in means))
    return low if low == high else f"{low} to {high}"


def _on_equivalents(rows: Sequence[Row]) -> str:
    cases = [
        (data, phi, kernel)
        for data in _distinct(rows, "dataset")
        for phi in _distinct(rows, "activation")
        for kernel in _distinct(rows, "kernel")
    ]
    pairs = []
    for data, phi, kernel in cases:
        own = where(rows, activation=phi)
        pairs.append([_apart(own, data, name, kernel) for name in ("solved", "equivalent")])
    known = [pair for pair in pairs if not np.isnan(pair).any()]
    if not known:
        return ""
    ratios = np.array([stand_in / network for network, stand_in in known])
    closer = int((ratios > 1.0).sum())
    return (
        f"Networks of the paper's families, equations solved, are designed by its random-matrix equivalent. They are "
        f"closer to the DEQ's exact kernel than that is in {closer} of {len(known)} cases (data, activation, kernel): "
        f"its distance is {_ratio(ratios)} times theirs."
    )


def _apart(rows: Sequence[Row], dataset: str, design: str, kernel: str) -> float:
    found = where(rows, dataset=dataset, design=design, kernel=kernel)
    return mean(column(found, "spectral")).value if found else float("nan")


def _of_data(rows: Sequence[Row], design: str, kernel: str) -> str:
    """Return the mean distance on each data set, in words."""
    own = where(rows, design=design, kernel=kernel)
    parts = [
        f"{percent(mean(column(where(own, dataset=name), 'spectral')).value)} ({data_words(name)})"
        for name in _distinct(own, "dataset")
    ]
    return " and ".join(parts)


def _distinct(rows: Sequence[Row], name: str) -> list[str]:
    return [str(value) for value in distinct(rows, name)]


def _with_article(dataset: str) -> str:
    return f"the {data_words(dataset)}" if dataset == MIXTURE else data_words(dataset)


def _present(rows: Sequence[Row]) -> list[str]:
    there = set(_distinct(rows, "design"))
    return [name for name in _NAMES if name in there]


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the distances of exact kernels, the networks, and the distances of finite ones."""
    exact, finite = where(rows, part="exact"), where(rows, part="finite")
    found = [_distances(exact), _networks(exact)] if exact else []
    return [*found, _finite_distances(finite)] if finite else found


def _distances(rows: Sequence[Row]) -> Table:
    kernels = _distinct(rows, "kernel")
    lines = []
    for data in _distinct(rows, "dataset"):
        for phi in _distinct(rows, "activation"):
            own = where(rows, dataset=data, activation=phi)
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
    if not rows:
        return "-"
    return percent_words(mean(column(rows, "spectral")), 2)


def _miss(rows: Sequence[Row], name: str) -> str:
    misses = column(where(rows, design=name, kernel="CK"), "miss")
    known = misses[~np.isnan(misses)]
    return percent(float(known.max())) if known.size else "-"


def _networks(rows: Sequence[Row]) -> Table:
    lines = []
    for phi in _distinct(rows, "activation"):
        own = where(rows, dataset=rows[0]["dataset"], seed=rows[0]["seed"], activation=phi)
        for name in _present(own):
            for kernel in _distinct(own, "kernel"):
                texts = [str(row["network"]) for row in where(own, design=name, kernel=kernel) if row["network"]]
                if texts and (kernel == "CK" or name in ("solved", "matched")):
                    lines.append((f"{phi_words(phi)}, {kernel}: {_NAMES[name]}", (texts[0],)))
    return Table(
        f"Networks, for the first draw of samples ({data_words(str(rows[0]['dataset']))})",
        ("design", "activations, from the first layer on"),
        tuple(lines),
        ("two_slope is max(a x, b x) + offset, hardtanh is scale clip(x, -clip, clip). Learning rates are left out.",),
    )


def _finite_distances(rows: Sequence[Row]) -> Table:
    heads = {"published": "published design", "DEQ": "other DEQs", "exact": "exact CK of the DEQ"}
    lines = [
        (
            f"{data_words(data)}, {phi_words(phi)}",
            tuple(_cell(where(rows, dataset=data, activation=phi, design=name)) for name in heads),
        )
        for data in _distinct(rows, "dataset")
        for phi in _distinct(rows, "activation")
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
    datasets, activations = _distinct(rows, "dataset"), _distinct(rows, "activation")
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
                each = mean(column(found, "spectral"))
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
    activations = _distinct(rows, "activation")
    names = [name for name in _SHAPE_TITLES if name in _distinct(rows, "design")]
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
