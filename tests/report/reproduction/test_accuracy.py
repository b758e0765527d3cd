"""What is said and drawn of accuracies, from rows made by hand."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest

from notsodeep.experiments.reproduction.accuracy import RESCALED
from notsodeep.experiments.reproduction.published_accuracy import published_accuracy
from notsodeep.report.reproduction.accuracy import PRESENTATION, _lead, _Point

BEHIND = {"deq": 0.0, "matched": 0.002, "plain": 0.03}


def rows(shift=0.0, gaps=BEHIND, dataset="mnist", widths=(512, 1024), seeds=3, optimizers=("sgd", "adam")):
    """Accuracies that are the published ones of the DEQ, shifted, less a gap, with a spread of 0.1 points."""
    return [
        {
            "dataset": dataset,
            "activation": phi,
            "model": model,
            "width": width,
            "seed": seed,
            "optimizer": optimizer,
            "sgd": 2.5 if model == RESCALED else 1.0,
            "test_accuracy": (published_accuracy(dataset, phi, "deq", width) or 0.9)
            + shift
            - gaps[model]
            + 0.001 * (seed - (seeds - 1) / 2),
        }
        for phi, model, width, seed, optimizer in product(("relu", "tanh"), gaps, widths, range(seeds), optimizers)
    ]


def test_accuracies_near_the_published_ones():
    first, *_ = PRESENTATION.findings(rows())
    assert "7 of 8 mean accuracies" in first  # two activations, two models, two widths; 91.1 of ReLU, matched, 512
    gaps = [
        abs(published_accuracy("mnist", phi, "deq", m) - 0.002 - published_accuracy("mnist", phi, "matched", m))
        for phi, m in product(("relu", "tanh"), (512, 1024))
    ]
    assert f"the largest distance is {100 * max(gaps):.2f} points (ReLU matched network, MNIST" in first


def test_accuracies_far_from_the_published_ones_are_counted():
    first, *_ = PRESENTATION.findings(rows(shift=-0.02))
    assert re.search(r"^At widths from 512 on, [01] of 8", first)
    assert float(re.search(r"largest distance is ([\d.]+) points", first)[1]) >= 2.0


def test_data_without_published_accuracies():
    first, *_ = PRESENTATION.findings(rows(dataset="digits"))
    assert first.startswith("There is no published accuracy to compare with")
    first, *_ = PRESENTATION.findings(rows(dataset="cifar10_features"))
    assert first.startswith("There is no published accuracy")  # of the same features


def test_the_pattern_with_its_numbers():
    found = PRESENTATION.findings(rows())
    relu = next(sentence for sentence in found if sentence.startswith("ReLU, SGD"))
    words = (
        "the accuracy of the DEQ less that of its matched network is +0.20 points, less that of the plain one +3.00;"
    )
    assert words in relu
    assert "in 2 of 2 cases" in relu
    assert found[-1] == (
        "In every case the matched network is nearer to the DEQ than the plain one, by two standard errors."
    )


def test_models_of_the_published_code():
    official = [row for row in rows(gaps={"official_matched": 0.01}, widths=(512,)) if row["optimizer"] == "sgd"]
    given = rows() + official
    second = PRESENTATION.findings(given)[1]
    assert re.search(r"figure: ReLU matched network \+1.50 with ours, \+0.70 with theirs; tanh", second)
    cells = dict(PRESENTATION.tables(given)[0].rows)
    assert cells["ReLU matched network, of the published code"] == ("91.80 ± 0.06", "")
    assert PRESENTATION.figures(given)


def test_the_plain_network_at_the_scale_of_the_deq():
    given = rows() + rows(gaps={RESCALED: -0.004}, widths=(512,))
    (sentence,) = (each for each in PRESENTATION.findings(given) if "scale of a kernel" in each)
    assert "of the two kernels: ReLU +3.00, with 2.5 times the rate -0.40; tanh +3.00, with 2.5" in sentence
    cells = dict(PRESENTATION.tables(given)[0].rows)
    assert cells["ReLU plain network, at the scale of the DEQ"] == ("93.20 ± 0.06", "")
    assert not any("scale of a kernel" in each for each in PRESENTATION.findings(rows()))


def test_where_the_pattern_does_not_hold():
    last = PRESENTATION.findings(rows(gaps=BEHIND | {"plain": 0.0022}))[-1]
    assert last.startswith("The pattern does not hold everywhere: in 8 of 8 cases")
    assert "(ReLU, SGD: 2 of 2; ReLU, Adam: 2 of 2; tanh, SGD: 2 of 2; tanh, Adam: 2 of 2)" in last
    few = [
        row | {"test_accuracy": row["test_accuracy"] + 0.03 * (row["width"] == 1024 and row["model"] == "plain")}
        for row in rows(widths=(256, 512, 1024))
    ]
    last = PRESENTATION.findings(few)[-1]
    assert "in 4 of 12 cases" in last
    assert "(ReLU, SGD: 1 of 3, on MNIST at 1024; ReLU, Adam: 1 of 3, on MNIST at 1024; tanh, SGD: 1 of 3" in last


def test_narrow_networks_are_told_of():
    def told(given):
        return [each for each in PRESENTATION.findings(given) if each.startswith("At width 32, by SGD")]

    (sentence,) = told(rows(widths=(32, 512)))
    assert "network is 0.20 ± 0.08 on MNIST for ReLU; 0.20 ± 0.08 on MNIST for tanh (points)." in sentence
    (sentence,) = told(rows(gaps=BEHIND | {"matched": 0.001}, widths=(32, 512)))
    assert "0.10 ± 0.08 on MNIST for ReLU, within two standard errors" in sentence
    assert not told(rows())


def test_tables_have_ours_beside_the_published():
    tables = {table.title: table for table in PRESENTATION.tables(rows())}
    assert len(tables) == 4
    ours = tables["Test accuracy, %: MNIST, SGD"]
    cells = dict(ours.rows)
    assert ours.header == ("model", "width 512", "width 1024")
    assert cells["ReLU DEQ"] == ("92.80 ± 0.06", "93.40 ± 0.06")
    assert cells["ReLU DEQ, published"] == ("92.8", "93.4")
    gaps = dict(tables["Accuracy of the DEQ less that of shallow networks, points: MNIST, Adam"].rows)
    assert gaps["tanh DEQ less tanh plain network"] == ("3.00 ± 0.08", "3.00 ± 0.08")
    assert "published" not in str(tables["Test accuracy, %: MNIST, Adam"].rows)


def test_one_seed_has_no_error():
    table = PRESENTATION.tables(rows(seeds=1))[0]
    assert dict(table.rows)["ReLU DEQ"] == ("92.80", "93.40")
    assert PRESENTATION.findings(rows(seeds=1))[-1].startswith("One seed has no standard error")


@pytest.mark.parametrize(("matched", "plain"), [(-0.4, -1.0), (0.3, -1.0), (0.4, 0.9)])
def test_the_standard_error_of_a_lead_is_that_of_many_repetitions(matched, plain):
    """``|d - p| - |d - m|`` over draws of three independent means, with the DEQ outside or between."""
    rng, n = np.random.default_rng(0), 4000
    spread = {"deq": 0.05, "matched": 0.08, "plain": 0.03}
    truth = {"deq": 0.0, "matched": matched, "plain": plain}
    drawn = {model: truth[model] + spread[model] * rng.standard_normal((n, 3)) for model in truth}
    d, m, p = (drawn[model].mean(axis=1) for model in ("deq", "matched", "plain"))
    leads = np.abs(d - p) - np.abs(d - m)
    errors = [_lead(_Point("mnist", "relu", "sgd", 512, {k: v[i] for k, v in drawn.items()})).error for i in range(400)]
    assert abs(np.sqrt(np.mean(np.square(errors))) / leads.std() - 1.0) < 0.05


@pytest.mark.parametrize("dataset", ["mnist", "digits"])
def test_figures(dataset):
    figures = PRESENTATION.figures(rows(dataset=dataset))
    assert list(figures) == ["accuracy", "accuracy-adam"]
    first = figures["accuracy"].axes
    words = {"mnist": "MNIST"}.get(dataset, dataset)
    assert [axes.get_title() for axes in first] == [f"ReLU, {words}", f"tanh, {words}"]
    assert first[-1].get_xlabel() == "width m"
    assert all(axes.get_ylabel() == "test accuracy, %" for axes in first)
    drawn = next(line for line in first[0].get_lines() if line.get_label() == "_child0" or len(line.get_xdata()) == 2)
    np.testing.assert_array_equal(drawn.get_xdata(), [512, 1024])
    (legend,) = figures["accuracy"].legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[:3] == ["DEQ", "matched network", "plain network"]
    assert ("published, same colours" in words) is (dataset == "mnist")
