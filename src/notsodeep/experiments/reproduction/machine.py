"""What a table was computed with: versions of the libraries, and the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from notsodeep._version import __version__

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "numba")


def versions() -> dict[str, str]:
    """Return the versions of this library, of Python and of what computes."""
    return {"notsodeep": __version__, "python": platform.python_version()} | {
        each: version(each) for each in _LIBRARIES
    }


def machine() -> dict[str, str | int]:
    """Return the kind of machine: its system, processor and number of cores."""
    return {"system": f"{platform.system()} {platform.machine()}", "processor": _processor(), "cores": cores()}


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
