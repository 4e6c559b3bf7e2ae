"""The pool of workers: order, workers that die, stop or cannot start, and signals.

Workers are spawned where it matters what they inherit, signals and variables; elsewhere forked.
"""

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from frod_bench.cells.results import BUSY, OVER_LIMIT, Outcome
from frod_bench.cli.exits import exit_statuses
from frod_bench.common import locks, stopping
from frod_bench.sweep import launch, pool
from frod_bench.sweep.display import Finished
from frod_bench.sweep.pool import WorkersFailedError, run_cells
from frod_bench.sweep.workers import Work


class Watching:
    """A display that calls `on_running` when cells run."""

    def __init__(self, on_running: Callable[[], object]) -> None:
        self.on_running = on_running

    def running(self, cells: Sequence[Any], elsewhere: Sequence[Any] = ()) -> None:
        self.on_running()

    def finished(self, one: Finished) -> None:
        pass

    def say(self, line: str) -> None:
        self.said = line


def cells_of(labels: Sequence[str], folder: Path = Path()) -> list[Any]:
    return [SimpleNamespace(label=label, folder=folder) for label in labels]


def statuses(done: Sequence[Finished]) -> list[tuple[str, str]]:
    return [(one.cell.label, one.status) for one in done]


def signal_workers(number: int) -> None:
    """Signal every worker, as a terminal or a scheduler does."""
    for worker in multiprocessing.active_children():
        assert worker.pid is not None
        os.kill(worker.pid, number)


def work(cell: Any) -> Outcome:
    return Outcome("ok", cell.label)


def wait_for(folder: Path, pattern: str, count: int = 1) -> None:
    """Wait until there are so many files of a pattern."""
    while len(list(folder.glob(pattern))) < count:
        time.sleep(0.01)


def work_until_told(cell: Any) -> Outcome:
    wait_for(cell.folder, "told")
    return Outcome("ok", cell.label)


def lost(cell: Any) -> Outcome:
    return Outcome("lost", cell.label)


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


