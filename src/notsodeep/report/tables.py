"""The numbers of the main job as plain tables, for the terminal and for the page alike."""

from __future__ import annotations

import math

import torch

from notsodeep.experiments.readout import RIDGE
from notsodeep.experiments.twin import TwinResult
from notsodeep.matching.search import TOLERANCE
from notsodeep.networks.fixed_point import default_tolerance
from notsodeep.report.facts import NAMES, Facts
from notsodeep.report.numerals import accuracy, decimal, duration, percent
from notsodeep.report.table import Table
from notsodeep.report.wording import KERNELS, formula

_MEANING = (
    "weight of the inner products of samples",
    "weight of the fluctuations of their norms",
    "weight of the class covariances",
    "diagonal",
)


def twin_tables(result: TwinResult) -> list[Table]:
    """Return the network, the coefficients, the evidence, the cost and the stability as tables."""
    facts = Facts.of(result)
    return [
        _network(result),
        _coefficients(result, facts),
        _distances(result),
        _accuracies(result),
        _cost(result),
        _stability(facts),
    ]


def _network(result: TwinResult) -> Table:
    layers = result.match.spec.layers
    rates = result.match.kernel == "ntk"
    rows = tuple(
        (
            f"layer {i}",
            (formula(layer.activation), decimal(layer.weight_var)) + rates * (decimal(layer.learning_rate),),
        )
        for i, layer in enumerate(layers, 1)
    )
    return Table(
        "The shallow network",
        ("hidden layer", "activation", "weight variance") + rates * ("learning rate",),
        rows,
        ("A layer of width m maps y to activation(sqrt(weight variance) W y) / sqrt(m), W with N(0, 1) entries.",)
        + rates * ("Learning rate: multiplier for the weights that feed the layer; 1 for the readout.",),
    )


def _coefficients(result: TwinResult, facts: Facts) -> Table:
    found = result.match
    rows = zip(NAMES[found.kernel], _MEANING, facts.deq.numbers, facts.network.numbers, facts.differences, strict=True)
    diagonal = facts.deq.numbers[3]
    small = TOLERANCE * diagonal
    return Table(
        f"What the {KERNELS[found.kernel]} depends on in high dimension",
        ("coefficient", "DEQ", "network", "relative difference"),
        tuple(
            (f"{name}: {meaning}", (_number(deq, small), _number(network, small), decimal(difference, 2)))
            for name, meaning, deq, network, difference in rows
        ),
        (
            f"Status: {found.status}. The largest relative difference is {decimal(found.residual, 2)}; "
            f"up to {TOLERANCE:g} counts as matched.",
        )
        + (found.status != "matched") * (f"Why: {found.reason}.",)
        + any(abs(number) <= small for number in facts.deq.numbers)
        * ("Where the DEQ's coefficient is 0, the difference is relative to the diagonal.",),
    )


def _number(value: float, small: float) -> str:
    return "0" if abs(value) <= small else decimal(value)


def _distances(result: TwinResult) -> Table:
    rows = (("shallow network", result.distance), ("random-matrix equivalent", result.equivalent_distance))
    data = result.samples.train
    return Table(
        "Distance from the exact kernel of the DEQ",
        ("kernel of the", "spectral norm", "Frobenius norm"),
        tuple((label, (percent(distance.spectral), percent(distance.frobenius))) for label, distance in rows),
        (
            f"Norm of the difference over norm of the DEQ's {KERNELS[result.match.kernel]}, on {data.n} training "
            f"samples of {data.name}. Both models are taken at infinite width.",
            "The equivalent is the approximation of arXiv:2402.02697 at the coefficients above"
            + ("." if data.scaler is None else ", here on real data: it is exact for large Gaussian mixtures only."),
        ),
    )


def _accuracies(result: TwinResult) -> Table:
    rows = (
        ("kernel ridge regression, exact kernels", result.kernel_accuracy),
        (f"finite networks of width {result.config.width}, fitted readout", result.finite_accuracy),
    )
    n_test = result.samples.test.n
    missing = result.finite_accuracy["deq"] is None
    return Table(
        f"Accuracy on {n_test} test samples, {len(result.samples.train.classes)} classes",
        ("model", "DEQ", "network"),
        tuple((label, (accuracy(shares["deq"]), accuracy(shares["network"]))) for label, shares in rows),
        (
            f"Ridge: {RIDGE:g} of the mean diagonal of the kernel. Finite networks also differ by their random hidden "
            f"weights. Standard error of an accuracy: up to {decimal(100.0 * _standard_error(result), 2)} points.",
        )
        + missing * ("None: the finite DEQ did not reach its equilibrium for some samples.",),
    )


def _standard_error(result: TwinResult) -> float:
    """Largest standard error of the accuracies, as independent test samples give it."""
    shares = [*result.kernel_accuracy.values(), *result.finite_accuracy.values()]
    spread = max(share * (1.0 - share) for share in shares if share is not None)
    return math.sqrt(spread / result.samples.test.n)


def _cost(result: TwinResult) -> Table:
    deq, network = result.forward["deq"], result.forward["network"]
    unconverged = deq.unconverged
    return Table(
        f"Cost of one forward pass at width {result.config.width}",
        ("", "DEQ", "network", "DEQ / network"),
        (
            (
                f"time for {result.samples.test.n} samples",
                (duration(deq.seconds), duration(network.seconds), decimal(deq.seconds / network.seconds, 2)),
            ),
            (
                "matrix products",
                (str(deq.products), str(network.products), decimal(deq.products / network.products, 2)),
            ),
        ),
        (
            "Times are of this machine: median of three passes of the hidden layers in float32. The DEQ iterates "
            f"plainly to its default tolerance, a relative step of {decimal(default_tolerance(torch.float32), 2)}. "
            "The first product of each model is with the input weights, the others with square ones.",
        )
        + bool(unconverged)
        * (f"{unconverged} samples did not reach the equilibrium of the DEQ: its cost is a lower bound.",),
    )


def _stability(facts: Facts) -> Table:
    rest = facts.rest
    rows = (
        ("sigma_a2 E[phi'^2]", rest.contraction, "the kernel of the DEQ exists and is stable"),
        ("sigma_a2 L^2", rest.global_contraction, "its fixed point is reached from anywhere"),
        ("4 sigma_a2 L^2", rest.wide_contraction, "a wide finite DEQ converges for every input"),
    )
    return Table(
        "Stability of the DEQ",
        ("quantity", "value", "below 1?", "if so"),
        tuple((label, (decimal(value, 3), "yes" if value < 1.0 else "no", says)) for label, value, says in rows),
        (
            f"phi: activation of the DEQ, with pre-activations of standard deviation tau_star = "
            f"{decimal(rest.tau_star, 4)}; L: its largest slope. "
            "The bounds are sufficient: a DEQ often converges without the last two.",
        ),
    )
