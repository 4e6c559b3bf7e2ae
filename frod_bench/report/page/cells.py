"""The map of runs: which exist and what became of them, each with a link to its record."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from frod_bench.report.frame import Method, Task, method_of, task_of
from frod_bench.report.names import label


class Meaning(NamedTuple):
    """A status as the map shows it."""

    mark: str
    words: str


MEANINGS = {
    "ok": Meaning("✓", "gave a number"),
    "undefined": Meaning("?", "ended, but its metric is not defined for its predictions"),
    "diverged": Meaning("D", "its loss became infinite or NaN, and would do so again"),
    "failed": Meaning("F", "stopped with an error; make reproduce-all runs it again"),
    "unusable": Meaning("U", "the file in its place is not a valid record; it runs again"),
    "missing": Meaning("–", "no record: not run yet, or refused; a new run says which"),
}


class CellLine(NamedTuple):
    """A run as the page shows it; `href` is its record's path relative to the page, or empty."""

    task: Task
    method: Method
    seed: int
    status: str
    score: str
    error: str
    href: str
    train_sec: str

    @property
    def words(self) -> str:
        """The run in a line of text."""
        name = f"{label(self.task)}, {label(self.method)}, seed {self.seed}: {self.status}"
        result = self.error or self.score
        return f"{name}, {result}" if result else name


class MapRow(NamedTuple):
    """A task and the runs of each method, an empty tuple if none was asked for."""

    task: Task
    by_method: tuple[tuple[CellLine, ...], ...]


def cell_lines(frame: pd.DataFrame, page_dir: Path) -> list[CellLine]:
    """One line per row of `Collected.frame`, in its order."""
    return [
        CellLine(
            task=task_of(row),
            method=method_of(row),
            seed=int(row.seed),
            status=row.status,
            score="" if np.isnan(row.value) else _score(row),
            error=row.error if isinstance(row.error, str) else "",
            href=relative(row.path, page_dir) if isinstance(row.path, str) else "",
            train_sec="" if np.isnan(row.train_sec) else f"{row.train_sec:.3g}",
        )
        for row in frame.itertuples(index=False)
    ]


def cell_map(lines: Iterable[CellLine]) -> tuple[list[Method], list[MapRow]]:
    """The methods, and one row per task, in the order of the lines."""
    found: dict[Task, dict[Method, list[CellLine]]] = {}
    methods: dict[Method, None] = {}
    for line in lines:
        methods[line.method] = None
        found.setdefault(line.task, {}).setdefault(line.method, []).append(line)
    rows = [
        MapRow(task, tuple(tuple(by_method.get(method, ())) for method in methods))
        for task, by_method in found.items()
    ]
    return list(methods), rows


def counts(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """How many runs have each existing status, `ok` first."""
    found = frame["status"].value_counts()
    return [(status, int(found[status])) for status in MEANINGS if status in found]


def relative(path: str | Path, page_dir: Path) -> str:
    """A link from the page to a file, relative, so that results can be moved as one folder."""
    return quote(Path(os.path.relpath(path, page_dir)).as_posix())


def _score(row: Any) -> str:
    error = "" if np.isnan(row.stderr) else f" (standard error {100 * row.stderr:.1f})"
    return f"{100 * row.value:.1f}{error}"
