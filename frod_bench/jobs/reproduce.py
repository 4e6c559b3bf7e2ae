"""The main job: run the missing cells of a grid, then write its tables, figures and page.

    frod-bench reproduce [overrides]

The same as `frod-bench run -m` followed by `frod-bench report`, but the grid is composed once. The
report is written again only if its records, its files or the code have changed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.terminal import plain_console
from frod_bench.jobs.validate import check_methods
from frod_bench.jobs.verify import collected_of, print_reproduction
from frod_bench.records.provenance import code_version
from frod_bench.report.cells_table import cells_table
from frod_bench.report.collect import refuse_same
from frod_bench.report.command import MANIFEST, asked_cells, folder_of, parse, report
from frod_bench.report.reproduction import compare, load_tolerance, published_cells
from frod_bench.sweep.launch import run_grid


def stamps(paths: Iterable[Path]) -> dict[str, list[int] | None]:
    """Size in bytes and modification time in nanoseconds per file; None if it does not exist."""
    found = {path: path.stat() if path.exists() else None for path in paths}
    return {str(p): [stat.st_size, stat.st_mtime_ns] if stat else None for p, stat in found.items()}


def is_current(manifest: Path, cells: Sequence[Cell], figure_style: str) -> bool:
    """Whether this code wrote the last report of these records in this style, and no file has
    changed since.
    """
    version, dirty = code_version()
    if dirty or not manifest.exists():
        return False
    noted = json.loads(manifest.read_text())
    return noted == {
        "code_version": version,
        "figures": figure_style,
        "records": stamps(cell.record_path for cell in cells),
        "written": stamps(map(Path, noted["written"])),
    }


def reproduce(overrides: Sequence[str], console: Console) -> None:
    """Run and report.

    Raises CellsFailed or CellsRefused, after the report, if a run failed.
    """
    part, overrides, _ = parse(overrides, "reproduce")
    console.print("planning the grid")
    config, cells = compose_cells(overrides)
    refuse_same(asked_cells(cells))
    failed: CellsFailed | CellsRefused | None = None
    try:
        run_grid(config, cells, check_methods)
    except (CellsFailed, CellsRefused) as error:
        failed = error
    if config.plan_only:
        return
    folder = folder_of(config)
    manifest = folder / MANIFEST
    collected = None
    if is_current(manifest, cells, config.figures.style):
        console.print(f"Tables, figures and page in {folder} are up to date.")
    else:
        written = report(part, config, cells, console)
        collected = written.collected
        made_from = {
            "code_version": code_version()[0],
            "figures": config.figures.style,
            "records": stamps(cell.record_path for cell in cells),
            "written": stamps(written.paths),
        }
        manifest.write_text(json.dumps(made_from, indent=1))
    profile = cells[0].profile
    try:
        if (published := published_cells(profile)) is not None:
            found = collected or collected_of(cells)
            table = cells_table(found.frame, found.curves)
            outcome = compare(table, published, load_tolerance())
            if outcome.checks:
                print_reproduction(outcome, profile, console)
    except InputError as error:  # a damaged published file: the run itself is complete
        console.print(f"The run cannot be compared with the published one: {error}")
    if failed is not None:
        raise failed


def start(words: Sequence[str]) -> None:
    """Run the command line; exits with its status."""
    with exit_statuses():
        reproduce(words, plain_console(stderr=True))
