"""The engine of one machine: worker processes that run cells in parallel. Workers are kept, so that
torch is imported once per process; one that is killed costs its cell and no other. If none can
start, the sweep ends, and no cell pays for it.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import BUSY, OVER_LIMIT, Outcome
from frod_bench.common import stopping
from frod_bench.common.errors import CellsFailed
from frod_bench.sweep.backlog import Backlog, Waiting
from frod_bench.sweep.display import Finished, SweepDisplay

log = logging.getLogger(__name__)

MOST_STARTS = 3  # in a row that may fail before a place for a worker is given up
GRACE_SEC = 600.0  # beyond the time limit of a cell, until its worker is killed
SETTLED_SEC = 0.2  # what runs is shown once it has not changed for so long
JOIN_SEC = 5.0
READY = None  # what a worker sends when it can take its first cell; a text says why it cannot
# How a worker ends that was asked to stop: by itself, or before it listened.
STOPPED = (stopping.STATUS, *(-number for number in stopping.SIGNALS))

Environment = Mapping[str, str]  # variables that a worker has besides those of this process


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Work:
    """What is done with cells, on any engine: all functions are importable by name, and those that
    return an Outcome may not raise.
    """

    run: Callable[[Cell], Outcome]  # in a worker; BUSY if another process runs the cell
    lost: Callable[[Cell], Outcome]  # here, for a cell whose worker died
    prepare: Callable[[], object] = _nothing  # in a new worker, before its first cell
    limit_sec: float | None = None  # after which `run` should have ended by itself


class WorkersFailedError(CellsFailed):
    """No worker can start; `done` are the cells that ended before."""

    def __init__(self, message: str, done: list[Finished]) -> None:
        self.done = done
        super().__init__(message)


def run_cells(
    cells: Sequence[Cell], work: Work, workers: Sequence[Environment], display: SweepDisplay
) -> list[Finished]:
    """Do `work` on every cell, in as many processes as there are environments; return the cells in
    the order of finishing. A request to stop is passed on to the workers, which leave checkpoints,
    before Stopped is raised. Raises WorkersFailedError if no worker can start.
    """
    resource_tracker.ensure_running()  # starting it later would unblock what `start` blocks
    pool = _Pool(cells, work, workers[: len(cells)], display)
    try:
        pool.run()
    finally:
        pool.end()
    return pool.done


@dataclass
class _Place:
    """A place for a worker, and the worker in it."""

    environment: Environment
    process: BaseProcess | None = None
    pipe: Connection | None = None
    failed_starts: int = 0  # in a row
    is_ready: bool = False
    reason: str = ""  # why the worker could not get ready
    task: Waiting | None = None
    started: float = 0.0  # when it got its task
    was_killed: bool = False  # because it ran beyond the time limit

    @property
    def is_free(self) -> bool:
        """Whether the worker can take a cell."""
        return self.is_ready and self.task is None and not self.was_killed

    def start(self, work: Work) -> None:
        """Start a worker. Signals are blocked meanwhile, and it inherits that. SIGINT, which a
        terminal sends to all processes at once, never reaches it: it would print a traceback while
        it imports torch. It unblocks the others when it listens to them.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, work.prepare, work.run), daemon=True)
        signals = {signal.SIGINT, *stopping.SIGNALS}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            with _variables(self.environment):  # before torch looks at them
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.process, self.pipe = process, ours
        self.is_ready, self.reason, self.task, self.was_killed = False, "", None, False

    def empty(self) -> int | None:
        """Forget a worker that has ended; returns its exit code."""
        assert self.process is not None
        assert self.pipe is not None
        self.process.join(JOIN_SEC)
        code = self.process.exitcode
        self.pipe.close()
        self.process = self.pipe = None
        return code


