"""The published files, where they are at hand."""

import gzip

import numpy as np
import pytest

from notsodeep.data import Statistics, entries, load_dataset, verify
from tests.tolerances import ENTRIES, OTHER_HALF, SAMPLES, SHARES, TRACE_ROUTES

SIZES = {entry.name: (entry.n, entry.n_test, entry.p) for entry in entries()}


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10_features"])
def test_published_files_have_the_catalogued_sizes(real_data, name):
    assert {record.status for record in verify(name, real_data)} == {"ok"}
    ds = load_dataset(name, classes=(1, 7), data_dir=real_data)
    whole, test, p = SIZES[name]
    assert ds.p == p
    assert (ds.n / whole, ds.test.n / test) == pytest.approx((0.2, 0.2), abs=SHARES)
    assert ds.mean_squared_norm == pytest.approx(1.0, rel=SAMPLES)
    assert ds.test.mean_squared_norm == pytest.approx(1.0, abs=OTHER_HALF)
    assert set(ds.test.y) == {1, 7}


def test_mnist_pixels_are_those_of_the_file(real_data):
    images = np.frombuffer(
        gzip.decompress((real_data / "mnist/train-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8
    )
    labels = np.frombuffer(gzip.decompress((real_data / "mnist/train-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    ds = load_dataset("mnist", classes=(6, 8), data_dir=real_data, n_test=0)
    chosen = np.isin(labels, (6, 8))
    np.testing.assert_array_equal(ds.y, labels[chosen])
    raw = ds.X[:200] * ds.scaler.scale + ds.scaler.center
    np.testing.assert_allclose(raw, images.reshape(-1, 784)[chosen][:200], atol=ENTRIES)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_class_means_carry_a_visible_part_of_the_norm(real_data, name):
    """The within-class and between-class parts of the mean squared norm add up, by an independent route."""
    X, y = load_dataset(name, n=4000, data_dir=real_data)
    st = Statistics.from_data(X, y)
    means = np.stack([X[y == a].mean(axis=0) for a in st.classes])
    shares, n_a = st.counts / st.n, st.counts
    within = sum(shares[i] * np.sum((X[y == a] - means[i]) ** 2) / (n_a[i] - 1) for i, a in enumerate(st.classes))
    assert st.tau0 == pytest.approx(1.0, rel=SAMPLES)
    assert st.within_tau0**2 == pytest.approx(within, rel=TRACE_ROUTES)
    assert 0.5 < st.within_tau0**2 < 0.9
