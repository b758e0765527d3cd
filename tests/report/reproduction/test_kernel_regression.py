"""What is written and drawn of regressions with exact kernels."""

from __future__ import annotations

import pytest

from notsodeep.report.reproduction.kernel_regression import PRESENTATION

RIGHT = {"deq": 0.90, "twin": 0.895, "plain": 0.93, "linear": 0.5}
SAME = {"deq": 1.0, "twin": 0.99, "plain": 0.95, "linear": 0.6}
SCORES = {"deq": 0.0, "twin": 0.01, "plain": 0.2, "linear": 0.9}


def made(seeds=2, ridges=(1e-3, 1e-5), sizes=(100, 200)):
    """Rows in which a second activation's plain network is as close as the matched one."""
    return [
        {
            "dataset": dataset, "n": n, "n_test": 1000, "seed": seed, "activation": activation, "kernel": kernel,
            "ridge": ridge, "model": model, "accuracy": RIGHT[model] + 0.01 * seed,
            "agreement": SAME["twin" if (model, activation) == ("plain", "tanh") else model],
            "scores": SCORES[model], "distance": 0.1 * SCORES[model],
        }
        for dataset in ("mnist", "digits") for n in sizes for seed in range(seeds) for activation in ("relu", "tanh")
        for kernel in ("ck", "ntk") for ridge in (ridges if seed == 0 and n == sizes[0] else ridges[:1])
        for model in SAME
    ]  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return made()


def test_findings_have_the_numbers_of_the_rows(rows):
    text = "\n".join(PRESENTATION.findings(rows))
    assert (
        "The matched network and the DEQ predict the same class for 99.00 % of the test samples on average over 32"
        in text
    )
    assert "their accuracies differ by 0.5 points on average and 0.5 at most, their scores by 1 % (median)" in text
    assert "The plain network and the DEQ predict the same class for 97.00 %" in text
    assert (
        "with 100 and with 200 training samples: the matched network 1 % and 1 %, the plain network 3 % and 3 %" in text
    )
    assert (
        "ReLU: the matched network agrees with the DEQ on more test samples than the plain one does in 16 of 16" in text
    )
    assert (
        "tanh: the matched network agrees with the DEQ on more test samples than the plain one does in 0 of 16" in text
    )
    assert "99.00 % (at least 99.00 %) with a ridge of 1e-05, 99.00 % (at least 99.00 %) with a ridge of 0.001" in text
    assert "0.1 % (matched network), 2 % (plain network), 9 % (linear model)" in text


def test_tables_have_every_setting_once(rows):
    found = PRESENTATION.tables(rows)
    assert [table.title for table in found[:2]] == ["CK, n = 200", "NTK, n = 200"]
    assert [len(table.rows) for table in found] == [4, 4, 8, 8]
    assert all(len(cells) == len(table.header) - 1 for table in found for _, cells in table.rows)
    label, cells = found[0].rows[0]
    assert label == "MNIST, ReLU"
    assert cells[:4] == ("90.5 %", "90.0 %", "93.5 %", "50.5 %")
    assert found[2].rows[0] == ("MNIST, ReLU, CK", ("99.00 % : 95.00 %", "99.00 % : 95.00 %"))
    assert found[3].header[1:] == ("1e-05", "0.001")


def test_figures_have_a_panel_for_each_kernel_and_data_set(rows):
    found = PRESENTATION.figures(rows)
    assert list(found) == ["agreement", "scores", "accuracy", "ridge"]
    for figure in found.values():
        assert [axes.get_title() for axes in figure.axes] == ["CK, MNIST", "CK, digits", "NTK, MNIST", "NTK, digits"]
        assert all(axes.get_ylabel() for axes in figure.axes[::2])
        assert all(axes.get_xlabel() for axes in figure.axes[2:])
        assert len(figure.legends[0].get_texts()) == 5
    lines = found["agreement"].axes[0].get_lines()
    assert sorted({float(line.get_ydata()[0].round(6)) for line in lines}) == [1.0, 5.0, 40.0]
    assert found["ridge"].axes[0].get_lines()[0].get_xdata().tolist() == [1e-5, 1e-3]


def test_one_ridge_and_one_seed_are_enough():
    rows = made(seeds=1, ridges=(1e-3,), sizes=(100,))
    assert list(PRESENTATION.figures(rows)) == ["agreement", "scores", "accuracy"]
    assert len(PRESENTATION.tables(rows)) == 3
    assert not any("ridge" in sentence for sentence in PRESENTATION.findings(rows))


def test_no_difference_at_all_is_drawn_at_half_a_sample():
    rows = [row | {"agreement": 1.0} for row in made()]
    (line, *_) = PRESENTATION.figures(rows)["agreement"].axes[0].get_lines()
    assert line.get_ydata()[0] == pytest.approx(0.05)
