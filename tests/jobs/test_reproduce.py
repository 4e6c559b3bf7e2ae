"""The main job, cut down to two cells: what a second run does, and what it leaves alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from frod_bench.cells.grid import compose_cells
from frod_bench.common import paths
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.jobs import reproduce
from frod_bench.records import store
from frod_bench.report import command
from frod_bench.report.figures import Drawing
from frod_bench.report.published import figure
from frod_bench.sweep import launch
from tests.conftest import SHORT

GRID = ("task=rte,cola", "method=frozen", "runtime.jobs=1")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_turn
):
    """run(seeds, *words) -> what the main job says, in a clone without changes.

    What others measured, the same in every report, is drawn in tests/report.
    """
    monkeypatch.setattr(reproduce, "code_version", lambda: ("0+abc", False))
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr(figure, "draw", lambda *_: Drawing("published", "", lambda _: Figure()))

    def once(seeds: str, *more: str) -> str:
        words = [f"results_root={tmp_path}/results", *SHORT, *GRID, f"seed={seeds}", *more]
        reproduce.reproduce(words)
        return capsys.readouterr().err

    return once


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report in tables alone, without figures and page, which take seconds."""
    monkeypatch.setitem(command.CHOICES, "all", ("tables",))


def test_a_second_run_leaves_all_alone_and_redraws_what_is_gone(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "1 of 1 cells are done, 1 ran now." in run("0", "task=rte")
    written = tmp_path / "results/embedded"
    table, drawn_file = written / "tables/main.md", next((written / "figures").glob("*.png"))
    drawn = table.stat().st_mtime_ns
    told = run("0", "task=rte")
    assert "0 ran now" in told
    assert "up to date" in told
    assert table.stat().st_mtime_ns == drawn
    drawn_file.unlink()
    assert "up to date" not in run("0", "task=rte")
    assert drawn_file.exists()
    draw_nothing(monkeypatch)
    table.write_text("typed")
    assert "up to date" not in run("0", "task=rte")
    assert table.read_text() != "typed"


def test_a_record_that_arrives_during_the_report_makes_it_stale(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a manifest that is damaged, or cannot be written, costs a report and no more."""
    page = tmp_path / "results/embedded/report.html"
    manifest = page.with_name("tables") / ".made_from.json"
    arriving = True

    def report(*_: object) -> SimpleNamespace:
        page.write_text("all records that there are")
        if arriving:
            for path in (page.parent / "records").rglob("*.json"):
                path.write_text(path.read_text() + " ")
        return SimpleNamespace(paths=[page], collected=None)

    monkeypatch.setattr(command, "report", report)
    run("0", "task=rte")
    arriving = False
    assert "up to date" not in run("0", "task=rte")
    assert "up to date" in run("0", "task=rte")
    manifest.write_bytes(b'{"written": 1, \xff')
    assert "up to date" not in run("0", "task=rte")
    assert "up to date" in run("0", "task=rte")
    manifest.unlink()
    manifest.mkdir()
    assert "cannot be written" in run("0", "task=rte")


def test_what_has_nothing_to_do_imports_no_library_of_reports() -> None:
    check = (
        "import sys, frod_bench.jobs.reproduce;"
        "heavy = {'pandas', 'scipy', 'matplotlib', 'torch', 'pyarrow', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_no_table_can_show_is_refused_before_it_runs(tmp_path: Path) -> None:
    words = [f"results_root={tmp_path}/results", *SHORT, *GRID, "seed=0", "trainer.batch_rows=4,8"]
    with pytest.raises(InputError, match="rte, frozen, seed 0"):
        reproduce.reproduce(words)
    assert not (tmp_path / "results").exists()


def test_an_interrupted_job_runs_only_what_is_missing(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started as in the background of a script, where SIGINT is ignored; Ctrl-C reaches all."""
    words = [f"results_root={tmp_path}/results", *SHORT, *GRID, "seed=0,1,2,3"]
    job = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh",
         sys.executable, "-m", "frod_bench.reproduce", *words],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    records = tmp_path / "results/embedded/records"
    started = time.monotonic()
    while not list(records.rglob("*.json")) and time.monotonic() - started < 120:
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGINT)
    told = job.communicate(timeout=120)[1]
    assert job.returncode == 130, told
    assert "Interrupted. Run the same command again to resume." in told
    assert "Traceback" not in told
    left = len(store.scan(records)[0])
    assert 1 <= left < 8
    draw_nothing(monkeypatch)
    assert f"8 of 8 cells are done, {8 - left} ran now." in run("0,1,2,3")


@pytest.mark.usefixtures("in_turn")
def test_without_any_record_the_sweep_says_what_failed(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise CellsFailed("No worker can start: no libcudart.")

    monkeypatch.setattr(reproduce, "sweep", fails)
    with pytest.raises(CellsFailed, match="no libcudart"):
        run("0", "task=rte")


def test_cells_that_are_refused_are_missing_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_nothing(monkeypatch)
    grid = ("task=rte,boolq", "method=bitfit", "seed=0", "runtime.jobs=1")
    words = [f"results_root={tmp_path}/results", *SHORT, *grid]
    with pytest.raises(CellsRefused, match="1 of 2 cells were refused"):
        reproduce.reproduce(words)
    [row] = (
        line
        for line in (tmp_path / "results/embedded/tables/main.md").read_text().splitlines()
        if line.startswith("| BoolQ")
    )
    assert "missing" in row


@pytest.mark.parametrize(
    ("words", "environment", "is_announced"),
    [
        (["tracker=wandb"], {"WANDB_API_KEY": "key"}, True),
        (["tracker=wandb"], {"WANDB_API_KEY": "key", "WANDB_MODE": "offline"}, False),
        (["tracker=wandb"], {}, False),
        (["tracker=none"], {"WANDB_API_KEY": "key"}, False),
    ],
)
def test_uploads_to_wandb_are_announced_before_anything_runs(
    words: list[str],
    environment: dict[str, str],
    is_announced: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("FROD_BENCH_CACHE", str(paths.cache_dir()))  # of the home before this test
    monkeypatch.setenv("HOME", str(tmp_path))  # no key in a .netrc
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launch, "launch", lambda *_: None)
    words = [f"results_root={tmp_path}/results", *SHORT, *GRID, *words]
    launch.run_grid(*compose_cells(words))
    err = " ".join(capsys.readouterr().err.split())
    assert ("2 runs will be uploaded to project frod_bench. tracker=none" in err) == is_announced


def test_without_what_reports_compare_with_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container with a folder mounted over results/."""
    monkeypatch.setattr(reproduce, "REFERENCE_DIR", tmp_path / "reference")
    words = [f"results_root={tmp_path}/results", *SHORT, *GRID, "seed=0"]
    with pytest.raises(InputError, match=r"reference/published: is missing.*results_root=DIR"):
        reproduce.reproduce(words)
    assert not list(tmp_path.iterdir())
