"""From a shape to a model and a batch for it."""

import dataclasses

import torch
from torch import Tensor
from transformers import PretrainedConfig, RobertaConfig, RobertaModel

from frod_bench.bench.shapes import Batch, Encoder, Shape
from frod_bench.cells.grid import composer, without_hydra
from frod_bench.config import conversion
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model
from frod_bench.models.classifier import Classifier
from frod_bench.training import runner

LABELS = 2
FIRST_WORD = 5  # ids below are special tokens


def compose_settings(shape: Shape, method: str) -> Settings:
    """The suite's own settings of a method on the shape's task; no data set is read for it.

    A shape that makes its encoder takes the pooling and the target modules of the embedded one.
    """
    with composer() as compose_one:
        config = without_hydra(
            compose_one([f"task={shape.task}", f"method={method}", "tracker=none"])
        )
    conversion.validate(config)
    composed = conversion.resolve(config)
    if shape.encoder is not None:
        family = composed.task.family
        named = dataclasses.replace(composed.backbones[family], name=shape.name)
        composed.backbones[family] = named
    return composed


def build_model(shape: Shape, composed: Settings) -> Model:
    """The shape's model in float32; the same weights every time."""
    if shape.encoder is None:
        return runner.build_model(composed, LABELS)
    torch.manual_seed(composed.seed)
    backbone = RobertaModel(roberta_config(shape.encoder), add_pooling_layer=False)
    return Classifier(backbone, composed.backbones[composed.task.family].pooling, LABELS)


def roberta_config(encoder: Encoder) -> RobertaConfig:
    """RoBERTa's own vocabulary and positions; no dropout, as in the suite's backbones."""
    return RobertaConfig(
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **dataclasses.asdict(encoder),
    )


def batches_of(shape: Shape, composed: Settings) -> list[Batch]:
    """The shape's batches, with the rows that the trainer takes where they name none."""
    own = composed.trainer.batch_rows
    return [dataclasses.replace(batch, rows=batch.rows or own) for batch in shape.batches]


def make_batch(
    batch: Batch, composed: Settings, config: PretrainedConfig
) -> tuple[dict[str, Tensor], Tensor]:
    """Random inputs of the family (`input_ids` and `attention_mask`, or `pixel_values`), labels."""
    assert batch.rows is not None
    labels = torch.zeros(batch.rows, dtype=torch.int64)
    if composed.task.family == "vision":
        side = composed.backbones["vision"].image_size
        return {"pixel_values": torch.randn(batch.rows, 3, side, side)}, labels
    ids = torch.randint(FIRST_WORD, config.vocab_size, (batch.rows, batch.length))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels
