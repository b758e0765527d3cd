"""What a table was computed with: versions of the libraries, and the machine."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from notsodeep._version import __version__

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "numba")


@cache
def environment() -> dict[str, Any]:
    """Return the versions of what computes, and the kind of machine."""
    return {
        "versions": {"notsodeep": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": os.cpu_count() or 1,
        },
    }


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
