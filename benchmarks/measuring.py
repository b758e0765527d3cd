"""Times of calls in one run, peaks of memory in fresh processes, and the state of the machine, for the benchmarks."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import torch

from notsodeep.experiments.reproduction.measuring import interleaved, median_ratio, peak, seconds

__all__ = ["header", "interleaved", "machine", "median_ratio", "peak", "peak_of", "row", "seconds"]


def machine(device="cpu"):
    """Return a line that says what a table was measured on."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    where = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else model or platform.machine()
    return f"{where}; {torch.get_num_threads()} threads; torch {torch.__version__}"


def peak_of(script, **options):
    """Return the MiB of memory that ``script probe OPTIONS`` needs in a fresh process beyond what it starts with."""
    command = [sys.executable, script, "probe", "--options", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _lines(path):
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def header(*columns):
    """Print the head of a markdown table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells):
    """Print a row of a markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
