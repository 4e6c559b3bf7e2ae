"""The main job: run the missing cells of a grid, then write its tables, figures and page.

As `frod-bench run -m`, then `frod-bench report`, but the grid is composed once. The report is
written again only if its records, its files or the code have changed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.terminal import plain_console
from frod_bench.jobs.validate import check_methods
from frod_bench.jobs.verify import print_reproduction, reproduction_of
from frod_bench.records.provenance import code_version
from frod_bench.report.collect import refuse_same
from frod_bench.report.command import MANIFEST, asked_cells, folder_of, parse, report
from frod_bench.report.reproduction import published_cells
from frod_bench.sweep.launch import run_grid


def stamps(paths: Iterable[Path]) -> dict[str, list[int] | None]:
    """Size in bytes and modification time in nanoseconds per file; None if it does not exist."""
    found = {path: path.stat() if path.exists() else None for path in paths}
    return {str(p): [stat.st_size, stat.st_mtime_ns] if stat else None for p, stat in found.items()}


def made_from(
    cells: Iterable[Cell], figure_style: str, written: Iterable[Path]
) -> dict[str, object]:
    """Everything that decides whether a report is current: code, style, records and its files."""
    return {
        "code_version": code_version()[0],
        "figures": figure_style,
        "records": stamps(cell.record_path for cell in cells),
        "written": stamps(written),
    }


def is_current(manifest: Path, cells: Iterable[Cell], figure_style: str) -> bool:
    """Whether this code, without changes, wrote the last report of these records in this style,
    and no file has changed since.
    """
    _, dirty = code_version()
    if dirty or not manifest.exists():
        return False
    noted = json.loads(manifest.read_text())
    return noted == made_from(cells, figure_style, map(Path, noted["written"]))


def start(words: Sequence[str]) -> None:
    """Run and report.

    Raises CellsFailed or CellsRefused, after the report, if a run failed.
    """
    console = plain_console(stderr=True)
    part, overrides, _ = parse(words, "reproduce")
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
        noted = made_from(cells, config.figures.style, written.paths)
        manifest.write_text(json.dumps(noted, indent=1))
    try:
        if (published := published_cells(cells[0].profile)) is not None:
            outcome = reproduction_of(cells, published, collected)
            if outcome.checks:
                print_reproduction(outcome, cells[0].profile, console)
    except InputError as error:  # a damaged published file: the run itself is complete
        console.print(f"The run cannot be compared with the published one: {error}")
    if failed is not None:
        raise failed