class _Pool:
    def __init__(
        self,
        cells: Sequence[Cell],
        work: Work,
        workers: Sequence[Environment],
        display: SweepDisplay,
    ) -> None:
        self.work, self.display = work, display
        self.backlog = Backlog(cells)
        self.places = [_Place(environment) for environment in workers]
        self.done: list[Finished] = []
        self.shown: list[Cell] | None = None

    def run(self) -> None:
        """Run all cells."""
        while self.backlog or self.running():
            self.fill()
            pipes: dict[Any, _Place] = {place.pipe: place for place in self.places if place.pipe}
            changed = wait(pipes, self.timeout_sec())
            for pipe in changed:
                self.receive(pipes[pipe])
            self.kill_late()
            if not changed:
                self.show()

    def running(self) -> list[Waiting]:
        """What runs here."""
        return [place.task for place in self.places if place.task is not None]

    def fill(self) -> None:
        """Start workers for empty places, and give cells to those that are ready."""
        for place in list(self.places):
            if place.process is None and self.backlog:
                try:
                    place.start(self.work)
                except OSError as error:  # no memory, or too many processes
                    self.note_failed_start(place, str(error))
            if place.is_free and (task := self.backlog.next()):
                place.task, place.started = task, time.monotonic()
                assert place.pipe is not None
                try:
                    place.pipe.send(task.cell)
                except OSError:  # the worker has died since, which is noticed next
                    place.task = None
                    self.backlog.put_back_first(task)

    def timeout_sec(self) -> float | None:
        """How long to wait for workers at most; None: until one of them sends something."""
        times = []
        if any(place.is_free for place in self.places):
            times.append(self.backlog.due_in_sec())
        could_not_start = self.backlog and any(place.process is None for place in self.places)
        if could_not_start or self.shown != [task.cell for task in self.running()]:
            times.append(SETTLED_SEC)
        if self.work.limit_sec is not None:
            now = time.monotonic()
            times += [
                max(0.0, place.started + self.work.limit_sec + GRACE_SEC - now)
                for place in self.places
                if place.task is not None and not place.was_killed
            ]
        return min((one for one in times if one is not None), default=None)

    def receive(self, place: _Place) -> None:
        """Take what a worker sent, or notice that it has ended."""
        assert place.pipe is not None
        try:
            message = place.pipe.recv()
        except (EOFError, OSError):
            self.bury(place)
            return
        if not place.is_ready:
            place.is_ready, place.reason = message is READY, message or ""
            if place.is_ready:
                place.failed_starts = 0
            return
        task, place.task = place.task, None
        assert task is not None
        if message.status == BUSY:
            self.backlog.put_back_busy(task)
        else:
            self.finish(task, message, place)

    def bury(self, place: _Place) -> None:
        """Decide what becomes of a worker that has ended, and of its cell."""
        task, code = place.task, place.empty()
        if not place.is_ready:
            self.note_failed_start(place, place.reason or f"exit code {code}")
        place.is_ready, place.task = False, None
        if task is None:
            return
        if place.was_killed:
            reason = f"killed: it did not end within {GRACE_SEC:g} s of its time limit"
            self.finish(task, Outcome(OVER_LIMIT, reason), place)
        elif code in STOPPED and not task.was_stopped:
            log.warning("the worker of %s was stopped; the cell is resumed later", task.cell.label)
            self.backlog.put_back_stopped(task)
        else:
            log.warning("the worker of %s died with exit code %s", task.cell.label, code)
            self.finish(task, self.work.lost(task.cell), place)

    def note_failed_start(self, place: _Place, reason: str) -> None:
        """Count a worker that ended before it was ready. Raises WorkersFailedError if it was the
        last one.
        """
        place.failed_starts += 1
        if place.failed_starts < MOST_STARTS:
            return
        self.places.remove(place)
        if self.places:
            log.warning("a worker cannot start (%s); %d are left", reason, len(self.places))
            return
        raise WorkersFailedError(
            f"No worker can start: {MOST_STARTS} in a row ended before they could run a cell "
            f"({reason}). {len(self.backlog)} cells were not run, and none of them has a record of "
            "this. Mend the cause, e.g. with fewer workers (runtime.jobs=1), and run the same "
            "command again.",
            self.done,
        )

    def finish(self, task: Waiting, outcome: Outcome, place: _Place) -> None:
        """A cell is done."""
        seconds = time.monotonic() - place.started
        self.done.append(Finished(task.cell, *outcome[:2], seconds, outcome.is_ours))
        self.display.finished(self.done[-1])

    def show(self) -> None:
        """Show what runs, if that has changed."""
        running = [task.cell for task in self.running()]
        if running != self.shown and (running or self.backlog.busy):
            self.display.running(running, self.backlog.busy)
        self.shown = running

    def kill_late(self) -> None:
        """Kill the workers whose cells should have ended by themselves long ago."""
        limit, now = self.work.limit_sec, time.monotonic()
        for place in self.places:
            if limit is not None and place.task is not None and place.process is not None:
                place.was_killed = now >= place.started + limit + GRACE_SEC
                if place.was_killed:
                    place.process.kill()

    def end(self) -> None:
        """End the workers. If this process was asked to stop, they leave checkpoints first."""
        stops = stopping.requested()
        if stops and (running := self.running()):
            labels = ", ".join(task.cell.label for task in running)
            self.display.say(f"stopping: waiting for the checkpoints of {labels}")
        for place in self.places:
            if place.process is None or place.pipe is None:
                continue
            if place.task is None and place.is_ready:
                place.pipe.close()
            elif place.task is not None and stops:
                place.process.terminate()
            else:
                place.process.kill()
        for place in self.places:
            if place.process is not None:
                place.process.join(None if stops and place.task is not None else JOIN_SEC)


@contextmanager
def _variables(environment: Environment) -> Iterator[None]:
    """Set variables of this process's environment while the body runs."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        for name in environment:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _serve(pipe: Connection, prepare: Callable[[], object], run: Callable[[Cell], Outcome]) -> None:
    """Receive cells and send outcomes, until the pipe is closed or the parent is gone."""
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    with stopping.listening():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping.SIGNALS)
            try:
                prepare()
            except Exception as error:
                pipe.send(f"{type(error).__name__}: {error}")
                return
            pipe.send(READY)
            while True:
                pipe.send(run(pipe.recv()))
        except EOFError:
            return
        except stopping.Stopped:
            sys.exit(stopping.STATUS)


def _die_with(parent: int) -> None:
    """End this process when its parent ends, so that no old worker meets a restarted sweep."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