def test_workers_leave_interrupts_to_their_parent(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def interrupt() -> None:
        signal_workers(signal.SIGINT)
        (tmp_path / "told").touch()

    display: Any = Watching(interrupt)
    job = Work(work_until_told, lost)
    done = run_cells(cells_of("ab", tmp_path), job, [{}] * 2, display)
    assert sorted(statuses(done)) == [("a", "ok"), ("b", "ok")]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def end(cell: Any) -> Outcome:
    """Run in a worker: return, or die."""
    if cell.label == "dies":
        os._exit(3)
    return Outcome("ok", "")


@pytest.mark.usefixtures("forked")
def test_cells_run_in_their_order_and_a_dead_worker_costs_its_cell_alone() -> None:
    cells = cells_of(["first", "dies", "last"])
    done = run_cells(cells, Work(end, lost), [{}], Mock())
    assert statuses(done) == [("first", "ok"), ("dies", "lost"), ("last", "ok")]


def name_device(cell: Any) -> Outcome:
    (cell.folder / f"{os.getpid()}.begun").touch()
    wait_for(cell.folder, "*.begun", 2)
    return Outcome("ok", os.environ.get("CUDA_VISIBLE_DEVICES", "none"))


def test_each_worker_has_its_own_device_and_this_process_none(tmp_path: Path) -> None:
    before = dict(os.environ)
    workers = [{"CUDA_VISIBLE_DEVICES": name} for name in ("0", "MIG-b")]
    done = run_cells(cells_of("ab", tmp_path), Work(name_device, lost), workers, Mock())
    assert {one.summary for one in done} == {"0", "MIG-b"}
    assert dict(os.environ) == before


def locked_work(cell: Any) -> Outcome:
    """Run a cell unless another process does, as `launch.work`."""
    with locks.locked(cell.folder / f"{cell.label}.lock", cell.label, wait=False) as is_ours:
        if not is_ours:
            return Outcome(BUSY, "")
        record = cell.folder / f"{cell.label}.record"
        if record.exists():
            return Outcome("ok", "found", False)
        record.touch()
        return Outcome("ok", "ran")


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("is_recorded", [True, False], ids=["finishes", "dies"])
def test_a_cell_that_another_process_runs_comes_last(tmp_path: Path, is_recorded: bool) -> None:
    """The other process is this one; it ends when all others are done, with a record or without."""
    cells, job = cells_of("abc", tmp_path), Work(locked_work, lost)
    done: list[Finished] = []
    sweep = threading.Thread(target=lambda: done.extend(run_cells(cells, job, [{}], Mock())))
    with locks.locked(tmp_path / "a.lock", "a"):
        sweep.start()
        wait_for(tmp_path, "*.record", 2)
        if is_recorded:
            (tmp_path / "a.record").touch()
    sweep.join(60)
    assert statuses(done) == [("b", "ok"), ("c", "ok"), ("a", "ok")]
    assert [one.is_ours for one in done] == [True, True, not is_recorded]


def fail_to_import() -> None:
    raise ImportError("libcudart.so.13: cannot open shared object file")


def die() -> None:
    os._exit(7)


def unlike(_cell: Any) -> Outcome:
    raise AssertionError("no cell may be lost")


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("prepare", "reason"), [(fail_to_import, "ImportError: libcudart"), (die, "exit code 7")]
)
def test_a_sweep_ends_if_no_worker_can_start(
    prepare: Callable[[], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, start = [], pool._Place.start
    monkeypatch.setattr(
        pool._Place, "start", lambda self, work: (starts.append(1), start(self, work))
    )
    with pytest.raises(WorkersFailedError, match=reason) as caught:
        run_cells(cells_of("ab"), Work(work, unlike, prepare), [{}], Mock())
    assert "2 cells were not run" in str(caught.value)
    assert caught.value.done == []
    assert len(starts) == pool.MOST_STARTS


def test_a_worker_whose_gpu_cannot_be_used_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a device that another process has for itself."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    used: list[str] = []

    def empty(*_: object, device: str) -> None:
        used.append(device)
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable")

    monkeypatch.setattr(torch, "empty", empty)
    for device in ("auto", "cuda", "cuda:1"):
        with pytest.raises(RuntimeError, match="busy"):
            launch.prepare(device)
    launch.prepare()
    launch.prepare("cuda:2")  # there is none: bad input, and refused with the cell
    assert used == ["cuda:0", "cuda:0", "cuda:1"]


def test_a_machine_that_can_start_no_process_ends_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(*arguments: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(pool._Place, "start", start)
    monkeypatch.setattr(pool, "START_PAUSE_SEC", 0.01)
    with pytest.raises(WorkersFailedError, match="temporarily unavailable"):
        run_cells(cells_of("abc"), Work(work, unlike), [{}] * 2, Mock())


def test_a_start_that_fails_is_tried_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []
    start = pool._Place.start

    def at_times(place: pool._Place, job: Work) -> None:
        tried.append(time.monotonic())
        if len(tried) < pool.MOST_STARTS:
            raise OSError(12, "Cannot allocate memory")
        start(place, job)

    monkeypatch.setattr(pool._Place, "start", at_times)
    monkeypatch.setattr(pool, "START_PAUSE_SEC", 0.3)
    done = run_cells(cells_of("a", tmp_path), Work(work, lost), [{}], Mock())
    assert [one.status for one in done] == ["ok"]
    first, second, third = tried
    assert second - first >= 0.3
    assert third - second >= 0.6


def fail_without_a_device() -> None:
    if os.environ["DEVICE"] != "0":
        Path(os.environ["FOLDER"], f"{os.getpid()}.failed").touch()
        os._exit(7)


def work_when_others_have_failed(cell: Any) -> Outcome:
    wait_for(cell.folder, "*.failed", pool.MOST_STARTS)
    time.sleep(0.1)  # until the last one is gone
    return Outcome("ok", "")


def test_a_sweep_goes_on_with_the_workers_that_can_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workers = [{"DEVICE": name, "FOLDER": str(tmp_path)} for name in "10"]
    job = Work(work_when_others_have_failed, unlike, fail_without_a_device)
    done = run_cells(cells_of("abc", tmp_path), job, workers, Mock())
    assert sorted(statuses(done)) == [("a", "ok"), ("b", "ok"), ("c", "ok")]
    assert len(list(tmp_path.glob("*.failed"))) == pool.MOST_STARTS
    assert "a worker cannot start (exit code 7); 1 are left" in caplog.text


def stop_once(cell: Any) -> Outcome:
    """The first try is stopped by a signal to this worker alone; `twice` also the second."""
    tries = len(list(cell.folder.glob(f"{cell.label}-*")))
    (cell.folder / f"{cell.label}-{tries}").touch()
    if tries == 0 or cell.label == "twice":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    return Outcome("ok", f"try {tries + 1}")


@pytest.mark.usefixtures("forked")
def test_a_worker_that_is_stopped_costs_its_cell_a_second_try_at_most(tmp_path: Path) -> None:
    done = run_cells(cells_of(["once", "twice"], tmp_path), Work(stop_once, lost), [{}], Mock())
    assert [(one.cell.label, one.status, one.summary) for one in done] == [
        ("once", "ok", "try 2"),
        ("twice", "lost", "twice"),
    ]


def work_until_stopped(cell: Any) -> Outcome:
    """A step that ends some time after the request, and then its checkpoint."""
    with stopping.deferred():
        (cell.folder / f"{cell.label}.begun").touch()
        while not stopping.requested():
            time.sleep(0.01)
        time.sleep(0.3)
        (cell.folder / f"{cell.label}.checkpoint").touch()
    return Outcome("failed", "it was not stopped")


def test_a_request_to_stop_is_passed_on_and_waited_for(tmp_path: Path) -> None:
    cells = cells_of("abc", tmp_path)

    def when_both_run() -> None:
        if len(list(tmp_path.glob("*.begun"))) == 2:
            signal.raise_signal(signal.SIGUSR1)

    display: Any = Watching(when_both_run)
    with pytest.raises(stopping.Stopped, match="SIGUSR1"), stopping.listening():
        run_cells(cells, Work(work_until_stopped, unlike), [{}] * 2, display)
    assert sorted(path.name for path in tmp_path.glob("*.checkpoint")) == [
        "a.checkpoint",
        "b.checkpoint",
    ]
    assert not multiprocessing.active_children()
    assert re.fullmatch("stopping: waiting for the checkpoints of (a, b|b, a)", display.said)


def hang(cell: Any) -> Outcome:
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping.SIGNALS)
    if cell.label == "hangs":
        time.sleep(600)
    return Outcome("ok", "")


def take_longer(_cell: Any) -> Outcome:
    time.sleep(4.0)
    return Outcome("ok", "")


@pytest.mark.usefixtures("forked")
def test_set_up_and_the_last_evaluation_may_take_as_long_as_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "GRACE_SEC", 0.2)
    done = run_cells(cells_of(["slow"]), Work(take_longer, unlike, limit_sec=3.0), [{}], Mock())
    assert statuses(done) == [("slow", "ok")]


@pytest.mark.usefixtures("forked")
def test_a_worker_far_beyond_the_time_limit_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE_SEC", 0.2)
    cells = cells_of(["hangs", "next"])
    done = run_cells(cells, Work(hang, unlike, limit_sec=0.2), [{}], Mock())
    assert statuses(done) == [("hangs", OVER_LIMIT), ("next", "ok")]
    assert "killed" in done[0].summary
