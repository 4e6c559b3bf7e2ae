"""What a plan finds of runs: a file that was lost makes its cell run again, what cannot be read
costs its cell alone.
"""

import errno
import json
import os
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pytest

from frod_bench.cells import results
from frod_bench.cells.cell import Cell, Plan, Unreadable, find_missing
from frod_bench.common.errors import CellsFailed, Detached
from frod_bench.records import store
from frod_bench.sweep import launch
from frod_bench.sweep.display import Finished
from tests.conftest import SHORT, MakeCell, RunHere
from tests.report.factory import make_record, synthetic_curve

KINDS = ("curve", "predictions", "adapter")
PREDICTIONS = pa.table({"split": ["test"], "row_id": [0], "prediction": [1], "label": [1]})


def leave(cell: Cell) -> Cell:
    """Leave the record of a cell and its files, as if it had run."""
    made = make_record()
    fields = ("status", "error", "metrics", "primary_metric", "higher_is_better", "params", "time")
    body = {name: made[name] for name in (*fields, "steps", "tokens_or_images", "memory")}
    body |= {"data_counts": {"rows_read": 10, "rows_unusable": 0, "sequences_cut": 0}}
    if cell.settings.save == "adapter":
        cell.adapter_path.parent.mkdir(parents=True, exist_ok=True)
        cell.adapter_path.write_bytes(b"trained values")
    curve = synthetic_curve(steps=5)
    results.leave_record(
        cell, body, curve, PREDICTIONS, started_at="2026-01-01T00:00:00+00:00", device="cpu"
    )
    return cell


@pytest.fixture
def done(make_cell: MakeCell) -> Cell:
    """A cell that keeps its trained values, with its record and files."""
    return leave(make_cell("task=rte", "method=frozen", "save=adapter"))


