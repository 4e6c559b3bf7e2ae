"""The command line: what a user sees, what is written, and the exit status."""

import multiprocessing
import re
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from frod_bench.records import store
from frod_bench.training import runner
from frod_bench.training.loop import Point, Trainer
from tests.conftest import SHORT, MakeCell, RunHere
from tests.report.factory import result_of
from tests.training.halted import run_and_halt


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
    assert not list((tmp_path / "results").rglob("*.part"))


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
