import gzip
import struct

import numpy as np
import pytest

from notsodeep.data.idx import read_idx, read_idx_gz
from notsodeep.errors import DataError
from tests.data import tiny

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
GOOD = tiny.idx_bytes(IMAGES)
PACKED = gzip.compress(GOOD, mtime=0)


def test_bytes_are_read_back():
    np.testing.assert_array_equal(read_idx_gz("f", gzip.compress(GOOD)), IMAGES)


@pytest.mark.parametrize(
    ("code", "fmt", "values"),
    [
        (0x09, "b", (-1, 2)),
        (0x0B, "h", (-300, 2)),
        (0x0C, "i", (-70000, 2)),
        (0x0D, "f", (0.5, 2)),
        (0x0E, "d", (0.1, 2)),
    ],
)
def test_other_types_are_big_endian(code, fmt, values):
    data = bytes([0, 0, code, 1]) + struct.pack(">i", 2) + struct.pack(f">2{fmt}", *values)
    found = read_idx("f", data)
    assert found.tolist() == list(values)
    assert found.dtype.isnative


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an idx file .it starts with nothing"),
        (b"PK\x03\x04rest", "not an idx file .it starts with 50 4b 03 04"),
        (bytes([0, 0, 7, 1]) + b"\0\0\0\1x", "not an idx file"),
        (GOOD[:9], "header cut short"),
        (bytes([0, 0, 8, 0]), "without axes"),
        (GOOD[:-1], r"shape \[2, 3, 4\] take 24 bytes, the file has 23"),
        (GOOD + b"x", "the file has 25"),
    ],
)
def test_damaged_structure(data, message):
    with pytest.raises(DataError, match=f"some.gz: .*{message}"):
        read_idx("some.gz", data)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", b"", PACKED[:-9], PACKED[:12], PACKED[:-8] + b"\0" * 8],
    ids=["no gzip", "empty", "truncated", "header", "checksum"],
)
def test_damaged_compression(content):
    with pytest.raises(DataError, match=r"some\.gz: (damaged gzip|not an idx)"):
        read_idx_gz("some.gz", content)
