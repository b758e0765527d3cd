"""Pictures and page of a study, from the table in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from notsodeep.experiments.reproduction.catalogue import module_name
from notsodeep.experiments.reproduction.catalogue import study as study_of
from notsodeep.experiments.reproduction.store import RECORD, TABLE, read_table
from notsodeep.files import StrPath
from notsodeep.report.figures import png
from notsodeep.report.files import write_files
from notsodeep.report.page import inlined, render
from notsodeep.report.reproduction.presentation import Presentation
from notsodeep.report.table import Table

PAGE = "page.html"
FILES = (TABLE, RECORD, PAGE)
"""What every study has in its folder, beside its pictures"""


@dataclass(frozen=True)
class Account:
    """What a study has found, in words, tables and pictures, and the files that have it."""

    name: str
    title: str
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    paths: Mapping[str, Path]


def write_account(name: str, folder: StrPath) -> Account:
    """Draw the pictures and write the page of a study from the table in ``folder``, beside it.

    Raises
    ------
    ValueError
        When there is no study of this name.
    OSError
        When a file cannot be read or written.
    """
    study, folder, rows = study_of(name), Path(folder), read_table(folder)
    shown = presentation(name)
    findings, tables = tuple(shown.findings(rows)), tuple(shown.tables(rows))
    pictures = {picture: png(figure) for picture, figure in shown.figures(rows).items()}
    page = render(
        "study.html",
        headline=study.title,
        question=study.question,
        findings=findings,
        pictures={picture: inlined(content) for picture, content in pictures.items()},
        tables=tables,
        settings=_settings(name, json.loads((folder / RECORD).read_text(encoding="utf-8"))),
    )
    contents = {f"{picture}.png": content for picture, content in pictures.items()} | {PAGE: page.encode()}
    paths = write_files(folder, contents) | {each: folder / each for each in (TABLE, RECORD)}
    return Account(name, study.title, findings, tables, paths)


def presentation(name: str) -> Presentation:
    """Return how the rows of a study are shown."""
    found: Presentation = import_module(f"{__package__}.{module_name(name)}").PRESENTATION
    return found


def account_document(account: Account) -> dict[str, Any]:
    """Return an account as JSON data."""
    return {
        "name": account.name,
        "title": account.title,
        "findings": list(account.findings),
        "tables": [asdict(table) for table in account.tables],
        "files": {name: str(path) for name, path in account.paths.items()},
    }


def markdown(tables: Sequence[Table]) -> str:
    """Return tables as Markdown has them."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [table.header, tuple("---" for _ in table.header), *((label, *cells) for label, cells in table.rows)]
    grid = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"**{table.title}**\n\n{grid}\n{notes}"


def _settings(name: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Return what the page says about how it was made, by name."""
    machines = [each["machine"] for each in record["environments"]]
    versions = [each["versions"] for each in record["environments"]]
    config = {key: value for key, value in record["config"].items() if key not in ("seeds", "datasets")}
    return {
        "Command": _command(name, record["config"]),
        "Data": ", ".join(record["config"]["datasets"]),
        "Seeds": f"0 to {record['config']['seeds'] - 1}" if record["config"]["seeds"] > 1 else "0",
        "Configuration": ", ".join(f"{key} = {_words(value)}" for key, value in config.items()),
        "Work": f"{record['units']} units, {record['seconds'] / 60:.1f} minutes of one core, {record['rows']} rows",
        "Machine": _each(f"{each['processor'] or each['system']}, {each['cores']} cores" for each in machines),
        "Versions": _each(", ".join(f"{key} {value}" for key, value in each.items()) for each in versions),
    }


def _command(name: str, config: Mapping[str, Any]) -> str:
    """Return the command line that a configuration is asked for with."""
    study, seeds = study_of(name), int(config["seeds"])
    words = ["notsodeep reproduce", name]
    quick = json.loads(json.dumps(asdict(study.config(quick=True, seeds=seeds)))) == config
    words += ["--quick"] if quick else []
    words += [] if seeds == study.config(quick).seeds else [f"--seeds {seeds}"]
    return " ".join(words)


def _each(descriptions: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(descriptions))


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
