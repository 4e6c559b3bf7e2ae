"""Shortened cells of every family, method and protocol: the content of their records."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from frod_bench.cells import results
from frod_bench.cells.code import code_digests
from frod_bench.common import stopping
from frod_bench.common.errors import InputError
from frod_bench.data.load import load_data
from frod_bench.data.rows import Split
from frod_bench.records import store
from frod_bench.training import checkpoint, runner, tracker
from frod_bench.training.loop import Trainer, predict
from tests.conftest import MakeCell

KINDS = {
    "vision": ("task=eurosat", "method=full"),
    "reasoning": ("task=boolq", "method=dora"),
    "regression": ("task=stsb", "method=frod"),
    "two test splits": ("task=mnli", "method=lora"),
    "best step": ("task=rte", "method=frozen", "protocol=paper"),
    "half precision": ("task=rte", "method=frod", "trainer.mixed_precision=bf16"),
}
METRICS = {
    "regression": {"pearson", "spearman"},
    "two test splits": {"accuracy", "accuracy_mismatched"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_saves_a_complete_record(make_cell: MakeCell, kind: str) -> None:
    cell = make_cell(*KINDS[kind])
    assert runner.execute(cell).status == "ok"
    document = store.load(cell.record_path)
    assert set(document["metrics"]) == METRICS.get(kind, {"accuracy"})
    assert all(np.isfinite(metric["value"]) for metric in document["metrics"].values())
    assert document["steps"] == 4
    curve = [json.loads(line) for line in store.curve_path(cell.record_path).open()]
    assert [point["step"] for point in curve] == [0, 1, 2, 3, 4]
    assert [point["step"] for point in curve if "eval_loss" in point] == [0, 2, 4]
    rows = {"two test splits": 64}.get(kind, 32)  # trainer.test_rows a split
    assert len(pq.read_table(store.predictions_path(cell.record_path))) == rows


@pytest.mark.parametrize(
    ("rows", "exact", "taken"),
    [
        (4, True, (0, 2, 5, 7)),
        (4, False, (0, 3, 6, 9)),
        (9, True, tuple(range(9))),
        (9, False, (0, 2, 4, 6, 8)),
        (10, True, tuple(range(10))),
        (10, False, tuple(range(10))),
        (None, True, tuple(range(10))),
    ],
)
def test_rows_are_spread_over_a_split(rows: int, exact: bool, taken: tuple[int, ...]) -> None:
    split = Split(tuple(range(10)), Mock())
    assert runner.subsample(split, rows, exact=exact).ids == taken


def test_a_curve_has_as_many_rows_as_the_setting_says(make_cell: MakeCell) -> None:
    for exact, rows in (("false", 90), ("true", 100)):  # of 180 rows of validation
        words = ("task=rte", "method=frozen", "trainer.curve_rows=100")
        cell = make_cell(*words, f"trainer.exact_rows={exact}")
        data = load_data(cell.settings)
        assert len(data.validation) == 180
        assert len(runner.make_problem(cell.settings, data).held_out) == rows


def test_a_learning_rate_far_too_high_gives_a_diverged_record(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=full", "method.learning_rates.backbone=1e30")
    assert runner.execute(cell).status == "diverged"
    document = store.load(cell.record_path)
    assert document["status"] == "diverged"
    assert document["metrics"] == {}
    assert store.curve_path(cell.record_path).exists()


@pytest.mark.parametrize(
    ("ended", "status"),
    [(stopping.Stopped("SIGTERM"), "stopped"), (stopping.TimeIsUp("late"), results.OVER_LIMIT)],
)
def test_a_run_that_ends_early_ends_its_tracking(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, ended: BaseException, status: str
) -> None:
    """One that is left open makes the end of the process wait for the server."""
    run = Mock()
    monkeypatch.setattr(tracker, "start", lambda *_: run)
    monkeypatch.setattr(runner, "run_cell", Mock(side_effect=ended))
    cell = make_cell("task=rte", "method=frozen")
    with pytest.raises(type(ended)):
        runner.run_and_record(runner.make_ready(cell), "2026-01-01T00:00:00+00:00")
    run.finish.assert_called_once_with({"status": status}, exit_code=1)


def test_code_is_parsed_before_another_thread_may_parse(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython 3.11 raises SystemError in one of two threads that make syntax trees."""
    parsed: list[int] = []

    def start(*_: Any) -> tracker.NullTracker:
        parsed.append(code_digests.cache_info().currsize)
        return tracker.NullTracker()

    monkeypatch.setattr(tracker, "start", start)
    code_digests.cache_clear()
    assert runner.execute(make_cell("task=rte", "method=frozen")).status == "ok"
    assert parsed == [1]


