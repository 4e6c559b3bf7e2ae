"""What the last report was made of, so that the same report is not written twice.

A manifest is a cache: if it is damaged or missing, this costs the time of a report, and nothing
else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import code_version
from frod_bench.common import atomic
from frod_bench.common.paths import CELLS_PATH, REFERENCE_DIR
from frod_bench.records import store

WRITTEN, COMPARED = "written", "compared"
# In a profile's results folder: what its claims and warnings read beside the records.
BESIDE = (
    "tables/search.csv",
    "tables/picks.csv",
    "update_spectrum/tables/update_spectrum.csv",
    "expressible/tables/expressible.csv",
)
CONSTANT_RATE = "constant_rate"  # of the results root: runs that the claims are judged on, too


def options_of(config: DictConfig) -> dict[str, Any]:
    """What a report takes from a configuration beside its cells."""
    experiment = OmegaConf.to_container(config.experiment) if config.experiment else None
    return {
        "style": str(config.figures.style),
        "title": str(config.profile.title),
        "experiment": experiment,
    }


def sources_of(cells: Sequence[Cell], options: Mapping[str, Any], part: str) -> dict[str, Any]:
    """What decides whether a `part` of a report of `cells`, and its comparison with the published
    run, are current.

    This is the code, the options, the records with their files, the records at a constant learning
    rate, the tables of searches and analyses, and the published run. It has to be taken before the
    report reads them, so that a record that arrives in the meantime does not count as reported.
    """
    folder = cells[0].results_dir
    return {
        "code_version": code_version()[0],
        "options": dict(options),
        "part": part,
        "published": _stamps([REFERENCE_DIR / cells[0].profile / CELLS_PATH]),
        "records": _stamps(
            place(cell.record_path)
            for cell in cells
            for place in (Path, store.curve_path, store.predictions_path)
        ),
        "beside": _stamps(folder / name for name in BESIDE),
        "constant": _stamps(
            sorted((folder.parent / CONSTANT_RATE / folder.name / "records").rglob("*.*"))
        ),
    }


def compared_lines(path: Path, sources: dict[str, Any]) -> list[str] | None:
    """The kept lines of the comparison, if the manifest is of these sources and the report's files
    are as they were written; else None.
    """
    try:
        noted = json.loads(path.read_bytes())
        written, lines = noted.pop(WRITTEN), noted.pop(COMPARED)
        is_current = bool(written) and noted == sources and _stamps(map(Path, written)) == written
        is_whole = type(lines) is list and all(type(line) is str for line in lines)
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return None
    return lines if is_current and is_whole else None


def write(
    path: Path, sources: dict[str, Any], written: Iterable[Path], compared: Sequence[str]
) -> None:
    """Note the sources of a report, the files that it wrote and the lines of its comparison. Raises
    OSError if that fails.
    """
    noted = {**sources, WRITTEN: _stamps(written), COMPARED: list(compared)}
    atomic.write_text(path, json.dumps(noted, indent=1) + "\n")


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
