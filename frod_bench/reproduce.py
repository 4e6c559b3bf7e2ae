"""The main job: run what is missing of a grid, then write its tables and figures.

    python -m frod_bench.reproduce [Hydra overrides]

The same as `python -m frod_bench.run -m` followed by `python -m frod_bench.report`, composed once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from frod_bench.complaints import exit_statuses
from frod_bench.errors import CellsFailed
from frod_bench.grid import compose_cells
from frod_bench.launch import run_grid
from frod_bench.report.__main__ import parse, report
from frod_bench.sweep import Cell


def up_to_date(cells: Sequence[Cell], results_dir: Path) -> bool:
    """Whether the tables and figures are newer than every record that they are made of."""
    made = list((results_dir / "tables").glob("*.md"))
    made += (results_dir / "figures").glob("*.pdf")
    records = [cell.record_path for cell in cells if cell.record_path.exists()]
    if not made or not records:
        return False
    return min(p.stat().st_mtime for p in made) > max(p.stat().st_mtime for p in records)


def reproduce(overrides: Sequence[str], console: Console) -> None:
    """Run and report. Raises CellsFailed, after the report, where a cell did not end well."""
    what, overrides = parse(overrides)
    config, cells = compose_cells(overrides)
    failed = None
    try:
        ran = run_grid(config, cells)
    except CellsFailed as error:
        failed, ran = error, len(cells)
    if config.plan_only:
        return
    if ran == 0 and up_to_date(cells, cells[0].results_dir):
        console.print(f"Tables and figures in {cells[0].results_dir} are up to date.")
    else:
        report(what, config, cells, console)
    if failed is not None:
        raise failed


def main() -> None:
    """Read the command line."""
    with exit_statuses():
        reproduce(sys.argv[1:], Console(stderr=True))


if __name__ == "__main__":
    main()
