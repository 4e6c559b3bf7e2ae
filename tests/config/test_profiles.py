"""Profiles: every task and method composes on each of them; `paper` has the released settings."""

import re
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict
from transformers import CLIPConfig, CLIPModel

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import compose_cells
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import checks, conversion
from frod_bench.config.settings import TaskConfig
from frod_bench.models import classifier as models

PROFILES = sorted(p.stem for p in (CONF_DIR / "profile").glob("*.yaml"))
TASKS = sorted(p.stem for p in (CONF_DIR / "task").glob("*.yaml"))
METHODS = sorted(p.stem for p in (CONF_DIR / "method").glob("*.yaml"))
PAPERS_METHODS = ("full", "frozen", "lora", "dora", "frod")
ONE_TASK = {"vision": "cars", "reasoning": "boolq", "nlu": "rte"}


@cache
def composed(profile: str, method: str) -> DictConfig:
    with composer() as compose_one:
        return without_hydra(compose_one([f"profile={profile}", f"method={method}"]))


def on_task(profile: str, method: str, task: str) -> dict[str, Any]:
    """As if it was composed with the task: nothing else depends on its name."""
    config = composed(profile, method).copy()
    with open_dict(config):
        config.task = OmegaConf.merge(
            OmegaConf.structured(TaskConfig),
            OmegaConf.load(CONF_DIR / "task" / f"{task}.yaml"),
        )
    checks.validate(config)
    return asdict(conversion.resolve(config))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_task_composes_and_every_method_on_one_a_family(profile: str, method: str) -> None:
    for task in TASKS if method == "frod" else ONE_TASK.values():
        config = on_task(profile, method, task)
        backbone = config["backbones"][config["task"]["family"]]
        assert not [value for value in strings(config) if "${" in value]
        assert config["method"]["learning_rates"]
        if config["task"]["family"] == "vision":
            assert backbone["image_size"] > 0
        else:
            assert backbone["max_length"] > 0


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("profile", ["small", "real", "paper"])
def test_the_main_table_is_planned_without_a_network(profile: str) -> None:
    _, cells = compose_cells(["experiment=main_table", f"profile={profile}", "suite=smoke"])
    assert len(cells) == 3 * 5 * 3
    assert {cell.profile for cell in cells} == {profile}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_revision_is_a_commit(profile: str) -> None:
    for backbone in composed(profile, "frod").backbones.values():
        assert backbone.revision is None or re.fullmatch(r"[0-9a-f]{40}", backbone.revision)


def test_the_paper_profile_has_the_released_sizes() -> None:
    """As the released scripts have them: s, r, alpha, target modules and FRoD's own rates."""
    methods = {
        (family, method): on_task("paper", method, task)["method"]
        for family, task in ONE_TASK.items()
        for method in PAPERS_METHODS
    }
    assert [methods[f, "frod"]["sparse_rate"] for f in ONE_TASK] == [0.01, 0.02, 0.02]
    assert [methods[f, "lora"]["peft"]["r"] for f in ONE_TASK][:2] == [64, 8]
    assert {methods[f, "lora"]["peft"]["lora_alpha"] for f in ONE_TASK} == {16}
    assert "down_proj" in methods["reasoning", "lora"]["peft"]["target_modules"]
    backbones = composed("paper", "frod").backbones
    assert set(backbones.reasoning.target_modules) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"
    }  # fmt: skip
    for family, rates in {
        "nlu": (5e-4, 5e-5), "vision": (5e-4, 5e-5), "reasoning": (1e-4, 1e-5)
    }.items():  # fmt: skip
        found = methods[family, "frod"]["learning_rates"]
        assert (found["lambda"], found["rotation"]) == rates
        assert 1e-5 <= found["head"] <= 1e-4


def test_the_image_tower_of_a_checkpoint_with_two_is_loaded(tmp_path: Path) -> None:
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "vocab_size": 60, "eos_token_id": 1}  # fmt: skip
    vision = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 32, "image_size": 32, "patch_size": 16}  # fmt: skip
    whole = CLIPModel(CLIPConfig(text_config=text, vision_config=vision))
    whole.save_pretrained(tmp_path)
    model = models.build_classifier(
        tmp_path, revision=None, pooling="pooler", num_labels=3, pretrained=True, seed=0
    )
    loaded = dict(model.backbone.named_parameters())
    assert loaded
    for name, parameter in whole.vision_model.named_parameters():
        assert loaded.pop(name).equal(parameter), name
    assert not loaded
