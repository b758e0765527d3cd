"""Studies on worker processes: same tables for any number of them, nothing lost, nothing done twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path

import pytest

from notsodeep.errors import DataError, UnitError
from notsodeep.experiments.reproduction.rows import from_csv
from notsodeep.experiments.reproduction.runner import reproduce
from notsodeep.experiments.reproduction.store import RECORD, TABLE, UNITS, Store, keep_unit, locked
from notsodeep.files import replacing
from tests.experiments.reproduction import toy

ALL = set(product((3, 1, 2), (0, 1)))


def finished(*tasks, data_dir, jobs=2, **options):
    return {task.folder: rows for task, rows in reproduce(tasks, jobs=jobs, data_dir=data_dir, **options)}


def kept(task):
    """Write down every unit of a task as a worker would, without one."""
    for unit in task.units:
        keep_unit(task.study, task.folder, unit, [dict(unit.at) | {"k": 0, "value": 0.5}], 1.0)


def complete(task):
    kept(task)
    return Store(task.study, task.folder).finish(task.units, task.config)


def test_a_table_is_in_the_order_of_its_units_however_many_processes_there_are(tmp_path):
    seen = []
    one = finished(toy.task(tmp_path / "one"), jobs=1, data_dir=tmp_path)
    assert toy.log(tmp_path) == sorted(ALL, key=lambda at: (-at[0], at[1]))  # the most work first
    two = finished(toy.task(tmp_path / "two"), data_dir=tmp_path, progress=seen.append)
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()
    rows = two[tmp_path / "two"]
    assert rows == one[tmp_path / "one"] == from_csv((tmp_path / "one" / TABLE).read_text())
    assert [(row["size"], row["seed"]) for row in rows] == [
        (size, seed) for size, seed in product((3, 1, 2), (0, 1)) for _ in range(size)
    ]
    assert rows[0]["value"] == 0.1257302210933933  # of NumPy's generator with the seed 0
    assert rows[0]["empty"] is None
    assert rows[0]["even"] is True
    record = json.loads((tmp_path / "one" / RECORD).read_text())
    assert record["config"] == {"seeds": 2, "datasets": ["gmm"], "sizes": [3, 1, 2], "pause": 0.0}
    assert (record["units"], record["rows"]) == (6, 12)
    (made,) = record["environments"]
    assert {"notsodeep", "numpy", "torch", "python"} <= made["versions"].keys()
    assert made["machine"]["cores"] == os.cpu_count()
    assert not (tmp_path / "one" / UNITS).exists()
    assert [(each.done, each.total) for each in seen] == [(k, 6) for k in range(7)]
    assert seen[0].left is None
    assert seen[1].left > 0.0
    assert seen[-1].left == 0.0


def test_what_is_done_is_not_done_again(tmp_path):
    finished(toy.task(tmp_path / "toy"), data_dir=tmp_path)
    before = (tmp_path / "toy" / RECORD).read_text()
    seen = []
    again = finished(toy.task(tmp_path / "toy"), data_dir=tmp_path, progress=seen.append)
    assert len(again[tmp_path / "toy"]) == 12
    assert len(toy.log(tmp_path)) == 6
    assert (tmp_path / "toy" / RECORD).read_text() == before
    assert [each.done for each in seen] == [6]
    more = finished(toy.task(tmp_path / "toy", seeds=3), data_dir=tmp_path)
    assert len(more[tmp_path / "toy"]) == 18
    assert sorted(toy.log(tmp_path)[6:]) == [(1, 2), (2, 2), (3, 2)]  # two workers begin in any order
    with pytest.raises(ValueError, match=r"has a table with 3 units that are not asked for now.*--out"):
        finished(toy.task(tmp_path / "toy"), data_dir=tmp_path)
    assert len(from_csv((tmp_path / "toy" / TABLE).read_text())) == 18


def test_a_unit_that_fails_does_not_keep_the_others_from_being_done(tmp_path):
    (tmp_path / "fail-3").touch()
    with pytest.raises(UnitError, match=r"2 of 6 units failed.*toy.*'size': 3.*Stubborn: it does"):
        finished(toy.task(tmp_path / "toy"), data_dir=tmp_path)
    assert not (tmp_path / "toy" / TABLE).exists()
    (tmp_path / "fail-3").unlink()
    assert len(finished(toy.task(tmp_path / "toy"), data_dir=tmp_path)[tmp_path / "toy"]) == 12
    assert Counter(toy.log(tmp_path)) == {at: 2 if at[0] == 3 else 1 for at in ALL}


def test_an_interrupt_keeps_what_is_done_and_leaves_no_process_behind(tmp_path):
    def interrupt(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finished(toy.task(tmp_path / "toy", pause=0.1), data_dir=tmp_path, jobs=1, progress=interrupt)
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()
    assert len(list((tmp_path / "toy" / UNITS).glob("*.json"))) >= 3


def test_a_killed_run_goes_on_and_loses_at_most_what_was_under_way(tmp_path):
    context = multiprocessing.get_context("spawn")
    running = context.Process(target=toy.to_be_killed, args=(tmp_path / "toy", tmp_path))
    running.start()
    deadline = time.monotonic() + 60
    while len(toy.log(tmp_path)) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    running.join()
    deadline = time.monotonic() + 60
    workers = {int(line.split()[2]) for line in (tmp_path / "log.txt").read_text().splitlines()}
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(worker) for worker in workers)
    slow = toy.task(tmp_path / "toy", pause=0.2, seeds=6)
    assert len(finished(slow, data_dir=tmp_path)[tmp_path / "toy"]) == 36
    assert len(toy.log(tmp_path)) <= 18 + 2
    assert set(toy.log(tmp_path)) == set(product((3, 1, 2), range(6)))


def alive(process):
    """Whether it runs: one that has ended may be listed until its adopted parent asks for it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_unit_that_is_damaged_or_of_another_version_is_computed_anew(tmp_path):
    old = toy.task(tmp_path / "toy")
    kept(old)
    first, second, *_ = sorted((tmp_path / "toy" / UNITS).glob("*.json"))
    first.write_text("{")
    second.write_text(second.read_text().replace('"rows": [', '"rows": 3, "more": ['))
    store = Store(old.study, old.folder)
    assert sum(store.rows(unit) is None for unit in old.units) == 2
    new = toy.task(tmp_path / "toy", version=2)
    assert all(Store(new.study, new.folder).rows(unit) is None for unit in new.units)


