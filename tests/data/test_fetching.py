from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from notsodeep.data import fetch, load_dataset, verify
from notsodeep.data.catalogue import CATALOGUE
from notsodeep.errors import DataError
from tests.data import tiny


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The folder that a server on this machine publishes as the public address of ``tiny``."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    folder = tmp_path / "published"
    known = tiny.make(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setitem(CATALOGUE, "tiny", replace(known, url=f"http://127.0.0.1:{server.server_port}/"))
        yield folder
        server.shutdown()
        thread.join()


def statuses(records):
    return [record.status for record in records]


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


EXPECTED = sorted(f"tiny/{name}" for name in tiny.NAMES)


def test_download_checks_and_loads(published, tmp_path):
    target = tmp_path / "new" / "folder"
    assert statuses(verify("tiny", target)) == ["missing"] * 4
    assert statuses(fetch("tiny", target)) == ["downloaded"] * 4
    assert statuses(verify("tiny", target)) == ["ok"] * 4
    assert tree(target) == EXPECTED
    assert load_dataset("tiny", data_dir=target).n == tiny.N


def test_good_files_are_kept_and_bad_ones_replaced(published, tmp_path):
    fetch("tiny", tmp_path)
    paths = [tmp_path / name for name in (f"tiny/{file}" for file in tiny.NAMES)]
    before = [path.stat().st_mtime_ns for path in paths]
    paths[1].write_bytes(b"rubbish")
    paths[2].unlink()
    assert statuses(verify("tiny", tmp_path)) == ["ok", "corrupt", "missing", "ok"]
    assert statuses(fetch("tiny", tmp_path)) == ["kept", "downloaded", "downloaded", "kept"]
    assert statuses(verify("tiny", tmp_path)) == ["ok"] * 4
    assert [paths[i].stat().st_mtime_ns for i in (0, 3)] == [before[i] for i in (0, 3)]


def test_files_directly_in_the_folder_are_kept(published):
    assert statuses(fetch("tiny", published)) == ["kept"] * 4


def test_wrong_download_leaves_what_was_there(published, tmp_path):
    name = tiny.NAMES[0]
    (published / name).write_bytes((published / name).read_bytes()[:50])
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / name).write_bytes(b"older")
    with pytest.raises(DataError, match=f"http://127.0.0.1:.*{name} is not the file of tiny: corrupt or truncated"):
        fetch("tiny", tmp_path)
    assert tree(tmp_path / "tiny") == [name]
    assert (tmp_path / "tiny" / name).read_bytes() == b"older"


def test_missing_on_the_server_and_no_server(published, tmp_path, monkeypatch):
    (published / tiny.NAMES[0]).unlink()
    with pytest.raises(DataError, match=r"cannot download http://127.0.0.1.*404.*--from FOLDER"):
        fetch("tiny", tmp_path / "new")
    monkeypatch.setitem(CATALOGUE, "tiny", replace(CATALOGUE["tiny"], url="http://127.0.0.1:9/"))
    with pytest.raises(DataError, match=r"cannot download http://127.0.0.1:9/"):
        fetch("tiny", tmp_path / "new")
    assert tree(tmp_path / "new") == []


def test_interrupt_leaves_no_part(published, tmp_path, monkeypatch):
    def interrupted(self, url, output_file, pooch):
        with open(output_file, "wb") as stream:
            stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("tiny", tmp_path / "new")
    assert tree(tmp_path / "new") == []


def test_progress_ends_at_the_size_of_each_file(published, tmp_path):
    calls = []
    fetch("tiny", tmp_path, progress=lambda *call: calls.append(call))
    last = {name: (done, total) for name, done, total in calls}
    assert last == {name: ((published / name).stat().st_size,) * 2 for name in tiny.NAMES}
    assert all(0 <= done <= total for _, done, total in calls)


@pytest.mark.parametrize("layout", ["", "tiny"])
def test_copy_from_a_folder(tmp_path, monkeypatch, layout):
    monkeypatch.setitem(CATALOGUE, "tiny", tiny.make(tmp_path / "source" / layout))
    assert statuses(fetch("tiny", tmp_path / "new", source=tmp_path / "source")) == ["copied"] * 4
    assert tree(tmp_path / "new") == EXPECTED
    assert statuses(fetch("tiny", tmp_path / "new", source=tmp_path / "source")) == ["kept"] * 4


def test_bad_sources(tmp_path, monkeypatch):
    monkeypatch.setitem(CATALOGUE, "tiny", tiny.make(tmp_path / "source"))
    with pytest.raises(DataError, match="source must be a folder"):
        fetch("tiny", tmp_path / "new", source=tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"tiny has no public address; copy train-images.* --from FOLDER"):
        fetch("tiny", tmp_path / "new")
    path = tmp_path / "source" / tiny.NAMES[1]
    path.write_bytes(b"rubbish")
    with pytest.raises(DataError, match=f"{tiny.NAMES[1]} is not the file of tiny"):
        fetch("tiny", tmp_path / "new", source=tmp_path / "source")
    path.unlink()
    with pytest.raises(DataError, match=f"{tiny.NAMES[1]} is neither in"):
        fetch("tiny", tmp_path / "new", source=tmp_path / "source")
    assert tree(tmp_path / "new") == [f"tiny/{tiny.NAMES[0]}"]


def test_embedded_data_have_no_files(tmp_path):
    assert fetch("digits", tmp_path) == ()
    assert verify("digits", tmp_path) == ()


@pytest.mark.parametrize("call", [fetch, verify])
def test_unknown_name(call, tmp_path):
    with pytest.raises(ValueError, match="unknown data set 'mnits'"):
        call("mnits", tmp_path)
