"""What is planned: the cells of the overrides or of an experiment, each once, and on what."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import yaml

from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import NUMBERS, expand
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import PACKAGE_DIR
from frod_bench.config import checks, conversion
from frod_bench.config.overrides import check_grid, read_overrides
from frod_bench.config.settings import Settings
from frod_bench.data.task import check_task
from frod_bench.records.hashing import identity

TABLE = PACKAGE_DIR / "plan" / "accelerators.yaml"
METHODS = "full,lora,dora,frod,frozen"
REPEATS = tuple(name for name in NUMBERS if name != "size")  # no cost depends on these keys
NAMED = ("task", "method", "head", "budget")


@dataclass(frozen=True)
class PlannedCell:
    """A cell, for all its seeds and learning rates."""

    settings: Settings
    variant: str  # overrides that distinguish it from other cells of its task and method


@dataclass(frozen=True)
class Grid:
    """What is planned."""

    title: str  # the profile and the tasks
    cells: list[PlannedCell]
    repeats: int  # how often each cell is run
    repeated: list[str]  # keys of the grid (e.g. `seed`) that cells are repeated for


def grid_of(overrides: Sequence[str]) -> Grid:
    """Return the cells of the overrides' experiment, or of the suite's tasks with all methods.

    Raises InputError for bad input, and Hydra's errors for overrides that do not compose.
    """
    parsed = read_overrides(overrides)
    check_grid(parsed)
    fixed = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
    with composer() as compose_one:
        base = compose_one(fixed)
        defaults = {"task": ",".join(base.suite.tasks), "method": METHODS}
        lines = expand(
            defaults if base.experiment is None else base.hydra.sweeper.params, overrides
        )
        distinct = dict.fromkeys(tuple(w for w in line if _key(w) not in REPEATS) for line in lines)
        found: dict[str, PlannedCell] = {}
        for line in distinct:
            config = without_hydra(compose_one(list(line)))
            checks.validate(config)
            settings = conversion.resolve(config)
            check_task(settings)
            # what not all lines have, and what the names of tasks and methods do not show
            words = [word for word in line if _key(word) not in NAMED]
            variant = " ".join(word for word in words if any(word not in other for other in lines))
            cell = PlannedCell(settings, variant)
            found.setdefault(str(identity(asdict(settings), "", "")), cell)
    names = [
        (c.settings.task.name, c.settings.head, c.settings.method.name) for c in found.values()
    ]
    cells = [  # a cell that is alone with its task and method has no variant
        cell if names.count(name) > 1 else replace(cell, variant="")
        for cell, name in zip(found.values(), names, strict=True)
    ]
    counts = {key: len({w for line in lines for w in line if _key(w) == key}) for key in REPEATS}
    repeated = [key for key, count in counts.items() if count > 1]
    repeats = len(lines) // len(distinct)
    if points := ((base.experiment or {}).get("procedure") or {}).get("points"):
        repeats, repeated = repeats * points, [*repeated, "learning rates of the first stage"]
    tasks = list(dict.fromkeys(cell.settings.task.name for cell in cells))
    title = f"{base.profile.title}, "
    title += "" if base.experiment is None else f"experiment {base.experiment.name}, "
    if set(tasks) == set(base.suite.tasks):
        title += f"suite {base.suite.name}"
    else:
        title += f"task{'s' if len(tasks) > 1 else ''} {', '.join(tasks)}"
    return Grid(title, cells, repeats, repeated)


@contextmanager
def without_hub() -> Iterator[None]:
    """While the body runs, transformers asks the Hub for nothing, and so waits for nothing."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _key(override: str) -> str:
    return override.partition("=")[0]


@dataclass(frozen=True)
class Accelerator:
    """A device that a cell may run on."""

    name: str
    title: str
    memory_gib: float
    usable: float  # share of the memory that tensors may take
    flops_per_sec: dict[str, float]  # dense peak by precision, `half` and `single`
    utilisation: float  # share of the peak that fine-tuning is assumed to reach
    on_cpu: bool

    @property
    def usable_bytes(self) -> int:
        """Memory that tensors may take."""
        return int(self.memory_gib * self.usable * 2**30)

    def hours(self, flops: float, mixed_precision: str) -> float:
        """Return how long `flops` take on one device."""
        peak = self.flops_per_sec["single" if mixed_precision == "no" else "half"]
        return flops / (peak * self.utilisation) / 3600


def accelerator_of(name: str) -> Accelerator:
    """Return the accelerator of that name. Raises InputError if there is none."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    if name not in table:
        raise InputError(f"accelerator={name}: is unknown.{did_you_mean(name, table)}")
    return Accelerator(name=name, **table[name])
