"""``notsodeep data``: list, fetch and verify the data sets known by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notsodeep.cli.console import print_table
from notsodeep.cli.options import DataDir, Json

if TYPE_CHECKING:
    from notsodeep.data import Entry, FileRecord
    from notsodeep.data.fetching import Progress

group = typer.Typer(no_args_is_help=True, help="List, fetch and verify data sets.")


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.add_typer(group, name="data")


@group.command("list")
def list_(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the data sets known by name, and where their files are.

    Example: notsodeep data list --data-dir ~/data
    """
    from notsodeep.data import entries

    rows = [_row(entry, data_dir) for entry in entries()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    head = ("name", "n", "n test", "p", "classes", "found", "licence")
    keys = ("name", "n", "n_test", "p", "classes", "found", "licence")
    print_table(head, [[_cell(row[key]) for key in keys] for row in rows])


@group.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Data set; see `notsodeep data list`.")],
    data_dir: DataDir = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Copy from this local folder instead of downloading.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a data set, or copy it from a local folder; files are checked by SHA-256, good ones are kept.

    Example: notsodeep data fetch mnist --data-dir ~/data
    """
    from notsodeep.data import fetch as run

    with _progress_bar() as progress:
        records = run(name, data_dir, source, progress)
    _report({name: records}, as_json)


@group.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Data set; all that are there when not given.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check files by SHA-256. Exit code 1 when one is corrupt or missing; 2 when the name is unknown.

    Without NAME, a data set of which no file is there is listed as missing and is no failure.

    Example: notsodeep data verify mnist --json
    """
    from notsodeep.data import entries
    from notsodeep.data import verify as run

    names = [entry.name for entry in entries()] if name is None else [name]
    checked = {each: run(each, data_dir) for each in names}
    _report(checked, as_json)
    if any(_failed(records, named=name is not None) for records in checked.values()):
        raise typer.Exit(1)


def _failed(records: Sequence[FileRecord], *, named: bool) -> bool:
    states = {record.status for record in records}
    return states not in (set(), {"ok"}) and (named or states != {"missing"})


def _row(entry: Entry, data_dir: Path | None) -> dict[str, Any]:
    from notsodeep.data.storage import data_folder, locate

    row = {key: getattr(entry, key) for key in ("name", "n", "n_test", "p", "licence", "origin", "url")}
    if not entry.files:
        return row | {"classes": len(entry.classes), "found": "in scikit-learn"}
    paths = [locate(entry, file, data_folder(data_dir)) for file in entry.files]
    first = paths[0]
    complete = first is not None and None not in paths
    return row | {"classes": len(entry.classes), "found": str(first.parent) if complete and first else None}


def _report(checked: Mapping[str, Sequence[FileRecord]], as_json: bool) -> None:
    rows = [{"name": name} | asdict(record) for name, records in checked.items() for record in records]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=str))
        return
    if rows:
        print_table(
            ("name", "status", "path"), [[_cell(row[key]) for key in ("name", "status", "path")] for row in rows]
        )
    for name, records in checked.items():
        if not records:
            typer.echo(f"{name} comes with scikit-learn: it has no files of its own")


def _cell(value: object) -> str:
    return "missing" if value is None else str(value)


@contextmanager
def _progress_bar() -> Iterator[Progress | None]:
    """Yield what draws a progress bar on a terminal, ``None`` in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file)
            bar.update(tasks[file], completed=done, total=total)

        yield show
