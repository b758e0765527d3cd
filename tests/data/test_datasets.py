import numpy as np
import pytest
from sklearn.datasets import load_digits

from notsodeep.data import load_dataset
from notsodeep.errors import DataError
from tests.data import tiny
from tests.tolerances import ENTRIES, NOT_SCALED, SAMPLES


def raw_rows(ds):
    """Undo the scaling of a data set scaled by the mean."""
    return ds.X * ds.scaler.scale + ds.scaler.center


def row_set(X):
    return {tuple(row) for row in np.round(X).astype(int).tolist()}


def own_file(folder, **arrays):
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


@pytest.fixture
def table(tmp_path):
    X = np.random.default_rng(0).integers(1, 1000, size=(25, 3)).astype(float)
    return own_file(tmp_path, X=X, y=np.arange(25) % 2), X


def test_official_parts_in_file_order(data_dir):
    ds = load_dataset("tiny", data_dir=data_dir)
    images, labels, test_images, test_labels = tiny.arrays()
    np.testing.assert_allclose(raw_rows(ds), images.reshape(tiny.N, 6), rtol=SAMPLES)
    np.testing.assert_allclose(ds.test.X * ds.scaler.scale + ds.scaler.center, test_images.reshape(-1, 6), rtol=SAMPLES)
    np.testing.assert_array_equal(ds.y, labels)
    np.testing.assert_array_equal(ds.test.y, test_labels)
    assert (ds.name, ds.classes, ds.test.classes) == ("tiny", (0, 1, 2), (0, 1, 2))
    assert ds.y.dtype == np.int64
    assert ds.mean_squared_norm == pytest.approx(1.0, rel=SAMPLES)


def test_training_statistics_scale_the_test_part(data_dir):
    ds = load_dataset("tiny", data_dir=data_dir)
    raw = tiny.arrays()[0].reshape(tiny.N, 6).astype(float)
    np.testing.assert_allclose(ds.scaler.center, raw.mean(axis=0), rtol=SAMPLES)
    assert ds.scaler.scale == pytest.approx(np.sqrt(((raw - raw.mean(axis=0)) ** 2).sum(axis=1).mean()), rel=SAMPLES)
    assert ds.test.mean_squared_norm != pytest.approx(1.0, rel=NOT_SCALED)


def test_sample_scale_gives_unit_norms(data_dir):
    ds = load_dataset("tiny", data_dir=data_dir, scale="sample")
    for X in (ds.X, ds.test.X):
        np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, rtol=SAMPLES)


def test_classes_keep_their_labels_in_both_parts(data_dir):
    ds = load_dataset("tiny", classes=(2, 0), data_dir=data_dir)
    images, labels, _, test_labels = tiny.arrays()
    np.testing.assert_allclose(raw_rows(ds), images.reshape(tiny.N, 6)[labels != 1], rtol=SAMPLES)
    assert ds.classes == (0, 2)
    np.testing.assert_array_equal(ds.test.y, test_labels[test_labels != 1])


def test_subset_is_drawn_by_the_seed_and_nested(data_dir):
    small, large, other = (load_dataset("tiny", n=n, seed=s, data_dir=data_dir) for n, s in ((8, 1), (20, 1), (8, 2)))
    np.testing.assert_array_equal(small.y, large.y[:8])
    np.testing.assert_allclose(raw_rows(small), raw_rows(large)[:8], rtol=SAMPLES)
    assert row_set(raw_rows(small)) != row_set(raw_rows(other))
    assert len(row_set(raw_rows(large))) == 20
    np.testing.assert_array_equal(large.X, load_dataset("tiny", n=20, seed=1, data_dir=data_dir).X)


def test_test_cap(data_dir):
    sizes = {cap: load_dataset("tiny", n_test=cap, data_dir=data_dir).test for cap in (None, 0, 5, 100)}
    assert sizes[0] is None
    assert [sizes[cap].n for cap in (None, 5, 100)] == [12, 5, 12]
    chosen = load_dataset("tiny", n_test=5, n=8, data_dir=data_dir).test
    np.testing.assert_array_equal(chosen.y, sizes[5].y)  # the test samples do not depend on n
    drawn = [tuple(load_dataset("tiny", n_test=5, seed=seed, data_dir=data_dir).test.y) for seed in range(4)]
    assert len(set(drawn)) > 1


def test_digits_are_split_into_training_samples_and_the_rest():
    ds = load_dataset("digits", n=1000, seed=3)
    assert (ds.n, ds.test.n, ds.p) == (1000, 797, 64)
    both = np.vstack([raw_rows(ds), ds.test.X * ds.scaler.scale + ds.scaler.center])
    everything, labels = load_digits(return_X_y=True)
    order = np.lexsort(np.round(both).T)
    expected = np.lexsort(everything.T)
    np.testing.assert_allclose(both[order], everything[expected], atol=ENTRIES)
    np.testing.assert_array_equal(np.concatenate([ds.y, ds.test.y])[order], labels[expected])


