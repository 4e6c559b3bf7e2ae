"""The bench's command line, checked before anything runs."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from frod_bench.bench.shapes import DEFAULT_SHAPES, SHAPES
from frod_bench.cli.arguments import parse as parse_words
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import CONF_DIR, check_writable

DEFAULT_METHODS = ("full", "lora", "dora", "frod", "frod_peft", "frozen")
MIN_ROUNDS = 5  # a median of fewer is too noisy


@dataclass(frozen=True)
class Options:
    """What is timed, and how.

    Attributes:
        compiled: whether the models go through `torch.compile`; two values: a race for each.
        threads: of every process; None: the shape's.
        out: the folder of the document.
    """

    shapes: tuple[str, ...]
    methods: tuple[str, ...]
    rounds: int
    device: str
    compiled: tuple[bool, ...]
    threads: int | None
    out: Path

    @property
    def path(self) -> Path:
        """The document; an accelerator's does not replace the CPU's."""
        kind = self.device.partition(":")[0]
        return self.out / ("frod.json" if kind == "cpu" else f"frod_{kind}.json")


def parse(words: Sequence[str]) -> Options:
    """Read a command line.

    Raises InputError for an unknown key, shape or method, a value that is not allowed, a device
    that does not exist, and a folder that cannot be written to.
    """
    given = parse_words("bench", words)
    device = _existing_device(given.values.get("device", "cpu"))
    kind = device.partition(":")[0]
    compiled = given.names("compile") or (["false"] if kind == "cpu" else ["false", "true"])
    methods = {path.stem for path in (CONF_DIR / "method").glob("*.yaml")}
    root = Path(given.values.get("results_root", "results"))
    out = Path(given.values["out"]) if "out" in given.values else root / "bench"
    options = Options(
        shapes=_known("shape", given.names("shape") or DEFAULT_SHAPES[kind], SHAPES),
        methods=_known("method", given.names("method") or DEFAULT_METHODS, methods),
        rounds=given.integer("rounds", MIN_ROUNDS) or MIN_ROUNDS,
        device=device,
        compiled=tuple(value == "true" for value in compiled),
        threads=given.integer("threads", 1),
        out=out,
    )
    if "out" in given.values:
        check_writable(out, "out")
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
