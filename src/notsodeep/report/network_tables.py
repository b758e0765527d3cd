"""The network that was found, others like it, and the numbers that it shares with the DEQ."""

from __future__ import annotations

from notsodeep.experiments.twin import TwinResult
from notsodeep.matching.search import TOLERANCE
from notsodeep.matching.target import NAMES
from notsodeep.report.facts import Facts
from notsodeep.report.formulas import formula
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.table import Table
from notsodeep.report.wording import KERNELS, family_words, layers_words
from notsodeep.spec import layers_of

_MEANING = (
    "weight of the inner products of samples",
    "weight of the fluctuations of their norms",
    "weight of the class covariances",
    "diagonal",
)
_MOST_OTHERS = 4


def network_table(result: TwinResult) -> Table:
    """Return the layers of the network."""
    places = layers_of(result.match.spec)
    rates = any(layer.learning_rate != 1.0 for _, layer in places)
    rows = tuple(
        (place, (formula(layer.activation), decimal(layer.weight_var)) + rates * (decimal(layer.learning_rate),))
        for place, layer in places
    )
    series = any(layer.activation.name == "hermite" for _, layer in places)
    several = len(places) > result.match.spec.depth
    return Table(
        "The shallow network",
        ("hidden layer", "activation", "weight variance") + rates * ("learning rate",),
        rows,
        ("A layer of width m maps y to activation(sqrt(weight variance) W y) / sqrt(m), W with N(0, 1) entries.",)
        + several * ("Each branch reads the samples; one readout reads the features of all of them.",)
        + series * ("h_k: Hermite polynomial of degree k, with mean square 1 under N(0, 1).",)
        + rates * (f"Learning rate: multiplier for the weights that feed the layer; {_readout(result)}.",),
    )


def _readout(result: TwinResult) -> str:
    trained = "readout" in result.match.network_trainable
    return "1 for the readout" if trained else "0 for the readout, which is not trained, as the DEQ's is not"


def others_table(result: TwinResult) -> Table | None:
    """Return the other networks that were found, closest first; None without any."""
    found = result.match
    rows = dict.fromkeys(
        (f"{family_words(one.family)}", (layers_words(one.spec), percent(one.distance))) for one in found.solutions[1:]
    )
    shown = list(rows)[:_MOST_OTHERS]
    if not shown:
        return None
    return Table(
        "Other networks with the same coefficients",
        ("family", "hidden layers", "kernel distance"),
        tuple(shown),
        (
            f"Kernel distance: the largest difference of entries over the norms and cosines of the data, here "
            f"{percent(found.distance)} for the network above. match.json has these networks.",
        ),
    )


def coefficient_tables(result: TwinResult, facts: Facts) -> list[Table]:
    """Return the four numbers of each kernel that was matched, the verdict below the last table."""
    tables = [_coefficients(result, facts, kernel) for kernel in facts.kernels]
    last = tables.pop()
    return [*tables, Table(last.title, last.header, last.rows, (*_verdict(result), *last.notes))]


def _coefficients(result: TwinResult, facts: Facts, kernel: str) -> Table:
    found = facts.kernels[kernel]
    rows = zip(NAMES[kernel], _MEANING, found.deq.numbers, found.network.numbers, found.differences, strict=True)
    small = TOLERANCE * found.deq.numbers[3]
    idle = [name for name in NAMES[kernel] if name in result.match.idle]
    vanishing = any(abs(number) <= small for number in found.deq.numbers)
    return Table(
        f"What the {KERNELS[kernel]} depends on in high dimension",
        ("coefficient", "DEQ", "network", "relative difference"),
        tuple(
            (
                f"{name}: {meaning}",
                (_number(deq, small), _number(network, small), "idle" if name in idle else decimal(difference, 2)),
            )
            for name, meaning, deq, network, difference in rows
        ),
        bool(idle) * (f"{' '.join(idle)} is idle: all samples have the same norm.",)
        + vanishing * ("Where the DEQ's coefficient is 0, the difference is relative to the diagonal.",),
    )


def _verdict(result: TwinResult) -> tuple[str, ...]:
    found = result.match
    status = (
        f"Status: {found.status}. The largest relative difference is {decimal(found.residual, 2)}; "
        f"up to {TOLERANCE:g} counts as matched."
    )
    return (status,) + (found.status != "matched") * (f"Why: {found.reason}.",)


def _number(value: float, small: float) -> str:
    return "0" if abs(value) <= small else decimal(value)
