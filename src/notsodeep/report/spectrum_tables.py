"""The numbers of a spectrum as plain tables."""

from __future__ import annotations

import math

import numpy as np

from notsodeep.experiments.spectrum import IsolatedPair, SpectrumResult
from notsodeep.report.numerals import decimal, percent
from notsodeep.report.spectrum_facts import SpectrumFacts
from notsodeep.report.table import Table
from notsodeep.report.wording import KERNELS

MOST_ROWS = 20
"""Isolated eigenvalues shown at most"""
MOST_CLASSES = 10
"""Classes whose alignment is shown at most"""
_DIGITS = 5
_NONE = "-"
_LONGEST = 8  # letters of a class
_FORMS = {"paper": "paper, arXiv:2402.02697", "exact squares": "norm-aware, exact squares"}


def spectrum_tables(result: SpectrumResult) -> list[Table]:
    """Return the isolated eigenvalues, the bulk, and the errors of the equivalents as tables."""
    return [_isolated(result), _bulk(result), _errors(result)]


def _isolated(result: SpectrumResult) -> Table:
    pairs, classes = result.isolated, _classes(result)
    names = [str(label)[:_LONGEST] for label in np.array(result.samples.data.classes, dtype=object)[classes]]
    rows = tuple((str(i), _cells(pair, classes)) for i, pair in enumerate(pairs[:MOST_ROWS], 1))
    return Table(
        "Isolated eigenvalues",
        ("", "predicted", "found", "error", *names),
        rows,
        tuple(_notes(result, len(classes))),
    )


def _notes(result: SpectrumResult, shown: int) -> list[str]:
    pairs, k = result.isolated, len(result.samples.data.classes)
    notes = [] if pairs else ["None is predicted, and none was found."]
    if len(pairs) > MOST_ROWS:
        notes.append(f"{len(pairs) - MOST_ROWS} more are in spectrum.json.")
    if shown:
        which = "each class" if shown == k else f"the {shown} of {k} classes that have the largest"
        notes.append(
            f"Below {which}: squared cosine of the eigenvector with the indicator of the class, in percent, "
            "predicted/found."
        )
    margin = decimal(result.margin, 2)
    return [*notes, f"Isolated: further than {margin} from the predicted bulk, twice that where the other is missing."]


def _classes(result: SpectrumResult) -> list[int]:
    """Return the classes whose alignments are shown, by their places: all, or those with the largest ones."""
    given = [a for pair in result.isolated for a in (pair.predicted_alignment, pair.found_alignment) if a is not None]
    if not given:
        return []
    largest = np.max(given, axis=0)
    return sorted(np.argsort(-largest, kind="stable")[:MOST_CLASSES].tolist())


def _cells(pair: IsolatedPair, classes: list[int]) -> tuple[str, ...]:
    return (
        "not predicted" if pair.predicted is None else decimal(pair.predicted, 5),
        "not found" if pair.found is None else decimal(pair.found, 5),
        _NONE if pair.error is None else percent(pair.error),
        *(f"{_hundredths(pair.predicted_alignment, a)}/{_hundredths(pair.found_alignment, a)}" for a in classes),
    )


def _hundredths(alignment: tuple[float, ...] | None, place: int) -> str:
    return _NONE if alignment is None else f"{100.0 * alignment[place]:.0f}"


def _bulk(result: SpectrumResult) -> Table:
    facts, law = SpectrumFacts.of(result), result.prediction.bulk
    digits = _digits(*law.support())
    rows: list[tuple[str, tuple[str, ...]]] = [
        (
            "atom" if low == high else "interval",
            (decimal(low, digits), decimal(high, digits), percent(predicted), percent(found)),
        )
        for low, high, predicted, found in facts.stretches
    ]
    inside = [(x, mass) for x, mass in law.atoms if any(low <= x <= high for low, high in law.intervals)]
    rows += [("of it, an atom", (*2 * (decimal(x, digits),), percent(mass), _NONE)) for x, mass in inside]
    return Table(
        "Bulk: where the eigenvalues are, isolated ones aside",
        ("", "from", "to", "predicted share", "found share"),
        tuple(rows),
        (
            f"Kolmogorov distance: {percent(result.kolmogorov)}, the largest difference between the predicted and the "
            f"found share of eigenvalues below a point. One eigenvalue of {len(result.eigenvalues)} is "
            f"{percent(1.0 / len(result.eigenvalues))}."
            + bool(law.atoms)
            * " At an atom it counts how eigenvalues scatter around it.",
            f"The eigenvalues found reach from {decimal(facts.bulk[0], digits)} to {decimal(facts.bulk[-1], digits)}.",
            f"Predicted from a Gaussian mixture: {result.samples.origin}.",
        ),
    )


def _digits(low: float, high: float) -> int:
    """Return how many digits tell the ends of the bulk apart, and points in it."""
    width, size = high - low, max(abs(low), abs(high))
    return _DIGITS + max(0, math.ceil(math.log10(size / width)) - 1) if width > 0.0 else _DIGITS


def _errors(result: SpectrumResult) -> Table:
    kernel = KERNELS[result.config.kernel]
    return Table(
        f"Distance of the equivalents from the exact {kernel}",
        ("form", "spectral norm"),
        tuple((_FORMS.get(name, name), (percent(error),)) for name, error in result.errors.items()),
        ("Norm of the difference over norm of the exact kernel.",)
        + ("paper" not in result.errors) * ("The paper's form needs centred activations and no bias.",),
    )
