"""`frod-bench challenge`: the example through all stages on two tasks, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from frod_bench.cells.cell import Cell
from frod_bench.challenge import command, reference
from frod_bench.cli.arguments import parse
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.jobs.run import run as run_cells
from frod_bench.records import archive, store
from frod_bench.report import figures
from frod_bench.report.reproduction import Check, Reproduction
from tests.conftest import SHORT

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "my_method" / "layer_norms.yaml")
TASKS = "task=rte,eurosat"
SEARCH = (
    "experiment.procedure.points=1",
    "experiment.procedure.margin=0",
    "experiment.procedure.head_steps=[-4,0,4]",
)


def words_of(tmp_path: Path, *more: str, method: str = EXAMPLE) -> list[str]:
    root, against = tmp_path / "results", tmp_path / "committed" / "embedded"
    places = f"results_root={root}", f"against={against}", "runtime.jobs=1"
    return [f"method={method}", TASKS, "seed=0", *places, *SHORT, *SEARCH, *more]


def committed(tmp_path: Path, methods: str = "full,frozen") -> Path:
    """Packs tiny runs of other methods as parts, as a repository keeps them."""
    made = tmp_path / "made"
    places = f"results_root={made}", "runtime.jobs=1"
    grid = ["experiment=main_table", TASKS, f"method={methods}", "seed=0"]
    run_cells(["-m", *grid, *places, *SHORT])
    archive.pack(made / "embedded", tmp_path / "committed" / "embedded")
    return tmp_path / "committed"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Draws no figure, each of which takes a second; the names of those that were asked for."""
    asked: list[str] = []

    def save(drawings: dict[str, Any], *_: Any) -> list[Path]:
        asked.extend(drawings)
        return []

    monkeypatch.setattr(figures, "save", save)
    return asked


def test_what_is_verified_runs_as_the_judged_runs_do(tmp_path: Path) -> None:
    """The pace is that of the seconds which are compared."""
    committed(tmp_path)
    words = words_of(tmp_path, "runtime.threads=2", "runtime.device=cpu")
    found = command.challenge_of(parse("challenge", words))
    assert found.sample
    for cell in found.sample:
        assert cell.settings.runtime == found.cells[0].settings.runtime
        assert cell.settings.runtime.threads == 2
        assert cell.settings.tracker.name == "none"
        assert cell.results_dir.parent.name == "cpu_2"  # a pace of one thread is not taken for it


