"""The bench's command line: `key=value` words, checked before anything runs."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frod_bench.bench.shapes import DEFAULT_SHAPES, SHAPES
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import CONF_DIR, check_writable

DEFAULT_METHODS = ("full", "lora", "dora", "frod", "frod_peft", "frozen")
MIN_ROUNDS = 5  # a median of fewer says little


@dataclass(frozen=True)
class Options:
    """What is timed, and how.

    Attributes:
        compiled: whether the models go through `torch.compile`; two values: a race for each.
        threads: of every process; None: the shape's own.
    """

    shapes: tuple[str, ...]
    methods: tuple[str, ...]
    rounds: int
    device: str
    compiled: tuple[bool, ...]
    threads: int | None
    results_root: Path

    @property
    def path(self) -> Path:
        """The file that a run leaves; an accelerator's does not replace the CPU's."""
        kind = self.device.partition(":")[0]
        name = "frod.json" if kind == "cpu" else f"frod_{kind}.json"
        return self.results_root / "bench" / name


def parse(words: Sequence[str]) -> Options:
    """Read a command line.

    Raises InputError for an unknown key, shape or method, a value that is not allowed, a device
    that is not there, and a folder that cannot be written to.
    """
    given: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in PARSERS or not equals:
            raise InputError(f"{word!r} is no option of the bench." + did_you_mean(key, PARSERS))
        given[key] = PARSERS[key](word, value)
    device = given.get("device", "cpu")
    on_cpu = device == "cpu"
    options = Options(
        shapes=given.get("shapes", DEFAULT_SHAPES["cpu" if on_cpu else "cuda"]),
        methods=given.get("methods", DEFAULT_METHODS),
        rounds=given.get("rounds", MIN_ROUNDS),
        device=device,
        compiled=given.get("compile", (False,) if on_cpu else (False, True)),
        threads=given.get("threads"),
        results_root=given.get("results_root", Path("results")),
    )
    check_writable(options.results_root)
    return options


def _names(allowed: Callable[[], Iterable[str]]) -> Callable[[str, str], tuple[str, ...]]:
    def read(word: str, value: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(value.split(",")))
        known = set(allowed())
        for name in names:
            if name not in known:
                raise InputError(f"{word}: {name!r} is unknown." + did_you_mean(name, known))
        return names

    return read


def _methods() -> list[str]:
    return [path.stem for path in (CONF_DIR / "method").glob("*.yaml")]


def _number(least: int) -> Callable[[str, str], int]:
    def read(word: str, value: str) -> int:
        if not re.fullmatch(r"[0-9]+", value) or int(value) < least:
            raise InputError(f"{word}: must be a whole number of at least {least}.")
        return int(value)

    return read


def _device(word: str, value: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", value):
        raise InputError(f"{word}: must be cpu, cuda or cuda:N.")
    if value != "cpu":
        import torch  # takes long to import, and only this needs it

        count = torch.cuda.device_count()
        if int(value.partition(":")[2] or 0) >= count:
            raise InputError(f"{word}: there are {count} CUDA devices here. Use device=cpu.")
    return value


def _booleans(word: str, value: str) -> tuple[bool, ...]:
    names = value.split(",")
    if not set(names) <= {"true", "false"}:
        raise InputError(f"{word}: must be true, false, or both as false,true.")
    return tuple(name == "true" for name in dict.fromkeys(names))


def _folder(_word: str, value: str) -> Path:
    return Path(value)


PARSERS: dict[str, Callable[[str, str], Any]] = {
    "shapes": _names(lambda: SHAPES),
    "methods": _names(_methods),
    "rounds": _number(MIN_ROUNDS),
    "device": _device,
    "compile": _booleans,
    "threads": _number(1),
    "results_root": _folder,
}
