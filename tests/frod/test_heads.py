"""Heads stay as they were, the body is frozen."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPForImageClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

from frod_bench.frod import FrodConfig, attach_frod, frod_parameters

from .helpers import Net

SIZES = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}


def roberta(kind: type[PreTrainedModel]) -> PreTrainedModel:
    return kind(RobertaConfig(**SIZES, intermediate_size=16, max_position_embeddings=12))


def llama(tied: bool) -> PreTrainedModel:
    config = LlamaConfig(
        **SIZES, intermediate_size=16, num_key_value_heads=2, tie_word_embeddings=tied
    )
    return LlamaForCausalLM(config)


def clip() -> PreTrainedModel:
    sizes = {**SIZES, "intermediate_size": 16}
    del sizes["vocab_size"]
    config = CLIPConfig(vision_config={**sizes, "image_size": 8, "patch_size": 4})
    config.num_labels = 3
    return CLIPForImageClassification(config)


def t5() -> PreTrainedModel:
    sizes = {"vocab_size": 20, "d_model": 8, "d_ff": 16, "d_kv": 4, "num_layers": 1, "num_heads": 2}
    return T5ForConditionalGeneration(T5Config(**sizes))


class Wrapper(nn.Module):
    """A user's own module around a transformers model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.project = nn.Linear(4, 4)  # before the model: not a head
        self.model = model
        self.norm = nn.LayerNorm(4)
        self.extra = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2))


def stack() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))


CASES = {
    "encoder with a head": (
        lambda: roberta(RobertaForSequenceClassification),
        ["query", "output.dense"],
        ["classifier."],
    ),
    "a target in the head": (
        lambda: roberta(RobertaForSequenceClassification),
        ["query", "classifier.dense"],
        ["classifier.out_proj."],
    ),
    "encoder alone": (lambda: roberta(RobertaModel), ["query"], []),
    "encoder in a wrapper": (
        lambda: Wrapper(roberta(RobertaForSequenceClassification)),
        ["query"],
        ["model.classifier.", "extra."],
    ),
    "decoder": (lambda: llama(False), ["q_proj"], ["lm_head."]),
    "decoder with tied embeddings": (lambda: llama(True), ["q_proj"], []),
    "encoder and decoder, tied": (t5, ["q", "v"], []),
    "vision tower": (clip, ["q_proj"], ["classifier."]),
    "plain module": (Net, ["up"], ["head."]),
    "sequence": (stack, ["0"], ["3."]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("frozen_before", [False, True])
def test_only_the_head_stays_as_it_was(tmp_path: Path, case: str, frozen_before: bool) -> None:
    build: Callable[[], nn.Module]
    build, targets, prefixes = CASES[case]
    model = build()
    plain = dict(model.named_parameters())
    heads = {name for name in plain if name.startswith(tuple(prefixes))} if prefixes else set()
    assert bool(heads) == bool(prefixes)
    if frozen_before:
        model.requires_grad_(False)
    attach_frod(model, FrodConfig(targets), cache_dir=tmp_path)
    trains = {name for name, parameter in plain.items() if parameter.requires_grad}
    assert trains == (set() if frozen_before else heads)
    trained = [p for group in frod_parameters(model).values() for p in group]
    assert trained
    assert all(p.requires_grad for p in trained)
