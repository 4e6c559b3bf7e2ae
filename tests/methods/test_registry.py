"""Methods: parameter groups, counts, and target modules that do not fit."""

import dataclasses
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, RobertaConfig, RobertaModel

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import checks, conversion
from frod_bench.config.settings import BackboneConfig, MethodConfig, Settings
from frod_bench.methods import peft_adapter
from frod_bench.methods.registry import Model, matching, prepare
from frod_bench.models.classifier import Classifier, check_reads
from frod_bench.plan.measure import batch_of
from frod_bench.training.runner import build_model

WIDTH, MLP, BLOCKS, LABELS = 16, 32, 3, 2
RATES = {
    "full": {"backbone": 0.1, "head": 0.1},
    "frozen": {"head": 0.1},
    "lora": {"adapter": 0.1, "head": 0.1},
    "dora": {"adapter": 0.1, "head": 0.1},
    "frod": {"lambda": 0.1, "rotation": 0.1, "head": 0.1},
    "frod_peft": {"adapter": 0.1, "head": 0.1},
    "frod_smaller": {"lambda": 0.1, "rotation": 0.1, "head": 0.1},
    "frod_released": {"lambda": 0.1, "rotation": 0.1, "head": 0.1},
    "pissa": {"adapter": 0.1, "head": 0.1},
    "rslora": {"adapter": 0.1, "head": 0.1},
    "vera": {"adapter": 0.1, "head": 0.1},
    "randlora": {"adapter": 0.1, "head": 0.1},
    "bitfit": {"bias": 0.1, "head": 0.1},
}
TASKS = {"nlu": "rte", "reasoning": "boolq", "vision": "eurosat"}
ON_EMBEDDED = [(f, m) for f in TASKS for m in RATES if (f, m) != ("reasoning", "bitfit")]


def encoder() -> Classifier:
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=20, hidden_size=WIDTH, num_hidden_layers=BLOCKS, num_attention_heads=2,
        intermediate_size=MLP, max_position_embeddings=12, pad_token_id=1,
    )  # fmt: skip
    return Classifier(RobertaModel(config, add_pooling_layer=False), "first", LABELS)


def backbone_config(**changes: Any) -> BackboneConfig:
    loaded = OmegaConf.load(CONF_DIR / "backbone" / "embedded_encoder.yaml")
    config: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(BackboneConfig), loaded))
    return dataclasses.replace(config, **changes)


@cache
def composed(name: str, family: str = "nlu") -> Settings:
    with composer() as compose_one:
        config = without_hydra(compose_one([f"method={name}", f"task={TASKS[family]}"]))
        checks.validate(config)
        return conversion.resolve(config)


def method_config(name: str, **changes: Any) -> MethodConfig:
    config = composed(name).method
    return dataclasses.replace(config, **{"learning_rates": RATES[name], **changes})


def embedded(family: str, name: str) -> tuple[Model, MethodConfig, BackboneConfig]:
    """The family's shipped backbone, unchanged, and the method as composed for it."""
    settings = composed(name, family)
    return build_model(settings, LABELS), settings.method, settings.backbones[family]


def inputs_of(model: Model, backbone: BackboneConfig) -> dict[str, Tensor]:
    inputs = batch_of(model.backbone.config, backbone, 2)
    if "pixel_values" in inputs:
        return {"pixel_values": torch.randn(inputs["pixel_values"].shape)}
    return inputs | {"input_ids": torch.randint(5, 40, inputs["input_ids"].shape)}


def batch() -> dict[str, torch.Tensor]:
    ids = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]])
    return {"input_ids": ids, "attention_mask": (ids != 1).long()}


@pytest.mark.parametrize("name", RATES)
def test_every_trainable_parameter_is_in_exactly_one_group(name: str) -> None:
    prepared = prepare(encoder(), method_config(name), backbone_config(), seed=0)
    assert set(prepared.groups) == set(RATES[name])
    trainable = [p for p in prepared.model.parameters() if p.requires_grad]
    grouped = [id(p) for group in prepared.groups.values() for p in group]
    assert sorted(grouped) == sorted(map(id, trainable))
    assert prepared.params["trainable"] == sum(p.numel() for p in trainable)
    assert prepared.params["trainable_head"] == WIDTH * LABELS + LABELS
    factors = name in ("frod", "frod_peft", "frod_smaller", "frod_released", "vera", "randlora")
    assert (prepared.params["extra_frozen"] > 0) == factors
    assert prepared.params["extra_frozen"] >= 0


@pytest.mark.parametrize("name", RATES)
def test_every_group_gets_a_gradient(name: str) -> None:
    prepared = prepare(encoder(), method_config(name), backbone_config(), seed=0)
    torch.nn.functional.cross_entropy(prepared.model(**batch()), torch.tensor([0, 1])).backward()
    for group, parameters in prepared.groups.items():
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), group


