"""What the last whole report was made of, so that the same report is not written twice. A manifest
is a cache: one that is damaged or missing costs the time of a report, and nothing else.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import code_version
from frod_bench.common import atomic

WRITTEN = "written"


def sources_of(cells: Iterable[Cell], figure_style: str) -> dict[str, Any]:
    """What decides whether a report of `cells` is current: code, style and records. Taken before
    the report reads, so that a record which arrives in the meantime is not taken for reported.
    """
    return {
        "code_version": code_version()[0],
        "figures": figure_style,
        "records": _stamps(cell.record_path for cell in cells),
    }


def is_current(path: Path, sources: dict[str, Any]) -> bool:
    """Whether the manifest is of these sources, and the report's files are as they were written."""
    try:
        noted = json.loads(path.read_bytes())
        written = noted.pop(WRITTEN)
        return bool(written) and noted == sources and _stamps(map(Path, written)) == written
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return False


def write(path: Path, sources: dict[str, Any], written: Iterable[Path]) -> None:
    """Note the sources of a report and the files that it wrote. Raises OSError if that fails."""
    atomic.write_text(path, json.dumps({**sources, WRITTEN: _stamps(written)}, indent=1) + "\n")


def _stamps(paths: Iterable[Path]) -> dict[str, list[int] | None]:
    """Size in bytes and modification time in nanoseconds of each file; None if it has none."""
    found: dict[str, list[int] | None] = {}
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found[str(path)] = None
        else:
            found[str(path)] = [stat.st_size, stat.st_mtime_ns]
    return found