@pytest.mark.usefixtures("in_turn", "shallow")
def test_the_example_goes_through_all_stages_and_a_second_time_runs_nothing(
    tmp_path: Path, undrawn: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tree(committed(tmp_path))
    capsys.readouterr()
    command.start(words_of(tmp_path))
    shown = capsys.readouterr()
    assert tree(tmp_path / "committed") == kept
    assert "beside full, frozen of" in shown.err
    assert "No committed record: lora: 2 of 2 runs (rte seed 0, eurosat seed 0)." in shown.err
    assert "Reproduced." in shown.err
    assert "searched by other numbers than those of the other methods" in shown.err
    assert "times the recorded seconds" in shown.err
    out = tmp_path / "results" / "embedded" / "challenge" / "layer_norms"
    assert (out / "report.html").stat().st_size > 0
    assert str(out / "report.html") in shown.out
    assert {"search", "convergence_rte", "convergence_eurosat"} <= set(undrawn)

    records, unusable = store.scan(tmp_path / "results" / "embedded" / "records")
    assert not unusable
    assert {record["cell"]["method"] for record in records} == {"layer_norms"}
    searched = [record for record in records if record["cell"]["protocol"] == "tune"]
    judged = [record for record in records if record["cell"]["protocol"] == "fair"]
    assert {record["cell"]["seed"] for record in searched} == {100, 101}
    assert len(judged) == 2
    picks = pd.read_csv(out / "tables" / "picks.csv").set_index("family")
    for record in judged:
        pick = picks.loc[record["cell"]["family"]]
        rates = record["config"]["method"]["learning_rates"]
        assert rates == {"norms": pick["lr_norms"], "head": pick["lr_head"]}
    rates = yaml.safe_load((out / "learning_rates.yaml").read_text())
    assert set(rates) == {"nlu", "vision"}

    for name in ("claims", "main", "parameters", "paired", "convergence"):
        assert "layer_norms" in (out / "tables" / f"{name}.md").read_text(), name
    paired = pd.read_csv(out / "tables" / "paired.csv")
    assert set(paired["method"]) == {"full", "frozen"}
    assert paired.loc[paired["scope"] == "task", "n_tested"].eq(1).all()  # their predictions
    cells = pd.read_csv(out / "tables" / "cells.csv")
    assert len(cells) == 6
    assert (cells["status"] == "ok").all()
    page = (out / "report.html").read_text()
    assert "layer_norms matches full fine-tuning" in page
    assert pd.read_csv(out / "tables" / "verify.csv")["holds"].all()

    before = tree(tmp_path / "results" / "embedded" / "records")
    command.start(words_of(tmp_path))
    assert "0 ran now" in capsys.readouterr().err
    assert tree(tmp_path / "results" / "embedded" / "records") == before


@pytest.mark.usefixtures("in_turn", "shallow", "undrawn")
def test_a_machine_that_does_not_reproduce_is_warned_of_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a judged run that fails is named after the report, which shows it."""
    committed(tmp_path, "full")
    challenge = command.challenge_of(command.parse("challenge", words_of(tmp_path)))
    table = command.reproduction.cells_table

    def off_by_ten(collected: Any) -> pd.DataFrame:
        found = table(collected)
        is_here = str(tmp_path / "results") in str(collected.frame["path"].iloc[0])
        return found.assign(value=found["value"] + 0.1 * is_here)

    monkeypatch.setattr(command.reproduction, "cells_table", off_by_ten)
    verified = command.verify(challenge, command.plain_console(stderr=True))
    assert not verified.outcome.holds
    assert "This machine does not reproduce" in " ".join(capsys.readouterr().err.split())
    (challenge.out_dir / "tables").mkdir(parents=True, exist_ok=True)
    console = command.plain_console(stderr=True)
    command.write_comparison(challenge, challenge.cells, verified, console)
    page = (challenge.out_dir / "report.html").read_text()
    assert "This machine does not reproduce" in page
    assert not pd.read_csv(challenge.out_dir / "tables" / "verify.csv")["holds"].all()


def test_the_published_runs_of_further_methods_stand_beside(tmp_path: Path) -> None:
    """On the tasks that they fit, at the seeds that they have; not if another folder is named."""
    grid = [f"method={EXAMPLE}", "task=rte,boolq", "seed=2,3", f"results_root={tmp_path}"]
    challenge = command.challenge_of(command.parse("challenge", grid))
    assert challenge.reference.methods == ["full", "lora", "dora", "frod", "frozen"]
    assert challenge.further is not None
    further = {"bitfit", "frod_released", "pissa", "randlora", "rslora", "vera"}
    assert set(challenge.further.methods) == further
    lines = command.missing_lines(challenge)
    assert "No committed record: pissa: 2 of 4 runs (rte seed 3, boolq seed 3)." in lines
    biases = "rte seed 3, boolq seed 2, boolq seed 3"  # reasoning's backbone has none
    assert f"No committed record: bitfit: 3 of 4 runs ({biases})." in lines
    asked = [cell for found in challenge.references for cell in found.asked()]
    assert {cell.method for cell in asked} == {*challenge.reference.methods, *further}
    assert len(asked) == 2 * 2 * 11

    words = ["task=rte", "seed=0", f"results_root={tmp_path}"]
    found = command.read_further("embedded", {"layer_norms", "pissa"}, words)
    assert found is not None
    assert "pissa" not in found.methods  # it may be the one that is compared
    assert command.read_further("small", set(), words) is None  # nothing is published of them
    named = command.parse("challenge", [*grid, f"against={challenge.reference.folder}"])
    assert command.challenge_of(named).further is None


def test_seconds_of_a_slower_machine_do_not_compare() -> None:
    good = Reproduction((Check("equal", holds=True),), "")
    assert not command.Verified(good, 1.1).warnings("mine")
    assert not command.Verified(good, None).warnings("mine")
    [slow] = command.Verified(good, 7.3).warnings("mine")
    assert "7.3 times the recorded seconds" in slow
    assert command.Verified(good, 0.5).warnings("mine")
    assert len(command.Verified(Reproduction((), ""), 2.0).warnings("mine")) == 2
    paces = (1.1, None, 7.3, 0.5)
    compare = [command.Verified(good, pace).seconds_compare for pace in paces]
    assert compare == [True, False, False, False]


def test_a_plan_says_runs_and_time_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "read_reference", without_records)
    command.start(words_of(tmp_path, "plan_only=true"))
    told = capsys.readouterr().err
    assert "rte/layer_norms/0: ok; 64 rows of train" in told
    assert "verify: 0 runs" in told
    assert "search of learning rates: 12 to 28 runs" in told  # 3 to 7 points, 2 tasks, 2 seeds
    assert "judged seeds: 2 runs" in told
    assert not list(tmp_path.iterdir())


def without_records(folder: Path, cells: Sequence[Cell], _words: object) -> reference.Reference:
    return reference.Reference(folder, cells, {})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["method=lora"], "method=lora: is one of the methods that others are compared with"),
        (["method=nowhere/mine.yaml"], "there is no file"),
        (["method=frod,lora"], "must be given once"),
        ([], "must be given once"),
        ([f"method={EXAMPLE}", "seed=100"], "seed=100: learning rates are picked on seeds from"),
        ([f"method={EXAMPLE}", "protocol=paper"], "protocol=paper: cannot be chosen"),
        ([f"method={EXAMPLE}", "experiment=ablation"], "experiment=ablation: cannot be chosen"),
        ([f"method={EXAMPLE}", "trainer.batch_rows=4,8"], "are asked for more than once"),
        ([f"method={EXAMPLE}", "rate_factors.all=3"], "cannot be chosen"),
        ([f"method={EXAMPLE}", "head=classify,auto", "task=boolq"], "head: gives a task two heads"),
        ([f"method={EXAMPLE}", "experiment.procedure.points=2"], "procedure.points=2: must be"),
        ([f"method={EXAMPLE}", "profile=embedded"], "has no records of the methods"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    if "profile=embedded" not in words:
        monkeypatch.setattr(command, "read_reference", without_records)
    places = [f"results_root={tmp_path}/results", f"against={tmp_path}/nothing", "task=rte"]
    with pytest.raises(SystemExit) as ended:
        command.start([*places, *words])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_a_name_of_the_suite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: lora\nkind: full\nlearning_rates: {backbone: 1.0e-4, head: 1.0e-3}\n")
    with pytest.raises(InputError, match="name=lora is taken by a method of the suite"):
        command.run([f"method={path}", "task=rte", f"results_root={tmp_path}/results"])
    assert list(tmp_path.iterdir()) == [path]


def test_a_search_that_cannot_begin_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "read_reference", without_records)
    monkeypatch.setattr(command, "heads_in", lambda *_: {})
    with pytest.raises(InputError, match="best of the frozen backbone, and there is none"):
        command.run(words_of(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_run_that_failed_is_raised_after_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def fail(*_: Any) -> None:
        raise CellsFailed("1 of 2 runs failed.")

    monkeypatch.setattr(command, "read_reference", without_records)
    monkeypatch.setattr(command, "show_plan", lambda *_: done.append("plan"))
    monkeypatch.setattr(command, "verify", lambda *_: done.append("verify"))
    monkeypatch.setattr(command.Searches, "run", lambda _: done.append("search"))
    monkeypatch.setattr(command, "write_search", lambda _: [])
    monkeypatch.setattr(command, "sweep", fail)
    monkeypatch.setattr(command, "write_comparison", lambda *_: done.append("report"))
    with pytest.raises(CellsFailed):
        command.run(words_of(tmp_path))
    assert done == ["plan", "verify", "search", "report"]
