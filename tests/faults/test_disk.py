"""A disk that is full, or read-only, from some moment of a sweep on."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.results import Outcome
from frod_bench.common import atomic
from frod_bench.records import store
from frod_bench.sweep import launch
from frod_bench.training import runner
from frod_bench.training.loop import Point, Trainer
from tests.conftest import SHORT, MakeCell, RunHere
from tests.faults.conftest import Disk
from tests.report.factory import result_of

GRID = ("task=rte", "method=lora", "runtime.checkpoint_every_steps=1")
STEPS = 4  # of a cell, as in SHORT


def sweep(here: RunHere, root: Path) -> Any:
    return here("frod_bench.run", "-m", f"results_root={root}", *SHORT, *GRID, "seed=0,1")


def at_step(number: int, happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen at a step of a sweep, counted over its cells."""
    steps, train_step = [], Trainer.train_step

    def counted(self: Trainer, step: int, batches: Any) -> Point:
        steps.append(step)
        if len(steps) == number:
            happens()
        return train_step(self, step, batches)

    monkeypatch.setattr(Trainer, "train_step", counted)


def check_that_one_cell_failed(done: Any, root: Path, reason: str) -> bytes:
    """The sweep said why, the record of the first cell is whole, and nothing is half-written."""
    assert done.returncode == "1 of 2 runs failed.", done
    assert reason in " ".join(done.stderr.split())
    (record,) = (root / "embedded/records").rglob("*.json")
    assert store.load(record)["status"] == "ok"
    assert store.read_curve(record, store.load(record))
    assert not list(root.rglob(atomic.TEMPORARIES))
    return record.read_bytes()


def check_that_the_rest_runs(
    here: RunHere, root: Path, before: bytes, make_cell: MakeCell, tmp_path: Path
) -> None:
    """The same command completes the sweep, with the result of one that met no fault."""
    done = sweep(here, root)
    assert done.returncode == 0, done
    first, second = sorted((root / "embedded/records").rglob("*.json"))
    assert first.read_bytes() == before
    whole = make_cell(*GRID, "seed=1", f"results_root={tmp_path}/whole")
    runner.execute(whole)
    assert result_of(second) == result_of(whole.record_path)
    assert not list(root.rglob(atomic.TEMPORARIES))


@pytest.mark.usefixtures("in_turn")
def test_a_full_disk_costs_the_cells_that_it_cannot_hold(
    disk: Disk, here: RunHere, make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    root = disk.folder / "results"
    with monkeypatch.context() as patch:
        at_step(STEPS + 2, disk.fill, patch)
        done = sweep(here, root)
    before = check_that_one_cell_failed(done, root, "No space left on device")
    warnings = [text for text in caplog.messages if "a checkpoint cannot be written" in text]
    assert len(warnings) == 1  # training went on
    disk.free()
    check_that_the_rest_runs(here, root, before, make_cell, tmp_path)


@pytest.mark.usefixtures("in_turn")
def test_a_folder_that_becomes_read_only_costs_the_cells_after_that(
    disk: Disk, here: RunHere, make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, work, calls = disk.folder / "results", launch.work, []

    def counted(cell: Any) -> Outcome:
        calls.append(cell)
        if len(calls) == 2:
            disk.remount("ro")
        return work(cell)

    with monkeypatch.context() as patch:
        patch.setattr(launch, "work", counted)
        done = sweep(here, root)
    before = check_that_one_cell_failed(done, root, "Read-only file system")
    again = sweep(here, root)
    assert again.returncode == 2  # told before anything runs
    assert "cannot be written to (Read-only file system)" in again.stderr
    disk.remount("rw")
    check_that_the_rest_runs(here, root, before, make_cell, tmp_path)


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_writes_that_fail_in_the_middle_of_a_cell_cost_that_cell(
    number: int, here: RunHere, make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file system of its own, which not every machine can mount."""
    root = tmp_path / "results"

    def fail(path: Path) -> Path:
        raise OSError(number, "the disk's reason", str(path))

    with monkeypatch.context() as patch:
        at_step(STEPS + 2, lambda: patch.setattr(atomic, "temporary", fail), patch)
        done = sweep(here, root)
    before = check_that_one_cell_failed(done, root, "the disk's reason")
    check_that_the_rest_runs(here, root, before, make_cell, tmp_path)
