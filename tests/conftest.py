"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

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
