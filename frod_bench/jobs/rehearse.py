"""`frod-bench rehearse`: two steps of every task and method, before a grid that costs GPU-days.

The tokenizer, rows, prompt, batch and method are those of the run; of the backbone only the first
blocks are read, and of the training rows the longest, since they need the most memory.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rich.table import Table

from frod_bench.cells.cell import Cell, cell_of
from frod_bench.cells.grid import compose_cells
from frod_bench.cells.results import OVER_LIMIT, REFUSED, Outcome
from frod_bench.cli.arguments import parse
from frod_bench.common import stopping
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.terminal import plain_console
from frod_bench.config.settings import Settings, TrainerConfig
from frod_bench.data.rows import Row, Split
from frod_bench.jobs.run import distinct, input_of
from frod_bench.sweep import engines
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.launch import check_hub, prepare
from frod_bench.sweep.pool import WorkersFailedError
from frod_bench.sweep.workers import Work

BLOCKS = 2  # of the backbone
STEPS = 2
ROWS = 1024  # of train, of which the longest are taken


def rehearse(words: Sequence[str]) -> None:
    """Rehearse each distinct cell of a grid and print a table; leaves nothing on the disk but the
    cache of joint bases. Raises InputError before anything runs if an input is unavailable, and
    CellsRefused or CellsFailed at the end if some could not run.
    """
    base, cells = compose_cells(parse("rehearse", words).grid("main_table"))
    if base.launcher.name == "submitit":
        raise InputError(
            "launcher=submitit: a rehearsal leaves no records, so a job could not report what it "
            "has seen. Start the rehearsal in a job: srun frod-bench rehearse ..."
        )
    chosen = distinct(cells, lambda cell: (input_of(cell), step_of(cell.settings.trainer)))
    check_hub(chosen)
    console = plain_console(stderr=True)
    display = SweepDisplay(len(chosen), 0, console, base.runtime.progress)
    base.runtime.jobs = base.runtime.jobs or 1
    job, none_starts = Work(work, lost, partial(prepare, base.runtime.device)), None
    try:
        with engines.opened(base.launcher, base.runtime, chosen) as engine, display.progress:
            done = engine.run(chosen, job, display)
    except WorkersFailedError as error:
        done, none_starts = error.done, error
    order = {cell: place for place, cell in enumerate(chosen)}
    done.sort(key=lambda one: order[one.cell])
    if done:
        plain_console().print(table_of(done))
    if none_starts is not None:
        raise none_starts
    failures = [one for one in done if one.status != "ok"]
    if failures:
        refused = all(one.status == REFUSED for one in failures)
        names = ", ".join(f"{one.cell.task}/{one.cell.method}" for one in failures)
        raise (CellsRefused if refused else CellsFailed)(
            f"{len(failures)} of {len(done)} would not run: {names}."
        )


def step_of(trainer: TrainerConfig) -> TrainerConfig:
    """What decides how a step goes: all settings but how many there are."""
    return replace(trainer, max_steps=STEPS, epochs=None)


def table_of(done: Sequence[Finished]) -> Table:
    """One row for each task and method: how its rehearsal ended."""
    table = Table(title=f"{STEPS} steps each, with the first {BLOCKS} blocks of the backbone")
    for column in ("task", "method", "status", "seconds", "what was seen"):
        table.add_column(
            column, overflow="fold", justify="right" if column == "seconds" else "left"
        )
    for one in done:
        words = one.cell.task, one.cell.method, one.status, f"{one.seconds:.1f}", one.summary
        table.add_row(*words)
    return table


def work(cell: Cell) -> Outcome:
    """Rehearse a cell in a worker."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return rehearse_cell(cell, folder)
    except InputError as error:
        return Outcome(REFUSED, str(error))
    except stopping.TimeIsUp:  # of the two steps alone
        minutes = cell.settings.runtime.cell_minutes
        return Outcome(
            OVER_LIMIT, f"{STEPS} steps took longer than runtime.cell_minutes={minutes:g}"
        )
    except Exception as error:
        return Outcome("failed", f"{type(error).__name__}: {error}")


def lost(_cell: Cell) -> Outcome:
    """Say of a cell whose worker was killed what is known."""
    return Outcome("failed", "the worker died (killed, or out of memory)")


def rehearse_cell(cell: Cell, folder: str) -> Outcome:
    """Train and evaluate as the cell would, shortened; what it writes goes to `folder`."""
    from frod_bench.training.runner import make_ready, run_cell  # import torch
    from frod_bench.training.tracker import NullTracker

    settings = shortened(cell.settings, folder)
    ready = make_ready(cell_of(settings), blocks=BLOCKS)
    rows = STEPS * settings.trainer.batch_rows * settings.trainer.accumulation_steps
    data = replace(ready.data, train=longest(ready.data.train, rows))
    body, curve, _ = run_cell(replace(ready, data=data), NullTracker())
    memory = body["memory"]
    peak_bytes = memory["peak_device_bytes"] or memory["peak_rss_bytes"]
    cut = body["data_counts"]["sequences_cut"]
    losses = [point["train_loss"] for point in curve if "train_loss" in point]
    texts = [size_of(row) for row in data.train if isinstance(row.inputs, dict)]
    parts = [
        f"loss {losses[0]:.3g}, then {losses[-1]:.3g}" if losses else "no steps",
        f"peak {peak_bytes / 2**30:.2f} GiB",
        *([f"longest row {max(texts)} tokens"] if texts else []),
        *([f"{cut} rows cut"] if cut else []),
    ]
    return Outcome(body["status"], "; ".join(parts))


def shortened(settings: Settings, folder: str) -> Settings:
    """The settings of a rehearsal.

    The test split is evaluated, on one batch, so that no rows have to be split off for validation.
    Everything that shapes a step is the cell's own.
    """
    trainer = settings.trainer
    few: dict[str, Any] = {
        "max_steps": STEPS,
        "epochs": None,
        "eval_every_steps": STEPS,
        "curve_rows": None,
        "train_rows": min(trainer.train_rows or ROWS, ROWS),
        "test_rows": min(trainer.test_rows or ROWS, trainer.eval_batch_rows),
    }
    on_test: dict[str, Any] = {
        "validation_percent": 0.0,
        "curve_split": "test",
        "selection": "last",
        "metrics_split": "test",
    }
    return replace(
        settings,
        trainer=replace(trainer, **few),
        protocol=replace(settings.protocol, **on_test),
        results_root=folder,
        save="none",
    )


def longest(split: Split, rows: int) -> Split:
    """At most `rows` rows of a split: those with the most tokens; of equal ones the first."""
    sizes = [size_of(row) for row in split]
    order = sorted(range(len(split)), key=lambda place: -sizes[place])
    return Split(tuple(split.ids[place] for place in order[:rows]), split.source)


def size_of(row: Row) -> int:
    """The tokens of a row, those of all its options if they are ranked; 0 for an image."""
    inputs = row.inputs
    return max(part.size for part in inputs.values()) if isinstance(inputs, dict) else 0
