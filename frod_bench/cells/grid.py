"""A grid of overrides -> its cells: what `-m` runs and what a report expects to find."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from frod_bench.cells import resolvers
from frod_bench.cells.cell import Cell, cell_of
from frod_bench.cells.inputs import ensure_inputs
from frod_bench.common.errors import InputError, Lack, MissingInputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import settings
from frod_bench.config.own_files import OwnFiles

# No group depends on these, and on the seed nothing does.
NUMBERS = ("seed", "trial", "size", *(f"rate_factors.{name}" for name in settings.RATE_FACTORS))
Compose = Callable[[list[str]], DictConfig]


def refuse_lists(overrides: Sequence[str]) -> None:
    """Raise InputError for `method=[a,b]`: Hydra would merge the two into one."""
    for override in overrides:
        key, _, value = override.partition("=")
        if value.startswith("[") and (CONF_DIR / key).is_dir():
            names = value.strip("[]").replace(" ", "")
            raise InputError(f"{override}: is a list. A grid is written -m {key}={names}.")


def expand(params: Mapping[str, str] | None, overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the choices in `overrides` and, where those are silent, in `params`.

    Choices are written in Hydra's grammar: `seed=0,1,2`, `seed=range(3)`.
    """
    refuse_lists(overrides)
    lines = [f"{key}={value}" for key, value in (params or {}).items()]
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides([*lines, *overrides]):
        key = override.get_key_element()
        if override.is_sweep_override():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return [list(combination) for combination in itertools.product(*choices.values())]


def cells_of(grid: Sequence[Sequence[str]], compose_one: Compose) -> list[Cell]:
    """Compose, validate and fingerprint every cell of a grid, each once.

    Composing and validating take two tenths of a second, so cells that differ in `NUMBERS` only
    share them. Combinations that come to the same cell (a budget, where the method has none) are
    one. Raises InputError for bad input.
    """
    composed: dict[tuple[str, ...], DictConfig] = {}
    resolved: dict[tuple[str, ...], dict[str, Any]] = {}
    cells: list[Cell] = []
    lacks: list[Lack] = []
    for overrides in grid:
        shared = tuple(o for o in overrides if o.split("=")[0] not in NUMBERS)
        if shared not in composed:
            composed[shared] = without_hydra(compose_one(list(shared)))
            settings.validate(composed[shared])
            ensure_inputs(composed[shared])
        config = composed[shared]
        numbers = dict(o.split("=") for o in overrides if o not in shared)
        for key, value in numbers.items():
            OmegaConf.update(config, key, value)
        settings.check_ranges(config, numbers)
        but_for_seed = tuple(o for o in overrides if not o.startswith("seed="))
        if but_for_seed not in resolved:
            resolved[but_for_seed] = settings.resolve(config)
        try:
            cells.append(cell_of(resolved[but_for_seed] | {"seed": config.seed}))
        except MissingInputError as error:
            lacks += error.lacks
    if lacks:
        raise MissingInputError(lacks)
    return list(dict.fromkeys(cells))


def without_hydra(config: DictConfig) -> DictConfig:
    """The configuration without Hydra's own node."""
    with open_dict(config):
        config.pop("hydra", None)
    return config


@contextmanager
def composer() -> Iterator[Compose]:
    """Compose configurations outside `hydra.main`; the result has Hydra's node."""
    resolvers.register()
    files = OwnFiles()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield lambda overrides: compose("config", files.named(overrides), return_hydra_config=True)


def compose_cells(overrides: Sequence[str]) -> tuple[DictConfig, list[Cell]]:
    """The base configuration of a grid (choices left out), and the grid's cells."""
    with composer() as compose_one:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
        base = compose_one(fixed)
        grid = expand(base.hydra.sweeper.params, overrides)
        return without_hydra(base.copy()), cells_of(grid, compose_one)
