"""The command line: what a user sees, what is written, and the exit status."""

import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import Outcome
from frod_bench.common import atomic
from frod_bench.common.paths import cache_dir
from frod_bench.records import store
from frod_bench.sweep import launch
from frod_bench.training import runner
from frod_bench.training.loop import Point, Trainer
from tests.conftest import SHORT, MakeCell, RunHere
from tests.forked_command import Command
from tests.report.factory import result_of
from tests.training.halted import run_and_halt


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, timeout=240
    )


def cell_words(root: Path, *overrides: str) -> list[str]:
    return ["frod_bench.run", f"results_root={root}/results", *SHORT, *overrides]


@pytest.mark.parametrize(
    "words",
    [
        ["frod_bench.run", "task=rte"],
        ["frod_bench.run", "-m", "task=rte"],
        ["frod_bench.report", "tables", "suite=smoke"],
    ],
)
def test_published_results_are_refused_under_the_name_that_was_given(
    here: RunHere, words: list[str]
) -> None:
    done = here(*words, *SHORT, "results_root=results/reference")
    assert done.returncode == 2
    assert "error: results_root=results/reference: is what the project publishes" in done.stderr


def test_one_cell_prints_its_record_last_and_is_not_run_again(
    tmp_path: Path, here: RunHere
) -> None:
    words = cell_words(tmp_path, "task=rte", "method=frod", "seed=3", "method.sparse_rate=0.01")
    done = here(*words)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path.is_absolute()
    document = store.load(path)
    assert document["status"] == "ok"
    assert document["cell"]["seed"] == 3
    assert document["config"]["method"]["sparse_rate"] == 0.01
    assert document["steps"] == 4
    before = path.stat().st_mtime_ns
    again = here(*words)
    assert again.returncode == 0
    assert Path(again.stdout.splitlines()[-1]) == path
    assert "has a record already" in again.stderr
    assert path.stat().st_mtime_ns == before


def test_results_land_in_the_home_folder(
    tmp_path: Path, here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell leaves the `~` of `key=~/x` as it is."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("FROD_BENCH_CACHE", str(cache_dir()))  # not that of the other home
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    words = ["task=rte", "method=frozen", *SHORT, "results_root=~/my/results"]
    done = here("frod_bench.run", *words)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path.is_relative_to(home / "my" / "results" / "embedded" / "records")
    assert store.load(path)["status"] == "ok"
    assert list(work.iterdir()) == []
    planned = here("frod_bench.run", "-m", *words, "plan_only=true")
    assert "0 of 1 cells would run, 1 are done." in planned.stdout
    assert not [one for one in tmp_path.rglob("*") if one.name.startswith("~")]


@pytest.mark.parametrize("grid", [[], ["-m", "seed=0,1"]], ids=["a run", "a grid"])
@pytest.mark.parametrize("bad", ["method.peft.lora_alpha=nan", "task.metrics=[bogus]"])
def test_bad_input_is_refused_before_the_data_sets_are_written(
    tmp_path: Path, here: RunHere, monkeypatch: pytest.MonkeyPatch, grid: list[str], bad: str
) -> None:
    """They take half a minute and 31 MB."""
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "cache"))
    done = here("frod_bench.run", *grid, "task=rte", "method=lora", bad, f"results_root={tmp_path}")
    assert done.returncode == 2, done.stderr
    assert bad.partition("=")[0] in done.stderr
    assert "writing the synthetic data sets" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_plan_only_prints_and_launches_nothing(tmp_path: Path, here: RunHere) -> None:
    done = here(
        *cell_words(tmp_path, "-m", "experiment=main_table", "suite=smoke", "plan_only=true")
    )
    assert done.returncode == 0, done.stderr
    assert "45 of 45 cells would run, 0 are done." in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("grid", [[], ["-m"]])
def test_plan_only_refuses_what_a_run_refuses(
    tmp_path: Path, here: RunHere, grid: list[str]
) -> None:
    words = cell_words(tmp_path, *grid, "task=boolq", "method=bitfit", "plan_only=true")
    done = here(*words)
    assert done.returncode == 2
    assert "error: method=bitfit: trains biases" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("forked")
def test_a_grid_leaves_out_what_is_done_and_runs_a_damaged_record_again(
    tmp_path: Path, here: RunHere, request: pytest.FixtureRequest
) -> None:
    grid = cell_words(tmp_path, "-m", "task=rte", "method=frozen,lora", "runtime.jobs=2")
    first = here(*grid)
    assert first.returncode == 0, first.stderr
    assert "2 of 2 cells are done, 2 ran now." in first.stderr
    assert re.search(r"\[2/2\] rte/\w+/0: ok, accuracy 0\.\d+ .*ends \d\d:\d\d:\d\d", first.stderr)
    assert not (tmp_path / "results/embedded/checkpoints").exists()
    path = next((tmp_path / "results/embedded/records/rte/lora").glob("*.json"))
    path.write_text(path.read_text()[:200])
    request.getfixturevalue("in_turn")  # two workers were started once
    again = here(*grid)
    assert again.returncode == 0, again.stderr
    assert "not JSON" in again.stderr
    assert "1 ran now." in again.stderr
    assert path.with_name(f"{path.name}.invalid-1").exists()
    assert store.load(path)["status"] == "ok"


