"""Run a grid of cells: planned completely before anything is launched, then run in a pool."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from frod_bench.cells import results
from frod_bench.cells.cell import Cell, Plan, find_missing
from frod_bench.cells.results import Outcome
from frod_bench.common import locks, processes
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.paths import check_writable
from frod_bench.common.terminal import plain_console
from frod_bench.config import callables
from frod_bench.records import store
from frod_bench.sweep.pool import Finished, SweepDisplay, run_cells
from frod_bench.training import tracker

REFUSED = "refused"  # status of a cell whose input is bad; it has no record
UNREADABLE = "unreadable"  # of a cell that was not run, since its record may be there


def run_grid(
    config: DictConfig,
    cells: Sequence[Cell],
    check_methods: Callable[[Sequence[Cell]], None] = lambda _: None,
) -> None:
    """Run those of `cells` that are not done yet, or with `plan_only=true` print them.

    `check_methods` refuses, for a plan, what a run would refuse by itself. Raises InputError before
    anything is launched if a result could not be written or an input is unavailable, CellsRefused
    at the end if bad input is all that went wrong, and CellsFailed if a run failed or diverged.
    """
    found = find_missing(cells)
    if config.plan_only:
        check_methods(found.missing)
        console = plain_console()
        for cell in found.missing:
            console.print(f"{cell.label}  {cell.record_path}", soft_wrap=True)
        missing, total, lost = len(found.missing), len(found.cells), len(found.unreadable)
        done = f"{total - missing - lost} are done" + (f", {lost} cannot be read" * bool(lost))
        console.print(f"{missing} of {total} cells would run, {done}.")
        for cell, reason in found.unreadable:
            console.print(f"{cell.label}: {reason}", soft_wrap=True)
        return
    if processes.count() > 1:
        raise InputError(
            f"-m: a grid starts workers of its own, and {processes.count()} processes were started "
            "to run one cell together. Start the grid with python alone, or launch cell after cell."
        )
    check_functions(found.missing)
    check_hub(found.missing)
    root = str(config.results_root)
    check_writable(Path(root) / config.profile.name, value=root)
    if found.missing and tracker.uploads(config.tracker):
        plain_console(stderr=True).print(
            f"wandb: you are logged in, so {len(found.missing)} runs will be uploaded to project "
            f"{config.tracker.project}. tracker=none (make: TRACKER=none) uploads nothing.",
            soft_wrap=True,
        )
    launch(found, config.runtime.jobs or os.cpu_count() or 1, config.runtime.progress)


def set_aside(found: Plan, say: Callable[[str], object]) -> None:
    """Rename what is invalid at the paths of missing records, each under its cell's lock, and say
    why these cells run again.
    """
    cells = {cell.record_path: cell for cell in found.missing}
    for path, reason in found.invalid:
        cell = cells[path]
        try:
            with locks.locked(cell.lock_path, cell.label, wait=False) as is_ours:
                aside = store.set_aside(path) if is_ours else None
        except OSError as error:
            say(f"{path}: {reason} It cannot be renamed ({error}).")
        else:
            if aside is not None:
                say(f"{path}: {reason} Kept as {aside.name}; the cell runs again.")
    for path, reason in found.damaged:
        say(f"{path}: {reason} The cell runs again.")


def check_functions(missing: Iterable[Cell]) -> None:
    """Raise InputError, before any cell runs, if a user's function cannot be imported or called."""
    for cell in missing:
        if cell.settings.method.apply is not None:
            callables.load_callable(cell.settings.method.apply)


def check_hub(cells: Sequence[Cell]) -> None:
    """Raise InputError if a cell reads something from the Hub that is unavailable."""
    reads_hub = [c for c in cells if None in (c.settings.data_root, c.settings.model_root)]
    if reads_hub:
        from frod_bench.sweep.preflight import check_available  # the Hub's client imports slowly

        check_available(reads_hub)


def launch(found: Plan, jobs: int, progress: bool) -> None:
    """Run the missing cells, report progress, and end with the table of failures."""
    console = plain_console(stderr=True)
    set_aside(found, console.print)
    total, missing = len(found.cells), found.missing
    lost_cells = [Finished(cell, UNREADABLE, why, 0.0) for cell, why in found.unreadable]
    display = SweepDisplay(total, total - len(missing) - len(lost_cells), console, progress)
    started = time.monotonic()
    with display.progress:
        done = run_cells(missing, work, lost, jobs, display)
    for root in {cell.results_dir / "checkpoints" for cell in missing}:
        locks.remove_empty(root)  # a worker leaves a folder in which another is at work
    failures = [*lost_cells, *(one for one in done if one.status != "ok")]
    console.print(f"{total - len(failures)} of {total} cells are done, {len(done)} ran now.")
    if any(one.status == "ok" for one in done):
        console.print(pace(done, time.monotonic() - started, min(jobs, len(missing))))
    if failures:
        print_failures(failures, console)
        refused = all(one.status == REFUSED for one in failures)
        raise (CellsRefused if refused else CellsFailed)(
            f"{len(failures)} of {total} {'cells were refused' if refused else 'runs failed'}."
        )


def print_failures(failures: Sequence[Finished], console: Console) -> None:
    """Print the table of failures."""
    table = Table(title=f"{len(failures)} runs failed")
    for column in ("cell", "status", "reason", "record"):
        table.add_column(column, overflow="fold")
    for one in failures:
        table.add_row(one.cell.label, one.status, one.summary, str(one.cell.record_path))
    console.print(table)


def pace(done: Sequence[Finished], wall_sec: float, workers: int) -> str:
    """One line: the speed, and the share of the workers' time outside training and evaluation."""
    times = [store.load(one.cell.record_path)["time"] for one in done if one.status == "ok"]
    busy_sec = sum(
        (spent["train_sec"] + spent["eval_sec"] for spent in times if spent is not None), start=0.0
    )
    elsewhere = 100 * (1 - busy_sec / (workers * wall_sec))
    return (
        f"{wall_sec:.0f} s with {workers} workers: {60 * len(done) / wall_sec:.1f} cells a minute; "
        f"{elsewhere:.0f} % of the time was not spent on training and evaluation."
    )


def work(cell: Cell) -> Outcome:
    """Run a cell in a worker. Bad input leaves nothing, any other error a `failed` record."""
    from frod_bench.training.runner import execute  # torch is imported in workers only

    try:
        return execute(cell)
    except InputError as error:
        return Outcome(REFUSED, str(error))
    except Exception as error:
        return leave_failure(cell, error)


def lost(cell: Cell) -> Outcome:
    """Leave the record of a cell whose worker was killed, unless another process has run it."""
    found = find_missing([cell])
    if not found.missing and not found.unreadable:
        return results.outcome_of(store.load(cell.record_path))
    return leave_failure(cell, RuntimeError("the worker died (killed, or out of memory)"))


def leave_failure(cell: Cell, error: Exception) -> Outcome:
    """Leave a `failed` record; if even that cannot be written, only report the error."""
    try:
        return results.leave_failure(cell, error)
    except (OSError, ValueError) as full:
        reason = f"{type(error).__name__}: {error}; its record could not be written: {full}"
        return Outcome("failed", reason)
