"""The committed runs that a method is compared with: found by their settings, read, never run."""

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

import pandas as pd

from frod_bench.cells.cell import Cell
from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.common.paths import is_published
from frod_bench.jobs.verify import sample
from frod_bench.records import hashing, sources
from frod_bench.records.schema import Record
from frod_bench.report.asked import Cell as Asked
from frod_bench.report.asked import asked_cells


@dataclass(frozen=True)
class Reference:
    """The runs of the other methods that a comparison asks for, and their committed records.

    A record is that of a cell if all settings and weights are equal, by `hashing.settings_hash`:
    files of data may differ in their bytes from machine to machine.
    """

    folder: Path  # a results folder, with its records as files or as parts
    cells: Sequence[Cell]  # of the methods that have a record
    records: Mapping[Cell, Record]
    missing: Sequence[str] = ()  # a line for each method that lacks records

    @property
    def methods(self) -> list[str]:
        """The methods that have a record."""
        return list(dict.fromkeys(cell.method for cell in self.records))

    def asked(self, cells: Sequence[Cell] | None = None) -> list[Asked]:
        """`cells`, by default all, as a report asks for them: with the hashes of their records."""
        chosen = self.cells if cells is None else cells
        return [
            replace(asked, config_hash=self.records[cell]["cell"]["config_hash"])
            if cell in self.records
            else asked
            for cell, asked in zip(chosen, asked_cells(chosen), strict=True)
        ]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Mean recorded seconds of a run by task and head: setup, training and evaluation."""
        return self._mean(seconds_of)

    @cached_property
    def search_seconds(self) -> dict[str, float]:
        """The same without evaluation: a run of the search has no curve."""
        return self._mean(seconds_of_training)

    def _mean(self, measure: Callable[[Record], float | None]) -> dict[str, float]:
        spent: dict[str, list[float]] = {}
        for cell, record in self.records.items():
            if (seconds := measure(record)) is not None:
                spent.setdefault(with_head(cell.task, cell.settings.head), []).append(seconds)
        return {task: fmean(found) for task, found in spent.items()}

    def sample(self) -> list[Cell]:
        """The cells that `verify` would choose: one of each family and method."""
        ended = {cell: record for cell, record in self.records.items() if record["status"] == "ok"}
        if not ended:
            return []
        named = {(cell.task, cell.method, cell.seed): cell for cell in ended}
        keys = ("family", "task", "method", "seed")
        table = pd.DataFrame([{k: getattr(c, k) for k in keys} | {"status": "ok"} for c in ended])
        return [named[key] for key in dict.fromkeys(sample(table)) if key in named]


def read_reference(folder: Path, cells: Sequence[Cell], words: Sequence[str]) -> Reference:
    """The records of `cells`, which `words` asked for, in a results folder.

    Raises InputError if there are none, and as `sources.opened`.
    """
    records, _ = sources.opened(folder).scan()
    reference = reference_in(folder, records, cells)
    if reference.records:
        return reference
    others = f"It has {len(records)} records of other settings. " if records else ""
    if not records and is_published(folder):
        others = "The published runs are in results/reference of a clone, and not in a wheel. "
    raise InputError(
        f"{folder}: has no records of the methods that yours is compared with, at these settings. "
        f"{others}Make them, frod-bench reproduce experiment=main_table {shlex.join(words)}, and "
        "name the folder that they are in, against=RESULTS_ROOT/PROFILE."
    )


def reference_in(folder: Path, records: Sequence[Record], cells: Sequence[Cell]) -> Reference:
    """The reference runs in `folder`: those of `cells` whose method has any of its `records`.

    If a cell has several records, the newest with status ok is taken, or else the newest.
    """
    best_last = sorted(records, key=_preference)
    by_settings = {hashing.settings_hash(record): record for record in best_last}
    found = {cell: by_settings.get(settings_of(cell)) for cell in cells}
    made = {cell: record for cell, record in found.items() if record is not None}
    methods = {cell.method for cell in made}
    of_methods = [cell for cell in cells if cell.method in methods]
    return Reference(folder, of_methods, made, lacking(cells, made))


def _preference(record: Record) -> tuple[bool, str]:
    return record["status"] == "ok", record["provenance"]["started_at"]


def lacking(cells: Sequence[Cell], made: Collection[Cell]) -> list[str]:
    """A line for each method that lacks records: how many, and which if they are few."""
    total, lost = Counter(cell.method for cell in cells), dict[str, list[str]]()
    for cell in cells:
        if cell not in made:
            name = f"{with_head(cell.task, cell.settings.head)} seed {cell.seed}"
            lost.setdefault(cell.method, []).append(name)
    return [
        f"{method}: {len(names)} of {total[method]} runs" + _named(names)
        for method, names in lost.items()
    ]


def settings_of(cell: Cell) -> str:
    """`hashing.settings_hash` of the record that a cell would leave."""
    return hashing.config_hash(hashing.identity(cell.config, "", cell.backbone_fingerprint))


def seconds_of(record: Record) -> float | None:
    """Seconds of a run: setup, training and evaluation; None if it left none."""
    time = record["time"]
    return time and time["setup_sec"] + time["train_sec"] + time["eval_sec"]


def seconds_of_training(record: Record) -> float | None:
    """Seconds of a run without its evaluations; None if it left none."""
    time = record["time"]
    return time and time["setup_sec"] + time["train_sec"]


def _named(names: Sequence[str], most: int = 3) -> str:
    return f" ({', '.join(names)})" if len(names) <= most else ""
