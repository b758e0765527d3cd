"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# What a test sees must not depend on the terminal of whoever runs it: these are read by rich and typer.
for name in (
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "NO_COLOR",
    "PY_COLORS",
    "TERMINAL_WIDTH",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "_TYPER_FORCE_DISABLE_TERMINAL",
):
    os.environ.pop(name, None)
os.environ |= {"COLUMNS": "80", "TERM": "xterm"}
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as make test has it; before torch is loaded

# The same examples in every run, however slow the machine.
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

pytest.register_assert_rewrite("tests.activations.conformance")


@pytest.fixture
def data_dir() -> Path:
    """Folder of local copies of the public data sets, from the environment variable NOTSODEEP_DATA."""
    given = os.environ.get("NOTSODEEP_DATA")
    if not given:
        pytest.skip("real data: set NOTSODEEP_DATA to the folder that holds them")
    folder = Path(given)
    if not folder.is_dir():
        pytest.fail(f"NOTSODEEP_DATA is {given!r}, which is not a folder")
    return folder
