"""Run a grid of cells: planned completely before anything is launched, then run by an engine."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from frod_bench.cells import results
from frod_bench.cells.cell import Cell, Plan, find_missing
from frod_bench.cells.results import OVER_LIMIT, REFUSED, Outcome
from frod_bench.common import locks, processes
from frod_bench.common.errors import CellsFailed, CellsRefused, Detached, InputError
from frod_bench.common.paths import check_writable
from frod_bench.common.terminal import plain_console, shown
from frod_bench.config import callables
from frod_bench.config.settings import RuntimeConfig
from frod_bench.records import store
from frod_bench.records.schema import RecordError
from frod_bench.sweep import engines
from frod_bench.sweep.batches import Estimate
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.engines import Engine
from frod_bench.sweep.pool import WorkersFailedError
from frod_bench.sweep.workers import Work
from frod_bench.training import tracker

NAMED = 3  # cells that the table of failures names, of those refused for the same reason
UNREADABLE = "unreadable"  # status of a cell that was not run: it may have a record already


def run_grid(
    config: DictConfig,
    cells: Sequence[Cell],
    check_methods: Callable[[Sequence[Cell]], None] = lambda _: None,
    estimate: Estimate | None = None,
) -> None:
    """Run those of `cells` that are not done yet, or with `plan_only=true` print them.

    `check_methods` refuses, for a plan, what a run would refuse by itself. `estimate` says what
    cells need, for engines that ask for it.

    Raises:
        InputError: before anything is launched, if a result could not be written, or if an input or
            the engine is unavailable.
        CellsRefused: at the end, if bad input is all that went wrong.
        CellsFailed: if a run failed, diverged or reached its time limit, or if no worker can start.
        Detached: if the runs are left to jobs.
    """
    found = find_missing(cells)
    if config.plan_only:
        check_methods(found.missing)
        console = plain_console()
        if found.missing:  # at once: of thousands each would take the console half a millisecond
            print(shown("\n".join(f"{one.label}  {one.record_path}" for one in found.missing)))
        missing, total, lost = len(found.missing), len(found.cells), len(found.unreadable)
        done = f"{total - missing - lost} are done" + (f", {lost} cannot be read" * bool(lost))
        console.print(f"{missing} of {total} cells would run, {done}.")
        for cell, reason in found.unreadable:
            console.print(f"{cell.label}: {reason}", soft_wrap=True)
        if (queued := engines.queued_line(config.launcher, found.missing)) is not None:
            console.print(queued, soft_wrap=True)
        return
    if processes.count() > 1:
        raise InputError(
            f"-m: a grid starts workers of its own, and {processes.count()} processes were started "
            "to run one cell together. Start the grid with python alone, or launch cell after cell."
        )
    check_functions(found.missing)
    check_hub(found.missing)
    root = str(config.results_root)
    check_writable(Path(root) / config.profile.name / "records", value=root)
    if found.missing:
        from frod_bench.records.sources import check_files  # imports pyarrow

        check_files(Path(root) / config.profile.name)
    if found.missing and tracker.uploads(config.tracker):
        plain_console(stderr=True).print(
            f"wandb: you are logged in, so {len(found.missing)} runs will be uploaded to project "
            f"{config.tracker.project}. tracker=none (make: TRACKER=none) uploads nothing.",
            soft_wrap=True,
        )
    with (
        locks.leaving_no_folder(Path(root) / config.profile.name),  # if all cells are refused
        engines.opened(config.launcher, config.runtime, found.missing, estimate) as engine,
    ):
        launch(found, config.runtime, engine)


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


def launch(found: Plan, runtime: RuntimeConfig, engine: Engine) -> None:
    """Run the missing cells, report progress, and end with the table of failures."""
    console = plain_console(stderr=True)
    set_aside(found, console.print)
    total, missing = len(found.cells), found.missing
    minutes = runtime.cell_minutes
    limit_sec = None if minutes is None else 60 * minutes
    job = Work(work, lost, partial(prepare, runtime.device), limit_sec)
    unread = [Finished(cell, UNREADABLE, why, 0.0) for cell, why in found.unreadable]
    display = SweepDisplay(total, total - len(missing) - len(unread), console, runtime.progress)
    started, none_starts = time.monotonic(), None
    try:
        with display.progress:
            done = engine.run(missing, job, display) if missing else []
    except WorkersFailedError as error:
        done, none_starts = error.done, error
    except Detached as left:
        if not unread:
            raise
        console.print(str(left))
        print_failures(unread, console)
        raise CellsFailed(verdict(unread, total)) from left
    for root in {cell.results_dir / "checkpoints" for cell in missing}:
        locks.remove_empty(root)  # a worker leaves a folder in which another is at work
    failures = [*unread, *(one for one in done if one.status != "ok")]
    not_run = len(missing) - len(done)
    console.print(f"{total - len(failures) - not_run} of {total} cells are done, {ran(done)}.")
    if any(one.status == "ok" for one in done):
        console.print(pace(done, time.monotonic() - started, engine.workers))
    if failures:
        print_failures(failures, console)
    if none_starts is not None:
        raise none_starts
    if failures:
        is_refused = all(one.status == REFUSED for one in failures)
        raise (CellsRefused if is_refused else CellsFailed)(verdict(failures, total))


def ran(done: Sequence[Finished]) -> str:
    """How many cells ran, and by whom."""
    ours = sum(one.is_ours for one in done)
    theirs = len(done) - ours
    return f"{ours} ran now" + (f", {theirs} were run by another process" if theirs else "")


def verdict(failures: Sequence[Finished], total: int) -> str:
    """What went wrong, in one line. Cells that were not run, and those over their time limit, are
    not failures of a method.
    """
    if all(one.status == REFUSED for one in failures):
        return f"{len(failures)} of {total} cells were refused."
    late = sum(one.status == OVER_LIMIT for one in failures)
    unread = sum(one.status == UNREADABLE for one in failures)
    failed = len(failures) - late - unread
    lines = [f"{failed} of {total} runs failed."] if failed else []
    if unread:
        lines.append(f"{unread} of {total} records cannot be read, and their cells were not run.")
    if late:
        lines.append(
            f"{late} of {total} runs reached runtime.cell_minutes and have no record. Run the same "
            "command again to resume them."
        )
    return " ".join(lines)


def print_failures(failures: Sequence[Finished], console: Console) -> None:
    """Print the table of failures. Of cells that were refused for one reason, of which none left a
    record, the first few are named and the others counted.
    """
    table = Table(title=f"{len(failures)} cells are not done")
    for column in ("cell", "status", "reason", "record"):
        table.add_column(column, overflow="fold")
    refused: Counter[str] = Counter()
    for one in failures:
        if one.status == REFUSED:
            refused[one.summary] += 1
            if refused[one.summary] > NAMED:
                continue
        table.add_row(one.cell.label, one.status, one.summary, str(one.cell.record_path))
    for reason, count in refused.items():
        if count > NAMED:
            table.add_row(f"{count - NAMED} more", REFUSED, reason, "")
    console.print(table)


def pace(done: Sequence[Finished], wall_sec: float, workers: int | None) -> str:
    """One line: the speed and, if it is known how many there are, the share of the workers' time
    outside training and evaluation.
    """
    ours = [one for one in done if one.is_ours]
    speed = f"{60 * len(ours) / wall_sec:.1f} cells a minute"
    if workers is None:
        return f"{wall_sec:.0f} s: {speed}."
    busy_sec = sum(_busy_sec(one.cell) for one in ours if one.status == "ok")
    workers = min(workers, len(done))
    elsewhere = 100 * (1 - busy_sec / (workers * wall_sec))
    return (
        f"{wall_sec:.0f} s with {workers} workers: {speed}; {elsewhere:.0f} % of the time was not "
        "spent on training and evaluation."
    )


def _busy_sec(cell: Cell) -> float:
    """Seconds of training and evaluation, by the record; 0 if it cannot be read just now."""
    try:
        spent = store.load(cell.record_path)["time"]
    except (OSError, RecordError):
        return 0.0
    return 0.0 if spent is None else spent["train_sec"] + spent["eval_sec"]


def prepare(device: str = "cpu") -> None:
    """Import what every cell needs, and use the GPU, so that a worker that cannot is noticed before
    it has a cell. A device that does not exist is refused with the cell. Jobs that waited in a
    queue before this had an argument call it without.
    """
    import torch  # in workers only

    import frod_bench.training.runner  # noqa: F401

    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and torch.cuda.is_available() and number < torch.cuda.device_count():
        torch.empty(1, device=f"cuda:{number}")


def work(cell: Cell) -> Outcome:
    """Run a cell in a worker. Bad input leaves nothing, any other error a `failed` record."""
    from frod_bench.training.runner import execute

    try:
        return execute(cell, waits=False)
    except InputError as error:
        return Outcome(REFUSED, str(error))
    except Exception as error:
        return leave_failure(cell, error)


def lost(cell: Cell) -> Outcome:
    """Leave the record of a cell whose worker was killed, unless another process has run it."""
    died = RuntimeError("the worker died (killed, or out of memory)")
    return results.ended(cell) or leave_failure(cell, died)


def leave_failure(cell: Cell, error: Exception) -> Outcome:
    """Leave a `failed` record; if even that cannot be written, only report the error."""
    try:
        return results.leave_failure(cell, error)
    except (OSError, ValueError) as full:
        reason = f"{type(error).__name__}: {error}; its record could not be written: {full}"
        return Outcome("failed", reason)
