"""How the study of eigenvalues is shown, from rows made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from notsodeep.experiments.reproduction.rows import from_csv, to_csv
from notsodeep.experiments.reproduction.spectrum import DISTANCES, LARGEST, STAND_INS
from notsodeep.report.reproduction.spectrum import PRESENTATION

ERRORS = {"paper": 0.02, "norm_aware": 0.004, "matched": 1e-4, "one_deq": 0.2, "mean_deq": 0.1, "one_matched": 0.25}


def made(dataset, n, seed=0, kernel="CK", activation="relu", factor=1.0, status="matched"):
    """Return rows of one unit: ``factor`` multiplies all distances, ``0.1 seed`` of themselves is added to them."""
    at = {"dataset": dataset, "n": n, "p": 2 * n, "activation": activation, "kernel": kernel, "seed": seed}
    same = at | {"width": 50, "networks": 3}
    cells = {name: factor * (1.0 + 0.1 * seed) * error for name, error in ERRORS.items()}
    rows = [same | {"what": what} | cells for what in DISTANCES]
    rows.append(same | {"what": "residual", "matched": 1e-15, "status": status})
    if seed == 0:
        matrices = ("exact", *STAND_INS)
        for rank in range(1, LARGEST + 1):
            rows.append(same | {"what": "eigenvalue", "rank": rank} | dict.fromkeys(matrices, 10.0 / rank))
        edges = [None, 0.1, 0.4, 1.6, None]
        for i, count in enumerate((0, n // 2, n // 2 - 1, 1)):
            counts = dict.fromkeys(matrices, count) | {"one_deq": n // 4}
            rows.append(same | {"what": "count", "low": edges[i], "high": edges[i + 1]} | counts)
    return rows


@pytest.fixture(scope="module")
def rows():
    units = [
        made("gmm", 100, seed, kernel, activation, factor)
        for seed in (0, 1)
        for kernel in ("CK", "NTK {A, w}")
        for activation, factor in (("relu", 1.0), ("tanh", 3.0))
    ]
    units += [made("gmm", 400, seed, factor=0.5) for seed in (0, 1)]
    units += [made("mnist", 100, seed, factor=5.0) for seed in (0, 1)]
    return from_csv(to_csv([row for unit in units for row in unit]))


def test_findings_have_the_numbers_of_the_rows(rows):
    matched, paper, aware, networks, shapes = PRESENTATION.findings(rows)
    assert "was found in every case and draw" in matched
    assert "On average over draws, the exact kernels" in matched
    assert "at most 0.053 % in relative spectral norm (MNIST 6 vs 8, n = 100, ReLU, CK)" in matched
    assert "off by 1.1 % to 6.3 % on the mixture and 11 % on MNIST 6 vs 8" in paper
    assert "4 times as many samples and dimensions leave 0.5 of its error; n^(-1/2) would leave 0.5" in paper
    assert "closer to the exact kernel than the paper's form in 6 of 6 cases" in aware
    assert "one DEQ of width 50" in networks
    assert "mean of 3" in networks
    assert "farther from the exact kernel than the paper's equivalent in 6 of 6 cases" in networks
    assert "Up to 25 % of the eigenvalues" in networks
    assert "on average over draws, by 0.0053 % to 0.053 % for the matched network" in shapes
    assert "for the paper's equivalent by 1.1 % to 6.3 % on the mixture and 11 % on MNIST 6 vs 8, for" in shapes


def test_findings_say_where_the_pattern_does_not_hold():
    rows = made("sphere", 100, status="infeasible") + made("gmm", 100)
    turned = [
        row | {"paper": row["norm_aware"], "norm_aware": row["paper"]} if row["what"] == "spectral" else row
        for row in rows
    ]
    matched, paper, aware, *_ = PRESENTATION.findings(turned)
    assert "was found in 1 of 2 cases and draws" in matched
    assert "0.4 % on the sphere and 0.4 % on the mixture" in paper
    assert "times as many" not in paper
    assert "in 0 of 2 cases" in aware


def test_without_bins_nothing_is_said_of_eigenvalues_below_them():
    rows = [row for row in made("gmm", 100) if row["what"] != "count"]
    assert not any("Up to" in sentence for sentence in PRESENTATION.findings(rows))


def test_tables_have_means_with_standard_errors(rows):
    tables = PRESENTATION.tables(rows)
    assert len(tables) == 3
    for table in tables:
        assert len(table.rows) == 6
        assert all(len(cells) == len(table.header) - 1 == len(STAND_INS) for _, cells in table.rows)
        assert any("2 draws" in note for note in table.notes)
    label, cells = tables[0].rows[0]
    assert label == "mixture, n = 100, ReLU, CK"
    assert cells[0] == "2.1 ± 0.1 %"
    assert PRESENTATION.tables(made("sphere", 100))[0].rows[0][1][0] == "2 %"


def test_figures_have_labelled_axes_and_a_panel_for_each_case(rows):
    figures = PRESENTATION.figures(rows)
    assert list(figures) == ["eigenvalues-ck", "eigenvalues-ntk-a-w", "distances"]
    for figure in figures.values():
        panels = [axes for axes in figure.axes if axes.get_visible()]
        assert all(axes.get_xlabel() and axes.get_ylabel() and axes.get_title() for axes in panels)
        assert len(figure.legends) == 1
    titles = [axes.get_title() for axes in figures["eigenvalues-ck"].axes if axes.get_visible()]
    assert titles == [
        "mixture, n = 100, p = 200: ReLU, CK",
        "mixture, n = 100, p = 200: tanh, CK",
        "mixture, n = 400, p = 800: ReLU, CK",
        "MNIST 6 vs 8, n = 100, p = 200: ReLU, CK",
    ]


def test_histograms_hold_the_bins_and_marks_what_is_above_them(rows):
    axes = PRESENTATION.figures(rows)["eigenvalues-ck"].axes[0]
    counts, edges, _ = axes.patches[0].get_data()
    assert counts.tolist() == [50, 49]
    np.testing.assert_allclose(edges, [0.1, 0.4, 1.6])
    assert axes.lines[0].get_xdata().tolist() == [10.0 / rank for rank in range(1, 7)]
    assert "smaller ones: one DEQ 25" in axes.get_xlabel()