@pytest.mark.parametrize("harm", ["table", "record", "name"])
def test_a_damaged_table_is_refused_before_any_work(tmp_path, harm):
    done = toy.task(tmp_path / "toy")
    complete(done)
    path = done.folder / (TABLE if harm == "table" else RECORD)
    text = path.read_text()
    path.write_text({"table": text + "1", "record": text[:-9], "name": text.replace('"toy"', '"other"')}[harm])
    with pytest.raises(DataError, match="delete the folder"):
        finished(toy.task(tmp_path / "toy", seeds=3), data_dir=tmp_path)
    assert toy.log(tmp_path) == []


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True])
def test_the_number_of_processes_is_checked(tmp_path, jobs):
    with pytest.raises(ValueError, match="jobs must be an integer >= 1"):
        finished(toy.task(tmp_path / "toy"), data_dir=tmp_path, jobs=jobs)


def test_missing_data_are_told_before_any_work(tmp_path):
    with pytest.raises(DataError, match=r"mnist: train-images-\S+ is neither in .*notsodeep data fetch mnist"):
        finished(toy.task(tmp_path / "toy", datasets=("gmm", "mnist")), data_dir=tmp_path)
    assert toy.log(tmp_path) == []
    assert not (tmp_path / "toy").exists()


def test_units_have_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    asked = toy.task(tmp_path / "toy", sizes=(1,), seeds=1)
    asked = replace(asked, study=replace(asked.study, run=toy.threads))
    (row,) = finished(asked, data_dir=tmp_path, jobs=1)[tmp_path / "toy"]
    assert (row["numba"], row["torch"], row["libraries"]) == (1, 1, 1)


def test_units_of_a_larger_run_outlive_the_end_of_a_smaller_one(tmp_path):
    larger, smaller = toy.task(tmp_path / "toy", seeds=5), toy.task(tmp_path / "toy", seeds=2)
    kept(larger)
    Store(smaller.study, smaller.folder).finish(smaller.units, smaller.config)
    store = Store(larger.study, larger.folder)
    assert all(store.rows(unit) is not None for unit in larger.units)
    store.finish(larger.units, larger.config)
    assert {path.name for path in (tmp_path / "toy").iterdir()} == {TABLE, RECORD}


