"""The main job: run the missing cells of a grid and write its report; or verify a sample of cells.

Both are compared with the published run, `results/reference/<profile>/tables/cells.csv`.
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
from frod_bench.cells.grid import cells_of, compose_cells
from frod_bench.cells.results import code_version
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.terminal import plain_console
from frod_bench.jobs import manifest
from frod_bench.jobs.run import sweep
from frod_bench.report import reproduction
from frod_bench.report.collect import Collected, collect, refuse_same
from frod_bench.report.command import (
    MANIFEST,
    asked_cells,
    folder_of,
    parse,
    refuse_nameless,
    report,
)
from frod_bench.report.reproduction import Check, Reproduction, published_cells

PROFILE = "embedded"  # its data and weights come with the suite
HOW_IT_RUNS = ("runtime.", "launcher=", "launcher.")  # keys that verify leaves to the user
METHODS = ("full", "lora", "dora", "frod")  # those that the claims compare


def reproduce(words: Sequence[str]) -> None:
    """Run and report.

    Raises CellsFailed or CellsRefused, after the report, if a run failed.
    """
    console = plain_console(stderr=True)
    part, overrides, _ = parse(words, "reproduce")
    console.print("planning the grid")
    config, cells = compose_cells(overrides)
    refuse_nameless(config)
    refuse_same(asked_cells(cells))
    failed: CellsFailed | CellsRefused | None = None
    try:
        sweep(config, cells)
    except (CellsFailed, CellsRefused) as error:
        failed = error
    if config.plan_only:
        return
    path, collected = folder_of(config) / MANIFEST, None
    sources = manifest.sources_of(cells, config.figures.style)
    _, is_dirty = code_version()
    if not is_dirty and manifest.is_current(path, sources):
        console.print(f"Tables, figures and page in {folder_of(config)} are up to date.")
    else:
        written = report(part, config, cells, console)
        collected = written.collected
        try:
            manifest.write(path, sources, written.paths)
        except OSError as error:
            console.print(f"{path}: cannot be written ({error}); the next run reports again.")
    try:
        if (published := published_cells(cells[0].profile)) is not None:
            outcome = reproduction_of(cells, published, collected)
            if outcome.checks:
                print_reproduction(outcome, cells[0].profile, console)
    except InputError as error:  # a damaged published file: the run itself is complete
        console.print(f"The run cannot be compared with the published one: {error}")
    if failed is not None:
        raise failed


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
    return reproduction.compare(table, published, reproduction.load_tolerance())


def print_reproduction(outcome: Reproduction, profile: str, console: Console) -> None:
    """Print each comparison with the published run, and the verdict."""
    console.print(f"Against the published run (results/reference/{profile}):")
    for line in outcome.lines:
        console.print(line, soft_wrap=True)


def verify(words: Sequence[str]) -> None:
    """Print whether this machine reproduces the published run; exits with status 1 if not."""
    console = plain_console()
    outcome = rerun_sample(words, console)
    print_reproduction(outcome, PROFILE, console)
    if not outcome.holds:
        sys.exit(1)
