"""``notsodeep reproduce``: the experiments of the paper, each from its configuration to table, figure and page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from notsodeep.cli.console import print_report, print_table, unit_bar
from notsodeep.cli.options import DataDir, Json

OUT, QUICK_OUT = Path("notsodeep-reproduce"), Path("notsodeep-reproduce-quick")
LIST, ALL = "list", "all"


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("reproduce")(reproduce)


def reproduce(
    name: Annotated[str, typer.Argument(help="list, all, or the name of one experiment.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes, on data that come with the library: seconds, not hours.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option(help="Independent draws; the configuration of each experiment has a number.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder for the results; {OUT}, or {QUICK_OUT}, if not given.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes of one thread each; all cores if not given.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Reproduce experiments of arXiv:2402.02697 and what its reviewers asked for.

    Each experiment writes a folder: table.csv, table.json (configuration, seeds, versions, machine), pictures drawn
    from the table, and page.html, with published numbers beside ours. What is done is kept: the same command goes on
    with a run that was interrupted, and computes nothing twice.

    Example: notsodeep reproduce error-vs-p --quick
    """
    from notsodeep.experiments.reproduction.catalogue import NAMES, study
    from notsodeep.experiments.reproduction.machine import cores
    from notsodeep.experiments.reproduction.runner import Task
    from notsodeep.experiments.reproduction.runner import reproduce as run
    from notsodeep.report import check_folder
    from notsodeep.report.document import json_text
    from notsodeep.report.reproduction.listing import listing, listing_document
    from notsodeep.report.reproduction.writing import FILES, PAGE, Account, account_document, write_account

    if name == LIST:
        if as_json:
            typer.echo(json_text({"experiments": listing_document()}), nl=False)
        else:
            print_table(*listing())
        return
    if name != ALL and name not in NAMES:
        raise ValueError(f"name must be {LIST}, {ALL} or one of {', '.join(NAMES)}, got {name!r}")
    folder = (QUICK_OUT if quick else OUT) if out is None else out.expanduser()
    tasks = [
        Task(found, found.config(quick, seeds), folder / found.name)
        for found in map(study, NAMES if name == ALL else (name,))
    ]
    for task in tasks:
        check_folder(task.folder, FILES)
    accounts: list[Account] = []

    def tell() -> None:
        accounts.sort(key=lambda account: NAMES.index(account.name))
        if as_json:
            typer.echo(json_text({"experiments": [account_document(each) for each in accounts]}), nl=False)
            return
        for each in accounts:
            print_report(f"{each.title}. " + " ".join(each.findings), each.tables, each.paths, last=PAGE)

    try:
        with unit_bar() as progress:
            for task, _ in run(tasks, jobs=cores() if jobs is None else jobs, data_dir=data_dir, progress=progress):
                accounts.append(write_account(task.study.name, task.folder))
    except BaseException:
        if accounts:  # they are complete, whatever became of the others
            tell()
        raise
    tell()
