"""One method on one model, in its own process: it does what it is asked to, and times it."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import RobertaConfig, RobertaModel

from frod_bench.bench.floor import LayerTimes, seconds, time_layers
from frod_bench.bench.options import Batch, Shape, model_label
from frod_bench.cells.compose import composer, without_hydra
from frod_bench.config import checks, conversion
from frod_bench.config.settings import Settings
from frod_bench.frod import attach_frod
from frod_bench.methods.registry import Model, Prepared, frod_config, prepare
from frod_bench.models.classifier import Classifier
from frod_bench.training import memory, runner

LEARNING_RATE = 1e-4  # of every group; the time of a step does not depend on it
CACHED_ATTACHES = 3
LABELS = 2
FIRST_WORD = 5  # smaller ids are special tokens


@dataclass(frozen=True)
class Entry:
    """A contender."""

    shape: Shape
    composed: Settings  # the suite's, of the method on the shape's task
    device: str
    compiled: bool  # whether the model goes through `torch.compile`
    threads: int

    @property
    def label(self) -> str:
        """Name of the model that it is on."""
        return model_label(self.shape.name, self.compiled)

    @property
    def batches(self) -> list[Batch]:
        """The shape's batches, with the trainer's rows if they do not fix them."""
        own = self.composed.trainer.batch_rows
        return [replace(batch, rows=batch.rows or own) for batch in self.shape.batches]


def compose_settings(shape: Shape, method: str) -> Settings:
    """Return the suite's settings of a method on the shape's task; no data set is read."""
    with composer() as compose_one:
        words = [f"task={shape.task}", f"method={method}", "tracker=none"]
        config = without_hydra(compose_one(words))
    checks.validate(config)
    composed = conversion.resolve(config)
    if shape.encoder is not None:
        named = replace(composed.backbone, name=shape.name)
        composed.backbones[composed.task.family] = named
    return composed


def build_model(shape: Shape, composed: Settings) -> Model:
    """Return the shape's model in float32, with the same weights every time and no dropout."""
    if shape.encoder is None:
        return runner.build_model(composed, LABELS)
    torch.manual_seed(composed.seed)
    width, blocks, heads = shape.encoder
    config = RobertaConfig(
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )
    backbone = RobertaModel(config, add_pooling_layer=False)
    return Classifier(backbone, composed.backbone.pooling, LABELS)


@dataclass(frozen=True)
class Step:
    """Seconds of a training step, and the peak memory during it."""

    sec: float
    peak_rss_bytes: int
    peak_device_bytes: int | None  # None on a CPU


class Contender:
    """The method's model, its optimizer and the batch that it works on."""

    prepared: Prepared
    optimizer: torch.optim.Optimizer
    forward_model: Callable[..., Tensor]

    def __init__(self, entry: Entry) -> None:
        warnings.filterwarnings("ignore", module=r"(peft|transformers)\.")
        torch.set_num_threads(entry.threads)
        self.entry, self.composed = entry, entry.composed
        self.method, self.backbone = self.composed.method, self.composed.backbone
        self.device = torch.device(entry.device)
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        self.plain = self._build()

    def attach(self) -> float:
        """Apply the method, with everything computed anew; returns the seconds."""

        def apply() -> None:
            self.prepared = prepare(self.plain, self.method, self.backbone, self.composed.seed)
            self.prepared.model.to(self.device)  # PEFT leaves some of its tensors on the CPU

        sec = seconds(apply, self.device)
        groups = [{"params": group} for group in self.prepared.groups.values()]
        self.optimizer = torch.optim.AdamW(groups, LEARNING_RATE)
        model = self.prepared.model
        self.forward_model = torch.compile(model) if self.entry.compiled else model
        self._free_cache()
        return sec

    def set_batch(self, batch: Batch) -> None:
        """Work on random inputs of this size from now on."""
        assert batch.rows is not None
        torch.manual_seed(self.composed.seed)
        if self.composed.task.family == "vision":
            side = self.backbone.image_size
            pixels = torch.randn(batch.rows, 3, side, side)
            self.inputs = {"pixel_values": pixels.to(self.device, self.dtype)}
        else:
            words = self.prepared.model.backbone.config.vocab_size
            ids = torch.randint(FIRST_WORD, words, (batch.rows, batch.length)).to(self.device)
            self.inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        self.labels = torch.zeros(batch.rows, dtype=torch.int64, device=self.device)

    def step(self) -> Step:
        """Time one training step."""
        self.prepared.model.train()
        if self.device.type == "cuda":  # allocates again what it freed after its last turn
            self._train_once()
        memory.reset_peaks(self.device)
        sec = seconds(self._train_once, self.device)
        return Step(sec, memory.peak_rss_bytes(), memory.peak_device_bytes(self.device))

    @torch.no_grad()
    def forward(self) -> float:
        """Return the seconds of one evaluation of the batch.

        An evaluation forms merged weights once. This is done before the time is taken, by an
        evaluation of one row, or of the full batch if a graph, or an accelerator's memory, depends
        on its size.
        """
        self.prepared.model.eval()
        rows = 1 if self.device.type == "cpu" and not self.entry.compiled else None
        self.forward_model(**{name: tensor[:rows] for name, tensor in self.inputs.items()})
        sec = seconds(lambda: self.forward_model(**self.inputs), self.device)
        self._free_cache()
        return sec

    def time_layers(self, batch: Batch, rounds: int) -> list[LayerTimes]:
        """Time the step of each layer shape, and its floor."""
        assert batch.rows is not None
        self.prepared.model.train()  # the last evaluation left it so that layers keep their weight
        tokens, name = batch.rows * batch.length, self.entry.shape.name
        found = time_layers(name, self.prepared.model, tokens, rounds, self.device)
        self._free_cache()
        return found

    def attach_cached(self) -> list[float]:
        """Return the seconds of attaching FRoD to equal models with its basis in the disk cache."""
        config = frod_config(self.method, self.backbone, self.composed.seed)
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(CACHED_ATTACHES + 1):
                body = self._build().backbone
                attach = partial(attach_frod, body, config, cache_dir=Path(folder))
                found.append(seconds(attach, self.device))
        return found[1:]  # the first one filled the cache

    def _build(self) -> Model:
        return build_model(self.entry.shape, self.composed).to(self.device, self.dtype)

    def _free_cache(self) -> None:
        """Leave the accelerator's unused memory to the other contenders."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _train_once(self) -> None:
        logits = self.forward_model(**self.inputs)
        torch.nn.functional.cross_entropy(logits, self.labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
