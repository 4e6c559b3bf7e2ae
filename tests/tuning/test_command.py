"""`frod-bench tune`: it runs what the searches ask for, goes on after an interruption, writes."""

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.common import paths
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.jobs.run import run
from frod_bench.records import store
from frod_bench.report.claims.parts import suite_tasks
from frod_bench.report.figures import Drawing
from frod_bench.tuning import command, evidence, searches
from frod_bench.tuning.procedure import Point, rate_at
from tests.conftest import SHORT

SHIPPED = CONF_DIR / "learning_rates" / "embedded.yaml"
METHODS = "frozen,full,lora,frod"
BEST = {"frozen": (None, -7), "full": (-14, -9), "lora": (-9, -7), "frod": (-6, -5)}


def words_of(root: Path, *more: str) -> list[str]:
    return [f"results_root={root}", "tracker=none", "runtime.jobs=1", *more]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Cell]:
    """The cells that were run, in order; their scores are highest at `BEST`."""
    done: list[Cell] = []

    def sweep(_base: object, cells: Sequence[Cell]) -> None:
        done.extend(cell for cell in cells if cell not in done)

    def row_of(cell: Cell, point: Point) -> dict[str, object]:
        rate, head = BEST[cell.method]
        if rate is not None:  # a variant's best rate is not its method's
            rate -= 2 * cell.variant.endswith("(s 0.1)")
        points = 80.0 - 0.5 * (cell.task == "cola") - 0.1 * (cell.seed - 100)
        points -= 0.0 if rate is None else abs((point.rate or 0) - rate)
        points -= abs((point.head or 0) - head)
        points -= 3.0 * (point.ratio == 1.0)
        rates = {f"lr_{k}": v for k, v in cell.settings.method.learning_rates.items()}
        named = {"procedure": 3, "family": cell.family, "method": cell.variant, **rates}
        named |= evidence.columns_of(point)
        run_of = {"task": cell.task, "seed": cell.seed, "config_hash": cell.config_hash}
        return named | run_of | {"points": points}

    monkeypatch.setattr(paths, "REFERENCE_DIR", tmp_path / "nothing is published")
    monkeypatch.setattr(searches, "sweep", sweep)
    monkeypatch.setattr(evidence, "row_of", row_of)
    monkeypatch.setattr(command.figures, "save", first_alone(draw))
    return done


Save = Callable[..., list[Path]]
WRITE = command.figures.save


def draw(drawings: Mapping[str, Drawing], *_: Any) -> list[Path]:
    """Draw figures without writing them, which takes longest."""
    for drawing in drawings.values():
        plt.close(command.figures.render(drawing))
    return []


def first_alone(save: Save) -> Save:
    """Only a test's first figure: each takes a second."""
    saved: list[Any] = []

    def save_first(*how: Any) -> list[Path]:
        saved.append(how)
        return save(*how) if len(saved) == 1 else []

    return save_first


def test_every_method_is_searched_and_the_tables_are_written(
    ran: list[Cell],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command.figures, "save", first_alone(WRITE))
    command.start(words_of(tmp_path, "task=rte,cola", f"method={METHODS}"))
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    names = ["search.csv", "picks.csv", "search.png", "search.pdf", "embedded.yaml"]
    assert [path.name for path in written] == names
    assert all(path.stat().st_size > 0 for path in written)
    search, picks = (pd.read_csv(path) for path in written[:2])
    rates = yaml.safe_load(written[-1].read_text())
    for method, (rate, head) in BEST.items():
        found = rates["nlu"][method]
        assert found["head"] in {rate_at(step) for step in (head - 1, head, head + 1)}
        main = [value for group, value in found.items() if group not in ("head", "rotation")]
        assert main == ([] if rate is None else [rate_at(rate)])
    assert rates["vision"]["full"]  # as shipped
    assert set(picks["method"]) == set(BEST)
    assert (picks["tasks"] == 2).all()
    assert (picks["seeds"] == 2).all()
    assert len(search) == len(ran)
    assert len(search.drop_duplicates("config_hash")) == len(search)
    assert all(cell.protocol == "tune" for cell in ran)
    assert {cell.seed for cell in ran} == {100, 101}
    ran.clear()
    command.start(words_of(tmp_path, "task=rte,cola", "method=frozen,lora"))
    again = pd.read_csv(written[0])
    assert len(again) == len(search)
    assert {cell.method for cell in ran} == {"frozen", "lora"}


