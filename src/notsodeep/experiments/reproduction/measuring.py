"""Times of calls in one run, and peaks of resident memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

_MARK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def seconds(call: Callable[[], Any], device: str = "cpu") -> float:
    """Return how long one call takes."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int, device: str = "cpu") -> dict[str, list[float]]:
    """Return the times of each call, in rounds where each comes once, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            passed = seconds(call, device)
            if number:
                times[name].append(passed)
    return times


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the ratios of times of the same round.

    Examples
    --------
    >>> median_ratio([2.0, 3.0, 9.0], [1.0, 1.0, 2.0])
    3.0
    """
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def peak(call: Callable[[], Any]) -> float | None:
    """Return the MiB by which resident memory rises at most during a call; None where the system does not tell.

    Memory that was freed before and is taken again does not count: call it in a fresh process. Linux tells.
    """
    try:
        _MARK.write_text("5")  # the high-water mark starts anew
    except OSError:
        return None
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    return next(int(line.split()[1]) for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
