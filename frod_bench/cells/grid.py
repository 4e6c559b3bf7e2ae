"""From a grid of overrides to its cells: what `-m` runs and what a report expects to find."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from rich.progress import Progress, TextColumn

from frod_bench.cells.cell import Cell, seeded
from frod_bench.cells.compose import Compose, composer, without_hydra
from frod_bench.cells.of_tasks import OfTasks, Shared, with_task
from frod_bench.common.errors import InputError, Lack, MissingInputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR, embedded_mirror_dir
from frod_bench.common.terminal import plain_console
from frod_bench.config import checks, conversion
from frod_bench.config.overrides import check_grid, read_overrides
from frod_bench.config.settings import RATE_FACTORS, LauncherConfig, Settings, keys
from frod_bench.data.task import check_task
from frod_bench.embedded.current import is_current, verify_backbones

# What lines of a grid may differ in and still share the composing. No key of the suite depends on
# the seed; what depends on the others is validated for each of them (`of_tasks.READS_NUMBERS`).
NUMBERS = ("seed", "size", *(f"rate_factors.{name}" for name in RATE_FACTORS))
# What a grid reads from the first of its cells.
ONE_FOR_ALL = (
    "results_root",
    *(f"runtime.{name}" for name in ("jobs", "threads", "device", "progress", "cell_minutes")),
    *(f"launcher.{one.name}" for one in dataclasses.fields(LauncherConfig)),
)
MANY = 20  # runs whose planning takes seconds


def ensure_inputs(asked: Iterable[Settings]) -> None:
    """Write the embedded mirror if one of the settings reads it and it is missing, which takes a
    minute; check the shipped backbones, if one reads those. Raises InputError if a shipped file was
    changed or, before it writes, if a method's configuration is one that PEFT refuses.
    """
    settings = list(asked)
    if any(one.model_root == str(SHIPPED_BACKBONES_DIR) for one in settings):
        _verify_once()
    mirror = embedded_mirror_dir()
    if any(one.data_root == str(mirror) for one in settings) and not is_current(mirror):
        adapters = [one.method.peft for one in settings if one.method.kind == "peft"]
        if adapters:
            from frod_bench.methods.peft_adapter import peft_adapter  # imports torch and PEFT

            for adapter in adapters:
                arguments = {key: adapter[key] for key in adapter if key != "target_modules"}
                peft_adapter(arguments, ["any"])
        from frod_bench.embedded.mirror import ensure_mirror  # its imports take seconds

        ensure_mirror(mirror)


@functools.cache
def _verify_once() -> None:
    verify_backbones()


def expand(params: Mapping[str, str] | None, overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the choices (`seed=0,1,2`, `seed=range(3)`, in Hydra's grammar) in
    `overrides` and, for other keys, in `params`. Raises InputError for words that make no grid.
    """
    lines = [f"{key}={value}" for key, value in (params or {}).items()]
    chosen = {_key_of(one): one for one in read_overrides([*lines, *overrides])}
    check_grid(chosen.values())
    choices: dict[str, list[str]] = {}
    for key, override in chosen.items():
        if override.is_sweep_override():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        elif override.is_delete():
            choices[key] = [str(override.input_line)]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return [list(combination) for combination in itertools.product(*choices.values())]


def _key_of(override: Override) -> str:
    """The key that an override sets; `++key` sets an existing one as `key` does."""
    key = str(override.get_key_element())
    existing = key.removeprefix("++")
    return existing if existing in keys() or existing in NUMBERS else key


@contextmanager
def counter(total: int) -> Iterator[Callable[[], None]]:
    """Count up to `total` on a terminal, if that is many; yields what counts one more."""
    console = plain_console(stderr=True)
    shown = console.is_terminal and total >= MANY
    text = TextColumn("planning {task.completed:.0f}/{task.total:.0f}")
    with Progress(text, console=console, transient=True, disable=not shown) as progress:
        bar = progress.add_task("", total=total)
        yield lambda: progress.advance(bar)


