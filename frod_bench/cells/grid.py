"""From a grid of overrides to its cells: what `-m` runs and what a report expects to find."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.progress import Progress, TextColumn

from frod_bench.cells.cell import Cell, cell_of
from frod_bench.cells.fingerprint import backbone_fingerprint
from frod_bench.common.errors import Lack, MissingInputError
from frod_bench.common.paths import CONF_DIR, SHIPPED_BACKBONES_DIR, embedded_mirror_dir
from frod_bench.common.terminal import plain_console
from frod_bench.config import checks, conversion
from frod_bench.config.overrides import check_grid, read_overrides
from frod_bench.config.own_files import OwnFiles
from frod_bench.config.settings import RATE_FACTORS, Settings
from frod_bench.data.task import check_task

# No other key depends on these, and none at all on the seed.
NUMBERS = ("seed", "size", *(f"rate_factors.{name}" for name in RATE_FACTORS))
Compose = Callable[[list[str]], DictConfig]
MANY = 20  # runs whose planning takes seconds


def register() -> None:
    """Make the schema and every resolver that `conf/` uses known to Hydra. Idempotent."""
    conversion.register()
    OmegaConf.register_new_resolver("budget_rank", _budget_rank, replace=True)


def _budget_rank(default: int, *, _root_: DictConfig, _parent_: DictConfig) -> int:
    """The rank of the adapter that the node describes: `default`, or the one that matches FRoD."""
    if not conversion.is_matched(_root_):
        return default
    from frod_bench.methods import budget  # needs torch, and only a matched rank needs it

    backbone = _root_.backbones[_root_.task.family]
    root = _root_.model_root
    backbone_fingerprint(backbone.hub_id, backbone.revision, root)  # raises if it does not exist
    return budget.matched_rank(
        backbone.hub_id if root is None else str(Path(root) / backbone.hub_id),
        backbone.revision,
        list(backbone.target_modules),
        _root_.method.sparse_rate,
        modules=_parent_.get("target_modules"),
        dora=_parent_.get("use_dora", False),
    )


def ensure_inputs(config: DictConfig) -> None:
    """Write the embedded mirror if the configuration reads it and it is missing; check the shipped
    backbones, if it reads those. Raises InputError if a shipped file was changed.
    """
    if config.model_root == str(SHIPPED_BACKBONES_DIR):
        _verify_once()
    if config.data_root == str(embedded_mirror_dir()):
        from frod_bench.embedded.mirror import ensure_mirror

        ensure_mirror(Path(config.data_root))


@functools.cache
def _verify_once() -> None:
    from frod_bench.embedded.backbone_hashes import verify_backbones

    verify_backbones()


def expand(params: Mapping[str, str] | None, overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the choices (`seed=0,1,2`, `seed=range(3)`, in Hydra's grammar) in
    `overrides` and, for other keys, in `params`. Raises InputError for words that make no grid.
    """
    lines = [f"{key}={value}" for key, value in (params or {}).items()]
    chosen = {one.get_key_element(): one for one in read_overrides([*lines, *overrides])}
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


def counted(grid: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """The lines of a grid; if there are many and we write to a terminal, with a counter."""
    console = plain_console(stderr=True)
    shown = console.is_terminal and len(grid) >= MANY
    text = TextColumn("planning {task.completed:.0f}/{task.total:.0f}")
    with Progress(text, console=console, transient=True, disable=not shown) as progress:
        yield from progress.track(grid)


def cells_of(grid: Sequence[Sequence[str]], compose_one: Compose) -> list[Cell]:
    """Compose, validate and fingerprint every cell of a grid, each once; cells that differ in
    `NUMBERS` only share the composing, which takes tenths of a second. Raises InputError for bad
    input.
    """
    composed: dict[tuple[str, ...], DictConfig] = {}
    resolved: dict[tuple[str, ...], Settings] = {}
    cells: list[Cell] = []
    lacks: list[Lack] = []
    for overrides in counted(grid):
        shared = tuple(o for o in overrides if o.split("=")[0] not in NUMBERS)
        if shared not in composed:
            composed[shared] = without_hydra(compose_one(list(shared)))
            checks.validate(composed[shared])
            ensure_inputs(composed[shared])
        config = composed[shared]
        numbers = dict(o.split("=") for o in overrides if o not in shared)
        for key, value in numbers.items():
            OmegaConf.update(config, key, value)
        checks.check_bounds(config, {key.split(".")[0] for key in numbers})
        but_for_seed = tuple(o for o in overrides if not o.startswith("seed="))
        if but_for_seed not in resolved:
            resolved[but_for_seed] = conversion.resolve(config)
            check_task(resolved[but_for_seed])
        try:
            cells.append(cell_of(replace(resolved[but_for_seed], seed=config.seed)))
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
    register()
    files = OwnFiles()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield lambda words: compose("config", files.named(words), return_hydra_config=True)


def compose_cells(overrides: Sequence[str]) -> tuple[DictConfig, list[Cell]]:
    """The base configuration of a grid (choices left out), and the grid's cells."""
    with composer() as compose_one:
        parsed = read_overrides(overrides)
        check_grid(parsed)
        fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
        base = compose_one(fixed)
        grid = expand(base.hydra.sweeper.params, overrides)
        return without_hydra(base.copy()), cells_of(grid, compose_one)
