"""Waiting for jobs: their notes say when to look, and records decide."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from frod_bench.cells import results
from frod_bench.cells.cell import Cell
from frod_bench.cells.results import BUSY, OVER_LIMIT, REFUSED, Outcome
from frod_bench.common.errors import InputError
from frod_bench.sweep import job_list, watch
from frod_bench.sweep.display import Finished
from frod_bench.sweep.job_list import BEGUN, Listed
from frod_bench.sweep.watch import LOST, Watch
from frod_bench.training import runner
from tests.conftest import MakeCell

OOM = "OUT_OF_MEMORY"


class Story:
    """A clock whose every sleep makes the next thing happen."""

    def __init__(self, folder: Path, events: list[Callable[[], object]]) -> None:
        self.now, self.folder, self.events = 0.0, folder, events
        self.states: dict[str, str] = {}

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 10_000, "it waits forever"
        if self.events:
            self.events.pop(0)()


@pytest.fixture
def cell(make_cell: MakeCell) -> Cell:
    return make_cell("task=rte", "method=frozen")


def run(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cells: list[Cell],
    tell: Callable[[Story], list[Callable[[], object]]],
) -> list[Finished]:
    """Watch one Slurm job with `cells` while what `tell` returns happens."""
    job = Listed("aa", "7_0", "slurm", None, tuple(map(job_list.name_of, cells)))
    story = Story(tmp_path, [])
    story.events = tell(story)
    monkeypatch.setattr(job_list, "states", lambda jobs: states_of(story, jobs))
    display: Any = Mock()
    return Watch(tmp_path, cells, [job], display, clock=lambda: story.now, sleep=story.sleep).run()


def states_of(story: Story, jobs: Any) -> dict[str, str]:
    return {job.token: story.states.get(job.token, "RUNNING") for job in jobs}


def told(folder: Path, cell: Cell, status: str, summary: str = "") -> Callable[[], None]:
    outcome = Outcome(status, summary)
    return lambda: job_list.note(folder, "aa", cell, status, outcome)


def test_a_cell_is_done_once_its_record_shows_what_the_job_has_noted(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is visible before the record, as on a shared disk."""
    done = run(
        monkeypatch,
        tmp_path,
        [cell],
        lambda _: [
            lambda: job_list.note(tmp_path, "aa", cell, BEGUN),
            told(tmp_path, cell, "ok", "accuracy 9.999"),
            lambda: runner.execute(cell),
        ],
    )
    (one,) = done
    assert one.status == "ok"
    assert "9.999" not in one.summary  # the record's word, not the note's
    assert one.is_ours
    assert one.seconds == 2 * watch.NOTES_SEC["slurm"]


