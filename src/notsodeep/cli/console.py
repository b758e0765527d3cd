"""What the verbs share: tables on the terminal and in a pipe, and a line that tells how far the work is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from notsodeep.experiments.reproduction.runner import Progress as UnitProgress
    from notsodeep.report import Table

_WIDTH = 100  # of a line of prose at most


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as the terminal, or, in a pipe, as wide as its content."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=None if sys.stdout and sys.stdout.isatty() else 1000, highlight=False).print(table)


def print_report(headline: str, tables: Sequence[Table], paths: Mapping[str, Path], last: str) -> None:
    """Print what was found, the tables, then the files by name, ``last`` at the end."""
    width = min(_WIDTH, get_terminal_size((_WIDTH, 24)).columns)
    typer.secho(fill(headline, width) + "\n", bold=True)
    for table in tables:
        typer.secho(table.title, bold=True)
        if table.rows:
            print_table(table.header, [(label, *cells) for label, cells in table.rows])
        for note in table.notes:
            typer.echo(fill(note, width))
        typer.echo("")
    for name in sorted(paths, key=lambda name: name == last):
        typer.echo(f"{name:<18} {paths[name]}")


@contextmanager
def stage_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that is told each stage before it starts: a bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=-1)

        def show(stage: str) -> None:
            bar.update(task, description=stage, advance=1)

        yield show


@contextmanager
def step_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that is told what is done, how many steps of how many: a bar with the time left on a terminal.

    In a pipe nothing is shown.
    """
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        last = 0

        def show(what: str, done: int, total: int) -> None:
            nonlocal last
            if done < last:  # something else has begun: its steps take another time
                bar.reset(task)
            last = done
            bar.update(task, description=what, completed=done, total=total)

        yield show


@contextmanager
def unit_bar() -> Iterator[Callable[[UnitProgress], None]]:
    """Yield a function that is told how many units of how many are done, and the seconds left: a bar on a terminal.

    In a pipe nothing is shown.
    """
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("units, {task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("time left unknown", total=None)

        def show(progress: UnitProgress) -> None:
            words = "time left unknown" if progress.left is None else f"about {time_left(progress.left)} left"
            bar.update(task, description=words, completed=progress.done, total=progress.total)

        yield show


def time_left(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> time_left(7300.0), time_left(130.0), time_left(12.3)
    ('2 h 2 min', '2 min', '12 s')
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
