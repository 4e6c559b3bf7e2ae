"""Which cells a plan is of: the overrides' or an experiment's grid, each cell once."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from frod_bench.cells.grid import NUMBERS, composer, expand, refuse_lists, without_hydra
from frod_bench.common.names import with_head
from frod_bench.config import conversion
from frod_bench.config.settings import Settings
from frod_bench.records.hashing import identity

METHODS = "full,lora,dora,frod,frozen"
REPEATS = tuple(name for name in NUMBERS if name != "size")  # no cost depends on them
NAMED = ("task", "method", "head", "budget")  # what the names of tasks and methods tell already


@dataclass(frozen=True)
class PlannedCell:
    """A cell, for all seeds and rates.

    Attributes:
        variant: what tells it from others of its task and method, as overrides.
    """

    settings: Settings
    variant: str


@dataclass(frozen=True)
class Grid:
    """What is planned.

    Attributes:
        title: the profile, and the tasks in few words.
        repeats: how often each cell is run.
        repeated: for what: the keys of the grid (`seed`) that no cost depends on.
    """

    title: str
    cells: list[PlannedCell]
    repeats: int
    repeated: list[str]


def grid_of(overrides: Sequence[str]) -> Grid:
    """The cells of the experiment that `overrides` name, or of the suite's tasks with all methods.

    Raises InputError for bad input, and Hydra's errors for overrides that do not compose.
    """
    refuse_lists(overrides)
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    fixed = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
    with composer() as compose_one:
        base = compose_one(fixed)
        every = {"task": ",".join(base.suite.tasks), "method": METHODS}
        lines = expand(every if base.experiment is None else base.hydra.sweeper.params, overrides)
        distinct = dict.fromkeys(tuple(w for w in line if not of(w, REPEATS)) for line in lines)
        found: dict[str, PlannedCell] = {}
        for line in distinct:
            config = without_hydra(compose_one(list(line)))
            conversion.validate(config)
            settings = conversion.resolve(config)
            key = str(identity(asdict(settings), "", ""))
            found.setdefault(key, PlannedCell(settings, varied(line, lines)))
    counts = {key: len({w for line in lines for w in line if of(w, [key])}) for key in REPEATS}
    repeated = [key for key, count in counts.items() if count > 1]
    cells = named(found.values())
    return Grid(title_of(base, cells), cells, len(lines) // len(distinct), repeated)


def of(word: str, keys: Iterable[str]) -> bool:
    """Whether an override, `key=value`, is of one of `keys`."""
    return word.partition("=")[0] in keys


def varied(line: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The words of a line that not all lines have, but for what names tell."""
    words = [word for word in line if not of(word, NAMED)]
    return " ".join(word for word in words if any(word not in other for other in lines))


def named(cells: Iterable[PlannedCell]) -> list[PlannedCell]:
    """The cells; a variant is left out where task and method have one cell alone."""
    cells = list(cells)
    names = [(name_of(cell.settings), cell.settings.method.name) for cell in cells]
    return [
        cell if names.count(name) > 1 else PlannedCell(cell.settings, "")
        for cell, name in zip(cells, names, strict=True)
    ]


def name_of(one: Settings) -> str:
    """The task's name; with its head, where it ranks."""
    return with_head(one.task.name, one.head)


def title_of(base: DictConfig, cells: Sequence[PlannedCell]) -> str:
    """The profile, the experiment if there is one, and the suite or the tasks."""
    names = list(dict.fromkeys(cell.settings.task.name for cell in cells))
    whole = set(names) == set(base.suite.tasks)
    tasks = (
        f"suite {base.suite.name}" if whole else f"task{'s'[: len(names) > 1]} {', '.join(names)}"
    )
    experiment = "" if base.experiment is None else f"experiment {base.experiment.name}, "
    return f"{base.profile.title}, {experiment}{tasks}"
