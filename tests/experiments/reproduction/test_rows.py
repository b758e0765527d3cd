"""Rows of tables: averages against the standard library, and CSV that gives back what it was given."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notsodeep.experiments.reproduction.rows import column, difference, distinct, from_csv, mean, to_csv, where
from tests.tolerances import ROUNDING, assert_close

VALUES = [0.91, 0.934, 0.902, 0.95]
ROWS = [
    {"phi": "relu", "width": 32, "seed": 0, "accuracy": 0.5, "exact": True},
    {"phi": "tanh", "width": 32, "seed": 0, "accuracy": None, "exact": False},
    {"phi": "relu", "width": 64, "seed": 0, "accuracy": 0.75, "exact": True},
]


def test_averages():
    found = mean(np.array(VALUES))
    assert found.n == 4
    assert_close(found.value, statistics.fmean(VALUES), ROUNDING)
    assert_close(found.error, statistics.stdev(VALUES) / 2, ROUNDING)
    other = [0.5, 0.7]
    gap = difference(np.array(VALUES), np.array(other))
    assert_close(gap.value, statistics.fmean(VALUES) - 0.6, ROUNDING)
    assert_close(gap.error**2, statistics.variance(VALUES) / 4 + statistics.variance(other) / 2, ROUNDING)
    assert math.isnan(mean(np.array([1.0])).error)
    with pytest.raises(ValueError, match="must not be empty"):
        mean(np.array([]))


def test_rows_are_picked():
    assert where(ROWS, phi="relu", width=64) == [ROWS[2]]
    assert where(ROWS, phi="elu") == []
    assert distinct(ROWS, "phi") == ["relu", "tanh"]
    np.testing.assert_array_equal(column(ROWS, "accuracy"), [0.5, np.nan, 0.75])


WORDS = st.from_regex(r"[a-z][a-z_,\" ]{0,8}x|0\d{2,9}|\d{4}e\d{5}", fullmatch=True)


@settings(max_examples=40)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"a": WORDS, "b": st.integers(), "c": st.floats(allow_nan=False), "d": st.booleans(), "e": st.none()}
        ),
        max_size=4,
    )
)
def test_csv_gives_back_what_it_was_given(rows):
    found = from_csv(to_csv(rows))
    assert found == rows
    assert [[type(row[name]) for name in "abcde"] for row in found] == [[str, int, float, bool, type(None)]] * len(rows)


def test_columns_are_the_union_of_those_of_the_rows():
    assert to_csv([{"a": 1}, {"b": 0.1, "a": np.nan}]) == "a,b\n1,\n,0.1\n"
