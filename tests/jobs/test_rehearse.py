"""Rehearsals: two steps on the longest rows of every task and method, and nothing left behind."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import LlamaConfig

from frod_bench.cells.results import OVER_LIMIT
from frod_bench.common.errors import CellsRefused
from frod_bench.config.settings import TrainerConfig
from frod_bench.data.load import load_data
from frod_bench.jobs import rehearse
from frod_bench.models.classifier import tower_of, with_blocks
from frod_bench.training import runner
from tests.conftest import MakeCell


@pytest.mark.usefixtures("forked")
def test_what_cannot_run_is_named_and_the_rest_is_rehearsed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"results_root={tmp_path}/results", "task=rte,boolq", "method=bitfit", "seed=0,1"]
    with pytest.raises(CellsRefused, match=r"^1 of 2 would not run: boolq/bitfit\.$"):
        rehearse.rehearse([*words, "runtime.progress=false"])
    told = " ".join(capsys.readouterr().out.split())
    assert "rte │ bitfit │ ok" in told
    assert "boolq │ bitfit │ refused" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("task", "method"), [("rte", "frod"), ("boolq", "lora"), ("dtd", "full")])
def test_a_rehearsal_takes_two_steps_with_two_blocks(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, method: str
) -> None:
    seen = []
    ran = runner.run_cell
    monkeypatch.setattr(
        runner, "run_cell", lambda ready, run: seen.append(ready) or ran(ready, run)
    )
    cell = make_cell(f"task={task}", f"method={method}", "protocol=paper")
    outcome = rehearse.work(cell)
    assert outcome.status == "ok", outcome.summary
    assert "GiB" in outcome.summary
    (ready,) = seen
    assert tower_of(ready.prepared.model.backbone.config).num_hidden_layers == rehearse.BLOCKS
    assert ready.cell.settings.trainer.batch_rows == cell.settings.trainer.batch_rows
    assert ready.cell.settings.trainer.max_steps == rehearse.STEPS
    assert not Path(ready.cell.settings.results_root).exists()
    assert not cell.results_dir.exists()


def test_two_steps_over_the_limit_are_told(make_cell: MakeCell) -> None:
    outcome = rehearse.work(make_cell("task=rte", "method=frozen", "runtime.cell_minutes=1e-9"))
    assert outcome.status == OVER_LIMIT
    assert "2 steps took longer than runtime.cell_minutes=1e-09" in outcome.summary


def test_the_longest_rows_are_taken(make_cell: MakeCell) -> None:
    train = load_data(make_cell("task=rte", "method=frozen").settings).train
    sizes = sorted((rehearse.size_of(row) for row in train), reverse=True)
    assert sizes[0] > sizes[-1]
    assert [rehearse.size_of(row) for row in rehearse.longest(train, 5)] == sizes[:5]


def test_only_the_budget_and_the_splits_of_a_rehearsal_differ(make_cell: MakeCell) -> None:
    settings = make_cell("task=rte", "method=frod", "protocol=paper").settings
    short = rehearse.shortened(settings, "elsewhere")
    ours = {name: getattr(settings, name) for name in ("trainer", "protocol", "results_root")}
    assert replace(short, **ours) == settings
    assert short.trainer.schedule == settings.trainer.schedule


def test_a_model_of_fewer_blocks_than_asked_for_is_left_as_it_is() -> None:
    config = LlamaConfig(num_hidden_layers=2)
    assert with_blocks(config, 4) is config
    assert with_blocks(config, None) is config
    config.layer_types = ["full_attention", "full_attention"]
    shallow = with_blocks(config, 1)
    assert (shallow.num_hidden_layers, shallow.layer_types) == (1, ["full_attention"])
    assert config.num_hidden_layers == 2


def test_steps_are_alike_if_only_their_number_differs() -> None:
    trainer = TrainerConfig(max_steps=10, batch_rows=4)
    assert rehearse.step_of(trainer) == rehearse.step_of(replace(trainer, max_steps=99))
    assert rehearse.step_of(trainer) != rehearse.step_of(replace(trainer, batch_rows=8))
    mixed = replace(trainer, mixed_precision="bf16")
    assert rehearse.step_of(trainer) != rehearse.step_of(mixed)
