"""The main job: run what is missing of a grid, then write its tables, figures and page.

    python -m frod_bench.reproduce [Hydra overrides]

The same as `python -m frod_bench.run -m` followed by `python -m frod_bench.report`, composed once.
Where nothing ran and the last report was made of the very same records, it is not made again.
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
from frod_bench.jobs.verify import beside_published, tell
from frod_bench.records.provenance import code_version
from frod_bench.report.collect import refuse_same
from frod_bench.report.command import MANIFEST, asked_cells, folder_of, parse, report
from frod_bench.report.reproduction import published_cells
from frod_bench.sweep.launch import run_grid


def stamps(paths: Iterable[Path]) -> dict[str, list[int] | None]:
    """Size in bytes and time of change in nanoseconds of every file; None where there is none."""
    found = {path: path.stat() if path.exists() else None for path in paths}
    return {str(p): [stat.st_size, stat.st_mtime_ns] if stat else None for p, stat in found.items()}


def is_current(manifest: Path, cells: Sequence[Cell]) -> bool:
    """Whether this very code made the last report of these very records, and nobody touched it."""
    version, dirty = code_version()
    if dirty or not manifest.exists():
        return False
    noted = json.loads(manifest.read_text())
    return noted == {
        "code_version": version,
        "records": stamps(cell.record_path for cell in cells),
        "written": stamps(map(Path, noted["written"])),
    }


def reproduce(overrides: Sequence[str], console: Console) -> None:
    """Run and report.

    Raises CellsFailed or CellsRefused, after the report, where a cell did not end well.
    """
    what, overrides = parse(overrides)
    console.print("planning the grid")
    config, cells = compose_cells(overrides)
    refuse_same(asked_cells(cells))
    failed: CellsFailed | CellsRefused | None = None
    try:
        run_grid(config, cells)
    except (CellsFailed, CellsRefused) as error:
        failed = error
    if config.plan_only:
        return
    folder = folder_of(config)
    manifest = folder / MANIFEST
    if is_current(manifest, cells):
        console.print(f"Tables, figures and page in {folder} are up to date.")
    else:
        written = report(what, config, cells, console)
        made_from = {
            "code_version": code_version()[0],
            "records": stamps(cell.record_path for cell in cells),
            "written": stamps(written),
        }
        manifest.write_text(json.dumps(made_from, indent=1))
    try:
        tell_reproduction(cells, console)
    except InputError as error:  # a damaged published file: the run itself is whole
        console.print(f"The run cannot be compared with the published one: {error}")
    if failed is not None:
        raise failed


def tell_reproduction(cells: Sequence[Cell], console: Console) -> None:
    """Set the cells of a grid beside the published run of their profile."""
    profile = cells[0].profile
    published = published_cells(profile)
    if published is None:
        return
    outcome = beside_published(cells, published)
    if outcome.checks:
        tell(outcome, profile, console)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        reproduce(words, plain_console(stderr=True))
