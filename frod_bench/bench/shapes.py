"""The models and batches that are timed."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """Size of random inputs.

    Attributes:
        rows: texts or images; None: as many as the suite's trainer takes for the family.
        length: tokens per row; of an image, its patches and the class token.
    """

    rows: int | None
    length: int

    def __str__(self) -> str:
        return f"{self.rows} x {self.length} tokens"


@dataclass(frozen=True)
class Encoder:
    """Sizes of a RoBERTa with random weights."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int


@dataclass(frozen=True)
class Shape:
    """A model and the batches that it is timed on, one after the other.

    Attributes:
        task: its family gives backbone, target modules and batch rows.
        encoder: replaces the family's backbone; None: the shipped one.
        threads: of each process; None: as many as this process may use.
    """

    name: str
    task: str
    encoder: Encoder | None
    batches: tuple[Batch, ...]
    threads: int | None


BASE, LARGE = Encoder(768, 12, 12, 3072), Encoder(1024, 24, 16, 4096)
SHAPES = {
    shape.name: shape
    for shape in (
        # One thread, as the suite runs them: small models do not gain from two.
        Shape("embedded_encoder", "rte", None, (Batch(None, 32),), 1),
        Shape("embedded_decoder", "boolq", None, (Batch(None, 32),), 1),
        Shape("embedded_vit", "eurosat", None, (Batch(None, 17),), 1),
        Shape("roberta_base", "rte", BASE, (Batch(4, 128), Batch(32, 128)), None),
        Shape("roberta_large", "rte", LARGE, (Batch(128, 128),), None),
    )
}
DEFAULT_SHAPES = {
    "cpu": ("embedded_encoder", "embedded_decoder", "embedded_vit", "roberta_base"),
    "cuda": ("roberta_large",),
}


def model_label(shape: str, compiled: bool) -> str:
    """Return what messages and tables call a model."""
    return f"{shape} (compiled)" if compiled else shape


def all_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every platform
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
