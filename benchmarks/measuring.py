"""Times of calls in one run, peaks of memory in fresh processes, and the state of the machine, for the benchmarks."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch


def machine(device="cpu"):
    """Return a line that says what a table was measured on."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    where = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else model or platform.machine()
    return f"{where}; {torch.get_num_threads()} threads; torch {torch.__version__}"


def seconds(call, device="cpu"):
    """Return how long one call takes."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(calls, rounds, device="cpu"):
    """Return the times of each call, in rounds where each comes once, after one round that does not count."""
    times = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            passed = seconds(call, device)
            if number:
                times[name].append(passed)
    return times


def median_ratio(over, under):
    """Return the median of the ratios of times of the same round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def peak_of(script, **options):
    """Return the MiB of memory that ``script probe OPTIONS`` needs in a fresh process beyond what it starts with."""
    command = [sys.executable, script, "probe", "--options", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def peak(call):
    """Return the MiB by which resident memory rises at most during a call (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name):
    return next(int(line.split()[1]) for line in _lines("/proc/self/status") if line.startswith(f"{name}:"))


def _lines(path):
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def header(*columns):
    """Print the head of a markdown table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells):
    """Print a row of a markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
