"""What a cell leaves: a good record is never replaced by a worse one, a later failure is kept."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from frod_bench.cells import cell as sweep
from frod_bench.cells import results
from frod_bench.cells.cell import Cell
from frod_bench.common import locks, processes, terminal
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.config.settings import RuntimeConfig
from frod_bench.records import schema, store
from frod_bench.sweep import engines, launch
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.training import runner
from tests.conftest import MakeCell

HOSTILE = "cannot open [/data/shard-3], [word], [bold] or s3:key:"


@pytest.fixture
def finished(make_cell: MakeCell) -> Cell:
    """A cell with a good record, asked for again so that its trained values are kept."""
    words = ("task=rte", "method=frozen")
    assert runner.execute(make_cell(*words)).status == "ok"
    return make_cell(*words, "save=adapter")


def kept_failures(cell: Cell) -> list[str]:
    """The error messages of the failures that are kept beside a cell's record."""
    files = sorted(cell.record_path.parent.glob(f"{cell.record_path.name}.failed-*"))
    return [json.loads(file.read_text())["error"]["message"] for file in files]


def test_a_record_names_its_processor(finished: Cell) -> None:
    made = store.load(finished.record_path)["provenance"]
    assert made["processor"] == processes.processor()  # type: ignore[typeddict-item]


def test_asked_again_with_a_folder_that_cannot_be_written(finished: Cell) -> None:
    finished.adapter_path.parent.parent.mkdir(parents=True)
    finished.adapter_path.parent.write_text("a file where a folder must be")
    before = finished.record_path.read_bytes()
    outcome = runner.execute(finished)
    assert outcome.status == "failed"
    assert f"kept as {finished.record_path.name}.failed-1" in outcome.summary
    assert finished.record_path.read_bytes() == before
    assert len(kept_failures(finished)) == 1
    assert store.scan(finished.results_dir / "records")[1] == []


def test_the_worker_of_a_cell_that_has_a_record_dies(finished: Cell) -> None:
    before = finished.record_path.read_bytes()
    for count in (1, 2):
        assert launch.lost(finished)[0] == "failed"
        assert finished.record_path.read_bytes() == before
        assert kept_failures(finished) == ["the worker died (killed, or out of memory)"] * count


