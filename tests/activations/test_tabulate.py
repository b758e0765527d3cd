"""Evaluation at many scales from few: equal to the direct one, whether or not the table converges."""

from __future__ import annotations

import numpy as np
import pytest

from notsodeep.activations.tabulate import tabulate
from tests.tolerances import TABLE, assert_close


class Counted:
    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, scales):
        self.calls += scales.size
        return self.f(scales)


def smooth(s):
    return np.stack([np.log(s), np.tanh(s), s**2], axis=1)


def bent(s):
    return np.abs(np.sin(60.0 * np.log(s)))[:, None]


SCALES = np.random.default_rng(1).uniform(0.4, 2.0, 3000)


def test_smooth_functions_are_interpolated():
    f = Counted(smooth)
    assert_close(tabulate(f, SCALES), smooth(SCALES), TABLE)
    assert f.calls <= 2 * (24 + 48 + 96)


def test_others_are_evaluated_at_every_distinct_scale():
    f = Counted(bent)
    assert_close(tabulate(f, np.repeat(SCALES, 2)), bent(np.repeat(SCALES, 2)), 0.0)
    assert f.calls <= SCALES.size + 2 * (24 + 48 + 96 + 192)


def test_small_values_at_small_scales_are_as_accurate_as_large_ones():
    scales = np.geomspace(0.01, 10.0, 2000)
    got = tabulate(lambda s: s[:, None] ** 2, scales)[:, 0]
    assert_close(got, scales**2, TABLE, scale=scales**2)


@pytest.mark.parametrize("scales", [np.array([0.3]), np.array([1.0, 0.5, 1.0]), np.full(500, 0.7)])
def test_few_or_equal_scales_are_exact(scales):
    f = Counted(smooth)
    assert_close(tabulate(f, scales), smooth(scales), 0.0)
    assert f.calls == np.unique(scales).size


def test_order_and_ends_are_kept():
    scales = np.sort(SCALES)[::-1].copy()
    assert_close(tabulate(smooth, scales)[[0, -1]], smooth(scales[[0, -1]]), TABLE)
