"""The limit on the threads of products ends with the last call that needs it, in whatever order calls end."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import notsodeep as nsd
from notsodeep.kernels import tiling
from notsodeep.kernels.blas import one_thread


def threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_overlapping_calls_restore_what_was():
    before = threads()
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    assert threads() == {1}
    first.__exit__(None, None, None)
    assert threads() == {1}
    second.__exit__(None, None, None)
    assert threads() == before != {1}


def test_it_ends_with_an_error_and_between_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "COMPILED_FROM", 0)
    before = threads()
    for _ in nsd.kernels.tiles(nsd.DEQ("relu"), np.eye(9), size=2):
        assert threads() == before
    with pytest.raises(RuntimeError, match="stop"), one_thread():
        raise RuntimeError("stop")
    assert threads() == before
