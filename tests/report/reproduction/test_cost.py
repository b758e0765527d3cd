"""What is written and drawn of costs."""

from __future__ import annotations

import pytest

from notsodeep.report.reproduction.cost import PRESENTATION


def made(seeds=2, equal_accuracy=True, peak=10.0):
    """Rows of a DEQ that takes five times as long as its twin; twins 1.0 and 1.2 times as wide are as accurate."""
    rows = []
    for activation in ("relu", "tanh"):
        for width in (100, 400):
            for seed in range(seeds):
                at = {
                    "dataset": "mnist", "n": 800, "n_test": 400, "seed": seed, "activation": activation,
                    "deq_width": width, "batch": 512, "rounds": 7,
                }  # fmt: skip
                deq = {"products": 12, "flops": 8e9, "weights": 4.0, "seconds": 0.2, "ratio": 1.0, "peak": peak}
                twin = deq | {"products": 2, "flops": 2e9, "seconds": 0.04, "ratio": 5.0 + seed, "peak": peak and 4.0}
                state = {"iterations": 11, "tolerance": 1.2e-5}
                loose = deq | {"seconds": 0.1, "ratio": 2.0, "iterations": 5, "tolerance": 0.01}
                measured = [
                    ("deq", width, 0.90, deq | state),
                    ("deq, loose", width, 0.895, loose),
                    ("equal width", width, 0.89, twin),
                ]
                if equal_accuracy and width == 100:
                    measured.append(("equal accuracy", width + 20 * seed, 0.91, twin | {"flops": 4e9}))
                    measured += [("ladder", wide, 0.8 + wide / 1e3, dict.fromkeys(twin)) for wide in (70, 100, 140)]
                for role, wide, right, found in measured:
                    share = right if equal_accuracy and width == 100 else None
                    rows.append(at | {"role": role, "width": wide, "accuracy": share, **dict.fromkeys(state)} | found)
    return rows


@pytest.fixture(scope="module")
def rows():
    return made()


def test_findings_have_the_numbers_of_the_rows(rows):
    found = PRESENTATION.findings(rows)
    assert len(found) == 4
    assert found[0] == (
        "ReLU, widths 100 and 400: a forward pass of the DEQ (11 iterations, to a relative step of 1.2e-05) takes 5.5 "
        "and 5.5 times as long, 4 and 4 times the operations and 2.5 and 2.5 times the peak memory, beside the twin of "
        "equal width; after 5 iterations, to a relative step of 0.01 only, 2.8 and 2.8 times as long."
    )
    assert found[1] == (
        "ReLU, width 100: a twin has the accuracy of the DEQ, 90.0 %, at 1.10 ± 0.10 times its width, read off the "
        "line through the accuracies of twins (91.0 % as drawn there). Beside it the DEQ takes 5.50 ± 0.50 times as "
        "long, means over seeds with their standard errors; after 5 iterations, to a relative step of 0.01 only, 2.8 "
        "times as long, with 89.5 % right."
    )


def test_tables_compare_deq_and_twin(rows):
    at_width, at_accuracy = PRESENTATION.tables(rows)
    assert [label for label, _ in at_width.rows] == ["ReLU, 100", "ReLU, 400", "tanh, 100", "tanh, 400"]
    assert at_width.rows[0][1] == ("12 : 2", "200 ms : 40 ms", "5.5", "2.75", "8 : 2", "4", "10 : 4", "4 : 4")
    assert [label for label, _ in at_accuracy.rows] == ["ReLU, 100", "tanh, 100"]
    assert at_accuracy.rows[0][1][:2] == ("110 (1.10 ± 0.10 times)", "90.0 % : 91.0 %")
    for table in (at_width, at_accuracy):
        assert all(len(cells) == len(table.header) - 1 for _, cells in table.rows)


def test_figures_have_labelled_axes(rows):
    found = PRESENTATION.figures(rows)
    assert [len(found[name].axes) for name in ("ratios", "accuracy")] == [2, 2]
    for figure in found.values():
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
        assert len(figure.legends) == 1
    time = found["ratios"].axes[0].get_lines()[0]
    assert time.get_xdata().tolist() == [100, 400]
    assert time.get_ydata().tolist() == [5.5, 5.5]


def test_costs_without_accuracies_or_memory_are_shown():
    rows = made(seeds=1, equal_accuracy=False, peak=None)
    assert list(PRESENTATION.figures(rows)) == ["ratios"]
    assert len(PRESENTATION.tables(rows)) == 1
    assert not any("memory" in sentence or "nan" in sentence for sentence in PRESENTATION.findings(rows))