def test_own_file_holds_out_a_fifth_unless_n_is_given(table):
    path, X = table
    ds = load_dataset(path)
    assert (ds.name, ds.n, ds.test.n) == ("own", 20, 5)
    test_rows = row_set(ds.test.X * ds.scaler.scale + ds.scaler.center)
    assert row_set(raw_rows(ds)) | test_rows == row_set(X)
    assert not row_set(raw_rows(ds)) & test_rows
    assert load_dataset(str(path), n=10).test.n == 15
    assert load_dataset(path, n=10, n_test=4).test.n == 4
    assert load_dataset(path, n=25).test is None


def test_own_test_part_is_used(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.random((12, 3)), np.arange(12) % 3
    ds = load_dataset(own_file(tmp_path, x_train=X, y_train=y, x_test=X[:4], y_test=y[:4]), classes=(0, 1))
    assert (ds.n, ds.test.n) == (8, 3)
    np.testing.assert_allclose(raw_rows(ds), X[y < 2], rtol=SAMPLES)
    assert load_dataset(tmp_path / "own.npz", classes=(1, 2), n=6).test.n == 2


def test_test_part_without_the_classes_is_no_test_part(tmp_path):
    X, y = np.random.default_rng(0).random((12, 3)), np.arange(12) % 3
    path = own_file(tmp_path, x_train=X, y_train=y, x_test=X[:1], y_test=y[:1])
    assert load_dataset(path, classes=(1, 2), n=8).test is None


def test_text_labels(tmp_path):
    rows = "".join(f"{i},{i * i},{'cat' if i % 2 else 'dog'}\n" for i in range(1, 11))
    (tmp_path / "pets.csv").write_text("a,b,animal\n" + rows)
    ds = load_dataset(tmp_path / "pets.csv")
    assert ds.classes == ("cat", "dog")
    assert set(ds.y) <= {"cat", "dog"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": (0,)}, r"at least two different classes, got \[0\]; legal: \[0, 1, 2\]"),
        ({"classes": (0, 0)}, "at least two different classes"),
        ({"classes": ()}, "at least two different classes"),
        ({"classes": (0, 7)}, "classes has 7, which tiny does not have"),
        ({"classes": "01"}, "classes must be a sequence of labels"),
        ({"classes": 3}, "classes must be a sequence of labels"),
        ({"n": 31}, "n must be between 2 and the 30 samples that tiny has"),
        ({"n": 21, "classes": (0, 1)}, "n must be between 2 and the 20 samples"),
        ({"n": 1}, "n must be an integer >= 2"),
        ({"n": 4.0}, "n must be an integer >= 2"),
        ({"n_test": -1}, "n_test must be an integer >= 0"),
        ({"scale": "max"}, "scale must be one of 'mean', 'sample', got 'max'"),
        ({"seed": 1.5}, "seed must be a non-negative integer"),
        ({"name": "cifar"}, "unknown data set 'cifar'; legal: digits, mnist, .*or a file that ends in .npz"),
        ({"name": 3}, "unknown data set 3"),
    ],
)
def test_bad_arguments(data_dir, given, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(**({"name": "tiny", "data_dir": data_dir} | given))


def test_subset_of_one_class_is_refused(tmp_path):
    X = np.random.default_rng(0).random((40, 2))
    path = own_file(tmp_path, X=X, y=(np.arange(40) == 0).astype(int))
    with pytest.raises(ValueError, match="the 3 training samples drawn hold one class only"):
        load_dataset(path, n=3)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((6, 2)), [0, 1] * 3, "own: X has 5 samples that are all equal"),
        ([[1.0, 2.0]] * 6, [0] * 6, "own: holds the one class 0"),
        ([[1.0, 2.0]], [0], "own: holds the one class 0"),
        ([[1e200, 1.0], [1.0, 2.0], [2.0, 1.0], [3.0, 3.0]], [0, 1, 0, 1], "own: X has values too large"),
    ],
)
def test_unusable_samples(tmp_path, X, y, message):
    with pytest.raises(DataError, match=message):
        load_dataset(own_file(tmp_path, X=np.array(X), y=np.array(y)))


def test_corrupt_catalogue_file_is_refused(data_dir):
    path = data_dir / "tiny" / tiny.NAMES[3]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=f"{tiny.NAMES[3]} is not the file of tiny"):
        load_dataset("tiny", data_dir=data_dir)


def test_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", lambda *args, **kwargs: pytest.fail("a download was tried"))
    with pytest.raises(DataError, match="notsodeep data fetch mnist"):
        load_dataset("mnist", data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
