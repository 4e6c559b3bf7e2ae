"""One method on one model, in its own process: it does what it is asked to, and times it."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from frod_bench.bench.floor import LayerTimes, seconds, time_layers
from frod_bench.bench.shapes import Batch, Shape, model_label
from frod_bench.bench.workload import build_model, make_batch
from frod_bench.config.settings import Settings
from frod_bench.frod import attach_frod
from frod_bench.methods.registry import Model, Prepared, frod_config, prepare
from frod_bench.training import memory

LEARNING_RATE = 1e-4  # of every group; the time of a step does not depend on it
CACHED_ATTACHES = 3


@dataclass(frozen=True)
class Entry:
    """A contender.

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
        """Name of the model that it is on."""
        return model_label(self.shape.name, self.compiled)


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
        self.entry = entry
        self.device = torch.device(entry.device)
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        composed = entry.composed
        self.method = composed.method
        self.backbone = composed.backbones[composed.task.family]
        self.plain = self._build()

    def attach(self) -> float:
        """Apply the method, with everything computed anew; returns the seconds."""

        def apply() -> None:
            seed = self.entry.composed.seed
            self.prepared = prepare(self.plain, self.method, self.backbone, seed)
            self.prepared.model.to(self.device)  # PEFT leaves some of its tensors on the CPU

        sec = seconds(apply, self.device)
        groups = self.prepared.groups.values()
        self.optimizer = torch.optim.AdamW(
            [{"params": group, "lr": LEARNING_RATE} for group in groups]
        )
        model = self.prepared.model
        self.forward_model = torch.compile(model) if self.entry.compiled else model
        self._free_cache()
        return sec

    def set_batch(self, batch: Batch) -> None:
        """Work on random inputs of this size from now on."""
        torch.manual_seed(self.entry.composed.seed)
        config = self.prepared.model.backbone.config
        inputs, labels = make_batch(batch, self.entry.composed, config)
        self.inputs = {
            name: tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
        self.labels = labels.to(self.device)

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

        What is formed once per evaluation (a merged weight) is formed before, by one row; or by a
        full batch if a graph, or an accelerator's memory, depends on its size.
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
        tokens = batch.rows * batch.length
        found = time_layers(self.prepared.model, tokens, rounds, self.device)
        self._free_cache()
        return found

    def attach_cached(self) -> list[float]:
        """Return the seconds of attaching FRoD to equal models with its basis in the disk cache."""
        config = frod_config(self.method, self.backbone, self.entry.composed.seed)
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(CACHED_ATTACHES + 1):
                body = self._build().backbone

                def attach(body: torch.nn.Module = body) -> None:
                    attach_frod(body, config, cache_dir=Path(folder))

                found.append(seconds(attach, self.device))
        return found[1:]  # the first one filled the cache

    def _build(self) -> Model:
        return build_model(self.entry.shape, self.entry.composed).to(self.device, self.dtype)

    def _free_cache(self) -> None:
        """Leave the accelerator's unused memory to the other contenders."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _train_once(self) -> None:
        logits = self.forward_model(**self.inputs)
        torch.nn.functional.cross_entropy(logits, self.labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
