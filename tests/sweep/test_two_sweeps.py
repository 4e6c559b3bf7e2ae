"""Two sweeps of the same cells, each with workers of its own, share them."""

import multiprocessing
import os
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from frod_bench.cells.results import BUSY, Outcome
from frod_bench.common import locks
from frod_bench.sweep.pool import run_cells
from frod_bench.sweep.workers import Work

CELLS, CELL_SEC, WORKERS = 24, 0.05, 2  # workers of each sweep
FOLDER = "SHARED_FOLDER_OF_THE_TEST"


def folder() -> Path:
    return Path(os.environ[FOLDER])


def begin_together() -> None:
    """Wait until the workers of both sweeps are ready."""
    (folder() / f"{os.getpid()}.ready").touch()
    while len(list(folder().glob("*.ready"))) < 2 * WORKERS:
        time.sleep(0.01)


def run(cell: Any) -> Outcome:
    """Take some time for a cell, unless another process does or has done so."""
    with locks.locked(folder() / f"{cell.label}.lock", cell.label, wait=False) as is_ours:
        if not is_ours:
            return Outcome(BUSY, "")
        record = folder() / f"{cell.label}.record"
        if record.exists():
            return Outcome("ok", "found", False)
        time.sleep(CELL_SEC)
        with record.open("a") as stream:
            stream.write(f"{os.getppid()}\n")
        return Outcome("ok", "ran")


def lost(cell: Any) -> Outcome:
    return Outcome("lost", "")


def sweep() -> None:
    cells: list[Any] = [SimpleNamespace(label=f"{number:02}") for number in range(CELLS)]
    done = run_cells(cells, Work(run, lost, begin_together), [{}] * WORKERS, Mock())
    assert {one.status for one in done} == {"ok"}
    assert len(done) == CELLS  # its own, and those that the other has run
    ours = [one for one in done if one.is_ours]
    (folder() / f"{os.getpid()}.ran").write_text(str(len(ours)))


def test_two_sweeps_share_the_work(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    context = multiprocessing.get_context("spawn")
    sweeps = [context.Process(target=sweep) for _ in range(2)]
    for process in sweeps:
        process.start()
    for process in sweeps:
        process.join(120)
    assert [process.exitcode for process in sweeps] == [0, 0]
    runs = Counter(path.read_text() for path in tmp_path.glob("*.record"))
    assert sorted(runs) == sorted(f"{process.pid}\n" for process in sweeps)  # each cell ran once
    assert min(runs.values()) >= CELLS / 4
    assert {path.read_text() for path in tmp_path.glob("*.ran")} == set(map(str, runs.values()))
    assert not list(tmp_path.glob("*.lock*"))
