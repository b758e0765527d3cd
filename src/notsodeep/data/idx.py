"""The idx format of MNIST: a big-endian header (type, number of axes, sizes), then the values."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.errors import DataError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx_gz(origin: object, content: bytes) -> NDArray[Any]:
    """Return the array of a gzip-compressed idx file.

    Parameters
    ----------
    origin : path or str
        What messages call the file.
    content : bytes
        The compressed file.

    Raises
    ------
    DataError
        When the compression or the idx structure is damaged, or the values are more or fewer than declared.
    """
    try:
        data = gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{origin}: damaged gzip file ({error})") from error
    return read_idx(origin, data)


def read_idx(origin: object, data: bytes) -> NDArray[Any]:
    """Return the array of an uncompressed idx file; errors as in :func:`read_idx_gz`.

    Examples
    --------
    >>> read_idx("labels", bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 1, 9])).tolist()
    [7, 1, 9]
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise DataError(f"{origin}: not an idx file (it starts with {data[:4].hex(' ') or 'nothing'})")
    dtype, n_axes = np.dtype(_TYPES[data[2]]), data[3]
    start = 4 + 4 * n_axes
    if n_axes == 0 or len(data) < start:
        raise DataError(f"{origin}: idx header cut short or without axes")
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise DataError(
            f"{origin}: idx values of shape {shape} take {expected} bytes, the file has {len(data) - start}"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
