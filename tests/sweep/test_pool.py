"""The pool of workers: order, a worker that dies, and what an interrupt does."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from frod_bench.cli.exits import exit_statuses
from frod_bench.sweep.pool import run_cells


class Interrupting:
    """A display that interrupts every worker, as a terminal does, when they have just begun."""

    def running(self, cells: Any) -> None:
        for worker in multiprocessing.active_children():
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGINT)

    def finished(self, one: Any) -> None:
        pass


def work(cell: Any) -> tuple[str, str]:
    return "ok", cell.label


def lost(cell: Any) -> tuple[str, str]:
    return "lost", cell.label


@pytest.fixture(params=[signal.SIG_IGN, signal.default_int_handler], ids=["ignored", "handled"])
def inherited(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What a process does with SIGINT when it begins: in a script's background, at a terminal."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_a_job_however_it_was_started(inherited: Any) -> None:
    with pytest.raises(SystemExit) as ended, exit_statuses():
        signal.raise_signal(signal.SIGINT)
    assert ended.value.code == 130
    assert signal.getsignal(signal.SIGINT) is inherited


def test_a_handler_of_the_callers_own_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with exit_statuses():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_workers_leave_interrupts_to_their_parent() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    cells: Any = [SimpleNamespace(label=label) for label in "abc"]
    done = run_cells(cells, work, lost, 2, Interrupting())
    assert sorted((one.status, one.summary) for one in done) == [("ok", label) for label in "abc"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def end(cell: Any) -> tuple[str, str]:
    """Run in a worker: return, or die."""
    if cell.label == "dies":
        os._exit(3)
    return "ok", ""


def test_cells_run_in_their_order_and_a_dead_worker_costs_its_cell_alone() -> None:
    cells: list[Any] = [SimpleNamespace(label=label) for label in ("first", "dies", "last")]
    done = run_cells(cells, end, lost, 1, Mock())
    statuses = [(one.cell.label, one.status) for one in done]
    assert statuses == [("first", "ok"), ("dies", "lost"), ("last", "ok")]