def test_pefts_frod_trains_what_ours_trains() -> None:
    ours, theirs = (
        prepare(encoder(), method_config(name), backbone_config(), seed=0)
        for name in ("frod", "frod_peft")
    )
    assert theirs.params["trainable"] == ours.params["trainable"]
    assert theirs.params["trainable_percent"] == ours.params["trainable_percent"]


def test_every_shipped_method_is_tested_here() -> None:
    assert set(RATES) == {file.stem for file in (CONF_DIR / "method").glob("*.yaml")}


@pytest.mark.parametrize("name", [name for name in RATES if name not in ("full", "frod_released")])
def test_adapted_models_start_as_the_pretrained_one(name: str) -> None:
    plain = encoder().eval()
    prepared = prepare(encoder(), method_config(name), backbone_config(), seed=0)
    with torch.no_grad():
        torch.testing.assert_close(
            prepared.model.eval()(**batch()), plain(**batch()), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(("family", "name"), ON_EMBEDDED)
def test_every_method_trains_all_its_groups_on_the_shipped_backbones(
    family: str, name: str
) -> None:
    plain, method, backbone = embedded(family, name)
    inputs = inputs_of(plain, backbone)
    before = plain.eval()(**inputs).detach()
    prepared = prepare(plain, method, backbone, seed=0)
    assert set(prepared.groups) == set(RATES[name])
    logits = prepared.model.eval()(**inputs)
    rounds = name in ("pissa", "frod_peft")  # rebuild the weight; the others add to it
    starts_alike = torch.allclose(logits, before, atol=1e-5) if rounds else logits.equal(before)
    assert starts_alike == (name != "frod_released")
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    for group, parameters in prepared.groups.items():
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), group


def test_bitfit_refuses_a_backbone_without_biases() -> None:
    model, method, backbone = embedded("reasoning", "bitfit")
    with pytest.raises(InputError, match=r"method=bitfit: .* embedded_decoder has none"):
        prepare(model, method, backbone, seed=0)


def test_the_released_output_is_that_of_doubled_weights_to_the_bit() -> None:
    model, method, backbone = embedded("vision", "frod_released")
    doubled = embedded("vision", "frod_released")[0].eval()
    with torch.no_grad():
        for module in matching(doubled.backbone, backbone.target_modules).values():
            assert isinstance(module, nn.Linear)
            module.weight.mul_(2)
        inputs = inputs_of(model, backbone)
        released = prepare(model, method, backbone, seed=0).model.eval()
        assert released(**inputs).equal(doubled(**inputs))


def test_pissa_splits_each_weight_into_a_trained_and_a_frozen_part() -> None:
    plain, backbone = encoder(), backbone_config()
    adapted = prepare(encoder(), method_config("pissa"), backbone, seed=0)
    assert adapted.params["extra_frozen"] == 0
    weight = plain.backbone.encoder.layer[0].intermediate.dense.weight
    split = adapted.model.backbone.encoder.layer[0].intermediate.dense
    assert not torch.allclose(split.base_layer.weight, weight, atol=1e-3)
    torch.testing.assert_close(
        split.base_layer.weight + split.get_delta_weight("default"), weight, rtol=1e-4, atol=1e-6
    )
    top = torch.linalg.svdvals(weight)[:8].square().sum()
    torch.testing.assert_close(split.get_delta_weight("default").square().sum(), top)


