"""Grids, experiments, hashes of cells, and what a plan leaves out."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from frod_bench.cells import cell as sweep
from frod_bench.cells import grid as planning
from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import compose_cells, expand
from frod_bench.cells.results import leave_failure
from frod_bench.common.errors import InputError
from frod_bench.common.paths import (
    CONF_DIR,
    EXPERIMENTS_DIR,
    PACKAGE_DIR,
    SHIPPED_BACKBONES_DIR,
)
from frod_bench.config import checks
from frod_bench.data import hub_layout
from frod_bench.records import store
from tests.conftest import SHORT, MakeCell

EXPERIMENT_FILES = (PACKAGE_DIR / "search" / "experiment").glob("*.yaml")
EXPERIMENTS = sorted(path.stem for path in EXPERIMENT_FILES if path.stem != "none")
TASKS = sorted(p.stem for p in (CONF_DIR / "task").glob("*.yaml"))


def test_expand_multiplies_choices_and_the_command_line_wins() -> None:
    grid = expand({"seed": "0,1", "task": "rte"}, ["method=full,frod", "seed=range(3)"])
    assert len(grid) == 6
    assert ["seed=2", "task=rte", "method=frod"] in grid


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["++seed=5,6"], [5, 6]),
        (["seed=1", "++seed=2"], [2]),
        (["experiment=main_table", "method=full", "++seed=7"], [7]),
    ],
)
def test_a_seed_is_set_in_either_way(words: list[str], seeds: list[int]) -> None:
    _, cells = compose_cells(["task=rte", *SHORT, *words])
    assert [cell.seed for cell in cells] == seeds


def test_a_setting_may_refer_to_the_seed() -> None:
    words = ["task=rte", *SHORT, "seed=0,1", "trainer.weight_decay=${seed}"]
    _, cells = compose_cells(words)
    found = [(cell.seed, cell.settings.trainer.weight_decay) for cell in cells]
    assert found == [(0, 0.0), (1, 1.0)]


@pytest.mark.parametrize(
    "words",
    [
        ["profile=real", "method=randlora", "+adapter_sizes=paper"],
        ["method=lora", "method.name=lora"],
        ["method=lora", "method.name=mine"],
        ["task.metrics=${by_budget:[accuracy],[f1]}"],
        ["backbone@backbones.nlu=roberta_large"],
        ["+backbone@backbones.other=roberta_large"],
        ["method.options=${rate_factors}"],
        ["launcher.sbatch=${method.options}"],
        ["runtime.checkpoint_every_steps=${trainer.max_steps}"],
        ["task.name=cola_matched"],
    ],
)
def test_these_words_are_allowed(words: list[str]) -> None:
    with composer() as compose_one:
        for line in expand(None, ["task=rte", "method=frozen", *words]):
            checks.validate(without_hydra(compose_one(line)))


def test_what_refers_to_a_factor_is_checked_for_each() -> None:
    words = ["task=rte", *SHORT, "trainer.warmup_percent=${rate_factors.all}"]
    _, cells = compose_cells([*words, "rate_factors.all=1,50"])
    assert [cell.settings.trainer.warmup_percent for cell in cells] == [1.0, 50.0]
    with pytest.raises(InputError, match=r"trainer\.warmup_percent=500"):
        compose_cells([*words, "rate_factors.all=1,500"])


def test_a_mapping_of_factors_may_lack_some() -> None:
    words = ["task=rte", "method=full", *SHORT]
    (plain,) = compose_cells(words)[1]
    (same,) = compose_cells([*words, "rate_factors=${method.options}"])[1]
    assert plain.settings.method.learning_rates == same.settings.method.learning_rates


@pytest.mark.parametrize("seeds", ["seed=3,4", "seed=3"])
def test_what_refers_to_the_seed_is_checked_for_each(seeds: str) -> None:
    words = ["task=rte", *SHORT, "trainer.epochs=${seed}"]
    _, cells = compose_cells([*words, seeds])
    assert [cell.settings.trainer.epochs for cell in cells] == [cell.seed for cell in cells]
    with pytest.raises(InputError, match=r"trainer\.epochs=0"):
        compose_cells([*words, "seed=3,0"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_names_itself(name: str) -> None:
    node: Any = OmegaConf.load(EXPERIMENTS_DIR / f"{name}.yaml")
    # An experiment at own rates runs once these are searched, by the rules of the search.
    rules = ["protocol=tune"] if (node.experiment or {}).get("own_rates") else []
    words = [f"experiment={name}", "task=openbookqa", "seed=0", *SHORT, *rules]
    config, cells = compose_cells(words)
    assert config.experiment.name == name
    assert len(cells) == len(set(cells)) > 0


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("method=lora,nope", "method=nope"),
        ("method=lora,dora method.peft.r=8,abc", "method.peft.r=abc: must be a number"),
        ("method=lora trainer.max_steps=5,0", "trainer.max_steps=0"),
    ],
)
def test_bad_input_in_any_line_is_told_before_the_data_sets_are_written(
    second: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))
    words = ["task=rte", "seed=0", *SHORT, *second.split()]
    with pytest.raises(InputError, match=message):
        compose_cells(words)
    assert not list(tmp_path.iterdir())


def test_a_plan_checks_the_shipped_backbones_once_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[None] = []
    monkeypatch.setattr(planning, "verify_backbones", lambda: checked.append(None))
    planning._verify_once.cache_clear()
    shutil.copytree(SHIPPED_BACKBONES_DIR, tmp_path / "models")
    compose_cells(["task=rte", "method=frod", "seed=0", *SHORT, f"model_root={tmp_path}/models"])
    assert checked == []
    for _ in range(2):
        compose_cells(["task=rte", "method=frod,full", "seed=0", *SHORT])
    assert len(checked) == 1
    planning._verify_once.cache_clear()


def test_the_main_table_is_what_the_paper_compares() -> None:
    """Its lines; test_profiles composes every task and every method, which takes seconds."""
    with composer() as compose_one:
        params = compose_one(["experiment=main_table"]).hydra.sweeper.params
    grid = [dict(word.split("=") for word in line) for line in expand(params, [])]
    assert len({line["task"] for line in grid}) == 20
    assert {line["method"] for line in grid} == {"full", "lora", "dora", "frod", "frozen"}
    assert {line["seed"] for line in grid} == {"0", "1", "2"}
    assert len(grid) == 300
    assert {len(line) for line in grid} == {3}


def test_there_are_24_tasks_and_every_suite_names_some_of_them() -> None:
    assert len(TASKS) == 24
    with composer() as compose_one:
        for suite in (p.stem for p in (CONF_DIR / "suite").glob("*.yaml")):
            assert set(compose_one([f"suite={suite}"]).suite.tasks) <= set(TASKS)


def test_the_hash_knows_what_changes_the_result_and_nothing_else(make_cell: MakeCell) -> None:
    base = make_cell("task=rte", "method=frod")
    for same in ("runtime.jobs=3", "runtime.threads=2", "tracker=wandb", "save=adapter",
                 "suite=glue", "results_root=/elsewhere", "runtime.device=cpu"):  # fmt: skip
        assert make_cell("task=rte", "method=frod", same).config_hash == base.config_hash, same
    for other in ("seed=1", "protocol=paper", "trainer.max_steps=5", "method.sparse_rate=0.1",
                  "method.learning_rates.head=0.5", "pretrained=false", "method=lora",
                  "backbones.nlu.max_length=32", "trainer.mixed_precision=bf16"):  # fmt: skip
        assert make_cell("task=rte", "method=frod", other).config_hash != base.config_hash, other


def test_the_style_of_figures_is_in_no_record(make_cell: MakeCell) -> None:
    cell, paper = make_cell(), make_cell("figures.style=paper")
    assert paper.settings.figures.style == "paper"
    assert (paper.config, paper.config_hash) == (cell.config, cell.config_hash)


def test_the_hash_is_of_content_and_not_of_places(make_cell: MakeCell, tmp_path: Path) -> None:
    base = make_cell("task=rte")
    copy = tmp_path / "mirror"
    shutil.copytree(Path(base.config["data_root"]) / "nyu-mll", copy / "nyu-mll")
    assert make_cell("task=rte", f"data_root={copy}").config_hash == base.config_hash
    with next((copy / "nyu-mll/glue/rte").glob("train-*")).open("ab") as stream:
        stream.write(b"x")
    assert make_cell("task=rte", f"data_root={copy}").config_hash != base.config_hash
    assert (
        make_cell("task=cola", f"data_root={copy}").config_hash
        == make_cell("task=cola").config_hash
    )


def test_a_plan_runs_missing_failed_and_invalid_cells(make_cell: MakeCell) -> None:
    cells = [make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in range(3)]
    failed, invalid, missing = cells
    assert leave_failure(failed, RuntimeError("out of luck")).status == "failed"
    invalid.record_path.parent.mkdir(parents=True, exist_ok=True)
    invalid.record_path.write_text(json.dumps({"schema_version": 99}))
    plan = sweep.find_missing([*cells, cells[0]])
    assert plan.cells == tuple(cells)
    assert plan.missing == (failed, invalid, missing)
    assert [unusable.path for unusable in plan.invalid] == [invalid.record_path]
    assert "99" in plan.invalid[0].reason
    assert store.load(failed.record_path)["error"] is not None


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_sees_how_many_cells_are_planned(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    console = Console(force_terminal=is_terminal, file=io.StringIO(), width=60)
    monkeypatch.setattr(planning, "plain_console", lambda **_: console)
    with planning.counter(planning.MANY) as count:
        for _ in range(planning.MANY):
            count()
    assert (f"planning {planning.MANY}/{planning.MANY}" in console.file.getvalue()) == is_terminal
    assert is_terminal or not console.file.getvalue()


def test_a_card_is_parsed_once_for_all_cells_of_a_grid() -> None:
    read = hub_layout._read_card
    read.cache_clear()
    _, cells = compose_cells([*SHORT, "task=rte,cola,sst2", "method=frozen,lora", "seed=0,1,2"])
    parsed = read.cache_info()
    assert len(cells) == 18
    assert 1 <= parsed.misses <= 2  # the three tasks are of one repository, with two files
    assert parsed.hits >= 2  # it was asked for by each task
