from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.finite import Forward
from notsodeep.report import twin_tables
from notsodeep.report.formulas import formula
from notsodeep.report.numerals import bits, percent
from notsodeep.report.wording import KERNELS
from tests.tolerances import ROUNDING, SHARE_DIGITS, SIX_DIGITS, THREE_DIGITS, TWO_DIGITS, assert_close

NAMES = {"ck": ["alpha1", "alpha2", "alpha3", "gamma2"], "ntk": ["beta1", "beta2", "beta3", "kappa2"]}


def tables(result):
    """Return the tables by what they are about; ``coefficients`` are those of the (first) kernel."""
    found = list(twin_tables(result))
    shown = {"network": found.pop(0)}
    shown |= {f"coefficients {kernel}": found.pop(0) for kernel in result.evidence}
    shown["coefficients"] = shown[f"coefficients {next(iter(result.evidence))}"]
    if found[0].title.startswith("Other"):
        shown["others"] = found.pop(0)
    return shown | dict(zip(("distances", "accuracies", "cost", "stability"), found, strict=True))


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
    for kernel in any_twin.evidence:
        rows = tables(any_twin)[f"coefficients {kernel}"].rows
        assert [label.split(":")[0] for label, _ in rows] == NAMES[kernel]
        deq = nsd.coefficients(found.deq, kernel, trainable=found.trainable)
        network = nsd.coefficients(found.spec, kernel, tau0=found.deq.tau0)
        for name, (_, cells) in zip(NAMES[kernel], rows, strict=True):
            for cell, model in zip(cells, (deq, network), strict=False):
                want = getattr(model, name)
                assert_close(float(cell), want, SIX_DIGITS, scale=max(abs(want), 1e-6), what=name)


def test_differences_are_relative_and_the_largest_is_the_residual(any_twin):
    rows = [row for kernel in any_twin.evidence for row in tables(any_twin)[f"coefficients {kernel}"].rows]
    active = [cells for label, cells in rows if label.split(":")[0] not in any_twin.match.idle]
    for deq, network, difference in active:
        if float(deq) and abs(float(difference)) > 1e-2:
            assert_close(float(difference), float(network) / float(deq) - 1.0, TWO_DIGITS)
    assert_close(max(abs(float(cells[-1])) for cells in active), any_twin.match.residual, TWO_DIGITS)


def test_idle_numbers_are_marked_and_explained(sphere, relu):
    table = tables(sphere)["coefficients"]
    assert [label.split(":")[0] for label, cells in table.rows if cells[-1] == "idle"] == ["beta2"]
    assert "beta2 is idle: all samples have the same norm." in table.notes
    assert not any(
        "idle" in text for text in (*tables(relu)["coefficients"].notes, str(tables(relu)["coefficients"].rows))
    )


def test_other_networks_are_listed_closest_first(gelu, softplus):
    table = tables(gelu)["others"]
    assert table.header == ("family", "hidden layers", "kernel distance")
    known = [(s.family.replace("_", "-"), str(s.spec.depth), s.distance) for s in gelu.match.solutions[1:]]
    distances = [share(cells[-1]) for _, cells in table.rows]
    assert distances == sorted(distances)
    assert len(set(table.rows)) == len(table.rows) <= 4
    for label, (layers, distance) in table.rows:
        near = [d for family, depth, d in known if (family, depth) == (label, layers)]
        assert min(abs(share(distance) / d - 1.0) for d in near) < TWO_DIGITS
    assert percent(gelu.match.distance) in table.notes[0]
    assert "others" not in tables(softplus)


def test_networks_that_look_alike_are_listed_once(gelu):
    first, second = gelu.match.solutions[:2]
    twice = replace(gelu.match, solutions=(first, second, replace(second), first))
    rows = tables(replace(gelu, match=twice))["others"].rows
    assert [cells[-1] for _, cells in rows] == [percent(second.distance), percent(first.distance)]


