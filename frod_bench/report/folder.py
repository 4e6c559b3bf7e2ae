"""A results folder as it lies there: a report of its records, whatever data and weights are here.

The hash of a cell knows its data and weights, so a grid that is composed where these are not at
hand finds no record of it. Here the records themselves say which cells there are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.records import hashing, store
from frod_bench.records.schema import Record
from frod_bench.report.collect import Cell

PROTOCOLS = ("fair", "paper")  # whose cells are a comparison; those of `tune` pick rates
COLUMNS = ("full", "lora", "dora", "frod", "frozen")  # first and in this order, as in the Makefile


def cells_in(results_dir: Path) -> tuple[list[Cell], str]:
    """The cells that have a record in `results/<profile>`, and the profile's title.

    One protocol's: the first of `PROTOCOLS` that is there. Backbones with random weights are left
    out. A cell whose record cannot be used is among them, for a table must show the hole. Raises
    InputError where no record remains, or one is of another profile than the folder's name says.
    """
    records, unusable = store.scan(results_dir / "records")
    others = {made["cell"]["profile"] for made in records} - {results_dir.name}
    if others:
        raise InputError(
            f"folder={results_dir}: holds records of profile {', '.join(sorted(others))}. A "
            "folder is named after its profile and holds no other's; move them apart."
        )
    there = Counter(made["cell"]["protocol"] for made in records)
    protocol = next((name for name in PROTOCOLS if name in there), None)
    kept = [
        made
        for made in records
        if made["cell"]["protocol"] == protocol and made["config"].get("pretrained", True)
    ]
    if not kept:
        raise InputError(
            f"folder={results_dir}: no record of protocol {' or '.join(PROTOCOLS)} under "
            f"{results_dir / 'records'} ({len(records)} others, {len(unusable)} unusable files). "
            "Name a folder that holds records/, such as results/reference/small, or make some: "
            "`make smoke` writes them to results/smoke/embedded, `make reproduce-all` to "
            "results/embedded."
        )
    cells = dict.fromkeys(map(_cell, sorted(kept, key=_place)))
    for path, _ in unusable:
        cells |= dict.fromkeys(_lost(path, list(cells)))
    return list(cells), hashing.profile_title(kept[0]["config"])


def _lost(path: Path, cells: Sequence[Cell]) -> list[Cell]:
    """The cell that a file without a usable record stands for, under each head of its task that
    lacks it; none where another record is there.
    """
    task, method, seed = path.parent.parent.name, path.parent.name, path.name.split("-")[0]
    kin = [cell for cell in cells if cell.task == task]
    if not kin or not seed.isdecimal():
        return []
    there = {(cell.method, cell.seed, cell.head) for cell in kin}
    by_head = {cell.head: cell for cell in kin}
    return [
        replace(cell, method=method, seed=int(seed))
        for head, cell in by_head.items()
        if (method, int(seed), head) not in there
    ]


def _cell(made: Record) -> Cell:
    cell, head = made["cell"], made["config"].get("head", "classify")
    names = cell["task"], cell["method"], cell["seed"]
    return Cell(*names, protocol=cell["protocol"], family=cell["family"], head=head)


def _place(made: Record) -> tuple[str, str, str, int, str]:
    cell, head = made["cell"], made["config"].get("head", "classify")
    method = cell["method"]
    column = COLUMNS.index(method) if method in COLUMNS else len(COLUMNS)
    return cell["family"], head, cell["task"], column, method
