"""The main job: run what is missing of a grid, then write its tables and figures.

    python -m frod_bench.reproduce [Hydra overrides]

The same as `python -m frod_bench.run -m` followed by `python -m frod_bench.report`, composed once.
Where nothing ran and the last report was made of the very same records, it is not made again.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from frod_bench.complaints import exit_statuses
from frod_bench.errors import CellsFailed
from frod_bench.grid import compose_cells
from frod_bench.launch import run_grid
from frod_bench.provenance import code_version
from frod_bench.report.__main__ import folder_of, parse, report
from frod_bench.sweep import Cell

MANIFEST = Path("tables") / ".made_from.json"


def sources(cells: Sequence[Cell]) -> dict[str, object]:
    """What a report is made of: the code, and each cell's record by path, size and time."""
    records = {}
    for cell in cells:
        path = cell.record_path
        stat = path.stat() if path.exists() else None
        records[str(path)] = [stat.st_size, stat.st_mtime_ns] if stat else None
    return {"code": list(code_version()), "records": records}


def reproduce(overrides: Sequence[str], console: Console) -> None:
    """Run and report. Raises CellsFailed, after the report, where a cell did not end well."""
    what, overrides = parse(overrides)
    console.print("planning the grid")
    config, cells = compose_cells(overrides)
    failed = None
    try:
        run_grid(config, cells)
    except CellsFailed as error:
        failed = error
    if config.plan_only:
        return
    manifest = folder_of(config) / MANIFEST
    made_from = sources(cells)
    if manifest.exists() and json.loads(manifest.read_text()) == made_from:
        console.print(f"Tables and figures in {folder_of(config)} are up to date.")
    else:
        report(what, config, cells, console)
        manifest.write_text(json.dumps(made_from, indent=1))
    if failed is not None:
        raise failed


def main() -> None:
    """Read the command line."""
    with exit_statuses():
        reproduce(sys.argv[1:], Console(stderr=True))


if __name__ == "__main__":
    main()
