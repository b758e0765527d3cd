from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.twin import Forward
from notsodeep.report import twin_tables
from notsodeep.report.wording import formula
from tests.tolerances import ROUNDING, SHARE_DIGITS, SIX_DIGITS, THREE_DIGITS, TWO_DIGITS, assert_close

NAMES = {"ck": ["alpha1", "alpha2", "alpha3", "gamma2"], "ntk": ["beta1", "beta2", "beta3", "kappa2"]}


def tables(result):
    """Return the tables by their order: network, coefficients, distances, accuracies, cost, stability."""
    names = ("network", "coefficients", "distances", "accuracies", "cost", "stability")
    return dict(zip(names, twin_tables(result), strict=True))


def share(cell):
    number, unit = cell.split()
    assert unit == "%"
    return float(number) / 100.0


def test_tables_are_rectangular_plain_text(any_twin):
    for table in twin_tables(any_twin):
        assert table.title
        assert table.rows
        for label, cells in table.rows:
            assert len(cells) == len(table.header) - 1
            assert all(isinstance(text, str) and text for text in (label, *cells))
        words = [table.title, *table.header, *table.notes, *(t for label, cells in table.rows for t in (label, *cells))]
        assert all(text.isascii() for text in words)
        assert all(note.endswith(".") for note in table.notes)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_coefficients_are_those_of_both_specs(any_twin):
    found = any_twin.match
    rows = tables(any_twin)["coefficients"].rows
    assert [label.split(":")[0] for label, _ in rows] == NAMES[found.kernel]
    deq = nsd.coefficients(found.deq, found.kernel, trainable=found.trainable)
    network = nsd.coefficients(found.spec, found.kernel, tau0=found.deq.tau0)
    for name, (_, cells) in zip(NAMES[found.kernel], rows, strict=True):
        for cell, model in zip(cells, (deq, network), strict=False):
            assert_close(
                float(cell), getattr(model, name), SIX_DIGITS, scale=max(abs(getattr(model, name)), 1e-6), what=name
            )


def test_differences_are_relative_and_the_largest_is_the_residual(any_twin):
    table = tables(any_twin)["coefficients"]
    for _, (deq, network, difference) in table.rows:
        if float(deq) and abs(float(difference)) > 1e-3:
            assert_close(float(difference), float(network) / float(deq) - 1.0, TWO_DIGITS)
    largest = max(abs(float(cells[-1])) for _, cells in table.rows)
    assert_close(largest, any_twin.match.residual, TWO_DIGITS)


def test_numbers_that_vanish_are_zero_and_explained(tanh_ntk, relu):
    table = tables(tanh_ntk)["coefficients"]
    assert [cells[:2] for _, cells in table.rows[1:3]] == [("0", "0")] * 2
    assert "relative to the diagonal" in table.notes[-1]
    assert not any("relative to the diagonal" in note for note in tables(relu)["coefficients"].notes)


def test_status_has_its_reason_when_not_matched(relu, silu):
    notes = " ".join(tables(relu)["coefficients"].notes)
    assert "Status: matched." in notes
    assert "Why" not in notes
    notes = " ".join(tables(silu)["coefficients"].notes)
    assert "Status: infeasible." in notes
    assert silu.match.reason in notes


def test_distances_are_norms_of_the_difference(any_twin):
    (network, cells), (equivalent, other) = tables(any_twin)["distances"].rows
    assert (network, equivalent) == ("shallow network", "random-matrix equivalent")
    deq, matched = any_twin.kernels
    for cell, order in zip(cells, (2, "fro"), strict=True):
        expected = np.linalg.norm(deq - matched, order) / np.linalg.norm(deq, order)
        assert_close(share(cell), expected, TWO_DIGITS)
    assert_close(share(other[0]), any_twin.equivalent_distance.spectral, TWO_DIGITS)
    assert_close(share(other[1]), any_twin.equivalent_distance.frobenius, TWO_DIGITS)


def test_the_equivalent_on_real_data_is_called_what_it_is(relu, mixture):
    assert "here on real data" in tables(relu)["distances"].notes[-1]
    assert "real data" not in tables(mixture)["distances"].notes[-1]


def test_accuracies(any_twin):
    kernel, finite = tables(any_twin)["accuracies"].rows
    assert "width 32" in finite[0]
    for (_, cells), shares in ((kernel, any_twin.kernel_accuracy), (finite, any_twin.finite_accuracy)):
        for cell, name in zip(cells, ("deq", "network"), strict=True):
            if shares[name] is None:
                assert cell == "none"
            else:
                assert_close(share(cell), shares[name], SHARE_DIGITS, scale=1.0)


def test_a_finite_deq_without_equilibrium_says_so(relu):
    failed = replace(
        relu,
        finite_accuracy={"deq": None, "network": 0.75},
        forward=relu.forward | {"deq": Forward(0.5, 201, unconverged=7)},
    )
    shown = tables(failed)
    assert shown["accuracies"].rows[1][1] == ("none", "75.0 %")
    assert "did not reach its equilibrium" in shown["accuracies"].notes[-1]
    assert shown["cost"].notes[-1].startswith("7 samples did not reach the equilibrium")
    for name in ("accuracies", "cost"):
        assert not any("did not reach" in note for note in tables(relu)[name].notes)


def test_cost_and_ratio(relu):
    forward = {"deq": Forward(0.0125, 12), "network": Forward(0.0000025, 2)}
    (label, time), (_, products) = tables(replace(relu, forward=forward))["cost"].rows
    assert label == "time for 60 samples"
    assert time == ("12.5 ms", "2.5 us", "5000")
    assert products == ("12", "2", "6")


@pytest.mark.parametrize("name", ["relu", "marginal"])
def test_stability(name, request):
    result = request.getfixturevalue(name)
    a2 = result.config.deq.sigma_a2
    lipschitz = {"relu": 1.0, "marginal": 1.0507009873554805 * 1.6732632423543772}[name]
    rows = tables(result)["stability"].rows
    values = [float(cells[0]) for _, cells in rows]
    assert_close(values[1], a2 * lipschitz**2, THREE_DIGITS)
    assert_close(values[2], 4.0 * a2 * lipschitz**2, THREE_DIGITS)
    if name == "relu":
        assert_close(values[0], 0.5 * a2, ROUNDING)
    assert [cells[1] for _, cells in rows] == ["yes" if value < 1.0 else "no" for value in values]


def test_the_network_is_written_out(relu, tanh_ntk):
    table = tables(relu)["network"]
    assert table.header == ("hidden layer", "activation", "weight variance")
    assert [label for label, _ in table.rows] == ["layer 1", "layer 2"]
    for layer, (_, (written, variance)) in zip(relu.match.spec.layers, table.rows, strict=True):
        a, b, shift = map(float, re.fullmatch(r"max\((\S+) x, (\S+) x\) - (\S+)", written).groups())
        x = np.linspace(-3.0, 3.0, 50)
        assert_close(np.maximum(a * x, b * x) - shift, layer.activation(x), SIX_DIGITS)
        assert float(variance) == layer.weight_var
    table = tables(tanh_ntk)["network"]
    assert table.header[-1] == "learning rate"
    assert float(table.rows[0][1][-1]) == tanh_ntk.match.spec.layers[0].learning_rate


def test_formulas_of_other_activations():
    written = formula(nsd.activation("hardtanh", scale=2.0, clip=0.5))
    assert written == "2 clip(x, -0.5, 0.5)"
    assert formula(nsd.activation("tanh").shifted(0.25)) == "tanh(x) + 0.25"
    assert formula(nsd.activation("leaky_relu", slope=0.1)) == "leaky_relu(x, slope=0.1)"