@pytest.mark.parametrize("file", ["search.csv", "picks.csv", "embedded.yaml"])
def test_a_write_that_fails_midway_leaves_the_file_as_it_was(
    ran: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    words = words_of(tmp_path, "task=rte", "seed=100")
    command.start([*words, "method=frozen"])
    (path,) = tmp_path.rglob(file)
    before = path.read_bytes()
    write_bytes, failed = Path.write_bytes, []

    def breaking(self: Path, content: bytes) -> int:
        if file not in self.name:
            return write_bytes(self, content)
        failed.append(self)
        write_bytes(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", breaking)
        with pytest.raises(OSError, match="No space left"):
            command.start([*words, "method=lora"])
    assert len(failed) == 1
    assert path.read_bytes() == before
    assert not list(tmp_path.rglob("*.partial"))
    command.start([*words, "method=lora"])
    assert path.read_bytes() != before
    assert ran


def test_other_methods_start_from_the_head_that_was_found_before(
    ran: list[Cell], tmp_path: Path
) -> None:
    """In the folder's table of picks, else in the profile's table of rates."""
    words = words_of(tmp_path, "task=rte", "seed=100")
    command.start([*words, "method=lora"])
    first = ran[0].settings.method.learning_rates
    assert first["head"] == pytest.approx(0.0562, rel=1e-3)  # frozen's of nlu
    command.start([*words, "method=frozen"])
    ran.clear()
    command.start([*words, "method=full"])
    assert ran[0].settings.method.learning_rates["head"] == rate_at(-7)


@pytest.mark.parametrize(
    "word",
    ["protocol=fair", "protocol=paper", "seed=0", "rate_factors.all=3"],
)
def test_what_is_judged_is_not_searched_on(ran: list[Cell], tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match=word.split("=", maxsplit=1)[0]):
        command.start(words_of(tmp_path, "task=rte", "method=lora", word))
    assert not ran


def test_a_run_that_failed_ends_the_command_and_one_that_diverged_does_not(
    ran: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status: list[str | None] = ["diverged"]

    def sweep(_base: object, cells: Sequence[Cell]) -> None:
        raise CellsFailed("1 of 9 runs failed.")

    monkeypatch.setattr(searches, "sweep", sweep)
    monkeypatch.setattr(store, "status_at", lambda _path: status[0])
    words = words_of(tmp_path, "task=rte", "method=frozen", "seed=100")
    command.start(words)
    for failure in ("failed", None):  # None: refused, or there was no space for its record
        status[:] = [failure]
        with pytest.raises(CellsFailed):
            command.start(words)
    assert not ran


def test_a_plan_runs_nothing(
    ran: list[Cell], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.start(words_of(tmp_path, "suite=smoke", "plan_only=true"))
    told = capsys.readouterr().out
    assert "lora in nlu: 9 rates, 2 tasks and seeds" in told
    assert "270 runs in the first stage" in told  # 3 tasks, 2 seeds, 5 methods, 9 rates
    assert not ran
    assert not list(tmp_path.iterdir())


def test_a_plan_counts_no_run_of_a_method_without_a_learning_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The frozen backbone ranks options by their likelihood, with no head to train."""
    words = words_of(tmp_path, "method=frozen,lora", "head=rank", "task=boolq", "plan_only=true")
    command.start(words)
    told = capsys.readouterr().out
    assert "frozen in reasoning_rank: has no learning rate" in told
    assert "18 runs in the first stage" in told  # of LoRA: 2 seeds, 9 rates


def test_a_method_that_does_not_fit_a_family_is_searched_in_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(tmp_path, "method=bitfit,pissa", "seed=100", "plan_only=true")
    command.start([*words, "task=boolq,rte"])
    told = capsys.readouterr()
    assert "bitfit in reasoning is not searched: method=bitfit: trains biases" in told.err
    searched = [line.partition(":")[0] for line in told.out.splitlines() if "tasks and" in line]
    assert searched == ["pissa in reasoning", "bitfit in nlu", "pissa in nlu"]
    with pytest.raises(InputError, match="method=bitfit: trains biases"):
        command.start([*words, "method=bitfit", "task=boolq,piqa"])
    with pytest.raises(InputError, match="lora_beta"):  # bad input is no misfit
        command.start([*words, "task=rte", "+method.peft.lora_beta=1"])


def test_a_search_at_its_edge_is_named_and_no_table_is_written(
    ran: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BEST, "lora", (40, -7))
    with pytest.raises(InputError, match="lora in nlu: the best learning rate"):
        command.start(words_of(tmp_path, "task=rte", "method=frozen,lora"))
    assert not (tmp_path / "embedded" / "tables").exists()
    assert ran


def test_a_table_of_the_first_version_is_refused_before_anything_runs(
    ran: list[Cell], tmp_path: Path
) -> None:
    tables = tmp_path / "embedded" / "tables"
    tables.mkdir(parents=True)
    (tables / "search.csv").write_text("family,method,trial\nnlu,lora,0\n")
    with pytest.raises(InputError, match="not written by version 3"):
        command.start(words_of(tmp_path, "task=rte", "method=lora"))
    assert not ran


def test_a_search_is_not_a_grid() -> None:
    with pytest.raises(InputError, match="frod-bench tune experiment=tune"):
        run(["-m", "experiment=tune", "task=rte"])


@pytest.mark.usefixtures("in_turn")
def test_real_runs_are_searched_and_not_run_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.figures, "save", first_alone(draw))
    words = [
        *words_of(tmp_path, *SHORT, "task=rte", "method=frozen", "seed=100"),
        *("experiment.procedure.points=3", "experiment.procedure.margin=0"),
    ]
    command.start(words)
    records = sorted((tmp_path / "embedded" / "records").rglob("*.json"))
    assert len(records) == 3
    stamps = [path.stat().st_mtime_ns for path in records]
    search = pd.read_csv(tmp_path / "embedded" / "tables" / "search.csv")
    is_correlation = search["metric"] == "matthews"
    assert search["points"].between(np.where(is_correlation, -100, 0), 100).all()
    assert set(search["status"]) == {"ok"}
    capsys.readouterr()
    command.start(words)
    assert [path.stat().st_mtime_ns for path in records] == stamps
    _, cells = compose_cells(["experiment=tune", *words])
    assert all(cell.settings.protocol.metrics_split == "validation" for cell in cells)


def test_an_experiment_that_varies_a_setting_is_searched_variant_by_variant(
    ran: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[set[str]] = []
    monkeypatch.setattr(command.figures, "save", lambda these, *_: drawn.append(set(these)) or [])
    words = ["experiment=capacity", "method.sparse_rate=0.02,0.1", "task=rte,cola"]
    with pytest.raises(InputError, match="frod in nlu: has no pick of a search to begin with"):
        command.start(words_of(tmp_path, *words, "seed=100"))
    command.start(words_of(tmp_path, "method=frozen,frod", "task=rte,cola", "seed=100"))
    rates = tmp_path / "embedded" / "learning_rates" / "embedded.yaml"
    own = yaml.safe_load(rates.read_text())["nlu"]["frod"]
    ran.clear()
    command.start(words_of(tmp_path, *words, "seed=100"))
    variants = {"frod (s 0.02)", "frod (s 0.1)"}
    assert {cell.settings.method.sparse_rate for cell in ran} == {0.02, 0.1}
    assert {cell.protocol for cell in ran} == {"tune"}
    assert {cell.settings.trainer.eval_every_steps for cell in ran} == {140}
    tables = tmp_path / "embedded" / "tables"
    picks = pd.read_csv(tables / "picks.csv")
    assert set(picks["method"]) == {"frozen", "frod", *variants}
    assert set(ran[0].settings.method.learning_rates) == {"lambda", "rotation", "head"}
    picks = picks[picks["method"].isin(variants)]
    best = BEST["frod"][0] or 0
    found = picks.set_index("method")["lr_lambda"].to_dict()
    assert found == {"frod (s 0.02)": rate_at(best), "frod (s 0.1)": rate_at(best - 2)}
    assert {cell.settings.method.learning_rates["head"] for cell in ran} == set(picks["lr_head"])
    # The rotation is tied to lambda by 1 / sqrt(s k), each variant by its own s.
    ties = (picks["lr_rotation"] / picks["lr_lambda"]).where(picks["ratio"] == "tied")
    assert ties.nunique() == 2
    written = yaml.safe_load(rates.read_text())["nlu"]
    assert variants < set(written)
    assert written["frod"] == own
    lines = rates.read_text().splitlines()
    assert sum("experiment=tune: the rates of bitfit, dora," in line for line in lines) == 1
    assert sum("experiment=capacity: the rates of its variants," in line for line in lines) == 1
    assert drawn == [{"search"}, {"search_capacity"}]


def test_seeds_and_rules_of_the_search_are_the_profiles(tmp_path: Path) -> None:
    given = [f"results_root={tmp_path}", "experiment=conditioning", "task=rte"]
    base, cells = command.compose_search(given)
    assert {cell.seed for cell in cells} == {100, 101}
    assert {cell.variant for cell in cells} == {"frod (scaled by none)", "frod (scaled by columns)"}
    assert base.experiment.procedure.stride == 1
    _, cells = command.compose_search(given[:2])
    assert {(cell.task, cell.settings.head) for cell in cells} == {
        (task, "classify") for task in suite_tasks("paper20")
    }
    _, cells = command.compose_search([*given[:2], "suite=smoke"])
    assert {cell.task for cell in cells} == set(suite_tasks("smoke"))
    with pytest.raises(InputError, match="protocol=fair"):
        command.start(words_of(tmp_path, *given[1:], "protocol=fair"))


def test_rates_without_a_decay_are_tried_around_the_picks_of_the_search(
    ran: list[Cell], tmp_path: Path
) -> None:
    words = words_of(tmp_path, "task=rte,cola")
    command.start([*words, "method=frozen,lora,frod"])
    tables = tmp_path / "embedded" / "tables"
    search, picks = ((tables / name).read_bytes() for name in ("search.csv", "picks.csv"))
    ran.clear()
    command.start([*words, "experiment=tune_constant", "method=lora,frod"])
    assert all(cell.settings.trainer.schedule == "constant" for cell in ran)
    assert len(ran) == 2 * 3 * 2 * 2  # methods, factors, tasks, seeds
    assert (tables / "search.csv").read_bytes() == search
    assert (tables / "picks.csv").read_bytes() == picks
    found = pd.read_csv(tables / "picks_constant.csv").set_index("method")
    before = pd.read_csv(tables / "picks.csv").set_index("method")
    tried = pd.read_csv(tables / "search_constant.csv")
    for method in ("lora", "frod"):
        moved = tried.loc[tried["method"] == method, "rate_step"].unique()
        assert sorted(moved - before.loc[method, "rate_step"]) == [-2, -1, 0]
        assert found.loc[method, "ratio"] in (before.loc[method, "ratio"],) or method == "lora"
    rates = yaml.safe_load((tmp_path / "embedded" / "learning_rates" / "embedded.yaml").read_text())
    constant = rates["nlu_constant"]
    assert constant["lora"]["adapter"] == found.loc["lora", "lr_adapter"]
    assert constant["frod"]["lambda"] == found.loc["frod", "lr_lambda"]
    assert constant["dora"] == yaml.safe_load(SHIPPED.read_text())["nlu_constant"]["dora"]
    assert set(rates["nlu"]) >= {"lora", "frod", "frozen"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["experiment=tune_constant", "method=lora"], "has no pick of a search to begin with"),
        (["experiment=tune_constant", "trainer.schedule=cosine"], r"trainer\.schedule=cosine: is"),
        (["trainer.schedule=constant"], r"trainer\.schedule=constant: is .*tune_constant"),
        (["experiment=tune_constant", "method=lora", "plan_only=true"], "has no pick"),
    ],
)
def test_a_search_without_a_decay_begins_with_a_pick_and_fits_its_schedule(
    ran: list[Cell], tmp_path: Path, words: list[str], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        command.start(words_of(tmp_path, "task=rte", *words))
    assert not ran
