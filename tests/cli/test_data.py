"""The verb data: what is listed, verified and fetched, and what it says to wrong input."""

from __future__ import annotations

import json
from functools import partial

import pytest

from notsodeep.data.catalogue import CATALOGUE
from tests.cli.kit import check_refused, invoke
from tests.data import tiny


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """A data folder that holds the data set ``tiny``, known to the catalogue; no other data folder is in sight."""
    monkeypatch.setenv("NOTSODEEP_DATA", str(tmp_path / "empty"))
    monkeypatch.setitem(CATALOGUE, "tiny", tiny.make(tmp_path / "data" / "tiny"))
    return tmp_path / "data"


run = partial(invoke, "data")


def rows(result):
    return json.loads(result.stdout)


def test_list_says_what_is_there(data_dir):
    result = run("list", "--data-dir", data_dir, "--json")
    assert result.exit_code == 0
    found = {row["name"]: row for row in rows(result)}
    assert set(found) == set(CATALOGUE)
    assert found["tiny"] | {"n": 30, "n_test": 12, "p": 6, "classes": 3} == found["tiny"]
    assert found["tiny"]["found"] == str(data_dir / "tiny")
    assert found["mnist"]["found"] is None
    assert found["digits"]["found"] == "in scikit-learn"


def test_list_does_not_count_an_incomplete_set_as_found(data_dir):
    (data_dir / "tiny" / tiny.NAMES[2]).unlink()
    result = run("list", "--data-dir", data_dir, "--json")
    assert {row["name"]: row["found"] for row in rows(result)}["tiny"] is None


def test_list_as_a_table_keeps_each_set_on_one_line(data_dir):
    lines = run("list", "--data-dir", data_dir).stdout.splitlines()
    assert lines[0].split()[:3] == ["name", "n", "n"]
    assert [line.split()[0] for line in lines[1:]] == list(CATALOGUE)
    assert str(data_dir / "tiny") in lines[-1]


def test_variable_names_the_folder(data_dir, monkeypatch):
    monkeypatch.setenv("NOTSODEEP_DATA", str(data_dir))
    assert run("verify", "tiny").exit_code == 0


def test_verify_one(data_dir):
    result = run("verify", "tiny", "--data-dir", data_dir, "--json")
    assert result.exit_code == 0
    expected = [("tiny", name, str(data_dir / "tiny" / name), "ok") for name in tiny.NAMES]
    assert [(r["name"], r["file"], r["path"], r["status"]) for r in rows(result)] == expected


@pytest.mark.parametrize("damage", ["corrupt", "missing"])
@pytest.mark.parametrize("named", [True, False])
def test_verify_fails_on_a_damaged_set(data_dir, damage, named):
    path = data_dir / "tiny" / tiny.NAMES[0]
    if damage == "corrupt":
        path.write_bytes(b"rubbish")
    else:
        path.unlink()
    result = run("verify", *(["tiny"] if named else []), "--data-dir", data_dir)
    assert result.exit_code == 1
    line = next(line for line in result.stdout.splitlines() if tiny.NAMES[0] in line and line.startswith("tiny"))
    assert line.split()[1] == damage


def test_verify_all_forgives_sets_that_were_never_fetched(data_dir):
    result = run("verify", "--data-dir", data_dir)
    assert result.exit_code == 0
    assert "digits comes with scikit-learn" in result.stdout
    assert run("verify", "mnist", "--data-dir", data_dir).exit_code == 1


def test_fetch_from_a_folder(data_dir, tmp_path):
    result = run("fetch", "tiny", "--data-dir", tmp_path / "new", "--from", data_dir, "--json")
    assert result.exit_code == 0
    assert [row["status"] for row in rows(result)] == ["copied"] * 4
    again = run("fetch", "tiny", "--data-dir", tmp_path / "new", "--from", data_dir)
    assert again.stdout.count("kept") == 4
    assert again.stderr == ""


def test_fetch_of_embedded_data():
    result = run("fetch", "digits")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "no files of its own" in result.stdout
    assert rows(run("fetch", "digits", "--json")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "mnits"), "error: unknown data set 'mnits'; legal names: digits, mnist"),
        (("verify", ""), "error: unknown data set ''"),
        (("fetch", "mnits"), "error: unknown data set 'mnits'"),
        (("fetch", "cifar10_features"), "error: cifar10_features has no public address"),
        (("fetch", "mnist", "--from", "/nowhere/at/all"), "error: source must be a folder"),
    ],
)
def test_wrong_input_is_one_line_and_code_two(data_dir, words, message):
    check_refused(run(*words), message)


@pytest.mark.parametrize("verb", ["list", "fetch", "verify"])
def test_help_has_an_example(verb):
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: notsodeep data {verb}" in " ".join(result.stdout.split())
