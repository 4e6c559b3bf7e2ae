"""A probe on features that are computed once: the frozen method's run, but for rounding."""

import pytest
import torch
from torch import nn

from frod_bench.models.classifier import Classifier
from frod_bench.records import store
from frod_bench.training import runner
from frod_bench.training.features import with_features
from tests.conftest import MakeCell

CACHED = "trainer.cached_features=true"


def test_a_probe_gives_the_run_of_the_frozen_method(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    forward = Classifier.forward

    def counted(self: Classifier, **inputs: torch.Tensor) -> torch.Tensor:
        rows.append(len(inputs["pixel_values"]))
        return forward(self, **inputs)

    monkeypatch.setattr(Classifier, "forward", counted)
    words = ("task=eurosat", "method=frozen", "trainer.train_rows=12", "save=adapter")
    plain, cached = make_cell(*words), make_cell(*words, CACHED)
    assert runner.execute(plain).status == "ok"
    assert sum(rows) > 12
    rows.clear()
    assert runner.execute(cached).status == "ok"
    assert sum(rows) <= 2  # one row is read to check that the backbone fits
    first, second = (store.load(cell.record_path) for cell in (plain, cached))
    assert first["metrics"] == second["metrics"]
    assert first["params"] == second["params"]
    assert first["tokens_or_images"] == second["tokens_or_images"]
    curves = [
        [point["train_loss"] for point in store.read_curve(cell.record_path)[1:]]
        for cell in (plain, cached)
    ]
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)
    assert (
        runner.restore_trained(cached).state_dict().keys()
        == runner.restore_trained(plain).state_dict().keys()
    )


@pytest.mark.parametrize(
    "words",
    [
        ("task=eurosat", "method=frozen"),
        ("task=eurosat", "method=lora", CACHED),
        ("task=rte", "method=frozen", CACHED),
        ("task=piqa", "method=frozen", "head=rank", CACHED),
    ],
)
def test_everything_else_trains_on_its_rows(make_cell: MakeCell, words: tuple[str, ...]) -> None:
    cell = make_cell(*words)
    ready = runner.make_ready(cell)
    data, model = with_features(cell.settings, ready.data, ready.prepared, ready.accelerator)
    assert data is ready.data
    assert model is ready.prepared.model


def test_a_backbone_with_dropout_is_run_in_every_step(make_cell: MakeCell) -> None:
    cell = make_cell("task=eurosat", "method=frozen", CACHED)
    ready = runner.make_ready(cell)
    ready.prepared.model.backbone.register_forward_hook(draw_while_training)
    data, _ = with_features(cell.settings, ready.data, ready.prepared, ready.accelerator)
    assert data is ready.data


def draw_while_training(backbone: nn.Module, *_: object) -> None:
    """A hook that draws random numbers as dropout does."""
    nn.functional.dropout(torch.ones(9), training=backbone.training)
