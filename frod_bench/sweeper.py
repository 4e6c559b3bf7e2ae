"""Hydra's `-m`: the whole grid is planned before anything is launched, then run in a pool."""

import os
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from frod_bench import record, results
from frod_bench.display import SweepDisplay, print_failures, print_plan
from frod_bench.errors import CellsFailed
from frod_bench.grid import cells_of, expand
from frod_bench.inputs import check_writable
from frod_bench.pool import run_cells
from frod_bench.sweep import Cell, Plan, plan


class CellSweeper(Sweeper):
    """Composes every cell of the grid, leaves out those that are done, runs the rest."""

    def __init__(self, params: dict[str, str] | None) -> None:
        self.params = params

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,  # noqa: ARG002  (cells run in our own pool)
        config: DictConfig,
    ) -> None:
        """Take Hydra's context."""
        self.hydra_context = hydra_context
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid. Raises InputError for bad input, CellsFailed where a cell went wrong."""
        context, config = self.hydra_context, self.config
        assert context is not None
        assert config is not None
        cells = cells_of(
            expand(self.params, arguments),
            lambda overrides: context.config_loader.load_sweep_config(config, overrides),
        )
        found = plan(cells)
        if config.plan_only:
            print_plan(found, Console())
        else:
            check_writable(Path(config.results_root))
            launch(found, OmegaConf.to_object(config.runtime))


def launch(found: Plan, runtime: Any) -> None:
    """Run what is missing, tell how it goes, and end with the table of failures."""
    console = Console(stderr=True)
    for unusable in found.invalid:
        aside = record.set_aside(unusable.path)
        console.print(f"{unusable.path}: {unusable.reason} Kept as {aside.name}, run again.")
    total, missing = len(found.cells), found.missing
    display = SweepDisplay(total, total - len(missing), console, runtime.progress)
    with display:
        done = run_cells(missing, work, lost, runtime.jobs or os.cpu_count() or 1, display)
    failures = [one for one in done if one.status != "ok"]
    console.print(f"{total - len(failures)} of {total} cells are done, {len(done)} ran now.")
    if failures:
        print_failures(failures, console)
        raise CellsFailed(f"{len(failures)} of {total} cells did not end well.")


def work(cell: Cell) -> tuple[str, str]:
    """Run a cell in a worker process. Whatever is wrong with it becomes its `failed` record."""
    from frod_bench.cell import execute  # torch is imported in workers only

    try:
        outcome = execute(cell)
    except Exception as error:
        return leave_failure(cell, error)
    return outcome.status, outcome.summary


def lost(cell: Cell) -> tuple[str, str]:
    """Leave the record of a cell whose worker was killed."""
    return leave_failure(cell, RuntimeError("the worker died (killed, or out of memory)"))


def leave_failure(cell: Cell, error: Exception) -> tuple[str, str]:
    """Leave a `failed` record; where even that cannot be written, the sweep goes on and tells."""
    try:
        outcome = results.leave_failure(cell, error)
    except OSError as full:
        return "failed", f"{type(error).__name__}: {error}; its record could not be left: {full}"
    return outcome.status, outcome.summary
