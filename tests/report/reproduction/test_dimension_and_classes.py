from __future__ import annotations

import numpy as np
import pytest

from notsodeep.experiments.reproduction.dimension_and_classes import (
    FULL,
    GAUSSIAN,
    NETWORK,
    NORMS,
    QUICK,
    STUDIED,
    units,
)
from notsodeep.experiments.reproduction.equivalent_errors import EXACT_SQUARES, MEANS_IN_T, NORM_AWARE, PAPER
from notsodeep.experiments.reproduction.kernels import CK
from notsodeep.report.reproduction.dimension_and_classes import PRESENTATION
from tests.tolerances import ROUNDING, SPECTRAL, assert_close

LEVELS = {PAPER: 0.04, MEANS_IN_T: 0.02, NORM_AWARE: 0.004, EXACT_SQUARES: 0.001, NETWORK: 0.0002}


def made(config=FULL, change=lambda at, form: 1.0):
    """Return rows of some level for each form, next to constant; the norms of each case spread by 0.1 more."""
    rows, cases = [], {}
    for unit in units(config):
        at = dict(unit.at)
        case = str({name: at[name] for name in at if name not in ("seed", "activation")})
        norm_cv = 0.1 * cases.setdefault(case, len(cases))
        for kernel in STUDIED:
            for form, level in LEVELS.items():
                error = level * (1.0 + 0.01 * at["seed"] + 1e-7 * norm_cv) * change(at, form)
                rows.append(at | {"norm_cv": norm_cv, "kernel": kernel, "form": form, "error": error})
    return rows


def test_findings_have_the_span_of_each_axis():
    found = PRESENTATION.findings(made(change=lambda at, form: at["classes"] * at["n"] / 640 * (1.0 + at["level"])))
    assert found[0] == (
        "Number of classes, CK: the paper's form is off by 8.2 % to 82 % (ReLU) and 8.2 % to 82 % (tanh); the "
        "norm-aware one by 0.82 % to 8.2 % (ReLU) and 0.82 % to 8.2 % (tanh); the exact kernel of the network by "
        "0.041 % to 0.41 % (ReLU) and 0.041 % to 0.41 % (tanh)."
    )
    assert found[1].startswith("Samples per dimension, CK: the paper's form is off by 2.6 % to 41 % (ReLU)")
    assert found[2].startswith("Norms of samples, CK: the paper's form is off by 8.2 % to 15 % (ReLU)")
    assert "ReLU 0.0128 ± 9e-05 % (n/p = 0.25) to 0.408 ± 0.003 % (K = 20, bounded variances)" in found[-1]
    assert "less than the error of the paper's form in 23 of 23 cases" in found[-1]


def test_a_network_further_off_than_the_equivalent_is_counted():
    rows = made(change=lambda at, form: 1000.0 if form == NETWORK and at["axis"] == NORMS else 1.0)
    assert "the paper's form in 14 of 23 cases" in PRESENTATION.findings(rows)[-1]


def test_ranks_follow_the_spread_of_norms():
    rising = [row | {"error": row["error"] * (1.0 + row["norm_cv"])} for row in made()]
    (sentence, _) = (one for one in PRESENTATION.findings(rising) if "rank correlations" in one)
    assert "1.00 with the paper's form and 1.00 with the network for ReLU" in sentence


def test_samples_that_are_on_two_axes_count_once():
    rows = [row | {"error": row["error"] * (1.0 + 7.0 * row["norm_cv"] % 1.0)} for row in made()]
    once = [row for row in rows if (row["axis"], row["norms"]) != (NORMS, GAUSSIAN)]
    assert len(once) < len(rows)
    assert PRESENTATION.findings(once)[-4:] == PRESENTATION.findings(rows)[-4:]


@pytest.mark.parametrize(
    "rows", [made(QUICK), [row for row in made() if row["activation"] == "tanh" and row["seed"] == 0]]
)
def test_fewer_rows_will_do(rows):
    assert all("nan" not in sentence for sentence in PRESENTATION.findings(rows))
    assert all("nan" not in str(table) for table in PRESENTATION.tables(rows))
    assert len(PRESENTATION.figures(rows)) == len(STUDIED)


def test_tables_have_a_line_for_each_case():
    for table in PRESENTATION.tables(made()):
        assert len(table.rows) == len({label for label, _ in table.rows}) == 48
        assert all(len(cells) + 1 == len(table.header) for _, cells in table.rows)
    assert PRESENTATION.tables(made())[0].rows[1] == (
        "ReLU, K = 3, growing variances",
        ("0.1", "4.08 ± 0.03 %", "2.04 ± 0.01 %", "0.408 ± 0.003 %", "0.102 ± 0.0007 %", "0.0204 ± 0.0001 %"),
    )


def test_figures_have_labelled_axes_and_show_the_means():
    figure = PRESENTATION.figures(made())["dimension-and-classes-ck"]
    assert len(figure.axes) == 6
    assert all(axes.get_xlabel() for axes in figure.axes)
    assert all(axes.get_ylabel() == "distance from the DEQ's kernel, %" for axes in figure.axes[::3])
    first = figure.axes[0].containers[0].lines[0]
    assert_close(first.get_xdata(), [2, 3, 5, 10, 20], ROUNDING)
    assert_close(first.get_ydata(), np.full(5, 4.08), SPECTRAL)
    assert len(figure.axes[2].containers) == 2 * len(LEVELS)
    assert [row["form"] for row in made(QUICK) if row["kernel"] == CK][: len(LEVELS)] == list(LEVELS)
