"""What a job does: its cells in turn, and at a signal a checkpoint before it is queued again."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.results import BUSY, Outcome
from frod_bench.common import stopping
from frod_bench.sweep import job_list
from frod_bench.sweep.job import Job
from frod_bench.sweep.workers import Work
from tests.conftest import MakeCell

pytest.importorskip("submitit")

QUEUED_AGAIN = -1  # as submitit ends a process that it has queued again


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """Signals as submitit leaves them: it ignores SIGTERM, and at SIGUSR2 queues the job again."""
    seen: list[int] = []

    def queue_again(number: int, _frame: object) -> None:
        seen.append(number)
        sys.exit(QUEUED_AGAIN)

    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, queue_again)
    yield seen
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def lost(_cell: Any) -> Outcome:
    raise AssertionError("no cell may be lost")


def job_of(
    cells: Any, folder: Path, run: Callable[[Any], Outcome], prepare: Callable[[], None]
) -> Job:
    work = Work(run, lost, prepare)
    return Job(tuple(cells), work, folder, "t", {"OF_THE_JOB": "1"}, hold_sec=0.0)


def statuses(folder: Path) -> list[str]:
    lines = job_list.notes_path(folder, "t").read_text().splitlines()
    return [job_list.json.loads(line)["status"] for line in lines if line]


def test_cells_run_in_turn_and_a_busy_one_comes_last(
    make_cell: MakeCell, tmp_path: Path, handled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OF_THE_JOB", raising=False)
    cells = [make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in (0, 1)]
    seen: list[str] = []

    def run(cell: Any) -> Outcome:
        assert os.environ["OF_THE_JOB"] == "1"
        seen.append(str(cell.seed))
        if seen == ["ready", "0"]:
            return Outcome(BUSY, "")
        return Outcome("ok", "")

    job_of(cells, tmp_path, run, lambda: seen.append("ready"))()
    assert seen == ["ready", "0", "1", "0"]
    assert statuses(tmp_path) == ["begun", BUSY, "begun", "ok", "begun", "ok"]
    assert not handled


@pytest.mark.parametrize(
    ("number", "status", "is_queued_again"),
    [
        (signal.SIGUSR2, QUEUED_AGAIN, True),  # its time is up
        (signal.SIGTERM, stopping.STATUS, False),  # cancelled, or preempted: Slurm queues it again
    ],
)
def test_a_signal_ends_the_step_and_leaves_a_checkpoint_first(
    make_cell: MakeCell,
    tmp_path: Path,
    handled: list[int],
    number: int,
    status: int,
    is_queued_again: bool,
) -> None:
    cells = [make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in (0, 1)]

    def run(cell: Any) -> Outcome:
        with stopping.deferred():
            signal.raise_signal(number)
            assert stopping.requested()
            (tmp_path / f"{cell.seed}.checkpoint").touch()
        return Outcome("ok", "it was not stopped")

    with pytest.raises(SystemExit) as ended:
        job_of(cells, tmp_path, run, lambda: None)()
    assert ended.value.code == status
    assert handled == ([number] if is_queued_again else [])
    assert statuses(tmp_path) == ["begun", job_list.STOPPED]
    assert [path.name for path in tmp_path.glob("*.checkpoint")] == ["0.checkpoint"]


def test_the_same_cells_are_queued_again(make_cell: MakeCell, tmp_path: Path) -> None:
    job = job_of([make_cell("task=rte", "method=frozen")], tmp_path, lost, lambda: None)
    again = job.checkpoint()
    assert again.function is job
    assert (again.args, again.kwargs) == ((), {})


def test_notes_hold_no_secret_and_a_full_disk_stops_no_job(
    make_cell: MakeCell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-secret-of-the-hub")
    cell = make_cell("task=rte", "method=frozen")
    told = Outcome("refused", "https://user:a-password@mirror/x: a-secret-of-the-hub is refused")
    job_list.note(tmp_path, "t", cell, told.status, told)
    text = job_list.notes_path(tmp_path, "t").read_text()
    assert "mirror/x" in text
    assert "a-password" not in text
    assert "a-secret-of-the-hub" not in text
    job_list.note(tmp_path / "gone", "t", cell, told.status, told)
    assert "The job goes on" in caplog.text
    assert "mirror/x" in caplog.text  # the log has what the notes would have


def test_half_a_note_does_not_spoil_the_next(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell("task=rte", "method=frozen")
    job_list.notes_path(tmp_path, "t").write_text('{"cell": "embedded/records/rt')
    job_list.note(tmp_path, "t", cell, "ok", Outcome("ok", "accuracy 0.5"))
    assert set(job_list.read_notes(tmp_path, "t").ended) == {job_list.name_of(cell)}
