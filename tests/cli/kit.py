"""What the tests of the verbs share: how one is run, what it reports, and what a refusal looks like."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from notsodeep.cli.app import app


def invoke(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def check_report(result, headline, tables, last):
    """The headline comes first, then every word of the tables, and in the last line the name and the path of a file."""
    assert result.exit_code == 0, result.output
    printed = " ".join(result.stdout.split())
    assert printed.startswith(headline)
    for table in tables:
        for words in (table.title, *table.notes, *(" ".join(cells) for _, cells in table.rows)):
            assert words in printed
    assert result.stdout.strip().splitlines()[-1].split() == [last.name, str(last)]
    assert not result.stderr


def check_json(result, document, path):
    """Nothing but the document is printed, as it is in the file."""
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == document
    assert result.stdout == path.read_text()


def check_refused(result, words, folder=None):
    """Exit code 2 and one line that says why; nothing in the folder for the results."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert words in " ".join(result.stderr.split())
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert folder is None or not folder.exists()


def check_folders_refused(run, folder, file):
    """What is in the way of the folder for the results, or of a file in it, is found before any work."""
    (folder / "file").write_text("in the way")
    check_refused(run("--out", folder / "file" / "out"), "not a folder")
    (folder / "out" / file).mkdir(parents=True)
    check_refused(run("--out", folder / "out"), f"{file} is a folder")
