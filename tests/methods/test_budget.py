"""Matched budgets: the rank whose count of trained parameters is nearest to FRoD's."""

import pytest
from transformers import CLIPConfig, RobertaConfig

from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.methods import budget
from frod_bench.methods.budget import (
    frod_count,
    layer_shapes,
    lora_count,
    matched_rank,
    nearest_rank,
)
from frod_bench.training import runner
from tests.conftest import MakeCell

LARGE = RobertaConfig(
    hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
)
ENCODER = ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense")
TASKS = {"nlu": "rte", "reasoning": "boolq", "vision": "eurosat"}


def trained(made: runner.Ready) -> int:
    params = made.prepared.params
    return int(params["trainable"] - params["trainable_head"])


@pytest.mark.parametrize("family", TASKS)
@pytest.mark.parametrize("method", ["lora", "dora"])
def test_no_other_rank_is_nearer_to_what_frod_trains(
    make_cell: MakeCell, family: str, method: str
) -> None:
    """Count on the models themselves, independently of the formulas."""
    task = f"task={TASKS[family]}"
    target = trained(runner.make_ready(make_cell(task, "method=frod")))
    matched = make_cell(task, f"method={method}", "budget=matched")
    peft = matched.config["method"]["peft"]
    gap = abs(trained(runner.make_ready(matched)) - target)
    for rank in {max(1, peft["r"] - 1), peft["r"] + 1} - {peft["r"]}:
        other = make_cell(task, f"method={method}", f"method.peft.r={rank}")
        assert abs(trained(runner.make_ready(other)) - target) >= gap
    assert peft["lora_alpha"] / peft["r"] == 2  # the scale that the rates were tuned at


def test_the_rank_on_robertas_large_shapes(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("large")
    LARGE.save_pretrained(folder)
    shapes = layer_shapes(str(folder), None, ENCODER)
    assert len(shapes) == 6 * 24
    assert sorted(set(shapes)) == [(1024, 1024), (1024, 4096), (4096, 1024)]
    target = frod_count(shapes, 0.02)
    assert target == 24 * (5 * (1024 + 20971) + 4096 + 335544)
    for dora in (False, True):
        rank = matched_rank(str(folder), None, ENCODER, 0.02, dora=dora)
        gaps = {r: abs(lora_count(shapes, r, dora=dora) - target) for r in range(1, 100)}
        assert rank == min(gaps, key=lambda r: gaps[r])


def test_lora_on_layers_of_its_own_is_counted_on_those(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("large")
    LARGE.save_pretrained(folder)
    everywhere = matched_rank(str(folder), None, ENCODER, 0.02)
    fewer = matched_rank(str(folder), None, ENCODER, 0.02, modules=["query", "value"])
    target = frod_count(layer_shapes(str(folder), None, ENCODER), 0.02)
    gap = abs(2 * 24 * fewer * 2048 - target)
    assert gap <= 2 * 24 * 2048 / 2
    assert fewer > everywhere


def test_only_the_image_model_of_an_image_and_text_model_is_counted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("clip")
    parts = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    CLIPConfig(
        text_config={**parts, "num_hidden_layers": 3},
        vision_config={**parts, "num_hidden_layers": 2},
    ).save_pretrained(folder)
    assert layer_shapes(str(folder), None, ("q_proj",)) == ((32, 32), (32, 32))


def test_the_rank_is_never_below_one_and_a_tie_takes_the_lower() -> None:
    assert nearest_rank([(8, 8)], 3) == 1
    assert nearest_rank([(8, 8)], 40) == 2  # 32 and 48 are as near
    assert nearest_rank([(8, 8)], 41) == 3
    assert nearest_rank([(8, 8)], 48, dora=True) == 2  # 40, where rank 3 has 56


def test_the_budget_is_in_the_name_and_the_hash_and_changes_no_other_method(
    make_cell: MakeCell,
) -> None:
    task = "task=rte"
    default, matched = (
        make_cell(task, "method=lora", f"budget={b}") for b in ("default", "matched")
    )
    assert (default.method, matched.method) == ("lora", "lora_matched")
    assert default.config_hash == make_cell(task, "method=lora").config_hash
    assert default.config_hash != matched.config_hash
    denser = make_cell(task, "method=lora", "budget=matched", "method.sparse_rate=0.2")
    assert denser.config["method"]["peft"]["r"] > matched.config["method"]["peft"]["r"]
    for method in ("frod", "full", "frozen"):
        cells = [make_cell(task, f"method={method}", f"budget={b}") for b in ("default", "matched")]
        assert cells[0] == cells[1]


def test_a_backbone_that_cannot_be_counted_is_refused(make_cell: MakeCell) -> None:
    with pytest.raises(InputError, match=r"^model_root=/nowhere: has no backbone"):
        make_cell("task=rte", "method=lora", "budget=matched", "model_root=/nowhere")
    with pytest.raises(
        InputError,
        match=r"configuration of /nowhere cannot be read .* budget=matched reads it",
    ):
        budget.layer_shapes("/nowhere", None, ("query",))
    with pytest.raises(InputError, match=r"target_modules=\['q_proj'\]"):
        layer_shapes(str(SHIPPED_BACKBONES_DIR / "encoder"), None, ("q_proj",))


def test_the_papers_backbones_are_counted_without_the_hub() -> None:
    shapes = layer_shapes("FacebookAI/roberta-large", None, ENCODER)
    assert frod_count(shapes, 0.02) == 10_790_760
