"""Fill the findings, tables and pictures of ``docs/reproduction.md`` from the results in ``docs/reproduction/``.

``python docs/refresh.py`` after ``notsodeep reproduce all --out docs/reproduction``. A block begins with
``<!-- findings: NAME -->``, ``<!-- table: NAME: TITLE -->``, where TITLE is that of a table of the study's page, or
``<!-- picture: NAME: FILE: WORDS -->``, where FILE goes without its ending, and ends with ``<!-- end -->``.
"""

from __future__ import annotations

import re
from pathlib import Path

from notsodeep.experiments.reproduction.store import TABLE, read_table
from notsodeep.report.reproduction.writing import markdown, presentation

PAGE, RESULTS = Path(__file__).with_name("reproduction.md"), Path(__file__).with_name("reproduction")
BLOCK = re.compile(r"<!-- (findings|table|picture): ([\w-]+)(?:: (.*?))? -->\n.*?<!-- end -->", re.DOTALL)


def refreshed(text):
    """Return the page with its blocks filled anew."""
    return BLOCK.sub(lambda found: f"{found[0].partition(chr(10))[0]}\n{content(*found.groups())}<!-- end -->", text)


def content(kind, name, title):
    """Return what belongs into a block."""
    if not (RESULTS / name / TABLE).exists():
        return "*Not run at full size yet.*\n" if kind == "findings" else ""
    if kind == "picture":
        file, words = title.split(": ", 1)
        return f"![{words}](reproduction/{name}/{file}.png)\n"
    rows, shown = read_table(RESULTS / name), presentation(name)
    if kind == "findings":
        return "".join(f"* {sentence}\n" for sentence in shown.findings(rows))
    tables = {table.title: table for table in shown.tables(rows)}
    if title not in tables:
        raise SystemExit(f"{name} has no table {title!r}; it has {', '.join(map(repr, tables))}")
    return f"{markdown([tables[title]])}\n"


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