@pytest.mark.usefixtures("in_turn")
def test_a_cell_that_raises_is_a_failed_record_and_the_sweep_goes_on(
    tmp_path: Path, here: RunHere
) -> None:
    (tmp_path / "broken.py").write_text(
        "def apply(model, method, backbone, seed):\n    raise RuntimeError('the method broke')\n"
    )
    broken = tmp_path / "broken.yaml"
    broken.write_text("{name: broken, kind: python, apply: broken.py:apply, learning_rates: {}}")
    done = here(*cell_words(tmp_path, "-m", "task=rte,cola", f"method={broken}"))
    assert done.returncode == "2 of 2 runs failed."
    records = store.scan(tmp_path / "results/embedded/records")[0]
    assert {r["cell"]["task"]: r["status"] for r in records} == {"rte": "failed", "cola": "failed"}
    assert all("the method broke" in r["error"]["where"] for r in records)


@pytest.mark.usefixtures("in_turn")
def test_a_cell_whose_input_is_bad_is_refused_and_the_sweep_goes_on(
    tmp_path: Path, here: RunHere
) -> None:
    mirror = broken_mirror(tmp_path)
    grid = ["-m", "task=rte,cola", "method=frozen", f"data_root={mirror}"]
    done = here(*cell_words(tmp_path, *grid))
    assert done.returncode == 2, done.stderr
    assert "1 of 2 cells were refused" in done.stderr
    records = store.scan(tmp_path / "results/embedded/records")[0]
    assert [(r["cell"]["task"], r["status"]) for r in records] == [("cola", "ok")]


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("kept", [None, "records/rte"])
def test_a_grid_that_is_refused_leaves_the_disk_as_it_was(
    tmp_path: Path, here: RunHere, monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    """Of workers that make a folder at one time, none removes it."""
    root = tmp_path / "results/embedded"
    if kept:
        (root / kept).mkdir(parents=True)

    def work_among_others(cell: Cell) -> Outcome:
        cell.lock_path.parent.mkdir(parents=True, exist_ok=True)
        return work(cell)

    work = launch.work
    monkeypatch.setattr(launch, "work", work_among_others)
    before = sorted(tmp_path.rglob("*"))
    grid = ["-m", "task=rte", "method=lora", "method.peft.r=abc", "seed=0,1"]
    done = here(*cell_words(tmp_path, *grid))
    assert done.returncode == 2, done.stderr
    assert "method.peft.r=abc: must be a number" in done.stderr
    assert "2 of 2 cells were refused" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def broken_mirror(folder: Path) -> Path:
    """The embedded mirror's GLUE with an rte whose files are no parquet."""
    from frod_bench.common.paths import embedded_mirror_dir
    from frod_bench.embedded.mirror import ensure_mirror

    mirror = ensure_mirror(embedded_mirror_dir())
    shutil.copytree(mirror / "nyu-mll", folder / "mirror" / "nyu-mll")
    for file in (folder / "mirror").glob("nyu-mll/glue/rte/*.parquet"):
        file.write_bytes(b"no parquet")
    return folder / "mirror"


def test_a_full_disk_ends_with_status_one_and_nothing_half_written(
    tmp_path: Path, here: RunHere
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        done = here(*cell_words(tmp_path, "task=rte", "method=frozen"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert re.match("error: .*Run the same command again", str(done.returncode)), done
    assert not list((tmp_path / "results").rglob("*.json"))
    assert not list((tmp_path / "results").rglob(atomic.TEMPORARIES))


@pytest.mark.usefixtures("forked")
def test_a_killed_cell_goes_on_from_its_checkpoint(
    tmp_path: Path, make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["method=frod", "trainer.max_steps=10", "runtime.checkpoint_every_steps=3"]
    words = cell_words(tmp_path / "parts", *overrides)[1:]
    context = multiprocessing.get_context("spawn")
    halted = context.Event()
    process = context.Process(target=run_and_halt, args=(8, words, halted))
    process.start()
    assert halted.wait(120)
    process.kill()
    process.join()
    steps, train_step = [], Trainer.train_step

    def counted(self: Trainer, step: int, batches: Any) -> Point:
        steps.append(step)
        return train_step(self, step, batches)

    monkeypatch.setattr(Trainer, "train_step", counted)
    resumed = make_cell(*overrides, f"results_root={tmp_path}/parts/results")
    assert runner.execute(resumed).status == "ok"
    assert steps == [7, 8, 9, 10]
    whole = make_cell(*overrides, f"results_root={tmp_path}/whole")
    assert runner.execute(whole).status == "ok"
    assert result_of(whole.record_path) == result_of(resumed.record_path)
    assert not list(resumed.place("checkpoints").rglob("step-*"))


def left_in(cell: Cell) -> list[str]:
    """The names of all files of a cell's results folder, but for its record and side files."""
    files = (path for path in cell.results_dir.rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.parent != cell.record_path.parent)


def test_a_stopped_cell_leaves_a_checkpoint_and_is_resumed_bit_for_bit(
    tmp_path: Path, here: RunHere, make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["method=frod", "trainer.max_steps=10", "runtime.checkpoint_every_steps=100"]
    train_step = Trainer.train_step

    def stopped(self: Trainer, step: int, batches: Any) -> Point:
        if step == 7:
            signal.raise_signal(signal.SIGTERM)
        return train_step(self, step, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", stopped)
        done = here(*cell_words(tmp_path, *overrides))
    assert done.returncode == 143
    assert "Stopped by SIGTERM. Run the same command again to resume." in done.stderr
    cell = make_cell(*overrides)
    (left,) = left_in(cell)
    assert left.startswith("step-00000007-")
    assert not cell.record_path.exists()
    assert runner.execute(cell).status == "ok"
    whole = make_cell(*overrides, f"results_root={tmp_path}/whole")
    assert runner.execute(whole).status == "ok"
    assert result_of(whole.record_path) == result_of(cell.record_path)
    assert left_in(cell) == []


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("grid", [[], ["-m"]])
def test_a_cell_over_its_time_limit_has_a_checkpoint_and_no_record(
    tmp_path: Path, here: RunHere, make_cell: MakeCell, grid: list[str]
) -> None:
    overrides = ["task=rte", "method=frozen", "runtime.cell_minutes=1e-9"]
    cell = make_cell(*overrides)
    assert cell.config_hash == make_cell(*overrides[:2]).config_hash
    for step in (1, 2, 3):  # each try has one step, and the last of the four ends the run
        done = here(*cell_words(tmp_path, *grid, *overrides))
        assert "runtime.cell_minutes" in str(done.returncode)
        assert f"its checkpoint is of step {step}" in done.stderr + str(done.returncode)
        assert not cell.record_path.exists()
        assert any(name.startswith(f"step-{step:08d}-") for name in left_in(cell))
    assert here(*cell_words(tmp_path, *grid, *overrides)).returncode == 0
    assert store.load(cell.record_path)["status"] == "ok"


@pytest.mark.usefixtures("forked")
def test_a_stopped_sweep_leaves_checkpoints_and_is_resumed_bit_for_bit(
    tmp_path: Path, make_cell: MakeCell
) -> None:
    overrides = [
        *("task=rte", "method=frozen", "trainer.max_steps=80", "trainer.eval_every_steps=20"),
        "runtime.checkpoint_every_steps=2",
    ]
    cell = make_cell(*overrides)
    words = cell_words(tmp_path, "-m", *overrides, "runtime.jobs=1")
    sweep = Command(*words)
    while sweep.process.is_alive() and not list(cell.place("checkpoints").glob("step-*")):
        time.sleep(0.02)
    sweep.process.terminate()
    told = sweep.err.read()
    assert sweep.ended() == 143, told
    assert told.endswith("Stopped by SIGTERM. Run the same command again to resume.\n")
    assert not cell.record_path.exists()
    assert all(name.startswith("step-") for name in left_in(cell))
    assert runner.execute(cell).status == "ok"
    whole = make_cell(*overrides, f"results_root={tmp_path}/whole")
    assert runner.execute(whole).status == "ok"
    assert result_of(whole.record_path) == result_of(cell.record_path)


def test_a_sweep_whose_workers_cannot_start_stamps_no_cell_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    torch = tmp_path / "broken" / "torch" / "__init__.py"
    torch.write_text("raise OSError('libcudart.so.13: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"), prepend=os.pathsep)
    done = run(*cell_words(tmp_path, "-m", "task=rte,cola", "method=frozen", "runtime.jobs=1"))
    assert done.returncode == 1, done.stderr
    assert "No worker can start: 3 in a row ended before they could run a cell" in done.stderr
    assert "(OSError: libcudart.so.13: cannot open shared object file)" in done.stderr
    assert "0 of 2 cells are done, 0 ran now." in done.stderr
    assert not list((tmp_path / "results").rglob("*.json"))


def test_a_cell_removes_what_a_killed_try_left(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen", "save=adapter")
    ours = [atomic.temporary(path) for path in (cell.record_path, cell.adapter_path)]
    ours.append(atomic.temporary(cell.place("checkpoints") / "step-00000003.safetensors"))
    other = atomic.temporary(cell.record_path.with_name("1-0123456789abcdef.json"))
    for path in (*ours, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert runner.execute(cell).status == "ok"
    assert [path for path in (*ours, other) if path.exists()] == [other]
