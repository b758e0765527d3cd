"""Units of studies on worker processes of one thread each: what is done is kept, whatever happens next."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from notsodeep.checks import integer
from notsodeep.data import entries
from notsodeep.data.storage import data_folder, read_file
from notsodeep.errors import ConvergenceError
from notsodeep.experiments.reproduction.store import Store
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit
from notsodeep.files import StrPath

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A study with its configuration and the folder of its results."""

    study: Study
    config: Config
    folder: Path

    @property
    def units(self) -> Sequence[Unit]:
        """Units of the configuration, in the order of the table."""
        return self.study.units(self.config)


@dataclass(frozen=True)
class Progress:
    """How far the work is."""

    done: int
    total: int
    """Units, those of earlier runs among both"""
    left: float | None
    """Seconds, guessed from what was done so far; None before the first unit"""


def reproduce(
    tasks: Sequence[Task],
    *,
    jobs: int,
    data_dir: StrPath | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Iterator[tuple[Task, list[Row]]]:
    """Compute what is not in the folders yet, and yield each task with the rows of its table once it is complete.

    Each unit runs in a process of one thread, so that its rows do not hang on ``jobs``, and is written down when it is
    done: a run that was interrupted or killed goes on from there. Units that measure time run at the end, one by one.

    Raises
    ------
    ValueError
        When ``jobs`` is not a positive integer, or a folder has a table with units that its task has not.
    DataError
        When data are missing, or the results in a folder damaged; before any work.
    ConvergenceError
        When units failed; the others are done and kept.
    """
    integer("jobs", jobs, low=1)
    folder = data_folder(data_dir)
    check(tasks, folder)
    stores = {task.study.name: Store(task.study, task.folder) for task in tasks}
    meter = _Meter([unit for task in tasks for unit in task.units], progress)
    for alone in (False, True):
        chosen = [task for task in tasks if task.study.alone is alone]
        open_ = {task.study.name: _unfinished(task, stores[task.study.name], meter) for task in chosen}
        waiting = [(task, unit) for task in chosen for unit in open_[task.study.name].values()]
        for task in chosen:
            if not open_[task.study.name]:
                yield task, stores[task.study.name].finish(task.units, task.config)
        for task, unit in _computed(waiting, 1 if alone else jobs, folder):
            meter.advance(unit)
            left = open_[task.study.name]
            del left[unit.key]
            if not left:
                yield task, stores[task.study.name].finish(task.units, task.config)


def check(tasks: Sequence[Task], data_dir: Path) -> None:
    """Raise what would stop the tasks later: data that are missing or damaged, results that would be lost."""
    known = {entry.name: entry for entry in entries()}
    for name in dict.fromkeys(name for task in tasks for name in task.config.datasets if name in known):
        for file in known[name].files:
            read_file(known[name], file, data_dir)
    for task in tasks:
        lost = Store(task.study, task.folder).strangers(task.units)
        if lost:
            raise ValueError(
                f"{task.folder} has a table with {lost} units that are not asked for now, and would lose them: choose "
                "another folder with --out, or at least as many seeds"
            )


class _Meter:
    """Counts units, and guesses the time left from their declared work."""

    def __init__(self, units: Sequence[Unit], report: Callable[[Progress], None]) -> None:
        self._report, self._begun = report, time.monotonic()
        self._done, self._total = 0, len(units)
        self._work, self._left = 0.0, sum(unit.work for unit in units)

    def skip(self, unit: Unit) -> None:
        """Count a unit of an earlier run."""
        self._done += 1
        self._left -= unit.work
        self._report(Progress(self._done, self._total, None))

    def advance(self, unit: Unit) -> None:
        """Count a unit of this run."""
        self._done += 1
        self._left -= unit.work
        self._work += unit.work
        passed = time.monotonic() - self._begun
        self._report(Progress(self._done, self._total, max(self._left, 0.0) * passed / self._work))


def _unfinished(task: Task, store: Store, meter: _Meter) -> dict[str, Unit]:
    found = {}
    for unit in task.units:
        if store.rows(unit) is None:
            found[unit.key] = unit
        else:
            meter.skip(unit)
    return found


def _computed(waiting: Sequence[tuple[Task, Unit]], jobs: int, data_dir: Path) -> Iterator[tuple[Task, Unit]]:
    """Yield tasks and units as they get done, those with the most work first."""
    if not waiting:
        return
    failed: list[tuple[Task, Unit, BaseException]] = []
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(waiting)), context, initializer=_one_thread)
    try:
        futures: dict[Future[None], tuple[Task, Unit]] = {
            pool.submit(_compute, task.study, unit, task.folder, data_dir): (task, unit)
            for task, unit in sorted(waiting, key=lambda pair: -pair[1].work)
        }
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                yield futures[future]
            elif isinstance(error, BrokenProcessPool):
                raise ConvergenceError(
                    "a worker process was killed, perhaps for want of memory: give fewer --jobs; what is done is kept"
                ) from error
            else:
                failed.append((*futures[future], error))
    except BaseException:
        _stop(pool)
        raise
    pool.shutdown()
    if failed:
        task, unit, error = failed[0]
        raise ConvergenceError(
            f"{len(failed)} of {len(waiting)} units failed; the others are kept. The first, of {task.study.name}, at "
            f"{dict(unit.at)}: {type(error).__name__}: {error}"
        ) from error


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers in the middle of their units."""
    pool.shutdown(wait=False, cancel_futures=True)
    for child in multiprocessing.active_children():
        child.terminate()


def _compute(study: Study, unit: Unit, folder: Path, data_dir: Path) -> None:
    """Compute one unit and write it down: this runs in a worker."""
    begun = time.monotonic()
    rows = study.run(unit, data_dir)
    Store(study, folder).keep(unit, rows, time.monotonic() - begun)


def _one_thread() -> None:
    """Prepare a worker: one thread for everything, no interrupts of its own, and an end when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    os.environ |= dict.fromkeys(_THREADS, "1")  # for what is not imported yet
    threadpool_limits(1)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
