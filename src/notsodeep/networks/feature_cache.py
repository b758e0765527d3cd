"""Features of many samples, computed once: in memory, or in a file that an interrupted run goes on with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from notsodeep.checks import integer
from notsodeep.errors import ConvergenceError, DataError
from notsodeep.files import StrPath, discard_partials, replacing
from notsodeep.networks.base import FiniteNetwork, as_batch
from notsodeep.networks.fingerprint import fingerprint
from notsodeep.networks.storage import describe

FORMAT_VERSION = 1
_SECONDS = 1.0  # between two records of how far the work is, at least
_NOTHING: Callable[[int, int], None] = lambda done, total: None  # noqa: E731


def cached_features(
    net: FiniteNetwork,
    X: Any,
    path: StrPath | None = None,
    *,
    batch_size: int = 1024,
    progress: Callable[[int, int], None] = _NOTHING,
) -> torch.Tensor:
    """Return ``net.features(X)``, of shape ``(n, width)`` and without gradient, computed in batches.

    Parameters
    ----------
    net : DEQNetwork, ExplicitNetwork or ParallelNetwork
        The network.
    X : torch.Tensor or array_like
        Samples ``(n, in_features)``.
    path : str or path-like, optional
        NumPy file (``.npy``) for the features; beside it, a ``.json`` file tells what they belong to and how many rows
        are done. A run that was interrupted, killed even, goes on where it was; features that are all there are not
        computed again. Without a path they are in memory.
    batch_size : int
        Samples that go through the network at once.
    progress : callable, optional
        Called with the number of samples done and of all samples after each batch.

    Returns
    -------
    torch.Tensor
        On the device of the network; with a path, on the CPU, read from the file as it is used: changes to it do not
        reach the file.

    Raises
    ------
    ValueError
        When an argument is illegal, the folder of ``path`` does not exist, or, with a path, an activation of the
        network was made from a callable (nothing tells whether a file belongs to it).
    DataError
        When there is a file already, damaged or with features of other weights, options or samples. The readout
        may be another one.
    ConvergenceError
        When a sample does not reach its equilibrium, or features overflow.

    Examples
    --------
    >>> import tempfile, torch
    >>> from notsodeep.networks import DEQNetwork, cached_features
    >>> from notsodeep.spec import DEQ
    >>> net = DEQNetwork(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), in_features=3, width=64)
    >>> X = torch.eye(3, dtype=torch.float64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Z = cached_features(net, X, f"{folder}/features.npy")
    >>> torch.equal(Z, net.features(X))
    True
    """
    if not isinstance(net, FiniteNetwork):
        raise ValueError(f"net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got {type(net).__name__}")
    integer("batch_size", batch_size, low=1)
    batch = as_batch(X, net.in_features, next(net.parameters()))
    if path is None:
        rows = batch.new_empty(len(batch), net.width)
        _fill(net, batch, rows, 0, batch_size, lambda done: progress(done, len(batch)))
        return rows
    file = _File(Path(path), (len(batch), net.width), batch.dtype, _identity(net, batch))
    done = file.open()
    if done < len(batch):
        _compute(net, batch, file, done, batch_size, progress)
    return torch.from_numpy(file.table("c"))


def _compute(
    net: FiniteNetwork, batch: torch.Tensor, file: _File, done: int, size: int, progress: Callable[[int, int], None]
) -> None:
    """Compute the rows from ``done`` on; how far it came is recorded about once a second, and when it ends."""
    table, recorded = file.table("r+"), time.monotonic()

    def record() -> None:
        table.flush()
        file.record(done)

    def after(rows: int) -> None:
        nonlocal done, recorded
        done = rows
        if time.monotonic() - recorded > _SECONDS:
            record()
            recorded = time.monotonic()
        progress(done, len(batch))

    try:
        _fill(net, batch, torch.from_numpy(table), done, size, after)
    finally:
        record()


@torch.no_grad()
def _fill(
    net: FiniteNetwork, batch: torch.Tensor, rows: torch.Tensor, start: int, size: int, after: Callable[[int], None]
) -> None:
    for first in range(start, len(batch), size):
        last = min(first + size, len(batch))
        features = net.features(batch[first:last])
        if not torch.isfinite(features).all():
            raise ConvergenceError(f"features of samples {first} to {last - 1} overflow; scale the samples down")
        rows[first:last] = features
        after(last)


def _identity(net: FiniteNetwork, batch: torch.Tensor) -> str:
    described = describe(net)
    del described["out_features"]
    hidden = {name: weight for name, weight in net.state_dict().items() if not name.startswith("readout.")}
    return fingerprint(described, hidden | {"samples": batch})


class _File:
    """A table of features on disk, and beside it the record of what it is and how many rows are done."""

    def __init__(self, path: Path, shape: tuple[int, int], dtype: torch.dtype, identity: str) -> None:
        if not path.parent.is_dir():
            raise ValueError(f"path must lie in an existing folder, got {path}")
        self._path, self._record = path, path.with_name(path.name + ".json")
        self._shape, self._dtype = shape, np.dtype(str(dtype).removeprefix("torch."))
        self._identity = identity

    def open(self) -> int:
        """Return how many rows are done; where there is no file yet, make one."""
        discard_partials(self._path)  # those of the record too, whose name begins with it
        if not self._path.exists():
            if self._record.exists():
                self._rows_done()
            self.record(0)
            with replacing(self._path) as partial:
                np.lib.format.open_memmap(partial, "w+", self._dtype, self._shape)
            return 0
        if not self._record.exists():
            raise DataError(f"{self._path} exists, but {self._record.name} does not: {_REMEDY}")
        done = self._rows_done()
        self.table("r")
        return done

    def record(self, done: int) -> None:
        """Write down that so many rows are done."""
        written = {"version": FORMAT_VERSION, "sha256": self._identity, "done": done}
        with replacing(self._record) as partial:
            partial.write_text(json.dumps(written) + "\n", encoding="utf-8")

    def table(self, mode: Literal["r", "r+", "c"]) -> np.memmap[Any, Any]:
        """Return the table: ``"r"`` to read it, ``"r+"`` to write to it, ``"c"`` with changes that stay in memory."""
        try:
            table = np.load(self._path, mmap_mode=mode, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{self._path} cannot be read ({error}): {_REMEDY}") from error
        if table.shape != self._shape or table.dtype != self._dtype:
            raise DataError(f"{self._path} is a table of another shape or precision: {_REMEDY}")
        return table

    def _rows_done(self) -> int:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            if (record["version"], record["sha256"]) == (FORMAT_VERSION, self._identity):
                return integer("done", record["done"], low=0, high=self._shape[0])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise DataError(f"{self._record} cannot be read ({type(error).__name__}: {error}): {_REMEDY}") from error
        raise DataError(f"{self._path} has features of other weights, options or samples: {_REMEDY}")


_REMEDY = "delete both files, or choose another path"
