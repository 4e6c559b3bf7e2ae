"""Check in two minutes that this machine reproduces the published run: twelve cells, run again.

They are compared with `results/reference/embedded/tables/cells.csv`. Exit status 1 if a difference
is beyond the tolerance of `conf/reproduction.yaml`.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import cells_of, composer
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.terminal import plain_console
from frod_bench.report.cells_table import cells_table
from frod_bench.report.collect import Collected, collect
from frod_bench.report.command import asked_cells
from frod_bench.report.reproduction import (
    Check,
    Reproduction,
    compare,
    load_tolerance,
    published_cells,
)
from frod_bench.sweep.launch import run_grid

PROFILE = "embedded"  # its data and weights come with the suite
METHODS = ("full", "lora", "dora", "frod")  # those that the claims compare


def sample(published: pd.DataFrame) -> list[tuple[str, str, int]]:
    """(task, method, seed) of one cell per family and method, spread over tasks and seeds."""
    tasks = published[published["status"] == "ok"].groupby("family")["task"].unique()
    seeds = sorted(map(int, published["seed"].unique()))
    return [
        (names[(2 * column + row) % len(names)], method, seeds[(row + column) % len(seeds)])
        for row, names in enumerate(tasks)
        for column, method in enumerate(METHODS)
    ]


def verify(words: Sequence[str], console: Console) -> Reproduction:
    """Run the sample in a temporary folder and compare it; the folder is kept if it differs.

    Raises InputError for words other than `runtime.` settings, or if there is no published run.
    """
    if odd := [word for word in words if not word.startswith("runtime.")]:
        raise InputError(
            f"{odd[0]}: verify runs the published settings, so only how it runs can be chosen. "
            "Allowed: runtime.KEY=VALUE, e.g. runtime.jobs=1."
        )
    published = published_cells(PROFILE)
    if published is None:
        raise InputError(
            f"results/reference/{PROFILE}: has no tables/cells.csv to compare with. Restore it "
            "from git, or install the package again."
        )
    folder = Path(tempfile.mkdtemp(prefix="frod_bench_verify_"))
    fixed = [f"profile={PROFILE}", f"results_root={folder}", "tracker=none", *words]
    try:
        with composer() as compose_one:
            lines = [
                [*fixed, f"task={task}", f"method={method}", f"seed={seed}"]
                for task, method, seed in sample(published)
            ]
            cells, config = cells_of(lines, compose_one), compose_one(fixed)
        try:
            run_grid(config, cells)
        except (CellsFailed, CellsRefused) as error:
            console.print(str(error))
        outcome = reproduction_of(cells, published)
    except BaseException:  # including an interruption: there is no result to inspect
        shutil.rmtree(folder)
        raise
    if outcome.skipped:  # the sample is of the published run: no cell may be left out
        outcome = Reproduction((*outcome.checks, Check(outcome.skipped, False)), "")
    if outcome.holds:
        shutil.rmtree(folder)
    else:
        console.print(f"The records of this run are kept in {folder}.")
    return outcome


def reproduction_of(
    cells: Sequence[Cell], published: pd.DataFrame, collected: Collected | None = None
) -> Reproduction:
    """The records of `cells`, all of one profile, beside the published ones."""
    found = collected or collect(cells[0].results_dir.parent, cells[0].profile, asked_cells(cells))
    return compare(cells_table(found.frame, found.curves), published, load_tolerance())


def print_reproduction(outcome: Reproduction, profile: str, console: Console) -> None:
    """Print each comparison with the published run, and the verdict."""
    console.print(f"Against the published run (results/reference/{profile}):")
    for line in outcome.lines:
        console.print(line, soft_wrap=True)


def start(words: Sequence[str]) -> None:
    """Verify, and print the outcome; exits with status 1 if a comparison fails."""
    console = plain_console()
    outcome = verify(words, console)
    print_reproduction(outcome, PROFILE, console)
    if not outcome.holds:
        sys.exit(1)
