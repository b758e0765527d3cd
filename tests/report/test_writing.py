from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import notsodeep as nsd
from notsodeep.report import check_folder, twin_document, write_twin
from notsodeep.report.files import FILES, write_bytes


def test_files_are_complete_and_alone(some_twin, tmp_path):
    folder = tmp_path / "not" / "there"
    paths = write_twin(some_twin, folder)
    assert paths == {name: folder / name for name in FILES}
    assert {path.name for path in folder.iterdir()} == set(FILES)
    document = json.loads(paths["match.json"].read_text(encoding="utf-8"))
    assert document == twin_document(some_twin)
    assert paths["report.png"].read_bytes().startswith(b"\x89PNG")
    assert paths["report.html"].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    check_network(some_twin, nsd.load(paths["net.safetensors"]))


def check_network(result, net):
    assert net.spec == result.match.spec
    X = torch.from_numpy(result.samples.test.X)
    assert torch.equal(net(X), result.finite.network(X))


def test_an_earlier_run_is_replaced(relu, softplus, tmp_path):
    write_twin(softplus, tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    paths = write_twin(relu, tmp_path)
    assert json.loads(paths["match.json"].read_text(encoding="utf-8"))["status"] == "matched"
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "mine.txt"}


def test_the_command_is_on_the_page(relu, tmp_path):
    paths = write_twin(relu, tmp_path, command="notsodeep match --n 120")
    assert "notsodeep match --n 120" in paths["report.html"].read_text(encoding="utf-8")


def a_file(folder):
    (folder / "taken").write_text("mine")
    return folder / "taken"


def below_a_file(folder):
    return a_file(folder) / "below" / "it"


def a_lost_link(folder):
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


def a_folder_in_the_way(folder):
    (folder / "out" / "report.html").mkdir(parents=True)
    return folder / "out"


@pytest.mark.parametrize("make", [a_file, below_a_file, a_lost_link, a_folder_in_the_way])
def test_folders_that_cannot_be_written_are_refused(make, relu, tmp_path):
    folder = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for refuse in (lambda: check_folder(folder), lambda: write_twin(relu, folder)):
        with pytest.raises(OSError, match=r" is (not )?a folder") as caught:
            refuse()
        assert str(folder) in str(caught.value)
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc: the folder that not even root can write to")
def test_a_folder_without_permission_is_refused():
    with pytest.raises(OSError, match="/proc/here cannot be written to"):
        check_folder("/proc/here")


def test_checking_leaves_nothing_behind(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    assert check_folder(folder) == folder
    assert check_folder(tmp_path) == tmp_path
    assert not list(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    assert check_folder("relative/one") == Path("relative/one")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_folder("~/results") == tmp_path / "results"


def test_bytes_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder cannot be written"):
        write_bytes(tmp_path / "folder", b"x")
    assert {each.name for each in tmp_path.iterdir()} == {"a", "folder"}
    with pytest.raises(OSError, match="nowhere/a cannot be written"):
        write_bytes(tmp_path / "nowhere" / "a", b"x")
