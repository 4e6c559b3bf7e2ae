"""The jobs that commands have submitted to a scheduler.

Each job has a file that lists its cells, and next to it a file of notes that the job writes while
it runs. Only the record of a cell says whether the cell is done. These files keep a later command
from submitting cells again that still wait.
"""

import json
import logging
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import BUSY, Outcome
from frod_bench.common import atomic, leases
from frod_bench.common.errors import InputError
from frod_bench.common.secrets import redacted

logger = logging.getLogger(__name__)

FOLDER = "jobs"  # under results_root
LOCK = "jobs.lock"
# In the notes of a job, besides how a cell ended: it runs it now; it has left it with a checkpoint.
BEGUN, STOPPED = "begun", "stopped"
RUNNING = "RUNNING"
ENDED_FROM_OUTSIDE = ("CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")
DEATHS = "ended_in.txt"  # cells in which a job ended, a line each
UNKNOWN = "UNKNOWN"  # state of a job that no scheduler knows any more
# States of Slurm in which a job neither waits nor runs.
OVER = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "REVOKED", "TIMEOUT", UNKNOWN,
)  # fmt: skip
UNSUBMITTED = re.compile(r"[0-9a-f]{32}")  # name of what a job is to do until it has a number
ID = re.compile(r"\d+(_\d+)?")  # of a job, or of one of an array


@dataclass(frozen=True)
class Listed:
    """A job that was submitted."""

    token: str  # name of its files
    id: str  # the scheduler's
    executor: str  # slurm | local
    process: Mapping[str, Any] | None  # local: what tells the process that stands for the job
    cells: tuple[str, ...]  # `name_of`


@dataclass(frozen=True)
class Notes:
    """What a job has noted: the cell that it has begun and not ended, and how other cells ended."""

    begun: str | None
    ended: Mapping[str, Outcome]


def name_of(cell: Cell) -> str:
    """A cell's name in these files: where its record is, from results_root."""
    return cell.record_path.relative_to(cell.results_dir.parent).as_posix()


def add(folder: Path, job: Listed) -> None:
    """List a job."""
    atomic.write_text(folder / f"{job.token}.json", json.dumps(asdict(job), indent=1))


def listed(folder: Path) -> list[Listed]:
    """All jobs that are listed, in the order of their numbers; a damaged file is as good as none,
    since at worst its cells are submitted again.
    """
    found = []
    for path in folder.glob("*.json"):
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            job = Listed(**noted | {"cells": tuple(map(str, noted["cells"]))})
            if job.token == path.stem and ID.fullmatch(job.id):
                found.append(job)
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return sorted(found, key=lambda job: [int(part) for part in job.id.split("_")])


def states(jobs: Iterable[Listed]) -> dict[str, str]:
    """The state of each job by its token, one of `OVER` if it neither waits nor runs. Raises
    InputError if Slurm cannot be asked.
    """
    jobs = list(jobs)
    in_slurm = _states_in_slurm() if any(job.executor == "slurm" for job in jobs) else {}
    return {
        job.token: in_slurm.get(job.id, UNKNOWN)
        if job.executor == "slurm"
        else _state_of_process(job.process)
        for job in jobs
    }


def forget(folder: Path, job: Listed) -> None:
    """Remove the files of a job that has ended; its log stays."""
    for path in (*folder.glob(f"{job.token}.*"), *folder.glob(f"{job.id}_*.pkl")):
        path.unlink(missing_ok=True)


def remove_unsubmitted(folder: Path) -> None:
    """Remove what submitit leaves of jobs that were not taken, and its links to batch files."""
    for path in (*folder.glob(".submission_file_*"), *folder.glob("*.pkl")):
        if path.suffix != ".pkl" or UNSUBMITTED.fullmatch(path.stem):
            path.unlink(missing_ok=True)


def note(folder: Path, token: str, cell: Cell, status: str, outcome: Outcome | None = None) -> None:
    """Add a line to the notes of a job; the job itself calls this.

    If the line cannot be written, the job continues and its log has the line instead: records alone
    decide which cells are done.
    """
    line: dict[str, object] = {"cell": name_of(cell), "status": status}
    if outcome is not None:
        line |= {"summary": redacted(outcome.summary), "is_ours": outcome.is_ours}
    path = notes_path(folder, token)
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{json.dumps(line)}\n")  # before it may be half a line
    except OSError as error:
        logger.warning("%s: cannot be written (%s). The job goes on; %s", path, error, line)


def note_death(folder: Path, cell: Cell, state: str) -> None:
    """Note that a job ended in a cell, which left no record: it may have been why, unless somebody
    or the machine ended the job.
    """
    if state in ENDED_FROM_OUTSIDE:
        return
    try:
        with (folder / DEATHS).open("a", encoding="utf-8") as stream:
            stream.write(f"\n{name_of(cell)}\n")
    except OSError as error:
        logger.warning("%s: cannot be written (%s).", folder / DEATHS, error)


def deaths(folder: Path) -> set[str]:
    """The names of the cells in which jobs ended, and of some that ran well since."""
    try:
        return set((folder / DEATHS).read_text(encoding="utf-8", errors="replace").split("\n"))
    except OSError:
        return set()


def notes_path(folder: Path, token: str) -> Path:
    """The file of a job's notes."""
    return folder / f"{token}.notes.jsonl"


def read_notes(folder: Path, token: str) -> Notes:
    """What a job has noted; of a cell that it ran twice, since it was queued again, the first end
    counts.
    """
    begun: str | None = None
    ended: dict[str, Outcome] = {}
    for line in _lines(notes_path(folder, token)):
        name, status = str(line["cell"]), str(line["status"])
        begun = name if status == BEGUN else None
        if status not in (BEGUN, BUSY, STOPPED):
            told = Outcome(status, str(line.get("summary", "")), bool(line.get("is_ours", True)))
            ended.setdefault(name, told)
    return Notes(begun, ended)


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            noted = json.loads(line)
        except ValueError:  # it is being written
            continue
        if isinstance(noted, dict) and {"cell", "status"} <= noted.keys():
            yield noted


def _states_in_slurm() -> dict[str, str]:
    """The state of each of the user's jobs by its id; Slurm forgets them some minutes after their
    end.
    """
    command = ("squeue", "--me", "--noheader", "--array", "--all", "--states=all", "--format=%i %T")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        raise InputError(
            f"squeue: cannot be asked what is queued ({told.strip()}). Start the same command "
            "where Slurm answers."
        ) from error
    pairs = (line.split() for line in done.stdout.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _state_of_process(process: Mapping[str, Any] | None) -> str:
    if not process or not isinstance(process.get("pid"), int):
        return UNKNOWN
    now = leases.about_process(process["pid"])
    return RUNNING if now == process and now["started"] is not None else UNKNOWN