def test_a_table_is_not_written_without_all_of_its_units(tmp_path):
    done = toy.task(tmp_path / "toy")
    first, second = (Store(done.study, done.folder) for _ in range(2))
    kept(done)
    first.finish(done.units, done.config)
    with pytest.raises(DataError, match="has no rows of"):
        second.finish(done.units, done.config)
    assert len(Store(done.study, done.folder).rows(done.units[0])) == 1


@pytest.mark.parametrize("broken", [RECORD, TABLE])
def test_an_end_that_is_cut_short_can_be_gone_on_with(tmp_path, monkeypatch, broken):
    complete(toy.task(tmp_path / "toy"))
    more = toy.task(tmp_path / "toy", seeds=3)
    for unit in more.units:
        if unit.at["seed"] == 2:
            keep_unit(more.study, more.folder, unit, [dict(unit.at) | {"k": 0, "value": 0.5}], 1.0)

    def cut(path):
        if path.name == broken:
            raise KeyboardInterrupt
        return replacing(path)

    with monkeypatch.context() as patched:
        patched.setattr("notsodeep.experiments.reproduction.store.replacing", cut)
        with pytest.raises(KeyboardInterrupt):
            Store(more.study, more.folder).finish(more.units, more.config)
    store = Store(more.study, more.folder)
    assert all(store.rows(unit) is not None for unit in more.units)
    assert len(store.finish(more.units, more.config)) == 9


def test_every_environment_is_on_record(tmp_path, monkeypatch):
    complete(toy.task(tmp_path / "toy"))
    where = "notsodeep.experiments.reproduction.store.environment"
    monkeypatch.setattr(where, lambda: {"versions": {"torch": "another"}, "machine": {}})
    more = toy.task(tmp_path / "toy", seeds=3)
    for unit in more.units:
        if unit.at["seed"] == 2:
            keep_unit(more.study, more.folder, unit, [dict(unit.at)], 1.0)
    Store(more.study, more.folder).finish(more.units, more.config)
    record = json.loads((tmp_path / "toy" / RECORD).read_text())
    assert [each["versions"]["torch"] for each in record["environments"]] == [version("torch"), "another"]
    assert record["seconds"] == 9.0


def test_a_table_of_an_older_version_is_replaced_but_loses_no_unit_unsaid(tmp_path):
    complete(toy.task(tmp_path / "toy", seeds=3))
    with pytest.raises(ValueError, match="3 units that are not asked for"):
        finished(toy.task(tmp_path / "toy", version=2), data_dir=tmp_path)
    new = toy.task(tmp_path / "toy", version=2, seeds=3)
    assert len(finished(new, data_dir=tmp_path)[tmp_path / "toy"]) == 18


def test_keys_that_look_like_numbers_stay_keys(tmp_path, monkeypatch):
    keys = iter(["5846107896e27360", "0000000000000012", "12e3", "123456", "00aa", "1.50"])
    monkeypatch.setattr(
        "notsodeep.experiments.reproduction.study.Unit.key", property(lambda unit: names[unit.work, unit.at["seed"]])
    )
    done = toy.task(tmp_path / "toy")
    names = {(unit.at["size"], unit.at["seed"]): key for unit, key in zip(done.units, keys, strict=True)}
    complete(done)
    store = Store(done.study, done.folder)
    assert all(store.rows(unit) is not None for unit in done.units)
    assert store.strangers(done.units) == 0


def test_studies_that_measure_time_run_last_and_whatever_failed_before(tmp_path):
    (tmp_path / "fail-3").touch()
    first, last = toy.task(tmp_path / "first"), toy.task(tmp_path / "last", sizes=(1,))
    last = replace(last, study=replace(last.study, alone=True))
    running = reproduce([last, first], jobs=2, data_dir=tmp_path)
    assert next(running)[0] is last
    with pytest.raises(UnitError, match="2 of 8 units failed"):
        next(running)
    assert toy.log(tmp_path)[-2:] == [(1, 0), (1, 1)]  # one by one


def test_another_process_in_the_folder_is_told(tmp_path):
    context = multiprocessing.get_context("spawn")
    holding, enough = context.Event(), context.Event()
    other = context.Process(target=toy.hold, args=(tmp_path / "toy", holding, enough))
    other.start()
    assert holding.wait(60)
    try:
        with pytest.raises(DataError, match="is in use: another process computes there"):
            finished(toy.task(tmp_path / "toy"), data_dir=tmp_path)
        assert toy.log(tmp_path) == []
    finally:
        enough.set()
        other.join()
    with locked(tmp_path / "toy"):
        pass
    assert not (tmp_path / "toy").exists()