def test_counts_of_shared_random_matrices_follow_from_the_shapes() -> None:
    vera = prepare(encoder(), method_config("vera"), backbone_config(), seed=0).params
    outputs = [WIDTH] * 5 + [MLP]
    assert vera["trainable"] - vera["trainable_head"] == BLOCKS * sum(256 + m for m in outputs)
    assert vera["extra_frozen"] == 256 * (MLP + MLP)
    randlora = prepare(encoder(), method_config("randlora"), backbone_config(), seed=0).params
    pairs = WIDTH // 8
    assert randlora["trainable"] - randlora["trainable_head"] == BLOCKS * 6 * pairs * (8 + WIDTH)
    assert randlora["extra_frozen"] == 8 * MLP + MLP * (MLP // 8) * 8


def test_scales_are_those_of_the_papers() -> None:
    def scaling(name: str) -> float:
        model: Any = prepare(encoder(), method_config(name), backbone_config(), seed=0).model
        return float(model.backbone.encoder.layer[0].output.dense.scaling["default"])

    assert scaling("lora") == 2  # 16 / 8
    assert scaling("rslora") == pytest.approx(16 / 8**0.5)
    assert scaling("pissa") == 1  # alpha is the rank


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_target_": "peft.LoraConfgi"}, "_target_=peft.LoraConfgi: is not .* 'peft.LoraConfig'"),
        ({"_target_": "builtins.dict"}, "_target_=builtins.dict: is not the configuration"),
        ({"_target_": "peft.tuners.lora.LoraConfig"}, "is not the configuration of a PEFT adapter"),
        ({"_target_": "peft.PeftConfig"}, "is not the configuration of a PEFT adapter"),
        ({"_target_": "peft.PromptTuningConfig"}, "is not the configuration of a PEFT adapter"),
        ({"_target_": None}, "_target_=None: is not the configuration"),
        ({"_target_": ["peft.LoraConfig"]}, "is not the configuration of a PEFT adapter"),
        ({"rank": 4}, "method.peft.rank=4: peft.LoraConfig has no such argument.*rank_pattern"),
        ({"r": 0}, "PEFT refuses .*positive integer"),
        ({"layers_pattern": "layer"}, "peft.LoraConfig refuses .*layers_to_transform"),
    ],
)
def test_unknown_peft_adapters_and_arguments_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    peft = {**method_config("lora").peft, **changes}
    with pytest.raises(InputError, match=message):
        prepare(encoder(), method_config("lora", peft=peft), backbone_config(), 0)


def test_nested_plain_values_reach_peft() -> None:
    own = {
        **{"rank_pattern": {"query": 2}, "alpha_pattern": {"query": 3}},
        **{"layers_to_transform": [0, 2], "velora_config": {"num_groups": 4}},
    }
    peft = {**method_config("lora").peft, **own}
    model: Any = prepare(encoder(), method_config("lora", peft=peft), backbone_config(), 0).model
    first, second, third = model.backbone.encoder.layer
    assert [m.attention.self.query.r["default"] for m in (first, third)] == [2, 2]
    assert first.attention.self.value.r["default"] == 8
    assert isinstance(second.attention.self.query, nn.Linear)
    assert not hasattr(second.attention.self.query, "r")


