"""One method on one model, in a process of its own: it does what it is told, and times it."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from frod_bench.bench.floor import LayerTimes, time_layers
from frod_bench.bench.shapes import Batch, Shape
from frod_bench.bench.timing import seconds
from frod_bench.bench.workload import build_model, make_batch
from frod_bench.config.settings import Settings
from frod_bench.frod import attach_frod
from frod_bench.methods.registry import Model, Prepared, frod_config, prepare
from frod_bench.training import memory

LEARNING_RATE = 1e-4  # of every group: a step takes as long at any rate
CACHED_ATTACHES = 3


@dataclass(frozen=True)
class Entry:
    """What one contender is.

    Attributes:
        composed: the suite's settings of the method on the shape's task.
        compiled: whether the model goes through `torch.compile`.
    """

    shape: Shape
    composed: Settings
    device: str
    compiled: bool
    threads: int

    @property
    def label(self) -> str:
        """The model that it is on, as a reader is told."""
        return f"{self.shape.name} (compiled)" if self.compiled else self.shape.name


@dataclass(frozen=True)
class Step:
    """One training step: its seconds, and the peak memory while it ran."""

    sec: float
    peak_rss_bytes: int
    peak_device_bytes: int | None  # None on a CPU


def dtype_on(device: torch.device) -> torch.dtype:
    """float32 on a CPU, bfloat16 on an accelerator."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


class Contender:
    """The method's model, its optimizer and the batch it works on."""

    prepared: Prepared
    optimizer: torch.optim.Optimizer
    forward_model: Callable[..., Tensor]

    def __init__(self, entry: Entry) -> None:
        warnings.filterwarnings("ignore", module=r"(peft|transformers)\.")  # once a process
        torch.set_num_threads(entry.threads)
        self.entry = entry
        self.device = torch.device(entry.device)
        self.plain = self._build()

    def attach(self) -> float:
        """Apply the method; seconds, with all that it computes made afresh."""
        composed, plain = self.entry.composed, self.plain
        method, backbone = composed.method, composed.backbones[composed.task.family]

        def apply() -> None:
            self.prepared = prepare(plain, method, backbone, composed.seed)
            self.prepared.model.to(self.device)  # PEFT leaves some of its tensors on the CPU

        sec = seconds(apply, self.device)
        groups = self.prepared.groups.values()
        self.optimizer = torch.optim.AdamW(
            [{"params": group, "lr": LEARNING_RATE} for group in groups]
        )
        model = self.prepared.model
        self.forward_model = torch.compile(model) if self.entry.compiled else model
        self._give_back()
        return sec

    def set_batch(self, batch: Batch) -> None:
        """Work on random inputs of this size from now on."""
        torch.manual_seed(self.entry.composed.seed)
        config = self.prepared.model.backbone.config
        inputs, labels = make_batch(batch, self.entry.composed, config)
        dtype = dtype_on(self.device)
        self.inputs = {
            name: tensor.to(self.device, dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
        self.labels = labels.to(self.device)

    def step(self) -> Step:
        """One training step."""
        self.prepared.model.train()
        if self.device.type == "cuda":  # takes the memory that it gave back after its last turn
            self._train_once()
        memory.reset_peaks(self.device)
        sec = seconds(self._train_once, self.device)
        return Step(sec, memory.peak_rss_bytes(), memory.peak_device_bytes(self.device))

    @torch.no_grad()
    def forward(self) -> float:
        """Seconds of one evaluation of the batch.

        What is formed once an evaluation (a merged weight) is formed before, by one row, or by a
        batch of the same size where a graph, or an accelerator's memory, is made for that.
        """
        self.prepared.model.eval()
        rows = 1 if self.device.type == "cpu" and not self.entry.compiled else None
        self.forward_model(**{name: tensor[:rows] for name, tensor in self.inputs.items()})
        sec = seconds(lambda: self.forward_model(**self.inputs), self.device)
        self._give_back()
        return sec

    def time_layers(self, batch: Batch, rounds: int) -> list[LayerTimes]:
        """Each layer shape's step beside its floor."""
        assert batch.rows is not None
        tokens = batch.rows * batch.length
        found = time_layers(self.prepared.model, tokens, rounds, self.device)
        self._give_back()
        return found

    def attach_cached(self) -> list[float]:
        """Seconds of attaching FRoD to an equal model whose basis lies in the cache on the disk."""
        composed = self.entry.composed
        method, backbone = composed.method, composed.backbones[composed.task.family]
        config = frod_config(method, backbone, composed.seed)
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(CACHED_ATTACHES + 1):
                model = self._build()

                def attach(plain: nn.Module = model.backbone) -> None:
                    attach_frod(plain, config, cache_dir=Path(folder))

                found.append(seconds(attach, self.device))
        return found[1:]  # the first one filled the cache

    def _build(self) -> Model:
        model = build_model(self.entry.shape, self.entry.composed)
        return model.to(self.device, dtype_on(self.device))

    def _give_back(self) -> None:
        """Leave the accelerator's memory that is not in use to the other contenders."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _train_once(self) -> None:
        logits = self.forward_model(**self.inputs)
        torch.nn.functional.cross_entropy(logits, self.labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
