from __future__ import annotations

import numpy as np
import pytest

from notsodeep.spectra import ClassModel, limiting_spectrum


def test_what_is_not_given_is_neutral():
    model = ClassModel([3, 4], 1.0, p=5)
    assert model.p == 5
    assert model.n == 7
    assert model.n_classes == 2
    assert model.covariances.tolist() == [1.0, 1.0]
    assert not model.shifts.any()
    assert model.means.shape == (2, 5)
    assert not model.means.any()
    assert model.core.shape == (5, 5)
    assert not model.core.any()
    assert model.norm_scales.tolist() == [1.0, 1.0]
    assert repr(model) == "ClassModel(counts=[3, 4], p=5)"


def test_columns_are_read_from_covariances_or_means():
    assert ClassModel([3], np.ones((1, 4))).p == 4
    assert ClassModel([3], np.eye(4)[None]).p == 4
    assert ClassModel([3], 1.0, means=np.ones((1, 6))).p == 6


def test_is_frozen_and_keeps_no_reference():
    counts = np.array([3, 4])
    model = ClassModel(counts, 1.0, p=5)
    counts[0] = 99
    assert model.counts.tolist() == [3, 4]
    with pytest.raises(AttributeError):
        model.p = 3


BAD = {
    "counts of no kind": ({"counts": [1.5]}, "counts must be a list of integers"),
    "negative counts": ({"counts": [-1, 2]}, "counts must not be negative"),
    "no rows": ({"counts": [0, 0]}, "nor all zero"),
    "a single count": ({"counts": 3}, "counts must be a list of integers"),
    "no columns": ({"counts": [3], "p": 0}, "p must be an integer >= 1"),
    "unknown columns": ({"counts": [3], "p": None}, "p must be given"),
    "covariances of another shape": ({"counts": [3], "covariances": np.ones((2, 5))}, "covariances must be"),
    "negative covariance": ({"counts": [3], "covariances": [-1.0]}, "covariances must not be negative"),
    "shifts of another shape": ({"counts": [3], "shifts": [1.0, 2.0]}, r"shifts must have shape \(1,\), got \(2,\)"),
    "infinite shifts": ({"counts": [3], "shifts": [np.inf]}, "shifts has NaN or infinite"),
    "words": ({"counts": [3], "shifts": ["a"]}, "shifts must be an array of numbers"),
    "means of another shape": ({"counts": [3], "means": np.ones((2, 5))}, "means must have shape"),
    "core of another shape": ({"counts": [3], "core": np.eye(2)}, r"core must have shape \(3, 3\)"),
    "core not symmetric": ({"counts": [3], "core": np.triu(np.ones((3, 3)))}, "core must be symmetric"),
    "negative noise": ({"counts": [3], "noise": [[-1.0]]}, "noise must be symmetric and not negative"),
    "norm scale zero": ({"counts": [3], "norm_scales": [0.0]}, "norm_scales must be positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        ClassModel(**{"covariances": 1.0, "p": 5, **arguments})


def test_limit_of_something_else():
    with pytest.raises(ValueError, match="model must be a ClassModel, got int"):
        limiting_spectrum(3)
