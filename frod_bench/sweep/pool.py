"""Worker processes that run cells in parallel, and the display of their progress. Workers are kept,
so that torch is imported once per process; one that is killed costs its cell and no other.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A cell whose run ended."""

    cell: Cell
    status: str  # ok | failed | diverged | refused
    summary: str
    seconds: float


class SweepDisplay:
    """The progress on standard error: a live bar on a terminal, else a line per cell."""

    def __init__(self, total: int, already: int, console: Console, enabled: bool = True) -> None:
        self.total, self.already, self.console = total, already, console
        self.done = 0
        self.started = time.monotonic()
        self.prints_lines = enabled and not console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[end]} · {task.fields[now]}", markup=False),
            console=console,
            disable=not (enabled and console.is_terminal),
        )
        self.bar = self.progress.add_task(
            "cells", total=total, completed=already, end="ends …", now=""
        )

    def running(self, cells: Sequence[Cell]) -> None:
        """These cells run now."""
        labels = ", ".join(cell.label for cell in cells)
        self.progress.update(self.bar, now=f"running {labels}")
        if self.prints_lines:
            self.say(f"running {labels}")

    def finished(self, one: Finished) -> None:
        """One more cell is done."""
        self.done += 1
        self.progress.update(self.bar, completed=self.already + self.done, end=self.ends())
        if one.status != "ok" or self.prints_lines:
            self.say(
                f"[{self.already + self.done}/{self.total}] {one.cell.label}: {one.status}, "
                f"{one.summary} ({one.seconds:.1f} s; {self.ends()})"
            )

    def say(self, line: str) -> None:
        """One plain line."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def ends(self) -> str:
        """The estimated time of the end, at the pace so far."""
        left = self.total - self.already - self.done
        pace_sec = (time.monotonic() - self.started) / max(1, self.done)
        when = datetime.now() + timedelta(seconds=left * pace_sec)
        return f"ends {when:%H:%M:%S}"


Work = Callable[[Cell], Outcome]  # may not raise


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    cell: Cell | None = None
    started: float = 0.0


def run_cells(
    cells: Sequence[Cell], work: Work, lost: Work, jobs: int, display: SweepDisplay
) -> list[Finished]:
    """Run `work`, importable by name, on every cell in `jobs` processes; return the cells in the
    order of finishing. `lost` is called here for a cell whose worker died.
    """
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # starting it later would unblock what `_start` blocks
    waiting = list(reversed(cells))
    workers = [_start(context, work) for _ in range(min(jobs, len(cells)))]
    done: list[Finished] = []
    try:
        for worker in workers:
            _give(worker, waiting)
        while busy := [worker for worker in workers if worker.cell is not None]:
            display.running([worker.cell for worker in busy if worker.cell is not None])
            for pipe in wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is pipe)
                finished = _take(worker, lost)
                done.append(finished)
                display.finished(finished)
                if not worker.process.is_alive():
                    workers[workers.index(worker)] = worker = _start(context, work)
                _give(worker, waiting)
    finally:
        for worker in workers:
            if worker.cell is not None:
                worker.process.kill()
            else:
                worker.pipe.close()
            worker.process.join(5)
    return done


def _start(context: multiprocessing.context.SpawnContext, work: Work) -> _Worker:
    """Start a worker that SIGINT, which a terminal sends to all processes at once, does not reach:
    it would print a traceback while it imports torch. It inherits the signals that are blocked
    here; they are delivered to this process, which kills its workers, once the worker is started.
    """
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, waiting: list[Cell]) -> None:
    worker.cell = waiting.pop() if waiting else None
    worker.started = time.monotonic()
    if worker.cell is not None:
        worker.pipe.send(worker.cell)


def _take(worker: _Worker, lost: Work) -> Finished:
    cell = worker.cell
    assert cell is not None
    try:
        status, summary = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join(5)
        log.warning("the worker of %s died with exit code %s", cell.label, worker.process.exitcode)
        status, summary = lost(cell)
    return Finished(cell, status, summary, time.monotonic() - worker.started)


def _serve(pipe: Connection, work: Work) -> None:
    """Receive cells and send outcomes, until the pipe is closed or the parent is gone."""
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    try:
        while True:
            pipe.send(work(pipe.recv()))
    except EOFError:
        return


def _die_with(parent: int) -> None:
    """End this process when its parent ends, so that no old worker meets a restarted sweep."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
