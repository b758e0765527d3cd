"""A progress bar for long runs: on a terminal, and only once a run has proved long."""

from __future__ import annotations

import sys
import time
from typing import Any

_LONG = 3.0  # seconds after which a run is long


class Progress:
    """Counts steps; on a terminal, a bar with the time left appears on standard error after a few seconds."""

    def __init__(self, total: int, what: str = "kernel tiles") -> None:
        self._total, self._what = total, what
        self._begun, self._done, self._bar = time.monotonic(), 0, None

    def __enter__(self) -> Progress:
        return self

    def advance(self) -> None:
        """Count one more step."""
        self._done += 1
        if self._bar is None and time.monotonic() - self._begun > _LONG and sys.stderr.isatty():
            self._bar = _start(self._what, self._total)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def __exit__(self, *exception: Any) -> None:
        if self._bar is not None:
            self._bar.stop()


def _start(what: str, total: int) -> Any:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=total)
    bar.start()
    return bar
