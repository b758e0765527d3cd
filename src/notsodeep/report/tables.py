"""The numbers of the main job as plain tables, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from notsodeep.experiments.twin import TwinResult
from notsodeep.networks.ridge import RIDGE
from notsodeep.networks.solvers import default_tolerance
from notsodeep.report.facts import Facts
from notsodeep.report.network_tables import coefficient_tables, network_table, others_table
from notsodeep.report.numerals import accuracy, bits, decimal, duration, percent
from notsodeep.report.table import Table
from notsodeep.report.wording import KERNELS, kernel_words
from notsodeep.spec import Parallel


def twin_tables(result: TwinResult) -> list[Table]:
    """Return the network, the coefficients, the evidence, the cost and the stability as tables."""
    facts = Facts.of(result)
    others = others_table(result)
    return [
        network_table(result),
        *coefficient_tables(result, facts),
        *([] if others is None else [others]),
        _distances(result),
        _accuracies(result),
        _cost(result),
        _stability(facts),
    ]


def _distances(result: TwinResult) -> Table:
    rows = [
        (f"{label}{_of_kernel(result, name)}", (percent(distance.spectral), percent(distance.frobenius)))
        for name, evidence in result.evidence.items()
        for label, distance in (
            ("shallow network", evidence.distance),
            ("random-matrix equivalent", evidence.equivalent_distance),
        )
    ]
    data = result.samples.train
    return Table(
        f"Distance from the exact kernel{_plural(result)} of the DEQ",
        ("kernel of the", "spectral norm", "Frobenius norm"),
        tuple(rows),
        (
            f"Norm of the difference over norm of the DEQ's {kernel_words(result.match.kernel)}, on {data.n} training "
            f"samples of {data.name}. Both models are taken at infinite width.",
            "The equivalent is the approximation of arXiv:2402.02697 at the coefficients above"
            + ("." if data.scaler is None else ", here on real data: it is exact for large Gaussian mixtures only."),
        ),
    )


def _of_kernel(result: TwinResult, kernel: str) -> str:
    """Say which kernel is meant where there are two."""
    return f", {KERNELS[kernel]}" if len(result.evidence) > 1 else ""


def _plural(result: TwinResult) -> str:
    return "s" if len(result.evidence) > 1 else ""


def _accuracies(result: TwinResult) -> Table:
    several = len(result.evidence) > 1
    rows: list[tuple[str, Mapping[str, float | None]]] = [
        (f"kernel ridge regression, exact {KERNELS[name] if several else 'kernel'}s", evidence.accuracy)
        for name, evidence in result.evidence.items()
    ]
    rows.append((f"finite networks of width {result.config.width}, fitted readout", result.finite.accuracy))
    n_test = result.samples.test.n
    missing = result.finite.accuracy["deq"] is None
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
    shares = [*result.finite.accuracy.values()]
    shares += [share for evidence in result.evidence.values() for share in evidence.accuracy.values()]
    spread = max(share * (1.0 - share) for share in shares if share is not None)
    return math.sqrt(spread / result.samples.test.n)


def _cost(result: TwinResult) -> Table:
    deq, network = result.finite.forward["deq"], result.finite.forward["network"]
    ternary = result.config.weights == "ternary"
    rows = [
        (
            f"time for {result.samples.test.n} samples",
            (duration(deq.seconds), duration(network.seconds), decimal(deq.seconds / network.seconds, 2)),
        ),
        ("matrix products", (str(deq.products), str(network.products), decimal(deq.products / network.products, 2))),
        _memory(result, "hidden weights in memory", "floats"),
        *([_memory(result, "hidden weights in a file", "codes")] if ternary else []),
    ]
    parallel = isinstance(result.match.spec, Parallel)
    return Table(
        f"Cost of one forward pass at width {result.config.width}",
        ("", "DEQ", "network", "DEQ / network"),
        tuple(rows),
        (
            "Times are of this machine: median of three passes of the hidden layers in float32. The DEQ iterates "
            f"plainly to its default tolerance, a relative step of {decimal(default_tolerance(torch.float32), 2)}. "
            f"The first product of each {'branch' if parallel else 'model'} is with the input weights, the others with "
            f"square ones{': branches share the width, so theirs are smaller' if parallel else ''}.",
        )
        + ternary * (_ternary_words(result),)
        + bool(deq.unconverged)
        * (f"{deq.unconverged} samples did not reach the equilibrium of the DEQ: its cost is a lower bound.",),
    )


def _memory(result: TwinResult, label: str, kind: str) -> tuple[str, tuple[str, ...]]:
    deq, network = (getattr(result.finite.memory[name], kind) for name in ("deq", "network"))
    return label, (bits(deq), bits(network), decimal(deq / network, 2))


def _ternary_words(result: TwinResult) -> str:
    memory = result.finite.memory["network"]
    return (
        f"The network's {memory.weights} hidden weights are 0, +s or -s: two bits each in a file, and no code of "
        f"independent weights takes less than {bits(memory.entropy)}. Products are with floats all the same."
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
