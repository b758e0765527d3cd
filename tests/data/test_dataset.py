import numpy as np
import pytest

from notsodeep.data import Dataset

X = np.array([[3.0, 4.0], [0.0, 1.0], [2.0, 0.0]])


def test_unpacks_and_describes_itself():
    ds = Dataset(X, ["b", "a", "b"], name="letters", test=Dataset(X[:1], ["a"]))
    samples, labels = ds
    np.testing.assert_array_equal(samples, X)
    assert labels.tolist() == ["b", "a", "b"]
    assert (ds.n, ds.p, ds.classes) == (3, 2, ("a", "b"))
    assert repr(ds) == "Dataset('letters', n=3, p=2, classes=('a', 'b'), test=1)"
    assert ds.mean_squared_norm == pytest.approx((25 + 1 + 4) / 3)


def test_samples_become_float64():
    assert Dataset(X.astype(np.float16), [0, 1, 0]).X.dtype == np.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1]}, "y must have shape"),
        ({"y": [0.5, 1, 1]}, "class labels"),
        ({"X": X[0]}, "X must have shape"),
        ({"X": np.full((3, 2), np.inf)}, "NaN or infinite"),
        ({"classes": (0, 2)}, "label 1, which is not among the classes"),
    ],
)
def test_bad_fields(change, message):
    with pytest.raises(ValueError, match=message):
        Dataset(**({"X": X, "y": [0, 1, 0]} | change))
