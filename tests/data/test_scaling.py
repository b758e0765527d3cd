import math

import numpy as np
import pytest

from notsodeep.data import Scaler
from tests.tolerances import ENTRIES, MEAN_OF_ROWS, ONE_FACTOR, SAMPLES


@pytest.fixture
def raw():
    return np.random.default_rng(0).gamma(2.0, size=(50, 7)) + 3.0


def test_mean_mode_centres_and_has_mean_squared_norm_one(raw):
    scaled = Scaler.fit(raw, mode="mean").apply(raw)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=SAMPLES)
    assert (scaled**2).sum(axis=1).mean() == pytest.approx(1.0, rel=SAMPLES)
    ratios = (raw - raw.mean(axis=0)) / scaled
    np.testing.assert_allclose(ratios, ratios[0, 0], rtol=ONE_FACTOR)  # one factor for all samples


def test_sample_mode_centres_and_normalises_each_sample(raw):
    scaled = Scaler.fit(raw, mode="sample").apply(raw)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1.0, rtol=SAMPLES)
    directions = raw - raw.mean(axis=0)
    np.testing.assert_allclose(scaled, directions / np.linalg.norm(directions, axis=1, keepdims=True), rtol=ENTRIES)


@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_other_samples_take_the_training_statistics(raw, mode):
    scaler = Scaler.fit(raw, mode=mode)
    moved = raw[:5] + 10.0
    centred = moved - raw.mean(axis=0)
    factor = scaler.scale if mode == "mean" else np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(scaler.apply(moved), centred / factor, rtol=ENTRIES)


def test_training_samples_are_not_changed(raw):
    before = raw.copy()
    Scaler.fit(raw).apply(raw)
    np.testing.assert_array_equal(raw, before)


def test_center_of_many_samples_is_free_of_summation_errors():
    """The plain mean of such columns is off by 5e-15, for the sum is taken row after row."""
    raw = np.random.default_rng(1).random((20_001, 3)) + 0.1
    exact = [math.fsum(column) / len(raw) for column in raw.T]
    np.testing.assert_allclose(Scaler.fit(raw).center, exact, rtol=MEAN_OF_ROWS)


@pytest.mark.parametrize("n", [9, 20_001])
@pytest.mark.parametrize("value", [0.1, 1e-150, 12345.678])
@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_equal_samples_are_refused(n, value, mode):
    with pytest.raises(ValueError, match=f"X has {n} samples that are all equal"):
        Scaler.fit(np.full((n, 3), value), mode=mode)


@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_a_sample_at_the_training_mean_is_refused(mode):
    raw = np.array([[0.1, 0.3], [0.5, 0.7], [0.3, 0.5]])
    scaler = Scaler.fit(raw, mode=mode)
    with pytest.raises(ValueError, match=r"1 samples equal to the training mean \(the first is row 2"):
        scaler.apply(raw)


@pytest.mark.parametrize(
    ("X", "mode", "message"),
    [
        (np.ones((3, 2)), "max", "mode must be one of 'mean', 'sample', got 'max'"),
        (np.ones((1, 2)), "mean", "n >= 2"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), "mean", "NaN or infinite"),
        (np.array([[0.0, 0.0], [1.0, 2.0]]), "sample", "all-zero"),
        (np.array([[1e200, 0.0], [0.0, 1.0]]), "mean", "too large to square"),
    ],
)
def test_bad_training_samples(X, mode, message):
    with pytest.raises(ValueError, match=message):
        Scaler.fit(X, mode=mode)


def test_bad_other_samples(raw):
    scaler = Scaler.fit(raw)
    with pytest.raises(ValueError, match="the test part must have 7 features"):
        scaler.apply(raw[:, :3], "the test part")
    with pytest.raises(ValueError, match="all-zero"):
        scaler.apply(np.zeros((2, 7)))


def test_samples_whose_squares_underflow_count_as_zero():
    with pytest.raises(ValueError, match="X has 9 all-zero samples"):
        Scaler.fit(np.full((9, 3), 1e-200))
