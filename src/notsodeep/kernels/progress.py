"""A progress bar for long runs: on a terminal, and only once a run has proved long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

_LONG = 3.0  # seconds after which a run is long

Item = TypeVar("Item")


def shown(items: Sequence[Item], what: str = "kernel tiles") -> Iterator[Item]:
    """Yield the items; on a terminal, a bar with the time left appears on standard error after a few seconds."""
    begun, bar = time.monotonic(), None
    try:
        for count, item in enumerate(items):
            if bar is None and time.monotonic() - begun > _LONG and sys.stderr.isatty():
                bar = _start(what, len(items))
            if bar is not None:
                bar.update(bar.task_ids[0], completed=count)
            yield item
    finally:
        if bar is not None:
            bar.stop()


def _start(what: str, total: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=total)
    bar.start()
    return bar