def test_numbers_that_vanish_are_zero_and_explained(tanh_ntk, relu):
    table = tables(tanh_ntk)["coefficients"]
    assert [cells[:2] for _, cells in table.rows[1:3]] == [("0", "0")] * 2
    assert "relative to the diagonal" in table.notes[-1]
    assert not any("relative to the diagonal" in note for note in tables(relu)["coefficients"].notes)


def test_status_has_its_reason_when_not_matched(relu, both, softplus):
    notes = " ".join(tables(relu)["coefficients"].notes)
    assert "Status: matched." in notes
    assert "Why" not in notes
    assert not any("Status" in note for note in tables(both)["coefficients ck"].notes)
    assert any("Status: matched." in note for note in tables(both)["coefficients ntk"].notes)
    notes = " ".join(tables(softplus)["coefficients"].notes)
    assert "Status: infeasible." in notes
    assert softplus.match.reason in notes
    assert "layers with sharp knots spend at least" in notes


def test_distances_are_norms_of_the_difference(any_twin):
    rows = iter(tables(any_twin)["distances"].rows)
    for name, evidence in any_twin.evidence.items():
        (network, cells), (equivalent, other) = next(rows), next(rows)
        which = f", {KERNELS[name]}" if any_twin.match.kernel == "both" else ""
        assert (network, equivalent) == (f"shallow network{which}", f"random-matrix equivalent{which}")
        deq, matched = evidence.kernels
        for cell, order in zip(cells, (2, "fro"), strict=True):
            expected = np.linalg.norm(deq - matched, order) / np.linalg.norm(deq, order)
            assert_close(share(cell), expected, TWO_DIGITS)
        assert_close(share(other[0]), evidence.equivalent_distance.spectral, TWO_DIGITS)
        assert_close(share(other[1]), evidence.equivalent_distance.frobenius, TWO_DIGITS)
    assert not list(rows)


def test_the_equivalent_on_real_data_is_called_what_it_is(relu, mixture):
    assert "here on real data" in tables(relu)["distances"].notes[-1]
    assert "real data" not in tables(mixture)["distances"].notes[-1]


def test_accuracies(any_twin):
    *kernels, finite = tables(any_twin)["accuracies"].rows
    assert "width 32" in finite[0]
    expected = [evidence.accuracy for evidence in any_twin.evidence.values()]
    for (_, cells), shares in zip((*kernels, finite), (*expected, any_twin.finite.accuracy), strict=True):
        for cell, name in zip(cells, ("deq", "network"), strict=True):
            if shares[name] is None:
                assert cell == "none"
            else:
                assert_close(share(cell), shares[name], SHARE_DIGITS, scale=1.0)


def test_a_finite_deq_without_equilibrium_says_so(relu):
    failed = replace(
        relu.finite,
        accuracy={"deq": None, "network": 0.75},
        forward=relu.finite.forward | {"deq": Forward(0.5, 201, unconverged=7)},
    )
    shown = tables(replace(relu, finite=failed))
    assert shown["accuracies"].rows[1][1] == ("none", "75.0 %")
    assert "did not reach its equilibrium" in shown["accuracies"].notes[-1]
    assert shown["cost"].notes[-1].startswith("7 samples did not reach the equilibrium")
    for name in ("accuracies", "cost"):
        assert not any("did not reach" in note for note in tables(relu)[name].notes)


def test_cost_and_ratio(relu):
    forward = {"deq": Forward(0.0125, 12), "network": Forward(0.0000025, 2)}
    finite = replace(relu.finite, forward=forward)
    (label, time), (_, products), memory = tables(replace(relu, finite=finite))["cost"].rows
    assert label == "time for 60 samples"
    assert time == ("12.5 ms", "2.5 us", "5000")
    assert products == ("12", "2", "6")
    assert memory == ("hidden weights in memory", ("98.3 kbit", "98.3 kbit", "1"))


