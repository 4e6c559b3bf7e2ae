"""A cell's step, measured on shapes; deep models are extrapolated from two shallow ones."""

import warnings
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig, MethodConfig
from frod_bench.models.classifier import recompute_activations, tower_of
from frod_bench.plan.ranking import Options, batch_of_options, row_tokens
from frod_bench.plan.shapes import prepare_shapes
from frod_bench.plan.trace import Batch, Step, trace_step

DEPTHS = (4, 6)  # blocks of the shallow models; a model of at most 6 is measured itself


@dataclass(frozen=True)
class Load:
    """What a step is run on.

    Attributes:
        rows: of one micro-batch.
        mixed_precision: no, bf16 or fp16.
        accumulates: whether other micro-batches come before it in the step.
        on_accelerator: False on a CPU, on which the optimizer updates one parameter after another.
        options: that a row ranks; None if rows are classified.
        checkpointing: whether activations are computed again in the backward pass.
    """

    rows: int
    mixed_precision: str
    accumulates: bool
    on_accelerator: bool
    options: Options | None = None
    checkpointing: bool = False


def measure_step(
    config: PretrainedConfig, backbone: BackboneConfig, method: MethodConfig, load: Load
) -> Step:
    """Measure one step on the longest inputs, with a head of one class; without one to rank.

    Inputs are texts of `max_length` tokens, images, or rows of `ranking.row_tokens`. Blocks are
    alike, so FLOPs and the bytes of each phase are linear in their number; a test compares with
    models that are measured without extrapolation.

    Raises:
        InputError: as `prepare_shapes` and `recompute_activations` do, or if the backbone has no
            inputs of the configured size.
    """
    check_inputs(tower_of(config), backbone)
    blocks = tower_of(config).num_hidden_layers
    if blocks <= DEPTHS[1]:
        return _measure(config, blocks, backbone, method, load)
    low, high = (_measure(config, n, backbone, method, load) for n in DEPTHS)
    return Step(
        **{
            f.name: _extended(getattr(low, f.name), getattr(high, f.name), blocks)
            for f in fields(Step)
        }
    )


def with_classes(step: Step, num_labels: int, width: int, load: Load) -> Step:
    """Return a step that was measured with a head of one class with one of `num_labels`.

    If options are ranked, there is no head and the step stays as it is.

    Args:
        width: features that the head reads.
    """
    if load.options is not None:
        return step
    more = num_labels - 1
    numbers, product = more * (width + 1), 2 * load.rows * width * more
    trains_body = step.flops > 3 / 2 * step.forward_flops  # the head's input has a gradient
    gradients = [4 * numbers if load.accumulates else 0, 4 * numbers, 4 * numbers]
    return replace(
        step,
        forward_flops=step.forward_flops + product,
        flops=step.flops + product * (3 if trains_body else 2),
        weight_bytes=step.weight_bytes + 4 * numbers,
        gradient_bytes=step.gradient_bytes + 4 * numbers,
        optimizer_bytes=step.optimizer_bytes + 8 * numbers,
        phase_bytes=tuple(
            before + 12 * numbers + gradient
            for before, gradient in zip(step.phase_bytes, gradients, strict=True)
        ),
    )


def _extended(low: Any, high: Any, blocks: int) -> Any:
    """Extrapolate a value, or each of a tuple, from those at `DEPTHS` linearly to `blocks`."""
    if isinstance(low, tuple):
        return tuple(_extended(*pair, blocks) for pair in zip(low, high, strict=True))
    first, second = DEPTHS
    return low + (high - low) * (blocks - first) // (second - first)


def _measure(
    config: PretrainedConfig,
    blocks: int,
    backbone: BackboneConfig,
    method: MethodConfig,
    load: Load,
) -> Step:
    config = deepcopy(config)
    tower = tower_of(config)
    tower.num_hidden_layers = blocks
    num_labels = 1 if load.options is None else None
    model = prepare_shapes(config, backbone, method, num_labels=num_labels).model
    if load.checkpointing:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a name inside transformers
            recompute_activations(model)

    def make_batch() -> tuple[Batch, Tensor]:
        labels = torch.zeros(load.rows, dtype=torch.int64)
        if load.options is None:
            return batch_of(tower, backbone, load.rows), labels
        return batch_of_options(load.rows, tokens_of(tower, backbone), load.options), labels

    return trace_step(
        model,
        make_batch,
        mixed_precision=load.mixed_precision,
        accumulates=load.accumulates,
        foreach=load.on_accelerator,
    )


def tokens_of(
    config: PretrainedConfig, backbone: BackboneConfig, options: Options | None = None
) -> int:
    """Return the tokens, or the patches and the class token, of the longest row."""
    if backbone.image_size:
        return (backbone.image_size // config.patch_size) ** 2 + 1
    longest = min(backbone.max_length, config.max_position_embeddings)
    return longest if options is None else row_tokens(longest, options)


def check_inputs(config: PretrainedConfig, backbone: BackboneConfig) -> None:
    """Raise InputError if the backbone has no inputs of the configured size."""
    reads_images = hasattr(config, "patch_size")
    name = "image_size" if reads_images else "max_length"
    value = getattr(backbone, name)
    fixed = config.model_type.startswith("clip") and value != config.image_size
    if value < (config.patch_size if reads_images else 1) or (reads_images and fixed):
        allowed = config.image_size if reads_images else "the number of tokens to keep, e.g. 128"
        raise InputError(
            f"backbone.{name}={value}: {backbone.name} does not accept such inputs. Give {allowed}."
        )


def batch_of(config: PretrainedConfig, backbone: BackboneConfig, rows: int) -> Batch:
    """Return inputs as tasks collate them, all of the greatest length."""
    if backbone.image_size:
        side = backbone.image_size
        return {"pixel_values": torch.zeros(rows, 3, side, side)}
    ids = torch.zeros(rows, tokens_of(config, backbone), dtype=torch.int64)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if getattr(config, "type_vocab_size", 0) > 1:
        batch["token_type_ids"] = torch.zeros_like(ids)
    return batch