class Unpickled:
    """Its pickle creates a folder when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def test_a_methods_yaml_calls_nothing(tmp_path: Path) -> None:
    marker, file = tmp_path / "called", tmp_path / "weights.pt"
    torch.save(Unpickled(marker), file)
    load = {"_target_": "torch.load", "f": str(file), "weights_only": False}
    for changes in (
        {"r": load},
        {"rank_pattern": {"query": load}},
        {"layers_to_transform": [load]},
    ):
        peft = {**method_config("lora").peft, **changes}
        with pytest.raises(InputError, match=r"method\.peft\..*_target_=torch.load: .*underscore"):
            prepare(encoder(), method_config("lora", peft=peft), backbone_config(), 0)
    assert not marker.exists()


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_convert_", "_recursive_", "__class__"])
def test_keys_of_hydra_are_refused(key: str) -> None:
    peft = {**method_config("lora").peft, key: True}
    with pytest.raises(InputError, match=rf"method\.peft\.{key}=True: .* underscore"):
        prepare(encoder(), method_config("lora", peft=peft), backbone_config(), 0)


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [
        ("LoraConfig", {"megatron_core": "antigravity"}, "megatron_core=antigravity: .*imported"),
        ("LoraConfig", {"megatron_config": {"x": 1}}, "imports Megatron"),
        ("LoraConfig", {"auto_mapping": {"parent_library": "antigravity"}}, "imported"),
        ("LoraConfig", {"corda_config": {"cache_file": "c.pt"}}, "cache_file=c.pt: .*unpickled"),
        ("LoraConfig", {"corda_config": {"covariance_file": "c.pt"}}, "unpickled"),
        ("XLoraConfig", {"adapters": {"a": "owner/name"}}, "is not the configuration"),
        ("ShadowConfig", {"shadow_model": "owner/name"}, "shadow_model=owner/name: .*to load"),
        ("LoraConfig", {"base_model_name_or_path": "owner/name"}, "names a model to load"),
    ],
)
def test_arguments_that_make_peft_load_something_are_refused(
    target: str, changes: dict[str, Any], message: str
) -> None:
    peft = {"_target_": f"peft.{target}", **changes}
    with pytest.raises(InputError, match=message):
        prepare(encoder(), method_config("lora", peft=peft), backbone_config(), 0)


def test_no_argument_of_the_installed_peft_names_a_file_or_a_module() -> None:
    """A later PEFT may have one that `peft_adapter.LOADING` does not know of."""
    telling = re.compile(
        r"file|path|_dir$|megatron|mapping|tokenizer|adapters|_model$|revision|_id$"
    )
    found = set()
    for kind in peft_adapter.adapter_kinds().values():
        for field in dataclasses.fields(kind):
            found |= {field.name} if telling.search(field.name) else set()
            for nested in get_args(get_type_hints(kind)[field.name]):
                if dataclasses.is_dataclass(nested):
                    names = [inner.name for inner in dataclasses.fields(nested)]
                    found |= {f"{field.name}.{name}" for name in names if telling.search(name)}
    assert found == peft_adapter.LOADING.keys()


def test_counts_follow_from_the_shapes() -> None:
    linear = BLOCKS * (4 * WIDTH * WIDTH + 2 * WIDTH * MLP)
    inputs = [WIDTH] * 5 + [MLP]  # query, key, value, attention.output, intermediate; output
    lora = prepare(encoder(), method_config("lora"), backbone_config(), seed=0)
    assert lora.params["trainable"] - lora.params["trainable_head"] == BLOCKS * 8 * (
        4 * 2 * WIDTH + 2 * (WIDTH + MLP)
    )
    frod = prepare(encoder(), method_config("frod"), backbone_config(), seed=0)
    assert frod.params["trainable"] - frod.params["trainable_head"] == BLOCKS * sum(
        k + max(1, int(k * k * 0.02)) for k in inputs
    )
    assert frod.params["extra_frozen"] >= linear  # the U of every layer, and the bases
    full = prepare(encoder(), method_config("full"), backbone_config(), seed=0)
    assert full.params["extra_frozen"] == 0
    assert full.params["trainable_percent"] == 100.0


def test_missing_targets_are_refused_with_the_existing_ones() -> None:
    with pytest.raises(InputError, match=r"match 0 modules.*key.*query.*value"):
        prepare(encoder(), method_config("lora"), backbone_config(target_modules=["q_proj"]), 0)


def test_a_count_that_differs_from_the_backbones_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected 12 linear ones"):
        prepare(encoder(), method_config("frod"), backbone_config(modules_per_block=4), 0)


def test_a_target_that_is_not_linear_is_refused() -> None:
    with pytest.raises(InputError, match="not linear"):
        prepare(encoder(), method_config("lora"), backbone_config(target_modules=["LayerNorm"]), 0)


def test_a_methods_own_targets_are_adapted_and_no_others() -> None:
    own = {**method_config("lora").peft, "target_modules": ["value", "attention.output.dense"]}
    prepared = prepare(encoder(), method_config("lora", peft=own), backbone_config(), seed=0)
    adapted = {name for name, p in prepared.model.named_parameters() if "lora_" in name}
    assert len(adapted) == 2 * 2 * BLOCKS
    assert all(".value." in name or ".attention.output.dense." in name for name in adapted)


@pytest.mark.parametrize("target", ["qeury", "LayerNorm", "layer.0.attention.self.query"])
def test_own_targets_that_are_not_linear_in_every_block_are_refused(target: str) -> None:
    own = {**method_config("lora").peft, "target_modules": ["value", target]}
    with pytest.raises(InputError, match=rf"peft.target_modules: '{target}' matches .*query"):
        prepare(encoder(), method_config("lora", peft=own), backbone_config(), seed=0)


def test_learning_rates_must_name_exactly_the_groups() -> None:
    extra = {"adapter": 0.1, "head": 0.1, "rotatoin": 0.1}
    with pytest.raises(InputError, match=r"learning_rates\.rotatoin"):
        prepare(encoder(), method_config("lora", learning_rates=extra), backbone_config(), 0)
    with pytest.raises(InputError, match=r"learning_rates.head is missing"):
        prepare(
            encoder(), method_config("lora", learning_rates={"adapter": 0.1}), backbone_config(), 0
        )


def test_last_pooling_reads_the_last_token_before_the_padding() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=12,
    )  # fmt: skip
    model = Classifier(LlamaModel(config), "last", LABELS).eval()
    ids = torch.tensor([[3, 4, 5, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask)
        bare = model(input_ids=ids[:, :3], attention_mask=mask[:, :3])
    torch.testing.assert_close(padded, bare)


def test_the_first_token_of_a_causal_model_is_refused() -> None:
    """It has read nothing of the text: every text would get the same logits."""
    config = LlamaConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=12,
    )  # fmt: skip
    batch = {"input_ids": torch.tensor([[3, 4, 5]]), "attention_mask": torch.ones(1, 3).long()}
    check_reads(encoder(), batch, "encoder", "rte")
    check_reads(Classifier(LlamaModel(config), "last", LABELS), batch, "decoder", "rte")
    with pytest.raises(InputError, match=r"pooling=first of decoder.* Set pooling=last"):
        check_reads(Classifier(LlamaModel(config), "first", LABELS), batch, "decoder", "rte")


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'first'"):
        Classifier(encoder().backbone, "frist", LABELS)
