"""Run one cell or, with `-m`, a grid of them; or only validate that cells can run."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frod_bench.cells.cell import Cell, cell_of, find_missing
from frod_bench.cells.compose import composer, register, without_hydra
from frod_bench.cells.grid import compose_cells, ensure_inputs
from frod_bench.cli.arguments import MULTIRUN, parse, prepared
from frod_bench.cli.exits import exit_statuses
from frod_bench.common import processes
from frod_bench.common.errors import CellsFailed, InputError, NeedsValuesError
from frod_bench.common.paths import CONF_DIR, check_writable
from frod_bench.common.terminal import shown
from frod_bench.config import checks, conversion
from frod_bench.config.overrides import (
    CFG,
    PACKAGE,
    read_overrides,
    refuse_grid,
    value_of,
    without_flags,
)
from frod_bench.config.own_files import OwnFiles
from frod_bench.data.task import check_task
from frod_bench.jobs.known_fits import KnownFits
from frod_bench.sweep.batches import Needs
from frod_bench.sweep.launch import check_functions, check_hub, run_grid, set_aside


@exit_statuses()  # here, because Hydra adds a line to errors that reach it
def run_one(config: DictConfig) -> None:
    """Run the cell that `config` asks for, unless it has a record, and print the record's path."""
    checks.validate(config)
    if config.launcher.name != "local":
        raise InputError(
            f"launcher={config.launcher.name}: starts the runs of a grid, and this is a single "
            "run. Add -m, or leave launcher= out."
        )
    settings = conversion.resolve(config)
    check_task(settings)
    ensure_inputs([settings])  # data sets take a minute, and bad input is told before
    cell = cell_of(settings)
    found = find_missing([cell])
    failure = ""
    if config.plan_only:
        check_methods(found.missing)
        state = "would run" if found.missing else "has a record already"
        say(f"{cell.label}: {found.unreadable[0].reason if found.unreadable else state}")
    elif found.unreadable:
        failure = f"{cell.label}: {found.unreadable[0].reason}"
    elif not found.missing:
        say(f"{cell.label}: has a record already")
    else:
        check_functions([cell])
        check_hub([cell])
        root = str(config.results_root)
        check_writable(Path(root) / cell.profile / "records", value=root)
        from frod_bench.records.sources import check_files  # imports pyarrow

        check_files(cell.results_dir)
        from frod_bench.training.runner import execute  # imports torch, which takes seconds

        set_aside(found, say)
        outcome = execute(cell)
        say(f"{cell.label}: {outcome.status}, {outcome.summary}")
        if outcome.status != "ok":
            failure = f"{cell.label} {outcome.status}: {outcome.summary}"
    if processes.is_first():
        print(cell.record_path)
    if failure:
        raise CellsFailed(failure)


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def run_by_hydra(config: DictConfig) -> None:
    """As `run_one`, with Hydra's own flags and settings, for which it composes twice."""
    run_one(config)


def say(message: str) -> None:
    """Print to standard error, on each machine once."""
    if processes.is_first_here():
        print(shown(message), file=sys.stderr)


def run(words: Sequence[str]) -> None:
    """Run a cell or a grid. Hydra's own `-m` would start one job after another, without a plan."""
    register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors arrive complete, and are explained here
    words = prepared(words)
    overrides = [word for word in words if word not in MULTIRUN]
    if len(overrides) == len(words):
        settings = without_flags(words)
        refuse_grid(read_overrides(settings))
        if settings == words and not any(word.lstrip("+~").startswith("hydra") for word in words):
            with composer() as compose_one:
                config = without_hydra(compose_one(words))
            run_one(config)
            return
        named = dict(zip(settings, OwnFiles().named(settings), strict=True))
        if (part := value_of(PACKAGE, words)) is not None:
            check_part(part, value_of(CFG, words), settings, list(named.values()))
        sys.argv[1:] = [named.get(word, word) for word in words]  # Hydra reads them there
        run_by_hydra()
        return
    if flags := [word for word in overrides if word.startswith("-")]:
        raise InputError(
            f"{flags[0]}: cannot be combined with -m, which takes overrides only (key=value)."
        )
    say("planning the grid")
    base, cells = compose_cells(overrides)
    refuse_searches(base)
    sweep(base, cells)


