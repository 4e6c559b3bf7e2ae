"""What runs cells: the work that is done with them, a worker as the pool of any engine sees it, and
the worker that is a process of this machine.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Protocol

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import Outcome
from frod_bench.common import stopping

READY = None  # what a worker sends when it can take its first cell; a text says why it cannot
# Exit codes of a worker that was asked to stop: its own, or a signal's if it did not listen yet.
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


class Worker(Protocol):
    """A process and the pipe to it. It sends READY, or why it could not get ready, and then an
    Outcome for each cell.
    """

    def fileno(self) -> int:
        """The descriptor to wait for until `receive` has something."""

    def send(self, cell: Cell) -> None:
        """Give it a cell. Raises OSError if it has ended."""

    def receive(self) -> Any:
        """What it sent. Raises EOFError or OSError if it has ended."""

    def stop(self) -> None:
        """Ask it to end, with a checkpoint if it runs a cell."""

    def kill(self) -> None:
        """End it now."""

    def ended(self, timeout_sec: float | None) -> tuple[int | None, str]:
        """Wait for its end; its exit code, if there is one, and how it ended in words."""

    def close(self) -> None:
        """Close the pipe; if it has no cell, it ends."""


Start = Callable[[Work, Environment], Worker]  # raises OSError if no worker can be started


class LocalWorker:
    """A process of this machine."""

    def __init__(self, work: Work, environment: Environment) -> None:
        """Start it. Signals are blocked meanwhile, and it inherits that. SIGINT, which a terminal
        sends to all processes at once, never reaches it: it would print a traceback while it
        imports torch. It unblocks the others when it listens to them.
        """
        resource_tracker.ensure_running()  # starting it later would unblock what is blocked here
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, work.prepare, work.run)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        with stopping.held_back(), _variables(environment):  # before torch looks at them
            self._process.start()
        theirs.close()

    def fileno(self) -> int:
        """As `Worker.fileno`."""
        return self._pipe.fileno()

    def send(self, cell: Cell) -> None:
        """As `Worker.send`."""
        self._pipe.send(cell)

    def receive(self) -> Any:
        """As `Worker.receive`."""
        return self._pipe.recv()

    def stop(self) -> None:
        """As `Worker.stop`."""
        self._process.terminate()

    def kill(self) -> None:
        """As `Worker.kill`."""
        self._process.kill()

    def ended(self, timeout_sec: float | None) -> tuple[int | None, str]:
        """As `Worker.ended`."""
        self._process.join(timeout_sec)
        return self._process.exitcode, f"exit code {self._process.exitcode}"

    def close(self) -> None:
        """As `Worker.close`."""
        self._pipe.close()


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