def test_a_job_that_says_ok_without_a_record_has_lost_its_cell(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(story: Story) -> list[Callable[[], object]]:
        return [told(tmp_path, cell, "ok"), lambda: story.states.update(aa=OOM)]

    (one,) = run(monkeypatch, tmp_path, [cell], tell)
    assert one.status == LOST
    assert "job 7_0 says ok, without a record" in one.summary
    assert "7_0_0_log.out" in one.summary
    assert not cell.record_path.exists()


def test_an_old_failure_is_not_taken_for_the_outcome(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.leave_failure(cell, RuntimeError("yesterday"))
    events = [told(tmp_path, cell, "ok"), lambda: runner.execute(cell)]
    (one,) = run(monkeypatch, tmp_path, [cell], lambda _: events)
    assert one.status == "ok"


def test_a_failure_is_read_from_its_record(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        lambda: results.leave_failure(cell, RuntimeError("CUDA out of memory")),
        told(tmp_path, cell, "failed"),
    ]
    (one,) = run(monkeypatch, tmp_path, [cell], lambda _: events)
    assert (one.status, one.summary) == ("failed", "RuntimeError: CUDA out of memory")


@pytest.mark.parametrize("status", [REFUSED, OVER_LIMIT])
def test_what_leaves_no_record_is_taken_from_the_note(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    (one,) = run(monkeypatch, tmp_path, [cell], lambda _: [told(tmp_path, cell, status, "why")])
    assert (one.status, one.summary) == (status, "why")


def test_cells_of_a_job_that_ended_are_lost_or_were_never_begun(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in (0, 1, 2)]

    def tell(story: Story) -> list[Callable[[], object]]:
        return [
            lambda: job_list.note(tmp_path, "aa", cells[0], BEGUN),
            lambda: story.states.update(aa=OOM),
            lambda: runner.execute(cells[2]),  # by another process
        ]

    done = run(monkeypatch, tmp_path, cells, tell)
    assert [one.status for one in done] == [LOST, LOST, "ok"]
    assert "job 7_0 ended in it (OUT_OF_MEMORY)" in done[0].summary
    assert "ended before it" in done[1].summary
    assert [one.is_ours for one in done] == [True, True, False]
    assert not cells[0].record_path.exists()  # nobody stamps a cell that may yet have a record
    assert job_list.deaths(tmp_path) == {"", job_list.name_of(cells[0])}
    job_list.note_death(tmp_path, cells[1], "NODE_FAIL")  # which says nothing of the cell
    assert job_list.name_of(cells[1]) not in job_list.deaths(tmp_path)


def test_a_job_that_one_answer_of_slurm_lacks_has_not_ended(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a controller that has just started."""
    looks = round(watch.STATES_SEC["slurm"] / watch.NOTES_SEC["slurm"])

    def tell(story: Story) -> list[Callable[[], object]]:
        story.states["aa"] = job_list.UNKNOWN
        quiet: list[Callable[[], object]] = [lambda: None] * looks
        visible = [lambda: None] * round(watch.VISIBLE_SEC["slurm"] / watch.NOTES_SEC["slurm"])
        return [*quiet, lambda: story.states.update(aa="RUNNING"), *visible, *quiet,
                lambda: runner.execute(cell), told(tmp_path, cell, "ok")]  # fmt: skip

    (one,) = run(monkeypatch, tmp_path, [cell], tell)
    assert one.status == "ok"


def test_a_job_that_slurm_no_longer_knows_has_ended(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(story: Story) -> list[Callable[[], object]]:
        return [lambda: story.states.update(aa=job_list.UNKNOWN)]

    (one,) = run(monkeypatch, tmp_path, [cell], tell)
    assert one.status == LOST


def test_a_busy_cell_and_a_queued_job_are_waited_for(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(story: Story) -> list[Callable[[], object]]:
        quiet: list[Callable[[], object]] = [lambda: None] * 50
        story.states["aa"] = "PENDING"
        return [
            *quiet,
            told(tmp_path, cell, BUSY),
            *quiet,
            lambda: runner.execute(cell),
            told(tmp_path, cell, "ok"),
        ]

    (one,) = run(monkeypatch, tmp_path, [cell], tell)
    assert one.status == "ok"


def test_slurm_may_be_away_for_a_while(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(tmp_path, [])
    away = InputError("squeue: cannot be asked.")
    answers: list[Any] = [away, away, {"aa": "RUNNING"}, away, {"aa": OOM}]

    def states(_jobs: Any) -> dict[str, str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(job_list, "states", states)
    display: Any = Mock()
    job = Listed("aa", "7_0", "slurm", None, (job_list.name_of(cell),))
    found = Watch(
        tmp_path, [cell], [job], display, clock=lambda: story.now, sleep=story.sleep
    ).run()
    assert [one.status for one in found] == [LOST]
    said = [call.args[0] for call in display.say.call_args_list]
    assert said == ["waiting for Slurm to answer. squeue: cannot be asked."] * 2


def test_cells_that_the_command_did_not_ask_for_are_left_alone(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make_cell("task=rte", "method=frozen")
    theirs = make_cell("task=rte", "method=frozen", "seed=5")
    runner.execute(ours)
    job_list.note(tmp_path, "aa", ours, "ok", Outcome("ok", ""))
    job = Listed("aa", "7", "slurm", None, (job_list.name_of(theirs), job_list.name_of(ours)))
    monkeypatch.setattr(job_list, "states", lambda jobs: {job.token: "RUNNING" for job in jobs})
    display: Any = Mock()
    done = Watch(tmp_path, [ours], [replace(job)], display).run()
    assert [one.cell for one in done] == [ours]