def test_another_sweep_finished_the_cell_before_ours_fails(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("task=rte", "method=frozen")
    assert runner.execute(cell).status == "ok"  # the other sweep, after ours was planned

    def no_memory(*arguments: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(runner, "make_ready", no_memory)
    assert runner.execute(cell).status == "ok"
    assert kept_failures(cell) == []
    cell.record_path.unlink()
    assert runner.execute(cell).status == "failed"
    assert store.load(cell.record_path)["status"] == "failed"
    assert kept_failures(cell) == []


def test_a_failure_while_another_process_runs_the_cell_is_kept_beside(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    with locks.locked(cell.lock_path, "another"):
        locks._held.clear()  # as seen from a process that does not hold it
        status, summary, _ = launch.leave_failure(cell, RuntimeError("out of memory"))
    assert status == "failed"
    assert "kept as" in summary
    assert not cell.record_path.exists()
    assert kept_failures(cell) == ["out of memory"]


def test_input_refused_under_the_lock_leaves_no_folder(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell("task=rte", "method=frod", "+method.learning_rates.x=1")
    with pytest.raises(InputError, match="no such parameter group"):
        runner.execute(cell)
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_run_does_not_replace_a_good_record(finished: Cell) -> None:
    body = json.loads(finished.record_path.read_text())
    failure = {"type": "Diverged", "message": "loss nan", "where": "step 3"}
    curve = [{"step": 0, "seconds": 0.0, "train_loss": 1.0}]
    fields = ("primary_metric", "higher_is_better", "params", "time", "steps", "memory")
    worse = {name: body[name] for name in (*fields, "tokens_or_images", "data_counts")}
    worse |= {"status": "diverged", "error": failure, "metrics": {}}
    before = {p: p.read_bytes() for p in finished.record_path.parent.iterdir()}
    _, path = results.leave_record(
        finished, worse, curve, None, started_at=body["provenance"]["started_at"], device="cpu"
    )
    assert path.name == f"{finished.record_path.name}.diverged-1"
    assert store.curve_path(path).name == f"{path.name}.curve.jsonl"
    assert {p: p.read_bytes() for p in before} == before
    assert store.scan(finished.results_dir / "records")[1] == []


def test_what_cannot_be_saved_leaves_the_curve_of_the_record_that_stays(finished: Cell) -> None:
    before = {p: p.read_bytes() for p in finished.record_path.parent.iterdir()}
    body = json.loads(finished.record_path.read_text())
    fields = ("status", "error", "metrics", "primary_metric", "higher_is_better", "params", "steps")
    again = {name: body[name] for name in (*fields, "memory", "tokens_or_images", "data_counts")}
    again["time"] = dict.fromkeys(("setup_sec", "train_sec", "eval_sec"), float("nan"))
    curve = [{"step": 0, "seconds": 0.0, "train_loss": 9.0}]
    with pytest.raises(schema.RecordError, match="setup_sec"):
        results.leave_record(
            finished, again, curve, None, started_at=body["provenance"]["started_at"], device="cpu"
        )
    assert {p: p.read_bytes() for p in finished.record_path.parent.iterdir()} == before


def test_a_record_names_every_processor_that_its_run_was_made_on(finished: Cell) -> None:
    body = json.loads(finished.record_path.read_text())
    fields = ("status", "error", "metrics", "primary_metric", "higher_is_better", "params", "time")
    again = {name: body[name] for name in (*fields, "steps", "memory", "tokens_or_images")}
    again |= {"data_counts": body["data_counts"], "machines": ["Intel", "AMD"]}
    curve = [{"step": 0, "seconds": 0.0, "train_loss": 1.0}]
    predictions = pq.read_table(store.predictions_path(finished.record_path))
    made, path = results.leave_record(
        finished, again, curve, predictions, started_at=results.now(), device="cpu"
    )
    assert made["provenance"]["processor"] == "Intel, then AMD"
    assert store.load(path)["provenance"]["processor"] == "Intel, then AMD"
    assert "accelerator" not in made["provenance"]


def test_a_record_of_a_gpu_names_its_model_and_the_processor_next_to_it(finished: Cell) -> None:
    found = results.provenance_of(finished, results.now(), "cuda:0", ["H100", "A100"])
    assert found["accelerator"] == "H100, then A100"
    assert found["processor"] == processes.processor()
    failed = results.provenance_of(finished, results.now(), "cuda:0")
    assert "accelerator" not in failed


def test_a_file_name_that_is_no_text_is_told_in_the_failure(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    status, summary, _ = launch.leave_failure(cell, FileNotFoundError("caf\udce9"))
    assert (status, summary) == ("failed", "FileNotFoundError: caf\\udce9")
    assert store.load(cell.record_path)["status"] == "failed"


def test_a_lock_that_cannot_be_made_costs_no_failure_record(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    cell.results_dir.mkdir(parents=True)
    (cell.results_dir / "checkpoints").write_text("a file where a folder must be")
    assert launch.leave_failure(cell, RuntimeError("out of memory"))[0] == "failed"
    assert store.load(cell.record_path)["error"]["message"] == "out of memory"
    launch.leave_failure(cell, RuntimeError("again"))
    assert kept_failures(cell) == ["again"]


def test_set_aside_looks_again_before_it_moves(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    cell.record_path.parent.mkdir(parents=True)
    cell.record_path.write_text("{")
    [unusable] = sweep.find_missing([cell]).invalid
    cell.record_path.unlink()
    assert runner.execute(cell).status == "ok"  # another sweep, after ours was planned
    assert store.set_aside(unusable.path) is None
    assert store.load(cell.record_path)["status"] == "ok"


def test_brackets_in_an_error_reach_the_reader(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = make_cell("task=rte", "method=frozen")
    invalid = make_cell("task=cola", "method=frozen")
    invalid.record_path.parent.mkdir(parents=True)
    invalid.record_path.write_text('{"schema_version": "[/x] [word]"}')

    def run_cells(cells, work, workers, display) -> list[Finished]:
        ended = [Finished(cell, "failed", HOSTILE, 1.0)]
        display.running([cell])
        display.finished(ended[0])
        return ended

    monkeypatch.setattr(engines, "run_cells", run_cells)
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(CellsFailed):
        launch.launch(
            sweep.find_missing([cell, invalid]), RuntimeConfig(), engines.LocalEngine([{}])
        )
    told = capsys.readouterr().err
    assert told.count(HOSTILE) == 2  # as it happened, and in the table
    assert "[/x] [word]" in told


def test_the_live_display_takes_brackets(make_cell: MakeCell) -> None:
    console = terminal.plain_console(stderr=True)
    live = Console(force_terminal=True, markup=False, emoji=False, file=console.file, width=300)
    cell = make_cell("task=rte", "method=frozen")
    with live.capture() as capture:
        shown = SweepDisplay(1, 0, live)
        with shown.progress:
            shown.progress.update(shown.bar, now=HOSTILE)
            shown.progress.refresh()
            shown.finished(Finished(cell, "failed", HOSTILE, 1.0))
        launch.print_failures([Finished(cell, "failed", HOSTILE, 1.0)], live)
    assert capture.get().count(HOSTILE) >= 2


def test_cells_that_were_refused_for_one_reason_are_counted(make_cell: MakeCell) -> None:
    cells = [make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in range(6)]
    console = Console(width=300)
    ended = [Finished(one, "refused", "no rows", 0.0) for one in cells[:5]]
    ended += [Finished(one, "failed", "no rows", 0.0) for one in cells]
    with console.capture() as capture:
        launch.print_failures(ended, console)
    told = capture.get()
    counts = [told.count(f" {one.label} ") for one in cells]
    assert counts == [2, 2, 2, 1, 1, 1]  # three of those refused, and all that failed
    assert "2 more" in told
    assert "11 cells are not done" in told