def check_part(part: str, kind: str | None, choices: Sequence[str], named: Sequence[str]) -> None:
    """Raise InputError unless the configuration has `part`, and `--cfg kind` shows it.

    The configuration is the one that `choices` compose; `named` are the same words as Hydra needs
    them.
    """
    found: object = None
    if part == "_global_":
        found = part
    elif part.partition(".")[0] == "hydra":
        if kind != "job":
            with composer(), suppress(OmegaConfBaseException):
                config = hydra.compose("config", list(named), return_hydra_config=True)
                found = OmegaConf.select(config, part)
    elif kind != "hydra":
        with composer() as compose_one, suppress(OmegaConfBaseException):  # in a value, or no name
            found = OmegaConf.select(compose_one(choices), part)
    if found is None or not part:
        raise InputError(
            f"--package {part}: names no part of what is shown, or one that is null. Name one that "
            "`frod-bench run --cfg job` prints, e.g. --package trainer."
        )


def sweep(config: DictConfig, cells: Sequence[Cell]) -> None:
    """As `launch.run_grid`, with what it cannot know by itself: every command that sweeps calls
    this.
    """
    run_grid(config, cells, check_methods, estimate)


def estimate(cells: Sequence[Cell], accelerator: str) -> Mapping[Cell, Needs]:
    """What cells need, by the plan's estimate."""
    from frod_bench.plan.needs import needs  # imports torch, and only a scheduler asks

    return needs(cells, accelerator)


def refuse_searches(config: DictConfig) -> None:
    """Raise InputError for an experiment whose runs depend on the results of others."""
    if "procedure" in (config.experiment or {}):
        name = config.experiment.name
        raise InputError(
            f"experiment={name}: is a search, whose later runs depend on the results of earlier "
            f"ones. Run it with: frod-bench tune experiment={name}"
        )


def distinct(cells: Iterable[Cell], describe: Callable[[Cell], object]) -> list[Cell]:
    """The first cell of each description and method; seeds and learning rates do not count."""
    found: dict[str, Cell] = {}
    for cell in cells:
        method = cell.settings.method
        rates = dict.fromkeys(method.learning_rates, 0.0)
        found.setdefault(f"{describe(cell)} {replace(method, learning_rates=rates)}", cell)
    return list(found.values())


def input_of(cell: Cell) -> tuple[object, ...]:
    """What a cell reads and builds, but for its method; cells that differ in it are all checked."""
    settings = cell.settings
    return settings.profile, settings.protocol, settings.task, settings.backbone, settings.head


def check_methods(cells: Iterable[Cell]) -> None:
    """Raise InputError, as a run would, if a method does not fit the backbone of a cell.

    Each backbone is built once per head and method, without values, unless it is known to fit from
    an earlier plan. Three things are not checked: Python functions, methods that need the values of
    weights, and backbones that are not on this machine.
    """
    checked = [cell for cell in cells if cell.settings.method.kind != "python"]
    known = KnownFits()
    for cell in distinct(checked, lambda cell: (cell.settings.backbone, cell.settings.head)):
        if not known.has(cell) and fits(cell):
            known.note(cell)


def fits(cell: Cell) -> bool:
    """Whether the cell's method fits its backbone; False if that cannot be told. Raises InputError
    if it does not.
    """
    from frod_bench.models.loading import config_of  # import torch
    from frod_bench.plan.shapes import prepare_shapes

    settings = cell.settings
    num_labels = None if settings.head == "rank" else settings.task.num_labels
    try:
        config = config_of(settings.backbone.hub_id, settings.model_root)
    except InputError:
        return False
    try:
        prepare_shapes(config, settings.backbone, settings.method, num_labels)
    except NeedsValuesError:
        return False
    except RuntimeError:  # torch's, of a tensor without values
        return False
    return True


def check(cell: Cell) -> str:
    """Describe a cell's input in a line. Raises InputError if it does not fit."""
    from frod_bench.training.runner import make_ready  # imports torch

    ready = make_ready(cell)
    counts, params = ready.data.counts, ready.prepared.params
    groups = ", ".join(ready.prepared.groups)
    return (
        f"{cell.label}: ok; {len(ready.data.train)} rows of train, {len(ready.data.validation)} of "
        f"validation, {sum(len(split) for split in ready.data.tests.values())} of test"
        + (f", {counts.sequences_cut} cut to length" if counts.sequences_cut else "")
        + f"; trains {params['trainable']:,} parameters ({groups})"
    )


def validate(words: Sequence[str]) -> None:
    """Print a line for each distinct cell of a grid. Raises InputError if some cannot run."""
    _, cells = compose_cells(parse("validate", words).overrides)
    check_hub(cells)
    checked, wrong = distinct(cells, input_of), []
    for cell in checked:
        try:
            print(check(cell))
        except Exception as error:  # of any type: a damaged file raises its reader's own
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            print(shown(f"{cell.label}: {kind}{error}"), file=sys.stderr)
            wrong.append(cell.label)
    if wrong:
        raise InputError(f"{len(wrong)} of {len(checked)} cannot run: {', '.join(wrong)}.")
