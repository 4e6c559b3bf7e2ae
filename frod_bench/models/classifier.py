"""A backbone with one linear head: the model that methods prepare and the loop trains."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config.settings import POOLINGS
from frod_bench.models.loading import load_config, load_model

transformers_logging.set_verbosity_error()  # missing weights are an error of ours, in `loading`
transformers_logging.disable_progress_bar()

HEAD_STD = 0.02  # standard deviation of the initial weights, as in the heads of BERT


class Classifier(nn.Module):
    """`backbone` -> pooled feature -> `head`.

    `forward` takes the backbone's own inputs (`input_ids` and `attention_mask`, both B x L, or
    `pixel_values`, B x 3 x H x W) and returns logits, B x num_labels.
    """

    def __init__(self, backbone: PreTrainedModel, pooling: str, num_labels: int) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise InputError(
                f"backbone.pooling={pooling!r} is unknown." + did_you_mean(pooling, POOLINGS)
            )
        self.backbone = backbone
        self.pooling = pooling
        self.head = nn.Linear(backbone.config.hidden_size, num_labels)
        nn.init.normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)

    def forward(self, **inputs: Tensor) -> Tensor:
        outputs = self.backbone(**inputs)
        return self.head(pooled(outputs, inputs.get("attention_mask"), self.pooling))

    def pretrained_parameters(self) -> list[Parameter]:
        return list(self.backbone.parameters())

    def head_parameters(self) -> list[Parameter]:
        return list(self.head.parameters())


def pooled(outputs: Any, mask: Tensor | None, pooling: str) -> Tensor:
    """Return one feature per row, B x d; `mask` (B x L) is 0 for the padding on the right.

    `pooler` is the output of the checkpoint's own pooler: for CLIP the normalised class token.
    """
    if pooling == "pooler":
        return outputs.pooler_output
    hidden: Tensor = outputs.last_hidden_state
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "last":
        rows = torch.arange(len(hidden), device=hidden.device)
        return hidden[:, -1] if mask is None else hidden[rows, mask.sum(dim=1) - 1]
    if mask is None:
        return hidden.mean(dim=1)
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def build_classifier(
    source: str | Path,
    *,
    revision: str | None,
    pooling: str,
    num_labels: int,
    pretrained: bool,
    seed: int,
    blocks: int | None = None,
) -> Classifier:
    """Load the backbone from `source` (a folder or a Hub id) in float32 and add a head. `blocks`
    reads the first ones alone, as `with_blocks` does.

    Raises InputError as `load_model` does.
    """
    torch.manual_seed(seed)
    needed_for = "A checkpoint of `transformers` with safetensors weights is needed"
    config = with_blocks(load_config(source, revision, needed_for), blocks)
    backbone = load_model(
        AutoModel,
        source,
        tower_of(config),
        revision=revision,
        pretrained=pretrained,
        needed_for=needed_for,
        advice="Use a checkpoint of this architecture.",
        unread="pooler." if pooling != "pooler" else None,  # `with_head` removes it
    )
    torch.manual_seed(seed)  # the head does not depend on the draws of the backbone
    return with_head(backbone, pooling, num_labels)


def tower_of(config: PretrainedConfig) -> PretrainedConfig:
    """Return the image model's configuration if the checkpoint also has a text model (CLIP)."""
    return getattr(config, "vision_config", config)


def with_blocks(config: PretrainedConfig, blocks: int | None) -> PretrainedConfig:
    """Return the configuration of the same model with only its first `blocks` blocks.

    The configuration is returned as it is if `blocks` is None, or if it has no more blocks.
    """
    if blocks is None or tower_of(config).num_hidden_layers <= blocks:
        return config
    shallow = deepcopy(config)
    tower = tower_of(shallow)
    tower.num_hidden_layers = blocks
    if getattr(tower, "layer_types", None) is not None:  # one for each block
        tower.layer_types = tower.layer_types[:blocks]
    return shallow


def with_head(backbone: PreTrainedModel, pooling: str, num_labels: int) -> Classifier:
    """Add a head to the backbone; a pooler that nothing reads is removed, so it is not counted."""
    if pooling != "pooler" and getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None  # type: ignore[assignment]
    return Classifier(backbone, pooling, num_labels)


@torch.no_grad()
def check_reads(model: nn.Module, batch: Mapping[str, Tensor], backbone: str, task: str) -> None:
    """Raise InputError unless the model can read `batch`, the inputs of a few rows of the task."""
    try:
        logits = model.eval()(**batch)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in batch.items())
        raise InputError(
            f"backbone {backbone}: cannot read the inputs of task {task}, {shapes} "
            f"({type(error).__name__}: {error}). Choose a backbone of the task's family, and check "
            "its pooling, image_size or max_length, and that tokenizer and weights belong together."
        ) from error
    if getattr(model, "pooling", None) == "first" and _ignores_later_tokens(model, batch, logits):
        raise InputError(
            f"backbone.pooling=first of {backbone}: the first token does not attend to the rest of "
            "the text, as in a causal language model. Set pooling=last, or choose an encoder."
        )


def _ignores_later_tokens(model: nn.Module, batch: Mapping[str, Tensor], logits: Tensor) -> bool:
    """Return whether the logits stay the same if the tokens after the first one are reversed."""
    ids = batch.get("input_ids")
    if ids is None:
        return False
    reversed_ids = torch.cat([ids[:, :1], ids[:, 1:].flip(1)], dim=1)
    reordered = model(**{**batch, "input_ids": reversed_ids})
    return not reversed_ids.equal(ids) and reordered.equal(logits)


def recompute_activations(model: nn.Module) -> None:
    """Turn on gradient checkpointing. Raises InputError if the backbone does not support it."""
    backbone = model.backbone
    if not backbone.supports_gradient_checkpointing:  # type: ignore[union-attr]
        raise InputError(
            f"runtime.gradient_checkpointing=true: {type(backbone).__name__} does not support it. "
            "Set it to false. More trainer.accumulation_steps save memory as well."
        )
    backbone.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[union-attr,operator]
