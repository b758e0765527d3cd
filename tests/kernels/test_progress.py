"""A bar on a terminal when a run proves long; nothing otherwise."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.kernels import progress
from notsodeep.kernels.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "long", "shown"), [(Terminal, 0.0, True), (Terminal, 1e9, False), (io.StringIO, 0.0, False)]
)
def test_bar(stream, long, shown, monkeypatch):
    monkeypatch.setattr(progress, "_LONG", long)
    out = stream()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(3) as bar:
        for _ in range(3):
            bar.advance()
    assert ("kernel tiles" in out.getvalue()) == shown


def test_kernels_show_one(monkeypatch):
    monkeypatch.setattr(progress, "_LONG", 0.0)
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    nsd.ck(nsd.DEQ("relu"), np.eye(3))
    assert "1/1" in out.getvalue()