def test_memory_of_ternary_weights(softplus, relu):
    table = tables(softplus)["cost"]
    assert table.rows[-2] == ("hidden weights in memory", ("98.3 kbit", "98.3 kbit", "1"))
    assert table.rows[-1] == ("hidden weights in a file", ("98.3 kbit", "6.21 kbit", "16"))
    assert "3072 hidden weights are 0, +s or -s" in table.notes[1]
    assert f"takes less than {bits(softplus.finite.memory['network'].entropy)}" in table.notes[1]
    assert not any("+s" in note for note in tables(relu)["cost"].notes)


def test_branches_are_told_apart(both):
    shown = tables(both)
    assert [label for label, _ in shown["network"].rows] == [
        "layer 1 of branch 1", "layer 1 of branch 2", "layer 2 of branch 2"
    ]  # fmt: skip
    assert any("one readout" in note for note in shown["network"].notes)
    weights = 16 * 64 + (16 * 64 + 16 * 16)
    assert shown["cost"].rows[-1][1][1] == f"{32 * weights / 1000:.3g} kbit"
    assert shown["cost"].rows[1][1][1] == "3"


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
    assert_close(float(table.rows[0][1][-1]), tanh_ntk.match.spec.layers[0].learning_rate, SIX_DIGITS)


@pytest.mark.parametrize(("rates", "shown"), [((1.0, 1.0), False), ((1.0, 0.5), True), ((0.5, 1.0), True)])
def test_learning_rates_are_shown_where_one_differs(rates, shown, relu):
    layers = [nsd.Layer(layer.activation, 1.0, rate) for layer, rate in zip(relu.match.spec.layers, rates, strict=True)]
    table = tables(replace(relu, match=replace(relu.match, spec=nsd.MLP(layers))))["network"]
    assert ("learning rate" in table.header) == shown
    assert [cells[2:] for _, cells in table.rows] == [(f"{rate:g}",) * shown for rate in rates]


SLOPES = {"left": -0.12345678, "middle": 0.5, "right": 1.25, "knot": 0.75}


@pytest.mark.parametrize("width", [None, 0.5])
def test_formulas_of_slopes(width):
    name, more = ("three_slope", {}) if width is None else ("soft_slopes", {"width": width})
    phi = nsd.activation(name, **SLOPES, **more).shifted(-0.0625)
    left, middle, right, low, high, *blur, offset = map(
        float, re.findall(r"-? ?[\d.]*\d", formula(phi).replace("- ", "-"))
    )
    assert (middle, right, low, high, offset) == (0.5, 1.25, -0.75, 0.75, -0.0625)
    assert left == -0.1235
    assert blur == ([] if width is None else [width])
    assert formula(phi.shifted(0.0625 - 1e-12)).endswith("0.75" if width is None else "by 0.5")


def test_formulas_of_hermite_series():
    phi = nsd.activation("hermite", coefficients=(0.0, -0.5, 0.25, 0.0, 0.125), scale=2.0)
    assert formula(phi) == "-0.5 h_1(x / 2) + 0.25 h_2(x / 2) + 0.125 h_4(x / 2)"
    x = np.linspace(-2.0, 2.0, 9)
    h = [np.ones_like(x), x / 2, ((x / 2) ** 2 - 1) / 2**0.5, None, ((x / 2) ** 4 - 6 * (x / 2) ** 2 + 3) / 24**0.5]
    values = sum(float(c.replace(" ", "")) * h[int(k)] for c, k in re.findall(r"([-+]? ?[\d.]+) h_(\d)", formula(phi)))
    assert_close(values, phi(x), ROUNDING)


def test_formulas_of_other_activations():
    written = formula(nsd.activation("hardtanh", scale=2.0, clip=0.5))
    assert written == "2 clip(x, -0.5, 0.5)"
    assert formula(nsd.activation("tanh").shifted(0.25)) == "tanh(x) + 0.25"
    assert formula(nsd.activation("leaky_relu", slope=0.1)) == "leaky_relu(x, slope=0.1)"