@pytest.mark.parametrize(
    ("best_is_last", "steps"),
    [(False, [1, 2, 3, 4, 1, 2, 3, 4]), (True, [1, 2, 3, 4, 4])],
    ids=["starts over", "resumes from the checkpoint before it"],
)
def test_a_best_step_that_is_damaged_when_the_run_ends_is_computed_again(
    make_cell: MakeCell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    best_is_last: bool,
    steps: list[int],
) -> None:
    words = ("task=rte", "method=lora", "protocol=paper", "runtime.checkpoint_every_steps=1")
    whole, cell = (make_cell(*words, f"results_root={tmp_path}/{name}") for name in "ab")
    make, train = runner.make_problem, Trainer.train_step
    restore, taken, damaged = checkpoint.Checkpoints.restore_best, list[int](), list[Path]()

    def with_best(*given: Any) -> Any:  # step 4 or step 0, which all checkpoints name
        return replace(make(*given), is_better=lambda _new, _old: best_is_last)

    def noted(self: Trainer, step: int, *rest: Any) -> Any:
        taken.append(step)
        return train(self, step, *rest)

    def after_damage(self: checkpoint.Checkpoints, best: Any, model: Any) -> None:
        if not damaged:
            damaged.extend(self.folder.glob(f"best-*{best['step']}-*"))
            for file in damaged:
                file.write_bytes(file.read_bytes()[:-9])
        restore(self, best, model)

    monkeypatch.setattr(runner, "make_problem", with_best)
    assert runner.execute(whole).status == "ok"
    monkeypatch.setattr(Trainer, "train_step", noted)
    monkeypatch.setattr(checkpoint.Checkpoints, "restore_best", after_damage)
    assert runner.execute(cell).status == "ok"
    assert damaged
    assert taken == steps
    assert "are damaged" in caplog.text
    assert [path.name for path in cell.record_path.parent.glob("*.json")] == [cell.record_path.name]
    records = [store.load(one.record_path) for one in (whole, cell)]
    assert records[0]["metrics"] == records[1]["metrics"]
    assert not list(tmp_path.rglob("*.failed-*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["task=eurosat", "backbones.vision.image_size=48"],
            "cannot read the inputs of task eurosat",
        ),
        (["task=boolq", "backbones.reasoning.pooling=pooler"], "pooler_output"),
        (["task=rte", "backbones.nlu.pooling=pooler"], "lacks 2 weights of the model"),
    ],
)
def test_a_backbone_that_cannot_read_the_rows_is_bad_input(
    make_cell: MakeCell, words: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        runner.make_ready(make_cell("method=frozen", *words))


def test_learning_rates_belong_to_their_groups_in_any_order(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=lora")
    method = cell.settings.method
    rates = dict(reversed(method.learning_rates.items()))
    turned_method = replace(method, learning_rates=rates)
    turned = replace(cell, settings=replace(cell.settings, method=turned_method))
    body, curve, _ = runner.run_cell(runner.make_ready(cell), tracker.NullTracker())
    same_body, same_curve, _ = runner.run_cell(runner.make_ready(turned), tracker.NullTracker())
    assert same_body["metrics"] == body["metrics"]
    losses = [[point.get("train_loss") for point in one] for one in (curve, same_curve)]
    assert losses[0] == losses[1]


def test_refused_input_leaves_nothing_at_all(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell("task=rte", "method=frod", "+method.learning_rates.x=1", "tracker=wandb")
    with pytest.raises(InputError, match="x"):
        runner.execute(cell)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("task", "method"),
    [
        *(("rte", "full"), ("boolq", "full"), ("boolq", "frod"), ("eurosat", "frod")),
        ("rte", "frod_peft"),
    ],
)
def test_gradient_checkpointing_gives_the_same_record(
    make_cell: MakeCell, task: str, method: str
) -> None:
    plain = make_cell(f"task={task}", f"method={method}")
    thrifty = make_cell(f"task={task}", f"method={method}", "runtime.gradient_checkpointing=true")
    assert thrifty.config_hash == plain.config_hash
    points = []
    for cell in (plain, thrifty):
        ready = runner.make_ready(cell)
        assert runner.run_and_record(ready, "2026-01-01T00:00:00+00:00").status == "ok"
        document = store.load(cell.record_path)
        curve = [json.loads(line) for line in store.curve_path(cell.record_path).open()]
        losses = [point["train_loss"] for point in curve if "train_loss" in point]
        points.append((document["metrics"], losses))
        blocks = [m for m in ready.prepared.model.modules() if hasattr(m, "gradient_checkpointing")]
        assert any(m.gradient_checkpointing for m in blocks) == (cell is thrifty)
    assert points[0] == points[1]


@pytest.mark.parametrize(
    "method",
    [
        *("full", "lora", "frod", "frod_released"),
        *("pissa", "rslora", "vera", "randlora", "bitfit"),
    ],
)
def test_restored_models_give_the_predictions_of_the_record(
    make_cell: MakeCell, method: str
) -> None:
    cell = make_cell("task=rte", f"method={method}", "save=adapter")
    assert runner.execute(cell).status == "ok"
    model = runner.restore_trained(cell)
    settings = cell.settings
    data = runner.load_data(settings)
    accelerator = runner.make_accelerator(settings)
    logits, _ = predict(model, data.tests["test"], data.collate, settings.trainer, accelerator)
    kept = pq.read_table(store.predictions_path(cell.record_path))["prediction"].to_numpy()
    assert logits.argmax(dim=-1).tolist() == kept.tolist()


def test_values_trained_in_another_basis_are_refused(
    make_cell: MakeCell, caplog: pytest.LogCaptureFixture
) -> None:
    cell = make_cell("task=rte", "method=frod", "save=adapter")
    assert runner.execute(cell).status == "ok"
    tensors = load_file(cell.adapter_path)
    name = next(name for name in tensors if name.startswith("probe."))
    save_file(tensors | {name: tensors[name] + torch.ones(())}, cell.adapter_path)
    with pytest.raises(InputError, match="basis of"):
        runner.restore_trained(cell)
    assert f"{cell.adapter_path.name} is not the file that the run wrote" in caplog.text


def test_a_checkpoint_is_of_a_type_of_device(make_cell: MakeCell) -> None:
    """A run that goes on elsewhere would name one device, and have been made on two."""
    ready = runner.make_ready(make_cell("task=rte", "method=frozen", "runtime.device=cpu"))
    assert runner.origin_of(ready.cell, ready.prepared, ready.accelerator).names["device"] == "cpu"


@pytest.mark.parametrize(("method", "sent_once"), [("frod", True), ("examples", False)])
def test_buffers_of_ones_own_methods_are_sent_as_ddp_does(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, method: str, *, sent_once: bool
) -> None:
    found: list[object] = []
    monkeypatch.setattr(runner, "send_buffers_once", found.append)
    own = Path(__file__).parents[2] / "examples" / "my_method" / "layer_norms.yaml"
    cell = make_cell("task=rte", f"method={own if method == 'examples' else method}")
    assert (cell.settings.method.kind == "python") != sent_once
    assert runner.execute(cell).status == "ok"
    assert bool(found) == sent_once
