"""The pool of workers, which run cells in parallel: processes of this machine, or what an engine
starts elsewhere. Workers are kept, so that torch is imported once per process; one that is killed
costs its cell and no other. If none can start, the sweep ends, and no cell pays for it.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import BUSY, OVER_LIMIT, Outcome
from frod_bench.common import stopping
from frod_bench.common.errors import CellsFailed
from frod_bench.sweep.backlog import Backlog, Waiting
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.workers import (
    READY,
    STOPPED,
    Environment,
    LocalWorker,
    Start,
    Work,
    Worker,
)

log = logging.getLogger(__name__)

MOST_STARTS = 3  # failed starts in a row, after which a worker's place is given up
GRACE_SEC = 600.0  # after twice the time limit of a cell, until its worker is killed
START_PAUSE_SEC = 5.0  # before the next start, times the number of failed starts
SETTLED_SEC = 0.2  # the list of running cells is shown once it has been the same for so long
JOIN_SEC = 5.0


class WorkersFailedError(CellsFailed):
    """No worker can start; `done` are the cells that ended before."""

    def __init__(self, message: str, done: list[Finished]) -> None:
        self.done = done
        super().__init__(message)


def run_cells(
    cells: Sequence[Cell],
    work: Work,
    workers: Sequence[Environment],
    display: SweepDisplay,
    start: Start = LocalWorker,
) -> list[Finished]:
    """Do `work` on every cell, in as many workers as there are environments; return the cells in
    the order of finishing. A request to stop is passed on to the workers, which leave checkpoints,
    before Stopped is raised. Raises WorkersFailedError if no worker can start.
    """
    pool = _Pool(cells, work, workers[: len(cells)], display, start)
    try:
        pool.run()
    finally:
        pool.end()
    return pool.done


@dataclass
class _Place:
    """A place for a worker, and the worker in it."""

    environment: Environment
    begin: Start
    worker: Worker | None = None
    failed_starts: int = 0  # in a row
    next_start: float = 0.0  # when it may be tried again
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
        """Start a worker."""
        self.worker = self.begin(work, self.environment)
        self.is_ready, self.reason, self.task, self.was_killed = False, "", None, False

    def killed_at(self, limit_sec: float) -> float:
        """When its worker is killed. The limit is one of training: set-up and the evaluation of the
        test rows, which no limit ends, may take as long again.
        """
        return self.started + 2 * limit_sec + GRACE_SEC

    def empty(self) -> tuple[int | None, str]:
        """Forget a worker that has ended; returns its exit code, also in words."""
        assert self.worker is not None
        ended = self.worker.ended(JOIN_SEC)
        self.worker.close()
        self.worker = None
        return ended


class _Pool:
    def __init__(
        self,
        cells: Sequence[Cell],
        work: Work,
        workers: Sequence[Environment],
        display: SweepDisplay,
        start: Start,
    ) -> None:
        self.work, self.display = work, display
        self.backlog = Backlog(cells)
        self.places = [_Place(environment, start) for environment in workers]
        self.done: list[Finished] = []
        self.shown: list[Cell] | None = None

    def run(self) -> None:
        """Run all cells."""
        while self.backlog or self.running():
            self.fill()
            busy: dict[Any, _Place] = {place.worker: place for place in self.places if place.worker}
            changed = wait(busy, self.timeout_sec())
            for worker in changed:
                self.receive(busy[worker])
            self.kill_late()
            if not changed:
                self.show()

    def running(self) -> list[Waiting]:
        """What runs here."""
        return [place.task for place in self.places if place.task is not None]

    def fill(self) -> None:
        """Start workers for empty places, and give cells to those that are ready."""
        for place in list(self.places):
            if place.worker is None and self.backlog and time.monotonic() >= place.next_start:
                try:
                    place.start(self.work)
                except OSError as error:  # no memory, or too many processes; perhaps not for long
                    self.note_failed_start(place, str(error), pauses=True)
            if place.is_free and (task := self.backlog.next()):
                place.task, place.started = task, time.monotonic()
                assert place.worker is not None
                try:
                    place.worker.send(task.cell)
                except OSError:  # the worker has died since, which is noticed next
                    place.task = None
                    self.backlog.put_back_first(task)

    def timeout_sec(self) -> float | None:
        """How long to wait for workers at most; None: until one of them sends something."""
        times = []
        if any(place.is_free for place in self.places):
            times.append(self.backlog.due_in_sec())
        could_not_start = self.backlog and any(place.worker is None for place in self.places)
        if could_not_start or self.shown != [task.cell for task in self.running()]:
            times.append(SETTLED_SEC)
        if self.work.limit_sec is not None:
            now = time.monotonic()
            times += [
                max(0.0, place.killed_at(self.work.limit_sec) - now)
                for place in self.places
                if place.task is not None and not place.was_killed
            ]
        return min((one for one in times if one is not None), default=None)

    def receive(self, place: _Place) -> None:
        """Take what a worker sent, or notice that it has ended."""
        assert place.worker is not None
        try:
            message = place.worker.receive()
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
        task, (code, in_words) = place.task, place.empty()
        if not place.is_ready:
            was_killed = code is not None and code < 0  # e.g. because memory was short
            self.note_failed_start(place, place.reason or in_words, pauses=was_killed)
        place.is_ready, place.task = False, None
        if task is None:
            return
        if place.was_killed:
            reason = f"killed: it did not end within twice its time limit and {GRACE_SEC:g} s"
            self.finish(task, Outcome(OVER_LIMIT, reason), place)
        elif code in STOPPED and not task.was_stopped:
            log.warning("the worker of %s was stopped; the cell is resumed later", task.cell.label)
            self.backlog.put_back_stopped(task)
        else:
            log.warning("the worker of %s died (%s)", task.cell.label, in_words)
            self.finish(task, self.work.lost(task.cell), place)

    def note_failed_start(self, place: _Place, reason: str, *, pauses: bool) -> None:
        """Count a worker that ended before it was ready; the next one is started after a pause if
        the cause may pass. Raises WorkersFailedError if it was the last one.
        """
        place.failed_starts += 1
        if pauses:
            place.next_start = time.monotonic() + START_PAUSE_SEC * place.failed_starts
        if place.failed_starts < MOST_STARTS:
            return
        self.places.remove(place)
        if self.places:
            log.warning("a worker cannot start (%s); %d are left", reason, len(self.places))
            return
        raise WorkersFailedError(
            f"No worker can start: {MOST_STARTS} in a row ended before they could run a cell "
            f"({reason}). {len(self.backlog)} cells were not run, and none of them has a record of "
            "this. Fix the cause, e.g. with fewer workers (runtime.jobs=1), and run the same "
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
            if limit is not None and place.task is not None and place.worker is not None:
                place.was_killed = now >= place.killed_at(limit)
                if place.was_killed:
                    place.worker.kill()

    def end(self) -> None:
        """End the workers. If this process was asked to stop, they leave checkpoints first."""
        stops = stopping.requested()
        if stops and (running := self.running()):
            labels = ", ".join(task.cell.label for task in running)
            self.display.say(f"stopping: waiting for the checkpoints of {labels}")
        workers = [(place, place.worker) for place in self.places if place.worker is not None]
        for place, worker in workers:
            if place.task is None and place.is_ready:
                worker.close()
            elif place.task is not None and stops:
                worker.stop()
            else:
                worker.kill()
        for place, worker in workers:
            if not (stops and place.task is not None):
                worker.ended(JOIN_SEC)
            elif self.work.limit_sec is None:
                worker.ended(None)
            else:
                worker.ended(max(JOIN_SEC, place.killed_at(self.work.limit_sec) - time.monotonic()))
                worker.kill()
