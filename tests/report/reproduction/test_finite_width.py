from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from notsodeep.experiments.reproduction.rows import from_csv, to_csv
from notsodeep.report.reproduction.finite_width import PRESENTATION, cases
from tests.tolerances import ROOTS, assert_close

WIDTHS, DRAWS = (64, 256, 1024), 64
KERNELS = ("CK", "NTK")


def made(exponent=-0.5, bias=0.2, twin=1.5, seeds=1):
    """Rows whose errors are powers of the width, with a bias ``bias / width``."""
    rows = []
    for seed, phi, kernel, model, width in product(range(seeds), ("relu", "tanh"), KERNELS, ("DEQ", "twin"), WIDTHS):
        single = 3.0 * (twin if model == "twin" else 1.0) * width**exponent
        for k in range(7):
            networks, last = 2**k, 2**k == DRAWS
            error = math.hypot(single / networks**0.5, bias / width)
            rows.append(
                {
                    "dataset": "gmm", "n": 30, "seed": seed, "activation": phi, "model": model, "width": width,
                    "kernel": kernel, "networks": networks, "groups": DRAWS // networks,
                    "spectral": 0.8 * error, "spectral_error": None if last else 0.05 * error,
                    "frobenius": error, "frobenius_error": None if last else 0.05 * error,
                    "bias_square": (bias / width) ** 2 if last else None,
                    "bias_square_error": 0.1 * (bias / width) ** 2 + 1e-9 if last else None,
                    "design": (0.01 if model == "twin" else 0.0) if last else None,
                }
            )  # fmt: skip
    return from_csv(to_csv(rows))


def test_findings_read_the_numbers_of_the_rows():
    width, averages, bias, *matched = PRESENTATION.findings(made(bias=1e-6))
    assert "from width 64 to 1024 with an exponent of -0.500 in the spectral norm" in width
    assert "8 of 8 have -1/2 within two standard errors" in width
    assert "Fitted to the widths from 30 on, the number of samples, the exponent in the spectral norm is -0.5" in width
    assert "of 64 networks of width 64 is 8 times closer" in averages
    assert "chance alone would give 8;" in averages
    assert "in 0 of 24 cases" in bias
    assert "One as small as 0.0055 % could not have been seen (case by case, 3 standard errors" in bias
    assert len(matched) == 2
    assert "a network matched to the ReLU DEQ is off" in matched[0]
    assert "1.5 for the CK, 1.5 for the NTK" in matched[0]


def test_what_breaks_the_pattern_is_said():
    width, averages, bias, *_ = PRESENTATION.findings(made(exponent=-0.3, bias=64.0 * 0.3))
    assert "0 of 8 have -1/2 within two standard errors" in width
    assert "is 2.86 to 3.89 times closer" in averages
    assert "in 24 of 24 cases" in bias
    assert "30 % at width 64; the largest is 30 % (mixture, ReLU, CK, DEQ, width 64)" in bias
    assert "could not have been seen" not in bias


def test_biases_that_are_not_seen_have_a_limit_beside_those_that_are():
    hidden = [
        row | {"bias_square_error": 0.03} if row["bias_square"] is not None and row["width"] > 64 else row
        for row in made()
    ]
    *_, bias, _, _ = PRESENTATION.findings(hidden)
    assert "in 8 of 24 cases" in bias
    assert bias.endswith("In the other cases one as small as 30 % could not have been seen.")


def test_seeds_are_averaged():
    one, two = (cases(made(seeds=seeds))[0].by_width("frobenius") for seeds in (1, 2))
    assert_close(one.y, two.y, ROOTS)
    assert_close(one.error / two.error, np.full(len(WIDTHS), 2**0.5), ROOTS)


def test_tables_have_a_line_for_each_kernel_and_model():
    exponents, biases = PRESENTATION.tables(made())
    assert len(exponents.rows) == len(biases.rows) == 8
    assert exponents.rows[0][0] == "mixture, ReLU, CK, DEQ"
    assert exponents.rows[0][1][0].startswith("-0.5")
    assert exponents.rows[0][1][1] == "30 ± 2 %"
    assert biases.rows[1][1][-1] == "1 %"
    for table in (exponents, biases):
        assert all(len(cells) == len(table.header) - 1 for _, cells in table.rows)


def test_figures_have_labelled_axes():
    figures = PRESENTATION.figures(made())
    assert list(figures) == ["finite-width-gmm", "finite-width-averages-gmm"]
    labels = ("width m", "relative error, %"), ("networks averaged, k", "relative Frobenius error, %")
    for figure, (xlabel, ylabel) in zip(figures.values(), labels, strict=True):
        panels = np.array(figure.axes).reshape(2, 2)
        assert all(axes.get_ylabel() == ylabel for axes in panels[:, 0])
        assert all(axes.get_xlabel() == xlabel for axes in panels[-1])
        assert [axes.get_title() for axes in panels.flat] == [
            f"{phi}, {k}" for phi in ("ReLU", "tanh") for k in KERNELS
        ]
        assert figure.legends
        assert all(len(axes.lines) >= 4 for axes in panels.flat)


def test_a_drawn_point_is_the_one_of_the_rows():
    figure = PRESENTATION.figures(made())["finite-width-gmm"]
    drawn = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert_close(drawn[1].get_ydata()[0], 100.0 * math.hypot(3.0 / 8.0, 0.2 / 64.0), ROOTS)


@pytest.mark.parametrize("rows", [[], [row for row in made() if row["width"] == 64]])
def test_few_rows_still_have_a_presentation(rows):
    findings = PRESENTATION.findings(rows)
    assert bool(findings) == bool(rows)
    assert bool(PRESENTATION.tables(rows)) == bool(rows)
    assert bool(PRESENTATION.figures(rows)) == bool(rows)
    assert not any("nan" in sentence for sentence in findings)
