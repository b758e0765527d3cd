import io
import zipfile

import numpy as np
import pytest

from notsodeep.data.tables import read_table
from notsodeep.errors import DataError

X = np.array([[1.0, 2.0], [3.0, 4.5], [-1.0, 0.5], [2.0, 2.0]])
Y = np.array([0, 1, 0, 1])


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def csv(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("keys", [("X", "y"), ("x_train", "y_train"), ("X_train", "y_train"), ("x", "Y")])
def test_npz_keys(tmp_path, keys):
    parts = read_table(npz(tmp_path / "a.npz", **dict(zip(keys, (X, Y), strict=True)), unrelated=np.zeros(3)))
    np.testing.assert_array_equal(parts.X, X)
    np.testing.assert_array_equal(parts.y, Y)
    assert parts.X_test is None


def test_npz_with_test_part_and_images(tmp_path):
    images = np.arange(1, 25).reshape(4, 3, 2)
    parts = read_table(npz(tmp_path / "a.npz", x_train=images, y_train=Y, X_test=images[:1] + 1, y_test=Y[:1]))
    np.testing.assert_array_equal(parts.X, images.reshape(4, 6))
    np.testing.assert_array_equal(parts.X_test, images[:1].reshape(1, 6) + 1)
    assert parts.y_test.tolist() == [0]


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.column_stack([X, Y]))
    parts = read_table(tmp_path / "a.npy")
    np.testing.assert_array_equal(parts.X, X)
    assert parts.y.dtype.kind == "i"
    assert parts.y.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("1,2,0\n3,4.5,1\n-1,.5,0\n2,2,1\n", [0, 1, 0, 1]),
        ("a,b,label\n1,2,0\n3,4.5,1\n-1,.5,0\n2,2,1\n", [0, 1, 0, 1]),
        ("0,1,label\n1,2,0\n3,4.5,1\n-1,.5,0\n2,2,1\n", [0, 1, 0, 1]),
        ("\ufeffa,b,c\r\n\r\n1, 2, 0.0\r\n3,4.5,1\r\n-1,.5,0\r\n2,2,1", [0, 1, 0, 1]),
        ('1,2,cat\n3,4.5,"dog, big"\n-1,.5,cat\n2,2,7\n', ["cat", "dog, big", "cat", "7"]),
        ("x,y,animal\n1,2,cat\n3,4.5,dog\n-1,.5,cat\n2,2,dog\n", ["cat", "dog", "cat", "dog"]),
    ],
)
def test_csv(tmp_path, text, labels):
    parts = read_table(csv(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(parts.X, X)
    assert parts.y.tolist() == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no samples"),
        ("a,b,label\n", "holds no samples"),
        ("1\n2\n", "line 1 has one column"),
        ("1,2,0\n1,2,3,0\n", "line 2 has 4 columns, the first has 3"),
        ("a,b,c\n1,2,0\n\n1,oops,0\n", "line 4, column 2 is 'oops', not a number"),
        ("1,2,0\n1,,0\n", "line 2, column 2 is '', not a number"),
        ("1,2,0\n1,nan,1\n", "NaN or infinite values in 1 rows .the first is 1"),
        ("1,2,0\n0,0,1\n", "all zero in 1 rows .the first is 1"),
        ("1,2,0\n1,2,\n", "sample 1 has no label"),
        ("1,2,0\n1,2,0.5\n", "fractional"),
        ('1,2,"0\n', "not a csv file"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"bad\.csv: .*{message}"):
        read_table(csv(tmp_path / "bad.csv", text))


def test_csv_in_another_encoding(tmp_path):
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(csv(tmp_path / "a.csv", "1,2,\u00e9t\u00e9\n", encoding="latin-1"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": X}, "it holds data"),
        ({"X": X, "y": Y, "x_train": X, "y_train": Y}, "must hold either"),
        ({"X": X, "y": Y, "X_test": X}, "holds X_test without the other"),
        ({"X": X, "x": X, "y": Y}, "holds X, x, y: names that differ in their case alone"),
        ({"X": X, "y": Y[:3]}, r"labels must have shape \(4,\)"),
        ({"X": X, "y": Y + 0.5}, "fractional"),
        ({"X": X * np.array([1.0, np.nan]), "y": Y}, "NaN or infinite values in 4 rows"),
        ({"X": X[:, 0], "y": Y}, r"real numbers of shape \(n, p\), got float64 \(4,\)"),
        ({"X": X.astype(complex), "y": Y}, "real numbers"),
        ({"X": X[:0], "y": Y[:0]}, "there are none"),
        ({"X": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, "test samples have 1 features, training samples 2"),
        ({"X": X, "y": Y, "x_test": X, "y_test": Y + 1}, "test labels have 2, which no training sample has"),
        ({"X": X, "y": Y, "x_test": X, "y_test": Y[:2]}, r"test labels must have shape"),
        ({"X": X, "y": np.array([{}, 1, 2, 3], dtype=object)}, "array 'y' is damaged or holds Python objects"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    with pytest.raises(DataError, match=rf"bad\.npz: .*{message}"):
        read_table(npz(tmp_path / "bad.npz", **arrays))


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[print, 1]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="damaged file or not a NumPy file"):
        read_table(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("table", "message"),
    [(X[:, 0], r"got float64 \(4,\)"), (X[:, :1], r"\(4, 1\)"), (np.array([["a", "b"]]), "table of numbers")],
)
def test_bad_npy(tmp_path, table, message):
    np.save(tmp_path / "a.npy", table)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "a.npy")


def saved(writer, *args, **kwargs) -> bytes:
    stream = io.BytesIO()
    writer(stream, *args, **kwargs)
    return stream.getvalue()


NPY = saved(np.save, np.column_stack([X, Y]))
NPZ = saved(np.savez_compressed, X=np.tile(X, (100, 1)), y=np.tile(Y, 100))


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def huge_header() -> bytes:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000, 3), }"
    return b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + b"\0" * 80


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.npy", NPY[:-8]),
        ("head.npy", NPY[:20]),
        ("empty.npy", b""),
        ("text.npy", b"1,2,3\n"),
        ("huge.npy", huge_header()),
        ("zip.npy", NPZ),
        ("cut.npz", NPZ[: len(NPZ) // 2]),
        ("flipped.npz", flipped(NPZ, 200)),
        ("empty.npz", b""),
        ("npy.npz", NPY),
        ("text.npz", b"hello"),
    ],
)
def test_damaged_numpy_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_table(tmp_path / name)


def test_zip_without_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w"):
        pass
    with pytest.raises(DataError, match="it holds nothing"):
        read_table(tmp_path / "a.npz")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")
