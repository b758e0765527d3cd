"""The tables of a spectrum and its sentence, against the records that they are made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

import notsodeep as nsd
from notsodeep.report import spectrum_headline, spectrum_tables
from notsodeep.report.spectrum_wording import model_words
from tests.report.spectrum_records import RECORDS, SEMICIRCLE, Law, pair, record
from tests.tolerances import FIVE_DIGITS, THREE_DIGITS, TWO_DIGITS, WHOLE_PERCENT, assert_close

every_record = pytest.mark.parametrize("result", RECORDS.values(), ids=RECORDS)


def share(cell):
    number, unit = cell.split()
    assert unit == "%"
    return float(number) / 100.0


@every_record
def test_tables_are_rectangular_plain_text(result):
    for table in spectrum_tables(result):
        assert table.title
        for label, cells in table.rows:
            assert len(cells) == len(table.header) - 1
            assert all(isinstance(text, str) and text for text in (label, *cells))
        words = [table.title, *table.header, *table.notes, *(t for label, cells in table.rows for t in (label, *cells))]
        assert all(text.isascii() for text in words)
        assert all(note.endswith(".") for note in table.notes)


@every_record
def test_isolated_eigenvalues_are_those_of_the_record(result):
    table = spectrum_tables(result)[0]
    assert len(table.rows) == min(len(result.isolated), 20)
    for i, ((label, cells), want) in enumerate(zip(table.rows, result.isolated, strict=False), 1):
        assert label == str(i)
        for cell, value, missing in zip(cells, (want.predicted, want.found), ("predicted", "found"), strict=False):
            if value is None:
                assert cell == f"not {missing}"
            else:
                assert_close(float(cell), value, FIVE_DIGITS)
        if None in (want.predicted, want.found):
            assert cells[2] == "-"
        else:
            assert_close(share(cells[2]), abs(want.predicted - want.found) / abs(want.found), TWO_DIGITS, scale=1.0)


def test_none_and_too_many_are_said():
    assert spectrum_tables(RECORDS["alone"])[0].notes[0] == "None is predicted, and none was found."
    assert spectrum_tables(RECORDS["many"])[0].notes[0] == "5 more are in spectrum.json."
    assert spectrum_tables(RECORDS["far"])[0].notes[0].startswith("Below each class: squared cosine")


def test_alignments_stand_below_their_classes():
    table = spectrum_tables(RECORDS["half"])[0]
    assert table.header[4:] == ("a", "b")
    assert [cells[3:] for _, cells in table.rows] == [
        ("90/85", "10/12"),
        ("90/-", "10/-"),
        ("-/85", "-/12"),
        ("-/85", "-/12"),
    ]


def test_classes_with_the_largest_alignments_are_shown_where_there_are_many():
    largest = {3: 0.5, 11: 0.4}
    alignment = tuple(largest.get(a, 0.001 * a) for a in range(14))
    result = record(SEMICIRCLE, [pair(3.0, 3.0, (alignment, alignment))], classes=range(14))
    table = spectrum_tables(result)[0]
    assert table.header[4:] == tuple(map(str, (3, *range(5, 14))))
    assert table.rows[0][1][3] == "50/50"
    assert "the 10 of 14 classes" in table.notes[0]


@every_record
def test_stretches_of_the_bulk(result):
    table, law = spectrum_tables(result)[1], result.prediction.bulk
    rows = [row for row in table.rows if row[0] != "of it, an atom"]
    intervals = [cells for label, cells in rows if label == "interval"]
    width = law.support()[1] - law.support()[0]
    found = [(float(low), float(high)) for low, high, _, _ in intervals]
    assert len(found) == len(law.intervals)
    for ends, want in zip(found, law.intervals, strict=True):
        assert_close(ends, want, THREE_DIGITS, scale=width)
    assert_close(sum(share(cells[2]) for _, cells in rows), 1.0, WHOLE_PERCENT)
    isolated = [one.found for one in result.isolated if one.found is not None]
    for _, (low, high, _, counted) in rows:
        inside = [x for x in result.eigenvalues if float(low) - width / 20 <= x <= float(high) + width / 20]
        count = len([x for x in inside if x not in isolated])
        assert_close(share(counted), count / len(result.eigenvalues), WHOLE_PERCENT, scale=1.0)
    assert len([row for row in table.rows if row[0] != "interval"]) == len(law.atoms)


def test_atoms_in_an_interval_count_with_it():
    table = spectrum_tables(RECORDS["atoms"])[1]
    assert [(label, *cells) for label, cells in table.rows] == [
        ("atom", "0.1", "0.1", "60 %", "60 %"),
        ("interval", "0.5", "1.5", "40 %", "40 %"),
        ("of it, an atom", "0.9", "0.9", "10 %", "-"),
    ]


def test_a_narrow_bulk_is_written_with_as_many_digits_as_it_needs():
    low, high = spectrum_tables(RECORDS["narrow"])[1].rows[0][1][:2]
    assert (low, high) == ("0.24999", "0.25001")
    near = spectrum_tables(record(Law(((1.0, 1.0, 3e-9),))))[1].rows[0][1][:2]
    assert near == ("0.999999997", "1.000000003")


def test_distribution_range_and_origin_are_below_the_bulk():
    distance, reach, origin = spectrum_tables(RECORDS["far"])[1].notes
    assert "Kolmogorov distance: 1.2 %" in distance
    assert distance.endswith("One eigenvalue of 400 is 0.25 %.")
    assert "At an atom" in spectrum_tables(RECORDS["one atom"])[1].notes[0]
    ends = [float(word) for word in reach.removesuffix(".").split()[5::2]]
    assert_close(ends, RECORDS["far"].eigenvalues[[0, -3]], FIVE_DIGITS)
    assert origin == "Predicted from a Gaussian mixture: a mixture made by hand."


def test_errors_of_each_form():
    table = spectrum_tables(RECORDS["far"])[2]
    assert [cells for _, cells in table.rows] == [("5 %",), ("1 %",), ("0.2 %",)]
    assert len(table.notes) == 1
    without = spectrum_tables(replace(RECORDS["far"], errors={"norm-aware": 0.01}))[2]
    assert [label for label, _ in without.rows] == ["norm-aware"]
    assert without.notes[-1] == "The paper's form needs centred activations and no bias."


SENTENCES = {
    "alone": "no isolated eigenvalue, as predicted; the distribution of its eigenvalues is predicted to within 1.2 %.",
    "absent": "no isolated eigenvalue, although 1 is predicted; the distribution of its eigenvalues is",
    "atoms": "1 isolated eigenvalue, predicted to within 2 %; the distribution of the others is predicted",
    "far": "2 isolated eigenvalues, both predicted to within 1.2 %; ",
    "many": "25 isolated eigenvalues, all predicted to within 0 %; ",
    "half": "3 isolated eigenvalues, 1 of them predicted to within 0.67 %, and 1 more is predicted that was not found",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_sentence_counts(name):
    said = spectrum_headline(RECORDS[name])
    assert said.startswith(f"On 400 samples of blobs, the conjugate kernel of this relu DEQ has {SENTENCES[name]}")


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([pair(None, 3.0)], "1 isolated eigenvalue, not predicted;"),
        ([pair(None, 3.0), pair(None, 2.0)], "2 isolated eigenvalues, none of them predicted;"),
        ([pair(4.0, None), pair(3.5, None), pair(None, 2.0)], ", and 2 more are predicted that were not found;"),
        ([pair(4.0, None), pair(3.5, None)], "no isolated eigenvalue, although 2 are predicted;"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_was_not_predicted(pairs, words):
    assert words in spectrum_headline(record(SEMICIRCLE, pairs))


def test_models_in_words():
    assert "neural tangent kernel of this relu DEQ" in spectrum_headline(RECORDS["two intervals"])
    layers = [nsd.Layer(name) for name in ("leaky_relu", "tanh")]
    assert model_words(nsd.MLP(tuple(layers))) == "2-layer leaky-relu-tanh network"
    assert model_words(nsd.MLP(tuple(layers[1:]))) == "1-layer tanh network"
    branches = [nsd.MLP(tuple(layers)), nsd.MLP(layers[1])]
    words = "network of 2 parallel branches (2-layer leaky-relu-tanh, 1-layer tanh)"
    assert model_words(nsd.Parallel(tuple(branches))) == words
