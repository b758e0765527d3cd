"""The verb reproduce: every study at its quick size from the command line, what it writes, and wrong input."""

from __future__ import annotations

import json
import os
from functools import partial
from importlib.metadata import version

import pytest

from notsodeep.cli.console import time_left
from notsodeep.experiments.reproduction.catalogue import NAMES, study
from notsodeep.experiments.reproduction.rows import from_csv
from notsodeep.report.reproduction.writing import FILES, markdown, presentation
from notsodeep.report.table import Table
from tests.cli.kit import check_refused, invoke

run = partial(invoke, "reproduce")


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All studies, quick, in one run as a user gives it."""
    out = tmp_path_factory.mktemp("reproduce")
    result = run("all", "--quick", "--out", out, "--jobs", 2, "--json")
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)["experiments"]


def test_all_studies_run_quickly_on_data_that_come_with_the_library(everything):
    out, accounts = everything
    assert {account["name"] for account in accounts} == set(NAMES) == {path.name for path in out.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_a_study_leaves_table_record_pictures_and_page(everything, name):
    out, accounts = everything
    (account,) = [each for each in accounts if each["name"] == name]
    folder, found = out / name, study(name)
    pictures = [path.stem for path in folder.glob("*.png")]
    assert {path.name for path in folder.iterdir()} == {*FILES, *(f"{each}.png" for each in pictures)}
    assert pictures
    rows = from_csv((folder / "table.csv").read_text())
    assert {row["unit"] for row in rows} == {unit.key for unit in found.units(found.quick)}
    record = json.loads((folder / "table.json").read_text())
    assert [made["versions"]["torch"] for made in record["environments"]] == [version("torch")]
    assert record["config"]["seeds"] == found.quick.seeds
    page = (folder / "page.html").read_text()
    assert page.count("data:image/png;base64,") == len(pictures)
    assert f"notsodeep reproduce {name} --quick<" in page
    assert account["findings"]
    assert account["tables"]
    assert account["findings"] == list(presentation(name).findings(rows))


def test_a_second_run_computes_nothing_and_says_the_same(everything):
    out, accounts = everything
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    result = run("error-vs-p", "--quick", "--out", out, "--json")
    assert result.exit_code == 0
    (account,) = json.loads(result.stdout)["experiments"]
    assert account in accounts
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_words_for_people(everything):
    out, accounts = everything
    result = run("accuracy", "--quick", "--out", out)
    assert result.exit_code == 0, result.output
    printed = " ".join(result.stdout.split())
    (account,) = [each for each in accounts if each["name"] == "accuracy"]
    for words in (account["title"], *account["findings"], *(table["title"] for table in account["tables"])):
        assert words in printed
    assert result.stdout.strip().splitlines()[-1].split()[0] == "page.html"


def test_list():
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == list(NAMES)
    found = json.loads(run("list", "--json").stdout)["experiments"]
    assert [each["name"] for each in found] == list(NAMES)
    assert all("?" in each["question"] for each in found)
    assert sum(each["core minutes"] for each in found) < 8 * 60  # four hours of two cores


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("accurcy",), "name must be list, all or one of spectrum, error-vs-p"),
        (("accuracy", "--seeds", "0"), "seeds must be an integer >= 1, got 0"),
        (("accuracy", "--quick", "--jobs", "0"), "jobs must be an integer >= 1, got 0"),
        (("accuracy", "--data-dir", "nowhere"), "nowhere"),
    ],
)
def test_wrong_input_ends_with_one_line_and_leaves_nothing(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    check_refused(run(*arguments), words)
    assert os.listdir(tmp_path) == []


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run("cost", "--quick", "--out", "~/here", "--jobs", 0).exit_code == 2
    assert os.listdir(tmp_path) == []
    (tmp_path / "here").touch()
    result = run("cost", "--quick", "--out", "~/here")
    assert f"{tmp_path}/here is not a folder" in result.stderr


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "taken").touch()
    check_refused(run("accuracy", "--quick", "--out", tmp_path / "taken"), "is not a folder")


def test_times_left():
    assert time_left(59.6) == "1 min"
    assert time_left(3599.0) == "1 h 0 min"


def test_markdown():
    table = Table("Errors", ("p", "a|b"), (("250", ("1 %",)),), ("Means.",))
    assert markdown([table]) == "**Errors**\n\n| p | a\\|b |\n| --- | --- |\n| 250 | 1 % |\n\nMeans.\n"
