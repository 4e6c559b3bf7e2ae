"""Waiting for jobs that run elsewhere: their notes say when to look at a cell, and its record says
what became of it. On a shared disk both can appear with a delay.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from frod_bench.cells import results
from frod_bench.cells.cell import Cell
from frod_bench.cells.results import OVER_LIMIT, REFUSED, Outcome
from frod_bench.common.errors import InputError
from frod_bench.records import store
from frod_bench.sweep import job_list
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.job_list import Listed

LOST = "lost"  # status of a cell whose job ended before the cell was done; no record says so
# By executor: the time between two looks at the notes, and between two looks at the states of jobs;
# the time after the end of a job until what it has written is visible here.
NOTES_SEC = {"slurm": 5.0, "local": 0.2}
STATES_SEC = {"slurm": 30.0, "local": 0.5}
VISIBLE_SEC = {"slurm": 90.0, "local": 0.5}
MISSES = {"slurm": 3, "local": 1}  # a controller that starts again may not know its jobs yet
ENDS_SEC = 15.0  # until a job has ended, at most, after its last note


class Watch:
    """Waits until every cell is done, or the job that had it has ended."""

    def __init__(
        self,
        folder: Path,
        cells: Sequence[Cell],
        jobs: Sequence[Listed],
        display: SweepDisplay,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.folder, self.display, self.clock, self.sleep = folder, display, clock, sleep
        asked = {job_list.name_of(cell): cell for cell in cells}
        self.jobs = {job.token: job for job in jobs}
        self.pending: dict[str, Mapping[str, Cell]] = {
            job.token: {name: asked[name] for name in job.cells if name in asked} for job in jobs
        }
        executor = jobs[0].executor
        self.notes_sec, self.states_sec = NOTES_SEC[executor], STATES_SEC[executor]
        self.visible_sec = VISIBLE_SEC[executor]
        self.ended_at: dict[str, float] = {}  # token of a job -> when it was seen to have ended
        self.states: dict[str, str] = {}  # token of a job -> the last one
        self.missed: Counter[str] = Counter()  # answers in a row that lack a job
        self.begun_at: dict[str, float] = {}
        self.next_look = clock()
        self.slurm_answers = True
        self.shown: list[Cell] | None = None
        self.done: list[Finished] = []

    def run(self) -> list[Finished]:
        """All cells in the order in which their ends were seen."""
        while True:
            self.look_at_jobs()
            for token in list(self.pending):
                self.look_at_cells(token)
            if not any(self.pending.values()):
                return self.done
            self.show()
            self.sleep(self.notes_sec)

    def forget_jobs(self) -> None:
        """Remove the files of all jobs that have ended. A job ends some time after its last note;
        the files of a job that does not end in time are removed by the next command.
        """
        until = self.clock() + ENDS_SEC
        while len(self.ended_at) < len(self.jobs) and self.clock() < until:
            self.sleep(self.notes_sec)
            self.next_look = self.clock()
            self.look_at_jobs()
        for token in self.ended_at:
            job_list.forget(self.folder, self.jobs[token])

    def look_at_jobs(self) -> None:
        """Note which jobs have ended."""
        now = self.clock()
        if now < self.next_look:
            return
        self.next_look = now + self.states_sec
        waiting = [job for job in self.jobs.values() if job.token not in self.ended_at]
        if not waiting:
            return
        try:
            self.states |= job_list.states(waiting)
        except InputError as error:  # ask again later
            if self.slurm_answers:
                self.display.say(f"waiting for Slurm to answer. {error}")
            self.slurm_answers = False
            return
        self.slurm_answers = True
        for job in waiting:
            token, state = job.token, self.states[job.token]
            self.missed[token] = self.missed[token] + 1 if state == job_list.UNKNOWN else 0
            is_known = state != job_list.UNKNOWN or self.missed[token] >= MISSES[job.executor]
            if state in job_list.OVER and is_known:
                self.ended_at[token] = now

    def look_at_cells(self, token: str) -> None:
        """Take those cells of a job that have ended off the list."""
        pending = self.pending[token]
        if not pending:
            return
        now, ended_at = self.clock(), self.ended_at.get(token)
        is_over = ended_at is not None and now - ended_at >= self.visible_sec
        notes = job_list.read_notes(self.folder, token)
        if notes.begun is not None and notes.begun in pending:
            self.begun_at.setdefault(notes.begun, now)
        left = {}
        for name, cell in pending.items():
            outcome = decided(cell, notes.ended.get(name))
            if outcome is None and is_over:
                outcome = self.without_job(name, cell, self.jobs[token], notes)
            if outcome is None:
                left[name] = cell
                continue
            seconds = now - self.begun_at.get(name, now)
            self.done.append(Finished(cell, *outcome[:2], seconds, outcome.is_ours))
            self.display.finished(self.done[-1])
        self.pending[token] = left

    def without_job(self, name: str, cell: Cell, job: Listed, notes: job_list.Notes) -> Outcome:
        """What became of a cell whose job has ended, if the job has not noted how the cell ended,
        or if the cell's record does not confirm the note.
        """
        if (ended := results.ended(cell)) is not None:  # another process has run it
            return ended._replace(is_ours=False)
        log = f"see {self.folder}/{job.id}_0_log.out"
        if (told := notes.ended.get(name)) is not None:
            return Outcome(LOST, f"job {job.id} says {told.status}, without a record; {log}")
        when = "before it"
        if notes.begun == name:
            job_list.note_death(self.folder, cell, self.states[job.token])
            when = "in it"
        return Outcome(LOST, f"job {job.id} ended {when} ({self.states[job.token]}); {log}")

    def show(self) -> None:
        """Show what runs, if that has changed."""
        running = [
            cell
            for of_job in self.pending.values()
            for name, cell in of_job.items()
            if name in self.begun_at
        ]
        if running and running != self.shown:
            self.display.running(running)
        self.shown = running


def decided(cell: Cell, told: Outcome | None) -> Outcome | None:
    """The outcome of a cell by its record, once the job has noted its end and the record shows it;
    a cell without a record, since it was refused or is over its time, by the note alone.
    """
    if told is None or told.status in (REFUSED, OVER_LIMIT):
        return told
    try:
        if told.status == "failed" and store.status_at(cell.record_path) == "failed":
            found: Outcome | None = results.outcome_of(store.load(cell.record_path))
        else:
            found = results.ended(cell)
    except OSError:  # of a shared disk; it may be readable at the next look
        return None
    return None if found is None else found._replace(is_ours=told.is_ours)
