"""Units of studies on worker processes of one thread each: what is done is kept, whatever happens next."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from notsodeep.checks import integer
from notsodeep.data import entries
from notsodeep.data.storage import data_folder, read_file
from notsodeep.errors import UnitError
from notsodeep.experiments.reproduction.store import Store, keep_unit, locked
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit
from notsodeep.files import StrPath

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_MOST = 61 if sys.platform == "win32" else 10**6  # workers that a pool takes


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
        When data are missing, or the results in a folder damaged or being computed by another process; before any
        work.
    UnitError
        When units failed, after all others are done; or when a worker process was killed.
    """
    integer("jobs", jobs, low=1)
    folder = data_folder(data_dir)
    _check(tasks, folder)
    with ExitStack() as stack:
        works = []
        for task in tasks:
            if _unfinished(task):
                stack.enter_context(locked(task.folder))
            works.append(_Work(task))
        meter = _Meter(works, jobs, progress)
        failures: list[Failure] = []
        for alone in (False, True):
            chosen = [work for work in works if work.task.study.alone is alone]
            waiting = [(work, unit) for work in chosen for unit in work.open.values()]
            for work in chosen:
                if not work.open:
                    yield work.task, work.finish()
            for work, unit, failure in _computed(waiting, 1 if alone else jobs, folder):
                meter.advance(unit, alone)
                if failure is not None:
                    failures.append(failure)
                    continue
                del work.open[unit.key]
                if not work.open:
                    yield work.task, work.finish()
        if failures:
            raise UnitError(
                f"{len(failures)} of {meter.total} units failed; all others are kept, and the same command tries these "
                f"again. The first: {failures[0]}"
            )


class _Work:
    """A task under way: which units are open."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.open = _unfinished(task)

    def finish(self) -> list[Row]:
        return Store(self.task.study, self.task.folder).finish(self.task.units, self.task.config)


class Failure(NamedTuple):
    """What became of a unit instead of rows: words alone, since not every exception travels between processes."""

    study: str
    at: str
    error: str

    def __str__(self) -> str:
        return f"{self.study}, {self.at}: {self.error}"


def _unfinished(task: Task) -> dict[str, Unit]:
    store = Store(task.study, task.folder)
    return {unit.key: unit for unit in task.units if store.rows(unit) is None}


def _check(tasks: Sequence[Task], data_dir: Path) -> None:
    """Raise what would stop the tasks later: data that are missing or damaged, results that would be lost."""
    for task in tasks:
        lost = Store(task.study, task.folder).strangers(task.units)
        if lost:
            raise ValueError(
                f"{task.folder} has a table with {lost} units that are not asked for now, and would lose them: choose "
                "another folder with --out, or at least as many seeds"
            )
    known = {entry.name: entry for entry in entries()}
    needed = dict.fromkeys(name for task in tasks if _unfinished(task) for name in task.config.datasets)
    for name in (each for each in needed if each in known):
        for file in known[name].files:
            read_file(known[name], file, data_dir)


class _Meter:
    """Counts units, and guesses the time left from their declared work."""

    def __init__(self, works: Sequence[_Work], jobs: int, report: Callable[[Progress], None]) -> None:
        self._report, self._begun, self._jobs = report, time.monotonic(), jobs
        self.total = sum(len(work.task.units) for work in works)
        self._done = self.total - sum(len(work.open) for work in works)
        self._left = {
            alone: sum(unit.work for each in works if each.task.study.alone is alone for unit in each.open.values())
            for alone in (False, True)
        }
        self._work = 0.0
        report(Progress(self._done, self.total, None))

    def advance(self, unit: Unit, alone: bool) -> None:
        """Count a unit of this run; those that run beside it are taken as half done."""
        jobs = 1 if alone else self._jobs
        self._done += 1
        self._left[alone] = max(self._left[alone] - unit.work, 0.0)
        self._work += unit.work
        under_way = min(0.5 * (jobs - 1) * unit.work, self._left[alone])
        rate = (time.monotonic() - self._begun) / (self._work + under_way)
        left = rate * ((self._left[False] - under_way * (not alone)) + self._left[True] * jobs)
        self._report(Progress(self._done, self.total, left))


def _computed(
    waiting: Sequence[tuple[_Work, Unit]], jobs: int, data_dir: Path
) -> Iterator[tuple[_Work, Unit, Failure | None]]:
    """Yield units as they get done or fail, those with the most work first."""
    if not waiting:
        return
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(jobs, len(waiting), _MOST), context, initializer=_one_thread)
    try:
        futures: dict[Future[Failure | None], tuple[_Work, Unit]] = {
            pool.submit(_compute, work.task.study, unit, work.task.folder, data_dir): (work, unit)
            for work, unit in sorted(waiting, key=lambda pair: -pair[1].work)
        }
        for future in as_completed(futures):
            yield *futures[future], future.result()
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()  # in the middle of its unit
        if isinstance(error, BrokenProcessPool):
            raise UnitError(
                "a worker process was killed, perhaps for want of memory: give fewer --jobs; what is done is kept"
            ) from error
        raise
    pool.shutdown()


def _compute(study: Study, unit: Unit, folder: Path, data_dir: Path) -> Failure | None:
    """Compute one unit and write it down: this runs in a worker."""
    begun = time.monotonic()
    try:
        rows = study.run(unit, data_dir)
        keep_unit(study, folder, unit, rows, time.monotonic() - begun)
    except Exception as error:
        return Failure(study.name, f"{dict(unit.at)}", f"{type(error).__name__}: {error}")
    return None


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
