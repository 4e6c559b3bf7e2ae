"""The cells of a plan: the grid of the overrides or of an experiment, each cell once."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from frod_bench.cells.grid import NUMBERS, composer, expand, refuse_lists, without_hydra
from frod_bench.config import conversion
from frod_bench.config.settings import Settings
from frod_bench.records.hashing import identity

METHODS = "full,lora,dora,frod,frozen"
REPEATS = tuple(name for name in NUMBERS if name != "size")  # no cost depends on these keys
NAMED = ("task", "method", "head", "budget")  # the names of tasks and methods show these keys


@dataclass(frozen=True)
class PlannedCell:
    """A cell, for all its seeds and learning rates.

    Attributes:
        variant: overrides that distinguish it from other cells of its task and method.
    """

    settings: Settings
    variant: str


@dataclass(frozen=True)
class Grid:
    """What is planned.

    Attributes:
        title: the profile and the tasks.
        repeats: how often each cell is run.
        repeated: keys of the grid (e.g. `seed`) that cells are repeated for.
    """

    title: str
    cells: list[PlannedCell]
    repeats: int
    repeated: list[str]


def grid_of(overrides: Sequence[str]) -> Grid:
    """Return the cells of the overrides' experiment, or of the suite's tasks with all methods.

    Raises InputError for bad input, and Hydra's errors for overrides that do not compose.
    """
    refuse_lists(overrides)
    parsed = OverridesParser.create().parse_overrides(list(overrides))
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
            conversion.validate(config)
            settings = conversion.resolve(config)
            cell = PlannedCell(settings, _variant(line, lines))
            found.setdefault(str(identity(asdict(settings), "", "")), cell)
    counts = {key: len({w for line in lines for w in line if _key(w) == key}) for key in REPEATS}
    repeated = [key for key, count in counts.items() if count > 1]
    cells = _without_single_variants(list(found.values()))
    return Grid(_title(base, cells), cells, len(lines) // len(distinct), repeated)


def _key(override: str) -> str:
    return override.partition("=")[0]


def _variant(line: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return the words of a line that not all lines have and that names do not show."""
    words = [word for word in line if _key(word) not in NAMED]
    return " ".join(word for word in words if any(word not in other for other in lines))


def _without_single_variants(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Return the cells without the variant of those that are alone with their task and method."""
    names = [(c.settings.task.name, c.settings.head, c.settings.method.name) for c in cells]
    return [
        cell if names.count(name) > 1 else replace(cell, variant="")
        for cell, name in zip(cells, names, strict=True)
    ]


def _title(base: DictConfig, cells: Sequence[PlannedCell]) -> str:
    """Return the profile, the experiment if there is one, and the suite or the tasks."""
    names = list(dict.fromkeys(cell.settings.task.name for cell in cells))
    if set(names) == set(base.suite.tasks):
        tasks = f"suite {base.suite.name}"
    else:
        tasks = f"task{'s' if len(names) > 1 else ''} {', '.join(names)}"
    experiment = "" if base.experiment is None else f"experiment {base.experiment.name}, "
    return f"{base.profile.title}, {experiment}{tasks}"
