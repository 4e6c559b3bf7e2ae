"""Worker processes that run cells in parallel. They are kept, so that torch is imported once per
process; one that is killed costs its cell and no other.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import Outcome
from frod_bench.sweep.progress import Finished, SweepDisplay

log = logging.getLogger(__name__)


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
