from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from notsodeep.experiments.reproduction.rows import from_csv, to_csv
from notsodeep.report.reproduction.matching import PRESENTATION
from tests.tolerances import ROOTS, assert_close

SPECTRAL = {
    "published": 2e-4, "training": 0.7, "training, centred": 0.1, "training, its DEQ": 0.6, "solved": 1e-4,
    "matched": 5e-5, "unmatched": 0.5, "equivalent": 0.1, "norm-aware": 0.04,
}  # fmt: skip
KERNELS = {"CK": 1.0, "NTK": 2.0, "NTK {A, w}": 3.0}


def made(seeds=2, without=()):
    rows = []
    for seed, phi, (design, distance), (kernel, factor) in product(
        range(seeds), ("relu", "tanh"), SPECTRAL.items(), KERNELS.items()
    ):
        if design in without:
            continue
        known = design not in ("training", "training, its DEQ", "equivalent", "norm-aware")
        rows.append(
            {
                "part": "exact", "design": design, "dataset": "mnist", "n": 9, "seed": seed, "activation": phi,
                "sigma_a2": 0.2, "kernel": kernel, "network": "two_slope a=1" if known else None,
                "miss": 1e-5 if known else None, "spectral": distance * factor * (1.0 + 0.2 * seed),
                "frobenius": distance * factor,
            }
        )  # fmt: skip
    where = {"dataset": "mnist", "n": 9, "sigma_a2": 0.2}
    for seed, phi, (design, distance) in product(
        range(seeds), ("relu", "tanh"), {"published": 0.06, "DEQ": 0.05, "exact": 0.04}.items()
    ):
        finite = {"width": 10, "networks": 3, "design": design, "kernel": "CK", "spectral": distance}
        rows.append({"part": "finite", "seed": seed, "activation": phi} | where | finite)
    for phi, design, layer, u in product(("relu", "tanh"), ("DEQ", "published", "solved"), (1, 2), (-1.0, 0.0, 1.0)):
        if design != "DEQ" or layer == 1:
            shape = {"part": "shape", "design": design, "activation": phi, "points": 3, "layer": layer}
            rows.append(shape | {"u": u, "phi": layer * u})
    return from_csv(to_csv(rows))


def test_findings_read_the_numbers_of_the_rows():
    published, training, ntk, *others = PRESENTATION.findings(made(seeds=1))
    assert published.startswith("ReLU DEQ, CK")
    assert "0.02 % (MNIST) with the published settings" in published
    assert "by 0.01 % (MNIST) with the equations solved" in published
    assert "at most 0.001 % and 0.001 %" in published
    assert (
        "is off by 70 % (MNIST); with its second layer centred, which that code leaves off centre, by 10 %" in training
    )
    assert "further off than unmatched layers are on MNIST" in training
    assert "by 0.04 % (MNIST) for the NTK, where a network designed for it is off by 0.02 % (MNIST)" in ntk
    finite, equivalents = others[-2:]
    assert "means of 3 CKs at width 10" in finite
    assert "6 % in relative spectral norm, which is 1.2 times" in finite
    assert "in 6 of 6 cases" in equivalents
    assert "1000 times theirs" in equivalents


def test_what_is_not_there_is_not_said():
    findings = PRESENTATION.findings(made(without=("training", "matched", "equivalent", "published")))
    assert not any("training" in sentence or "published settings" in sentence for sentence in findings)
    assert not any("four numbers" in sentence or "nan" in sentence for sentence in findings)


def test_tables_have_a_line_for_each_design():
    distances, networks, finite = PRESENTATION.tables(made())
    assert len(distances.rows) == 2 * len(SPECTRAL)
    assert distances.rows[0] == (
        "MNIST, ReLU: closest of all families",
        ("0.0055 ± 0.0005 %", "0.011 ± 0.001 %", "0.017 ± 0.001 %", "0.001 %"),
    )
    assert ("ReLU, NTK: paper's family, equations solved", ("two_slope a=1",)) in networks.rows
    assert not any(label.startswith("ReLU, NTK: published") for label, _ in networks.rows)
    assert finite.rows[0] == ("MNIST, ReLU", ("6 ± 0 %", "5 ± 0 %", "4 ± 0 %"))


def test_figures_have_labelled_axes():
    distances, activations = PRESENTATION.figures(made()).values()
    assert [axes.get_title() for axes in distances.axes] == ["ReLU, MNIST", "tanh, MNIST"]
    assert distances.axes[-1].get_xlabel() == "relative spectral distance, %"
    labels = [text.get_text() for text in distances.axes[0].get_yticklabels()]
    assert labels[0] == "closest of all families"
    assert len(labels) == len(SPECTRAL)
    assert [axes.get_title() for axes in activations.axes[:2]] == ["ReLU: published figures", "ReLU: equations solved"]
    assert activations.axes[0].get_ylabel() == "activation"
    assert "pre-activation" in activations.axes[-1].get_xlabel()
    assert all(figure.legends for figure in (distances, activations))


def test_drawn_curves_are_those_of_the_rows():
    axes = PRESENTATION.figures(made())["matching-activations"].axes[0]
    second = next(line for line in axes.lines if np.ptp(np.asarray(line.get_ydata(), float)) == 4.0)
    assert_close(second.get_ydata(), [-2.0, 0.0, 2.0], ROOTS)


@pytest.mark.parametrize("part", ["exact", "finite", "shape", None])
def test_parts_of_the_rows_have_a_presentation(part):
    rows = [row for row in made(seeds=1) if row["part"] == part]
    assert bool(PRESENTATION.findings(rows)) == (part in ("exact", "finite"))
    assert bool(PRESENTATION.tables(rows)) == (part in ("exact", "finite"))
    assert bool(PRESENTATION.figures(rows)) == (part in ("exact", "shape"))
