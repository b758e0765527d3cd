"""A compilation as plain tables, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from notsodeep.compiler.fidelity import Gap, Predictions
from notsodeep.experiments.compilation import CompilationResult
from notsodeep.report.formulas import formula
from notsodeep.report.numerals import accuracy, bits, decimal, duration, percent
from notsodeep.report.table import Table
from notsodeep.spec import layers_of


def compiled_tables(result: CompilationResult) -> list[Table]:
    """Return the variances, the check of the weights, the network, the kernels, the predictions and the cost."""
    found = result.compiled.fidelity.predictions
    return [
        _variances(result),
        _weights(result),
        _network(result),
        _kernels(result),
        *([] if found is None else [_predictions(result, found)]),
        _cost(result),
    ]


def _variances(result: CompilationResult) -> Table:
    found = result.compiled.variances
    rows = (
        ("sigma_a2", found.sigma_a2, "variance of the recurrent weights, times the width"),
        ("sigma_b2", found.sigma_b2, "variance of the input weights"),
        ("sigma_c2", found.sigma_c2, "variance of the bias"),
        ("tau0", found.tau0, "root mean squared norm of the samples"),
        *([] if found.stable else [("sigma_a2, matched", found.matched_sigma_a2, "the largest with a stable kernel")]),
        ("tau_star", found.tau_star, "root mean squared pre-activation"),
        ("sigma_a2 E[phi'^2]", found.contraction, "below 1: the kernel is stable"),
    )
    return Table(
        f"The DEQ: {result.source}, width {result.net.width}",
        ("quantity", "value", "what it is"),
        tuple((name, (decimal(value), what)) for name, value, what in rows),
    )


def _weights(result: CompilationResult) -> Table:
    found = result.compiled.weights
    return Table(
        "Are its weights as random weights are?",
        ("of unit weights", "value", "if drawn", "standard errors off"),
        tuple(
            (check.name, (decimal(check.value, 4), decimal(check.expected, 4), decimal(check.z + 0.0, 2)))
            for check in found.checks
        ),
        (f"{found.reason[0].upper()}{found.reason[1:]}.",)
        + bool(found.outliers) * (f"{found.outliers} singular values lie outside of their limit law.",),
    )


def _network(result: CompilationResult) -> Table:
    found = result.compiled.match
    places = layers_of(found.spec)
    return Table(
        "The shallow network",
        ("hidden layer", "activation", "weight variance", "bias variance"),
        tuple(
            (place, (formula(layer.activation), decimal(layer.weight_var), decimal(layer.bias_var)))
            for place, layer in places
        ),
        (f"Status: {found.status}; family {found.match.family}. It reads the samples as the DEQ does.",),
    )


def _kernels(result: CompilationResult) -> Table:
    found = result.compiled.fidelity.kernel
    rows = (
        ("infinite network to infinite DEQ", [found.exact]),
        ("this DEQ to infinite DEQ", [found.own]),
        ("drawn DEQs to infinite DEQ", found.drawn),
        ("this network to this DEQ", [found.network]),
        ("drawn DEQs to this DEQ", found.redrawn),
    )
    return Table(
        f"Distance of conjugate kernels on {found.n} held-out samples",
        ("kernel of", "whole", "without constants"),
        tuple((name, (_range(gap.plain.frobenius for gap in gaps), _centred(gaps))) for name, gaps in rows if gaps),
        (
            "Frobenius norm of the difference, relative to the second one named. Infinite: at infinite width, with the "
            "variances above. Drawn: freshly, with these variances and this width. A readout with an intercept does "
            "not see constants.",
        ),
    )


def _centred(gaps: Iterable[Gap]) -> str:
    return _range(gap.centred.frobenius for gap in gaps)


def _range(values: Iterable[float]) -> str:
    values = sorted(values)
    shown = [percent(values[0])] if len(values) == 1 else [percent(values[0]), percent(values[-1])]
    return " to ".join(dict.fromkeys(shown))


def _predictions(result: CompilationResult, found: Predictions) -> Table:
    rows: list[tuple[str, Mapping[str, float | None]]] = [
        ("right classes", found.accuracy),
        ("same class as the network", found.agreement),
        ("outputs differ from the network's by, of their spread", found.error),
    ]
    columns = ("own", "refitted", "network")
    fitted = {
        "labels": "Refitted: a readout of the DEQ's states that was fitted as the network's was, to the labels.",
        "distilled": "The network's readout was fitted to the DEQ's own outputs.",
    }
    return Table(
        f"Predictions on {found.n} held-out samples",
        ("", "DEQ, own readout", "DEQ, refitted", "network"),
        tuple((name, tuple(accuracy(shares.get(column)) for column in columns)) for name, shares in rows),
        (fitted[result.compiled.readout],),
    )


def _cost(result: CompilationResult) -> Table:
    deq, network = (result.compiled.fidelity.cost[name] for name in ("deq", "network"))
    return Table(
        f"Cost of one forward pass of {result.compiled.fidelity.kernel.n} samples",
        ("", "DEQ", "network", "DEQ / network"),
        (
            ("time", (duration(deq.seconds), duration(network.seconds), decimal(deq.seconds / network.seconds, 2))),
            (
                "matrix products",
                (str(deq.products), str(network.products), decimal(deq.products / network.products, 2)),
            ),
            ("weights", (bits(deq.memory), bits(network.memory), decimal(deq.memory / network.memory, 2))),
        ),
        ("Times are of this machine: median of three.",),
    )
