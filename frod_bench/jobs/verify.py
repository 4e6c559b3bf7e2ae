"""Did it reproduce? A sample of cells run again, or the records of a run, beside the published run,
`results/reference/<profile>/tables/cells.csv`.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.terminal import plain_console
from frod_bench.jobs.run import sweep
from frod_bench.report import reproduction
from frod_bench.report.asked import asked_cells
from frod_bench.report.collect import Collected, collect
from frod_bench.report.reproduction import Check, Reproduction, published_cells

PROFILE = "embedded"  # its data and weights come with the suite
HOW_IT_RUNS = ("runtime.", "launcher=", "launcher.")  # keys that verify leaves to the user
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


def rerun_sample(words: Sequence[str], console: Console) -> Reproduction:
    """Run the sample in a temporary folder and compare it; the folder is kept if it differs.

    Raises InputError for words other than `HOW_IT_RUNS`, or if there is no published run.
    """
    if odd := [word for word in words if not word.lstrip("+").startswith(HOW_IT_RUNS)]:
        raise InputError(
            f"{odd[0]}: verify runs the published settings, so only how it runs can be chosen. "
            "Allowed: runtime.KEY=VALUE, e.g. runtime.jobs=1, launcher=NAME and launcher.KEY=VALUE."
        )
    published = published_cells(PROFILE)
    if published is None:
        raise InputError(
            f"results/reference/{PROFILE}: has no tables/cells.csv to compare with. Restore it "
            "from git, or install the package again."
        )
    if detached := [word for word in words if word.startswith("launcher.detach=")]:
        raise InputError(f"{detached[0]}: verify waits for its runs. Leave it out.")
    engines = {word for word in words if word.startswith("launcher=")} - {"launcher=local"}
    place = Path.cwd() if engines else None  # /tmp of one machine is not that of another
    folder = Path(tempfile.mkdtemp(prefix="frod_bench_verify_", dir=place))
    fixed = [f"profile={PROFILE}", f"results_root={folder}", "tracker=none", *words]
    try:
        with composer() as compose_one:
            lines = [
                [*fixed, f"task={task}", f"method={method}", f"seed={seed}"]
                for task, method, seed in sample(published)
            ]
            cells, config = cells_of(lines, compose_one), compose_one(fixed)
        try:
            sweep(config, cells)
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
    table = reproduction.cells_table(found)
    tolerance = reproduction.load_tolerance(cells[0].profile)
    return reproduction.compare(table, published, tolerance)


def lines_of(outcome: Reproduction, profile: str) -> list[str]:
    """Each comparison with the published run, and the verdict."""
    return [f"Against the published run (results/reference/{profile}):", *outcome.lines]


def compared(cells: Sequence[Cell], profile: str, collected: Collected | None = None) -> list[str]:
    """`lines_of` the records of `cells`; nothing if none of them was published, and one line if the
    published file is damaged: the run itself is complete.
    """
    try:
        published = published_cells(profile)
        outcome = None if published is None else reproduction_of(cells, published, collected)
    except InputError as error:
        return [f"The run cannot be compared with the published one: {error}"]
    return lines_of(outcome, profile) if outcome is not None and outcome.checks else []


def verify(words: Sequence[str]) -> None:
    """Print whether this machine reproduces the published run; exits with status 1 if not."""
    console = plain_console()
    outcome = rerun_sample(words, console)
    for line in lines_of(outcome, PROFILE):
        console.print(line, soft_wrap=True)
    if not outcome.holds:
        sys.exit(1)
