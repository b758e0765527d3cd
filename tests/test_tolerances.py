"""The comparison that the other tests rely on: it must fail when it should, and say by how much."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tolerances import assert_close


def test_passes_within_the_bound():
    assert_close([1.0, 2.0 + 1e-12], [1.0, 2.0], 1e-12)
    assert_close(np.array([np.inf, 0.0]), [np.inf, 0.0], 0.0, scale=[1.0, 0.0])


@pytest.mark.parametrize(
    ("actual", "desired", "scale"),
    [
        ([1.0, 2.1], [1.0, 2.0], None),
        ([1e-9, 1.0], [0.0, 1.0], [0.0, 1.0]),
        ([1e-3, 1.0], [2e-3, 1.0], [2e-3, 1.0]),
        (np.nan, 1.0, None),
        (1.0, np.nan, None),
        (np.inf, 1.0, None),
        ([1.0], [1.0, 1.0], None),
        ([], [], None),
    ],
)
def test_fails_beyond_it(actual, desired, scale):
    with pytest.raises(AssertionError):
        assert_close(actual, desired, 1e-6, scale=scale)


def test_prints_the_error_achieved():
    with pytest.raises(AssertionError, match=r"slope: 5\.000e-02 of 2 exceeds 1\.0e-06 at \(1,\) \(1 of 2 do\)"):
        assert_close([1.0, 2.1], [1.0, 2.0], 1e-6, what="slope")
