"""A cell's step, measured on shapes; deep models are extrapolated from two shallow ones."""

import warnings
from dataclasses import asdict, replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from transformers import PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig, MethodConfig
from frod_bench.models.classifier import recompute_activations, tower_of, with_blocks
from frod_bench.plan.shapes import Options, prepare_shapes
from frod_bench.plan.trace import Batch, Load, Step, trace_step

DEPTHS = (4, 6)  # blocks of the shallow models; a model of at most 6 is measured itself


def measure_step(
    config: PretrainedConfig, backbone: BackboneConfig, method: MethodConfig, load: Load
) -> Step:
    """Measure one step on the longest inputs, with a head of one class; without one to rank.

    Blocks are alike, so FLOPs and the bytes of each phase are linear in their number. Raises
    InputError if method, load or size of inputs do not fit the backbone.
    """
    check_inputs(tower_of(config), backbone)
    blocks, (first, second) = tower_of(config).num_hidden_layers, DEPTHS

    def with_depth(number: int) -> Step:
        shallow = with_blocks(config, number)
        num_labels = 1 if load.options is None else None
        model = prepare_shapes(shallow, backbone, method, num_labels=num_labels).model
        if load.checkpointing:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of a name inside transformers
                recompute_activations(model)
        return trace_step(model, make_batch, load)

    def make_batch() -> tuple[Batch, Tensor]:
        inputs = batch_of(tower_of(config), backbone, load.rows, load.options)
        return inputs, torch.zeros(load.rows, dtype=torch.int64)

    def extend(low: int, high: int) -> int:
        return low + (high - low) * (blocks - first) // (second - first)

    if blocks <= second:
        return with_depth(blocks)
    low, high = (asdict(with_depth(number)) for number in DEPTHS)
    return Step(**tree_map(extend, low, high))


def with_classes(step: Step, num_labels: int, width: int, load: Load) -> Step:
    """Return the step with `num_labels` classes instead of one, and a head of `width` inputs."""
    if load.options is not None:  # there is no head
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


def tokens_of(
    config: PretrainedConfig, backbone: BackboneConfig, options: Options | None = None
) -> int:
    """Return the tokens of the longest row (the question once, then all options) or the patches."""
    if backbone.image_size:
        return (backbone.image_size // config.patch_size) ** 2 + 1
    longest = min(backbone.max_length, config.max_position_embeddings)
    return longest if options is None else longest + (options.count - 1) * options.tokens


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


def batch_of(
    config: PretrainedConfig, backbone: BackboneConfig, rows: int, options: Options | None = None
) -> Batch:
    """Return inputs of the greatest length, as tasks collate them; or those of `RankerShapes`."""
    if backbone.image_size:
        return {"pixel_values": torch.zeros(rows, 3, backbone.image_size, backbone.image_size)}
    ids = torch.zeros(rows, tokens_of(config, backbone, options), dtype=torch.int64)
    if options is not None:
        return {
            "ids": ids,
            "positions": torch.zeros_like(ids),
            "visible": torch.ones(*ids.shape, ids.shape[1], dtype=torch.bool),
            "before": torch.zeros(rows, options.count, options.tokens, dtype=torch.int64),
        }
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if getattr(config, "type_vocab_size", 0) > 1:
        batch["token_type_ids"] = torch.zeros_like(ids)
    return batch
