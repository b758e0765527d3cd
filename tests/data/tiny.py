"""A catalogue entry of a few kilobytes, with its own files and checksums."""

import gzip
import hashlib
from pathlib import Path

import numpy as np

from notsodeep.data.catalogue import Entry, File

NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
N, N_TEST = 30, 12


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    images = rng.integers(1, 256, size=(N + N_TEST, 3, 2), dtype=np.uint8)
    labels = (np.arange(N + N_TEST) % 3).astype(np.uint8)
    return images[:N], labels[:N], images[N:], labels[N:]


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def make(folder: Path, url: str | None = None) -> Entry:
    """Write the four files into ``folder`` and return their entry, called ``tiny``."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, array in zip(NAMES, arrays(), strict=True):
        content = gzip.compress(idx_bytes(array), mtime=0)
        (folder / name).write_bytes(content)
        files.append(File(name, hashlib.sha256(content).hexdigest()))
    return Entry("tiny", "idx", N, N_TEST, 6, (0, 1, 2), "made by the tests", "none", tuple(files), url)