def cells_of(grid: Sequence[Sequence[str]], compose_one: Compose) -> list[Cell]:
    """Compose, validate and fingerprint every cell of a grid, each once. Raises InputError for bad
    input, in whichever line of the grid it is, before anything is written.
    """
    lacks: list[Lack] = []
    asked = settings_in(grid, compose_one, lacks)
    _check_of_a_grid([settings for settings, _ in asked])
    ensure_inputs(settings for settings, _ in asked)
    found: dict[int, Cell] = {}
    for settings, seeds in asked:
        try:
            with_seed = seeded(settings)
        except MissingInputError as error:
            lacks += error.lacks
        else:
            found |= {place: with_seed(seed) for place, seed in seeds.items()}
    if lacks:
        raise MissingInputError(lacks)
    return list(dict.fromkeys(found[place] for place in range(len(grid))))


def _check_of_a_grid(asked: Sequence[Settings]) -> None:
    """Raise InputError if cells differ in what is read once, by `results_root=${task.name}`."""
    for key in ONE_FOR_ALL:
        values = set(map(str, map(attrgetter(key), asked)))
        if len(values) > 1:
            raise InputError(
                f"{key}: differs between the runs of this grid, e.g. {min(values)} and "
                f"{max(values)}, and a grid has one. Give it a value that refers to no other key."
            )


def settings_in(
    grid: Sequence[Sequence[str]], compose_one: Compose, lacks: list[Lack]
) -> list[tuple[Settings, dict[int, int]]]:
    """The settings that the lines of a grid ask for.

    Each comes with a mapping from its places in the grid to their seeds. What is missing on this
    machine is added to `lacks`. Lines that differ only in `NUMBERS` share one composition, and so
    do lines whose tasks are of one kind (`of_tasks`).
    """
    composed: dict[tuple[str, ...], list[int]] = {}
    for place, overrides in enumerate(grid):
        shared = tuple(o for o in overrides if o.split("=")[0] not in NUMBERS)
        composed.setdefault(shared, []).append(place)
    of_tasks, seeds = OfTasks(compose_one), dict[tuple[str, ...], int]()
    asked: list[tuple[Settings, dict[int, int]]] = []
    with counter(len(grid)) as count:
        for shared, places in composed.items():
            made, task = of_tasks.configuration(shared)
            by_numbers: dict[tuple[str, ...], dict[int, int]] = {}
            for place in places:
                count()
                numbers = [o for o in grid[place] if o.split("=")[0] in NUMBERS]
                named = tuple(o for o in numbers if o.startswith("seed="))
                if named not in seeds:
                    seeds[named] = set_numbers(made.config, named)
                read = numbers if made.reads_numbers else [o for o in numbers if o not in named]
                by_numbers.setdefault(tuple(read), {})[place] = seeds[named]
            for read_numbers, seed_of in by_numbers.items():
                try:
                    settings = with_task(settings_of(made, read_numbers), task)
                    check_task(settings)
                    asked.append((settings, seed_of))
                except MissingInputError as error:
                    lacks += error.lacks
    return asked


def settings_of(made: Shared, numbers: tuple[str, ...]) -> Settings:
    """The settings of a configuration at these `key=value` of `NUMBERS`."""
    if numbers not in made.resolved:
        set_numbers(made.config, numbers)
        if made.reads_numbers:
            checks.validate(made.config)
        made.resolved[numbers] = conversion.resolve(made.config)
    return made.resolved[numbers]


def set_numbers(config: DictConfig, overrides: Sequence[str]) -> int:
    """Set these `key=value` of `NUMBERS`, within their bounds; returns the seed."""
    numbers = {key: value for key, _, value in (o.partition("=") for o in overrides)}
    for key, value in numbers.items():
        OmegaConf.update(config, key, value)
    checks.check_bounds(config, {key.split(".")[0] for key in numbers})
    return int(config.seed)


def compose_cells(overrides: Sequence[str]) -> tuple[DictConfig, list[Cell]]:
    """The base configuration of a grid (choices left out), and the grid's cells."""
    with composer() as compose_one:
        parsed = read_overrides(overrides)
        check_grid(parsed)
        fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
        base = compose_one(fixed)
        grid = expand(base.hydra.sweeper.params, overrides)
        return without_hydra(base.copy()), cells_of(grid, compose_one)
