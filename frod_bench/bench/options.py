"""What is timed: the models and batches, and the command line, checked before anything runs."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from frod_bench.cli.arguments import parse as parse_words
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import CONF_DIR, check_writable

DEFAULT_METHODS = ("full", "lora", "dora", "frod", "frod_peft", "frozen")
MIN_ROUNDS = 5  # a median of fewer is too noisy


@dataclass(frozen=True)
class Batch:
    """Size of random inputs."""

    rows: int | None  # texts or images; None: as many as the suite's trainer takes
    length: int  # tokens per row; of an image, its patches and the class token

    def __str__(self) -> str:
        return f"{self.rows} x {self.length} tokens"


@dataclass(frozen=True)
class Shape:
    """A model and the batches that it is timed on, one after the other."""

    name: str
    task: str  # its family gives backbone, target modules and batch rows
    encoder: tuple[int, int, int] | None  # width, blocks and heads of a RoBERTa instead
    batches: tuple[Batch, ...]
    threads: int | None  # of each process; None: as many as this process may use


BASE, LARGE = (768, 12, 12), (1024, 24, 16)
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


@dataclass(frozen=True)
class Options:
    """What is timed, and how."""

    shapes: tuple[str, ...]
    methods: tuple[str, ...]
    rounds: int
    device: str
    compiled: tuple[bool, ...]  # whether models go through `torch.compile`; a race for each
    threads: int | None  # of every process; None: the shape's
    out: Path  # the folder of the document

    @property
    def path(self) -> Path:
        """The document; an accelerator's does not replace the CPU's."""
        kind = self.device.partition(":")[0]
        return self.out / ("frod.json" if kind == "cpu" else f"frod_{kind}.json")


def parse(words: Sequence[str]) -> Options:
    """Read a command line. Raises InputError for what is unknown, not allowed or unavailable."""
    given = parse_words("bench", words)
    device = _existing_device(given.values.get("device", "cpu"))
    kind = device.partition(":")[0]
    compiled = given.names("compile") or (["false"] if kind == "cpu" else ["false", "true"])
    methods = {path.stem for path in (CONF_DIR / "method").glob("*.yaml")}
    root = Path(given.values.get("results_root", "results"))
    options = Options(
        shapes=_known("shape", given.names("shape") or DEFAULT_SHAPES[kind], SHAPES),
        methods=_known("method", given.names("method") or DEFAULT_METHODS, methods),
        rounds=given.integer("rounds", MIN_ROUNDS) or MIN_ROUNDS,
        device=device,
        compiled=tuple(value == "true" for value in compiled),
        threads=given.integer("threads", 1),
        out=Path(given.values.get("out", root / "bench")),
    )
    if "out" in given.values:
        check_writable(options.out, "out")
    else:
        check_writable(root)
    return options


def _known(key: str, names: Sequence[str], allowed: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if name not in allowed:
            hint = did_you_mean(name, allowed)
            raise InputError(f"{key}={','.join(names)}: {name!r} is unknown.{hint}")
    return tuple(names)


def _existing_device(device: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", device):
        raise InputError(f"device={device}: must be cpu, cuda or cuda:N.")
    if device != "cpu":
        import torch  # takes seconds to import, and only this needs it

        count = torch.cuda.device_count()
        if int(device.partition(":")[2] or 0) >= count:
            raise InputError(f"device={device}: only {count} CUDA devices exist. Use device=cpu.")
    return device
