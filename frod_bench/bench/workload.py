"""The model of a shape, and batches for it."""

import dataclasses

import torch
from torch import Tensor
from transformers import PretrainedConfig, RobertaConfig, RobertaModel

from frod_bench.bench.shapes import Batch, Shape
from frod_bench.cells.grid import composer, without_hydra
from frod_bench.config import conversion
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model
from frod_bench.models.classifier import Classifier
from frod_bench.training import runner

LABELS = 2
FIRST_WORD = 5  # smaller ids are special tokens


def compose_settings(shape: Shape, method: str) -> Settings:
    """Return the suite's settings of a method on the shape's task; no data set is read.

    A shape with its own encoder has the pooling and the target modules of the embedded one.
    """
    with composer() as compose_one:
        words = [f"task={shape.task}", f"method={method}", "tracker=none"]
        config = without_hydra(compose_one(words))
    conversion.validate(config)
    composed = conversion.resolve(config)
    if shape.encoder is not None:
        family = composed.task.family
        named = dataclasses.replace(composed.backbones[family], name=shape.name)
        composed.backbones[family] = named
    return composed


def build_model(shape: Shape, composed: Settings) -> Model:
    """Return the shape's model in float32, with the same weights every time.

    A shape's own encoder has RoBERTa's vocabulary and positions, and no dropout, like the suite's
    backbones.
    """
    if shape.encoder is None:
        return runner.build_model(composed, LABELS)
    torch.manual_seed(composed.seed)
    config = RobertaConfig(
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **dataclasses.asdict(shape.encoder),
    )
    backbone = RobertaModel(config, add_pooling_layer=False)
    return Classifier(backbone, composed.backbones[composed.task.family].pooling, LABELS)


def batches_of(shape: Shape, composed: Settings) -> list[Batch]:
    """Return the shape's batches, with the trainer's rows if they do not fix them."""
    own = composed.trainer.batch_rows
    return [dataclasses.replace(batch, rows=batch.rows or own) for batch in shape.batches]


def make_batch(
    batch: Batch, composed: Settings, config: PretrainedConfig
) -> tuple[dict[str, Tensor], Tensor]:
    """Return random inputs (`input_ids` and `attention_mask`, or `pixel_values`) and labels."""
    assert batch.rows is not None
    labels = torch.zeros(batch.rows, dtype=torch.int64)
    if composed.task.family == "vision":
        side = composed.backbones["vision"].image_size
        return {"pixel_values": torch.randn(batch.rows, 3, side, side)}, labels
    ids = torch.randint(FIRST_WORD, config.vocab_size, (batch.rows, batch.length))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels
