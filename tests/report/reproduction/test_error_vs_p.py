from __future__ import annotations

import math

import numpy as np
import pytest

from notsodeep.experiments.reproduction.equivalent_errors import EXACT_SQUARES, MEANS_IN_T, NORM_AWARE, PAPER
from notsodeep.experiments.reproduction.error_vs_p import OFFICIAL_T, STUDIED, WITHIN_TAU0
from notsodeep.experiments.reproduction.kernels import CK
from notsodeep.experiments.reproduction.rows import where
from notsodeep.report.reproduction.error_vs_p import PRESENTATION, exponents
from tests.tolerances import ROUNDING, assert_close

SIZES = (250, 1000, 4000)
LEVELS = {PAPER: 0.4, OFFICIAL_T: 0.8, MEANS_IN_T: 0.2, NORM_AWARE: 0.04, EXACT_SQUARES: 0.004}


def row(activation, p, seed, kernel, form, error):
    at = {"activation": activation, "p": p, "seed": seed, "aspect": 0.8, "sigma_a2": 0.2, "sigma_b2": 0.8}
    return at | {"kernel": kernel, "form": form, "error": error}


def made(law=lambda p: p**-0.5, activations=("relu", "tanh"), seeds=3, sizes=SIZES):
    """Return rows whose errors follow a law of p, times one factor a draw."""
    rows = []
    for name in activations:
        for p in sizes:
            for seed in range(seeds):
                size = (1.0 + 0.01 * seed) * law(p)
                for kernel in STUDIED:
                    for form, level in LEVELS.items():
                        level = LEVELS[PAPER] if name == "tanh" and form in (OFFICIAL_T, MEANS_IN_T) else level
                        rows.append(row(name, p, seed, kernel, form, level * size))
                rows.append(row(name, p, seed, CK, WITHIN_TAU0, 1.0 * size))
    return rows


def test_exponents_are_those_of_the_law():
    found = exponents(where(made(), activation="relu", kernel=CK, form=PAPER))
    assert_close([found.fitted.value, found.last.value], [0.5, 0.5], ROUNDING * 100)
    assert found.fitted.error < 1e-12


def test_the_error_of_an_exponent_is_that_of_the_draws():
    slopes = (0.4, 0.5, 0.9)
    rows = [row("relu", p, k, CK, PAPER, p**-b) for k, b in enumerate(slopes) for p in SIZES]
    found = exponents(rows)
    assert_close(found.fitted.value, np.mean(slopes), ROUNDING * 100)
    assert_close(found.fitted.error, np.std(slopes, ddof=1) / math.sqrt(3), ROUNDING * 100)


def test_draws_that_are_not_finished_have_no_exponent():
    rows = [one for one in made() if (one["p"], one["seed"]) != (4000, 0)]
    assert exponents(where(rows, activation="relu", kernel=CK, form=PAPER)).fitted.n == 2
    assert exponents(where(made(sizes=(250,)), activation="relu", kernel=CK, form=PAPER)) is None


def test_findings_have_the_numbers():
    found = PRESENTATION.findings(made())
    assert found[0].startswith(
        "CK, the paper's form at p = 4000, n = 3200: off by 0.639 ± 0.004 % for ReLU (b = 0.500 ± 0.000)"
    )
    assert "errors are smaller than the paper's at p = 4000: by factors of 10," in " ".join(found)
    assert "T does not enter for tanh" in " ".join(found)
    assert [sentence.split("becomes ")[1] for sentence in found if "becomes" in sentence] == [
        "1.28 ± 0.007 % for ReLU (b = 0.500 ± 0.000).",
        "0.319 ± 0.002 % for ReLU (b = 0.500 ± 0.000).",
    ]


def test_findings_say_when_no_power_law_holds():
    straight, bent = (
        " ".join(PRESENTATION.findings(made(law))) for law in (lambda p: p**-0.5, lambda p: 1.0 + 900.0 / p)
    )
    assert "follow these powers of p" in straight
    assert "No single power" not in straight
    assert "No single power describes" in bent
    assert "for ReLU 0.317 ± 0.000 instead of 0.477 ± 0.000" in bent.split("No single power")[1]


def test_findings_do_not_call_closer_what_is_not():
    rows = [one | {"error": 2.0 * one["error"] * (20.0 if one["form"] == NORM_AWARE else 1.0)} for one in made()]
    assert any(
        "The norm-aware form's errors are not always smaller" in sentence for sentence in PRESENTATION.findings(rows)
    )


@pytest.mark.parametrize("rows", [made(seeds=1), made(sizes=(64, 256)), made(activations=("tanh",))])
def test_fewer_rows_will_do(rows):
    assert all("nan" not in sentence for sentence in PRESENTATION.findings(rows))
    for table in PRESENTATION.tables(rows):
        assert all(len(cells) + 1 == len(table.header) for _, cells in table.rows)
        assert "nan" not in str(table)
    assert len(PRESENTATION.figures(rows)) == 3


def test_tables_have_a_line_for_each_form_and_known_values_beside_ours():
    *errors, known = PRESENTATION.tables(made())
    assert [len(table.rows) for table in errors] == [12, 10, 10]
    label, cells = errors[0].rows[0]
    assert (label, cells[0], cells[-1]) == ("ReLU, paper", "2.56 ± 0.01 %", "0.500 ± 0.000")
    assert known.rows[0] == ("CK, paper, ReLU, p = 1000", ("1.28 ± 0.007 %", "2.05 %"))


def test_figures_have_labelled_axes_and_show_the_means():
    for figure in PRESENTATION.figures(made()).values():
        assert len(figure.axes) == 5
        assert figure.axes[0].get_ylabel() == "relative spectral error, %"
        assert all(axes.get_xlabel() == "dimension p (n = 0.8 p)" for axes in figure.axes)
    first = PRESENTATION.figures(made())["error-vs-p-ck"].axes[1].containers[0].lines[0]
    assert_close(first.get_xdata(), SIZES, ROUNDING)
    assert_close(first.get_ydata(), [40.4 * p**-0.5 for p in SIZES], ROUNDING)
