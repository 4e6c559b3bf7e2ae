"""Run one composed configuration, which leaves one record, or with `-m` a grid of them.

The last line on standard output is the absolute path of the record.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from frod_bench.cells.cell import cell_of, plan
from frod_bench.cells.grid import compose_cells, ensure_inputs, refuse_lists, register
from frod_bench.cli.arguments import MULTIRUN
from frod_bench.cli.exits import exit_statuses
from frod_bench.common import processes
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.common.paths import CONF_DIR, check_writable
from frod_bench.config import conversion
from frod_bench.config.own_files import OwnFiles
from frod_bench.jobs.validate import check_methods
from frod_bench.sweep.launch import check_functions, check_hub, run_grid, set_aside


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")
def run_composed(config: DictConfig) -> None:
    """Hydra's entry for one cell, which adds a line to errors that leave it."""
    with exit_statuses():
        run_one(config)


def run_one(config: DictConfig) -> None:
    """Run the cell that `config` asks for, unless it has a record.

    Raises InputError for bad input and CellsFailed if the cell failed or diverged.
    """
    conversion.validate(config)
    ensure_inputs(config)
    cell = cell_of(conversion.resolve(config))
    found = plan([cell])
    failure = ""
    if config.plan_only:
        check_methods(found.missing)
        say(f"{cell.label}: {'would run' if found.missing else 'has a record already'}")
    elif not found.missing:
        say(f"{cell.label}: has a record already")
    else:
        check_functions([cell])
        check_hub([cell])
        check_writable(Path(config.results_root) / cell.profile)
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


def say(message: str) -> None:
    """Print to standard error, on each machine once."""
    if processes.is_first_here():
        print(message, file=sys.stderr)


def start(words: Sequence[str]) -> None:
    """Compose what the command line asks for and run it.

    Hydra's own `-m` starts one job after another; this one has the same grammar, but plans the
    whole grid first.
    """
    register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors arrive complete, and are explained here
    overrides = [word for word in words if word not in MULTIRUN]
    if len(overrides) == len(words):
        refuse_lists(words)
        sys.argv[1:] = OwnFiles().named(words)  # Hydra reads them there
        run_composed()
        return
    if flags := [word for word in overrides if word.startswith("-")]:
        raise InputError(
            f"{flags[0]}: cannot be combined with -m, which takes overrides only (key=value)."
        )
    say("planning the grid")
    run_grid(*compose_cells(overrides), check_methods)