def file_of(cell: Cell, kind: str) -> Path:
    return {
        "curve": store.curve_path(cell.record_path),
        "predictions": store.predictions_path(cell.record_path),
        "adapter": cell.adapter_path,
    }[kind]


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = {
    "cut short": (
        lambda f: f.write_bytes(f.read_bytes()[:-1]),
        r"it has [\d,]+ bytes, and the run",
    ),
    "empty": (lambda f: f.write_bytes(b""), "it has 0 bytes, and the run wrote"),
    "longer": (lambda f: f.write_bytes(f.read_bytes() + b"x"), "bytes, and the run wrote"),
    "missing": (Path.unlink, "it is missing"),
    "a folder": (as_folder, "it is not a file"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cell_whose_file_was_lost_runs_again(done: Cell, kind: str, damage: str) -> None:
    assert find_missing([done]).missing == ()
    apply, words = DAMAGES[damage]
    apply(file_of(done, kind))
    plan = find_missing([done])
    assert plan.missing == (done,)
    [(path, reason)] = plan.damaged
    assert path == file_of(done, kind)
    assert re.search(words, reason)
    if (kind, damage) != (
        "adapter",
        "a folder",
    ):  # of which `checkpoint.save_parameters` takes care
        assert find_missing([leave(done)]).missing == ()


def test_a_record_of_version_1_notes_no_sizes(done: Cell) -> None:
    made = json.loads(done.record_path.read_text())
    del made["files"]
    done.record_path.write_text(json.dumps(made | {"schema_version": 1}))
    assert find_missing([done]).missing == ()
    store.curve_path(done.record_path).write_bytes(b"")
    [(_, reason)] = find_missing([done]).damaged
    assert reason == "it has 0 bytes, and the run wrote more."


def test_trained_values_that_the_record_does_not_note_are_made_again(make_cell: MakeCell) -> None:
    """A run was killed between its trained values and the record that would have noted them."""
    leave(make_cell("task=rte", "method=frozen"))
    cell = make_cell("task=rte", "method=frozen", "save=adapter")
    assert find_missing([cell]).missing == (cell,)
    cell.adapter_path.parent.mkdir(parents=True)
    cell.adapter_path.write_bytes(b"trained values")
    assert find_missing([cell]).missing == (cell,)


def test_what_a_record_names_is_on_the_disk_before_it(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("task=rte", "method=frozen")
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def named(path: Path) -> str:
        kinds = ("curve", "predictions", "json")
        return next((kind for kind in kinds if f".{kind}" in path.name), path.name)

    def flush(descriptor: int) -> None:
        done.append(f"flush {named(Path(f'/proc/self/fd/{descriptor}').readlink())}")
        fsync(descriptor)

    def rename(source: str, target: str) -> None:
        done.append(f"rename {named(Path(target))}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    leave(cell)
    folder = f"flush {cell.method}"
    of_files = [one for one in done if one.startswith("rename") or one == folder]
    assert of_files == [
        *("rename predictions", folder),
        *("rename curve", folder),
        *("rename json", folder),
    ]
    for kind in ("curve", "predictions", "json"):
        assert done.index(f"flush {kind}") == done.index(f"rename {kind}") - 1


def test_a_command_that_leaves_names_what_it_could_not_read(
    make_cell: MakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    cell, broken = (make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in (0, 1))
    found = Plan((cell, broken), (cell,), (), unreadable=(Unreadable(broken, "EIO"),))
    engine = Mock(workers=None)
    engine.run.side_effect = Detached("1 runs wait or run.")
    with pytest.raises(CellsFailed, match=r"1 of 2 records cannot be read"):
        launch.launch(found, cell.settings.runtime, engine)
    assert "1 runs wait or run." in capsys.readouterr().err


def test_a_record_that_is_not_visible_yet_fails_no_finished_sweep(make_cell: MakeCell) -> None:
    """As on a shared disk."""
    cell = make_cell("task=rte", "method=frozen")
    line = launch.pace([Finished(cell, "ok", "", 1.0)], 2.0, 1)
    assert line.startswith("2 s with 1 workers: 30.0 cells a minute")


def unreadable(monkeypatch: pytest.MonkeyPatch, path: Path, error: OSError) -> None:
    """Make a path raise an error when it is looked at or read, as a failing disk does."""
    stat, read_bytes = Path.stat, Path.read_bytes

    def failing_stat(self: Path, **kwargs: Any) -> Any:
        if self == path:
            raise error
        return stat(self, **kwargs)

    def failing_read(self: Path) -> bytes:
        if self == path:
            raise error
        return read_bytes(self)

    monkeypatch.setattr(Path, "stat", failing_stat)
    monkeypatch.setattr(Path, "read_bytes", failing_read)


@pytest.mark.parametrize("kind", ["record", *KINDS])
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_path_that_cannot_be_read_costs_its_cell_alone(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, kind: str, number: int
) -> None:
    words = ("task=rte", "method=frozen", "save=adapter")
    cells = [make_cell(*words, f"seed={seed}") for seed in range(3)]
    broken, whole, missing = cells
    leave(broken)
    leave(whole)
    path = broken.record_path if kind == "record" else file_of(broken, kind)
    unreadable(monkeypatch, path, OSError(number, os.strerror(number)))
    plan = find_missing(cells)
    assert plan.missing == (missing,)
    [(cell, reason)] = plan.unreadable
    assert cell == broken
    assert os.strerror(number) in reason


def test_a_folder_in_a_records_place_is_set_aside(make_cell: MakeCell) -> None:
    cells = [make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in range(2)]
    wrong, whole = cells
    leave(whole)
    (wrong.record_path / "inside").mkdir(parents=True)
    plan = find_missing(cells)
    assert plan.missing == (wrong,)
    assert [tuple(one) for one in plan.invalid] == [(wrong.record_path, "it is a folder.")]
    told: list[str] = []
    launch.set_aside(plan, told.append)
    kept = wrong.record_path.with_name(f"{wrong.record_path.name}.invalid-1")
    assert (kept / "inside").is_dir()
    assert told == [
        f"{wrong.record_path}: it is a folder. Kept as {kept.name}; the cell runs again."
    ]
    assert find_missing([leave(wrong)]).missing == ()


def test_what_cannot_be_set_aside_is_said(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("task=rte", "method=frozen")
    cell.record_path.parent.mkdir(parents=True)
    cell.record_path.write_text("{")

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    told: list[str] = []
    launch.set_aside(find_missing([cell]), told.append)
    assert "It cannot be renamed ([Errno 30] Read-only file system)." in told[0]


@pytest.mark.usefixtures("in_turn")
def test_a_sweep_runs_what_it_can_and_names_what_it_cannot_read(
    tmp_path: Path, here: RunHere, make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, damaged = (make_cell("task=rte", "method=frozen", f"seed={s}") for s in (0, 1))
    leave(broken)
    leave(damaged)
    curve = store.curve_path(damaged.record_path)
    curve.write_bytes(curve.read_bytes()[:-1])
    unreadable(monkeypatch, broken.record_path, OSError(errno.EIO, "Input/output error"))
    where = f"results_root={tmp_path}/results"
    words = ["frod_bench.run", "-m", where, *SHORT, "task=rte", "method=frozen", "seed=0,1"]
    planned = here(*words, "plan_only=true")
    assert planned.returncode == 0
    assert "1 of 2 cells would run, 0 are done, 1 cannot be read." in planned.stdout
    done = here(*words)
    assert done.returncode == "1 of 2 records cannot be read, and their cells were not run."
    assert f"{curve.name}: it has" in done.stderr
    assert "1 of 2 cells are done, 1 ran now." in done.stderr
    assert "unreadable" in done.stderr
    alone = here(*words[:1], *words[2:-1], "seed=0")
    assert "its record cannot be read ([Errno 5] Input/output error)" in str(alone.returncode)
    assert find_missing([damaged]).missing == ()
