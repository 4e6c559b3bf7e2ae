"""The models and batches that are timed, as data."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """Random inputs of one size.

    Attributes:
        rows: texts or images; None: as many as the suite's own trainer takes for the family.
        length: tokens a row; of an image, its patches and the class token.
    """

    rows: int | None
    length: int


@dataclass(frozen=True)
class Encoder:
    """Sizes of a RoBERTa whose weights are drawn at random."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int


@dataclass(frozen=True)
class Shape:
    """One model and the batches that it is timed on.

    Attributes:
        task: whose family's backbone, target modules and batch rows are meant.
        encoder: made instead of the family's own backbone; None: the shipped one.
        batches: timed one after the other.
        threads: of each process; None: as many as this process may use.
    """

    name: str
    task: str
    encoder: Encoder | None
    batches: tuple[Batch, ...]
    threads: int | None


SHAPES = {
    shape.name: shape
    for shape in (
        # One thread, as the suite runs them: small models gain nothing from two.
        Shape("embedded_encoder", "rte", None, (Batch(None, 32),), 1),
        Shape("embedded_decoder", "boolq", None, (Batch(None, 32),), 1),
        Shape("embedded_vit", "eurosat", None, (Batch(None, 17),), 1),
        Shape(
            "roberta_base", "rte", Encoder(768, 12, 12, 3072), (Batch(4, 128), Batch(32, 128)), None
        ),
        Shape("roberta_large", "rte", Encoder(1024, 24, 16, 4096), (Batch(128, 128),), None),
    )
}
DEFAULT_SHAPES = {
    "cpu": ("embedded_encoder", "embedded_decoder", "embedded_vit", "roberta_base"),
    "cuda": ("roberta_large",),
}


def all_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every platform
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
