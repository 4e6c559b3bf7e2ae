"""The records behind a report: what became of each run, and what the records were made with."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from frod_bench.report.collect import Collected
from frod_bench.report.frame import by_task, method_of, runs_of, task_of
from frod_bench.report.keys import Method, Task
from frod_bench.report.names import label
from frod_bench.report.table import NOT_THERE, Row, Table

MEANINGS = {  # status -> its mark on the map of runs, and what it means
    "ok": ("✓", "gave a number"),
    "undefined": ("?", "ended, but its metric is not defined for its predictions"),
    "diverged": ("D", "its loss became infinite or NaN, and would do so again"),
    "failed": ("F", "stopped with an error; make reproduce-all runs it again"),
    "unusable": ("U", "the file in its place is not a valid record; it runs again"),
    "missing": ("–", "no record: not run yet, or refused; a new run says which"),
}
PREFIX = 12  # digits of a fingerprint that are shown, enough to distinguish any two


class RunLine(NamedTuple):
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


def run_lines(frame: pd.DataFrame, page_dir: Path) -> list[RunLine]:
    """One line per row of `Collected.frame`, in its order."""
    return [
        RunLine(
            task=task_of(row),
            method=method_of(row),
            seed=int(row.seed),
            status=row.status,
            score=_score(row),
            error=row.error if isinstance(row.error, str) else "",
            href=relative(row.path, page_dir) if _is_file(row.path) else "",
            train_sec="" if np.isnan(row.train_sec) else f"{row.train_sec:.3g}",
        )
        for row in frame.itertuples(index=False)
    ]


def _is_file(path: object) -> bool:
    """Whether a run's record is a file that a page can link to, and not a row of a part."""
    return isinstance(path, str) and Path(path).exists()


def run_map(
    lines: Iterable[RunLine], methods: Sequence[Method]
) -> dict[Task, dict[Method, list[RunLine]]]:
    """The runs of each task and method; an empty list if none was asked for."""
    found: dict[Task, dict[Method, list[RunLine]]] = {}
    for line in lines:
        found.setdefault(line.task, {method: [] for method in methods})[line.method].append(line)
    return found


def relative(path: str | Path, page_dir: Path) -> str:
    """A link from the page to a file, relative, so that results can be moved as one folder."""
    return quote(Path(os.path.relpath(path, page_dir)).as_posix())


def _score(row: Any) -> str:
    if np.isnan(row.value):
        return ""
    error = "" if np.isnan(row.stderr) else f" (standard error {100 * row.stderr:.1f})"
    return f"{100 * row.value:.1f}{error}"


def provenance_table(collected: Collected, title: str) -> Table:
    """What the records were made with, and how many of each if they differ."""
    made = list(collected.provenance.values())
    started = sorted(entry["started_at"] for entry in made) or [NOT_THERE]
    dirty = sum(bool(entry["dirty"]) for entry in made)
    packages = sorted({name for entry in made for name in entry["packages"]})
    versions = {
        name: [entry["packages"][name] for entry in made if name in entry["packages"]]
        for name in packages
    }
    models = [
        entry.get("accelerator", "not recorded") for entry in made if entry["device"] != "cpu"
    ]
    values = {
        "records": f"{len(made)} of {len(collected.frame)} runs",
        "first started": started[0],
        "last started": started[-1],
        "protocol": _several(collected.frame["protocol"].dropna()),
        "code version": _several(entry["code_version"] for entry in made),
        "made by code with uncommitted changes": f"{dirty} of {len(made)} records",
        "device": _several(entry["device"] for entry in made),
        "processor": _several(entry.get("processor", "not recorded") for entry in made),
        **({"accelerator": _several(models)} if models else {}),
        "number type": _several(entry["dtype"] for entry in made),
        "threads per run": _several(str(entry["threads"]) for entry in made),
        **{name: _several(found) for name, found in versions.items()},
    }
    caption = (
        "What the records were made with. If a property has several values, the number of records "
        "with each is in brackets: their times, and the last digits of their scores, are not "
        "comparable."
    )
    rows = [Row(name, (value,)) for name, value in values.items()]
    return Table(f"Provenance: {title}", caption, ("property", "value"), rows, prose=True)


def inputs_table(collected: Collected, title: str) -> Table:
    """Data and backbone of each task, identified by content."""
    frame, rows = collected.frame, []
    for task, runs in by_task(frame[frame["backbone"].notna()]):
        made = [collected.provenance[run] for run in runs_of(runs)]
        data = _several(entry["data_fingerprint"][:PREFIX] for entry in made)
        weights = _several(entry["backbone_fingerprint"][:PREFIX] for entry in made)
        rows.append(Row(label(task), (data, _several(runs["backbone"]), weights)))
    caption = f"Data and weights are identified by the first {PREFIX} digits of their hash."
    header = ("task", "data", "backbone", "weights")
    return Table(f"Inputs: {title}", caption, header, rows, prose=True)


def _several(values: Iterable[str]) -> str:
    """The value, or each of several with its count."""
    found = Counter(values)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{value} ({n})" for value, n in sorted(found.items())) or NOT_THERE
