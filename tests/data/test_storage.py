import hashlib
from pathlib import Path

import pytest

from notsodeep.data import entries
from notsodeep.data.catalogue import CATALOGUE, entry
from notsodeep.data.storage import data_folder, locate, read_file, sha256
from notsodeep.errors import DataError
from tests.data import tiny


def test_data_folder_is_the_argument_then_the_variable_then_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTSODEEP_DATA", str(tmp_path / "variable"))
    assert data_folder(tmp_path / "argument") == tmp_path / "argument"
    assert data_folder() == tmp_path / "variable"
    monkeypatch.setenv("NOTSODEEP_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder().name == "notsodeep"
    assert data_folder("~/here") == Path.home() / "here"


def test_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(DataError, match="data_dir must be a folder"):
        data_folder(tmp_path / "f")


def test_files_lie_in_a_subfolder_or_directly(tmp_path):
    known = tiny.make(tmp_path)
    file = known.files[0]
    assert locate(known, file, tmp_path) == tmp_path / file.name
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / file.name).touch()
    assert locate(known, file, tmp_path) == tmp_path / "tiny" / file.name
    assert locate(known, file, tmp_path / "other") is None


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"run `notsodeep data fetch mnist`, .*--data-dir"):
        read_file(entry("mnist"), entry("mnist").files[0], tmp_path)
    with pytest.raises(DataError, match="run `notsodeep data fetch cifar10_features --from FOLDER`"):
        read_file(entry("cifar10_features"), entry("cifar10_features").files[0], tmp_path)


def test_corrupt_file_is_refused(tmp_path):
    known = tiny.make(tmp_path)
    path = tmp_path / known.files[0].name
    content = path.read_bytes()
    assert read_file(known, known.files[0], tmp_path) == (path, content)
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=f"{path.name} is not the file of tiny: corrupt or truncated"):
        read_file(known, known.files[0], tmp_path)


def test_file_of_another_data_set_is_recognised(tmp_path, monkeypatch):
    known = tiny.make(tmp_path)
    monkeypatch.setitem(CATALOGUE, "tiny", known)
    with pytest.raises(DataError, match=r"is not the file of mnist: it is a file of tiny"):
        read_file(entry("mnist"), entry("mnist").files[0], tmp_path)


def test_sha256_of_a_long_file(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "f").write_bytes(content)
    assert sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_catalogue_is_complete():
    for known in entries():
        assert len(known.files) == {"embedded": 0, "idx": 4, "npz": 1}[known.kind]
        assert all(len(file.sha256) == 64 for file in known.files)
        assert known.url is None or known.url.endswith("/")
        assert known.origin
        assert known.licence
    assert entry("mnist").url.startswith("https://")


@pytest.mark.parametrize("name", ["MNIST", "", None, ["mnist"]])
def test_unknown_name(name):
    with pytest.raises(ValueError, match=r"unknown data set .*legal names: digits, mnist"):
        entry(name)
