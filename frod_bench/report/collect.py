"""Records -> one tidy frame: a row for each cell of an experiment, whatever became of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from frod_bench.common.errors import InputError
from frod_bench.common.names import settings_text, with_head
from frod_bench.records import archive, hashing, schema, select, store
from frod_bench.records.schema import CurvePoint, Provenance, Record
from frod_bench.records.store import Unusable
from frod_bench.report.curves import evaluations
from frod_bench.report.frame import AXIS, METRIC, Run, Task, frame_of, run_of
from frod_bench.report.names import method_named, spelled

NO_FAMILY = "unknown family"


@dataclass(frozen=True)
class Cell:
    """A cell that a report asks for.

    `config_hash` says which record is meant; without it the newest of the task, method and seed
    (and protocol, if named) is taken, with a warning if there are several. A `family` that is left
    out is read off the task's other records. Cells with `axes` are variants of their method.
    """

    task: str
    method: str
    seed: int
    config_hash: str | None = None
    protocol: str | None = None
    family: str | None = None
    head: str = "classify"
    axes: tuple[tuple[str, str, Any], ...] = ()  # each a setting, its short name, its value

    @property
    def run(self) -> Run:
        """The cell's key in the report."""
        settings = settings_text((name, value) for _, name, value in self.axes)
        method = method_named(self.method, settings)
        return Run(Task(self.task, self.head), method, self.seed)


Curves = dict[Run, list[CurvePoint]]


@dataclass
class Collected:
    """What a report is made of; `frame` (see `frame_of`) has a row for each cell, as asked for."""

    frame: pd.DataFrame
    curves: Curves
    provenance: dict[Run, Provenance] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)  # other files among the records
    warnings: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)  # all of the profile, asked for or not


def collect(results_root: Path, profile: str, cells: Sequence[Cell]) -> Collected:
    """`collect_folder` of a profile's own folder, `<results_root>/<profile>`."""
    return collect_folder(results_root / profile, profile, cells)


def collect_folder(results_dir: Path, profile: str, cells: Sequence[Cell]) -> Collected:
    """Pick the records of `cells` out of `<results_dir>/records`, and say what was not asked for.

    A bad record raises nothing: its cell is shown as `unusable`. Raises InputError if two of
    `cells` are of one task, method and seed.
    """
    return collect_folders(profile, {results_dir: cells})


def collect_folders(profile: str, asked: Mapping[Path, Sequence[Cell]]) -> Collected:
    """`collect_folder` of several results folders as one, each with the cells that are its own."""
    refuse_same(cell for cells in asked.values() for cell in cells)
    whole = _Gathered()
    for results_dir, cells in asked.items():
        whole.add(archive.records_dir(results_dir), profile, cells)
    return Collected(
        frame_of(whole.rows),
        whole.curves,
        whole.provenance,
        whole.others,
        [*whole.warnings, *_cautions(whole.used), *whole.unusable],
        whole.records,
    )


class _Gathered:
    """What was found so far, folder after folder."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.curves: Curves = {}
        self.provenance: dict[Run, Provenance] = {}
        self.others: list[str] = []
        self.warnings: list[str] = []
        self.unusable: list[str] = []  # warnings that come last
        self.used: list[Record] = []
        self.records: list[Record] = []

    def add(self, folder: Path, profile: str, cells: Sequence[Cell]) -> None:
        """Add the records of `cells`, and what else is in a folder of records."""
        records, unusable = store.scan(folder)
        selector = select.Selector(records, profile)
        choices = [
            selector.choose(
                select.Run(cell.task, cell.method, cell.seed, cell.head),
                config_hash=cell.config_hash,
                protocol=cell.protocol,
            )
            for cell in cells
        ]
        self.warnings += [choice.warning for choice in choices if choice.warning]
        families = {made["cell"]["task"]: made["cell"]["family"] for made in records}
        for cell, (made, _) in zip(cells, choices, strict=True):
            family = cell.family or families.get(cell.task, NO_FAMILY)
            self._add_run(cell, family, made, folder, unusable)
        self.used += [made for made, _ in choices if made is not None]
        self.records += [made for made in records if made["cell"]["profile"] == profile]
        counts = Counter(made["cell"]["profile"] for made in records)
        if foreign := [f"{name} ({n})" for name, n in sorted(counts.items()) if name != profile]:
            self.warnings.append(
                f"Records of other profiles in this folder are not shown: {', '.join(foreign)}."
            )
        paths = {row.get("path") for row in self.rows}
        self.unusable += [
            f"{'/'.join(path.parts[-3:])} is not a usable record, and left out: {reason}"
            for path, reason in unusable
            if str(path) not in paths  # otherwise it is the missing run of a row
        ]
        runs = [
            select.Run.of(made)
            for made in records
            if str(store.path_below(folder, made["cell"])) not in paths
        ]
        unasked = Counter(f"{with_head(run.task, run.head)}, {run.method}" for run in runs)
        self.others += [f"{name}: {n} of other cells" for name, n in unasked.items()]
        self.others += [f"{path}: unusable, {reason}" for path, reason in unusable]

    def _add_run(
        self,
        cell: Cell,
        family: str,
        made: Record | None,
        folder: Path,
        unusable: Iterable[Unusable],
    ) -> None:
        run = cell.run
        base = {**run.task._asdict(), "family": family, **run.method._asdict(), "seed": run.seed}
        base |= {f"{AXIS}{key}": value for key, _, value in cell.axes}
        if made is None:
            self.rows.append(base | _absent(cell, folder, unusable))
            return
        path = store.path_below(folder, made["cell"])
        self.rows.append(base | row_of(made) | {"path": str(path)})
        self.provenance[run] = made["provenance"]
        curve, troubles = _side_files(path, made)
        if curve:
            self.curves[run] = curve
        named = f"{path.name} of {cell.task}, {spelled(run.method)}"
        self.warnings += [f"{named}: {trouble}" for trouble in troubles]


def _side_files(path: Path, made: Record) -> tuple[list[CurvePoint], list[str]]:
    """A record's curve, empty if it cannot be read, and what is wrong with its other files."""
    curve: list[CurvePoint] = []
    troubles = []
    metric = made["primary_metric"]
    if made["curve"] is not None:
        try:
            curve = store.read_curve(path, made)
        except schema.RecordError as error:
            troubles.append(str(error))
        else:
            if made["status"] == "ok" and not evaluations(curve, metric, 0.0).values.size:
                troubles.append(f"its curve has no evaluation with a finite {metric}.")
    try:
        predictions = store.predictions_path(path)
        if predictions.exists() and (damage := store.damage_of(made, "predictions", predictions)):
            troubles.append(damage)
    except OSError as error:
        troubles.append(f"predictions cannot be read ({error}).")
    return curve, troubles


def missing_runs(frame: pd.DataFrame) -> list[str]:
    """A line for each cell that gave no number: what, which, and why if that is known."""
    return [
        f"{row.status}: {run_text(run_of(row))}"
        + (f": {row.error}" if isinstance(row.error, str) else "")
        for row in frame[frame["status"] != "ok"].itertuples(index=False)
    ]


def run_text(run: Run) -> str:
    """A run in a message, in the names that a user types."""
    return f"{spelled(run.task)}, {spelled(run.method)}, seed {run.seed}"


def refuse_same(cells: Iterable[Cell]) -> None:
    """Raise InputError if two of `cells` are of one run, for which a table has one number."""
    counts = Counter(cell.run for cell in cells)
    same = [run_text(run) for run, n in counts.items() if n > 1]
    if same:
        raise InputError(
            f"{len(same)} of {len(counts)} cells are asked for more than once, with different "
            f"settings, such as {same[0]}. A report shows one of them: leave the other settings "
            "out of the grid, or name them in experiment.axes (docs/how-to/analyses.md)."
        )


def _absent(cell: Cell, folder: Path, unusable: Iterable[Unusable]) -> dict[str, Any]:
    """Status of a cell without a record: missing, or unusable if a bad file is in its place."""
    here = folder / cell.task / cell.method
    names = f"{cell.seed}-{cell.config_hash or ''}"
    for path, reason in unusable:
        if path.parent == here and path.name.startswith(names):
            return {"status": "unusable", "error": reason, "path": str(path)}
    return {"status": "missing"}


def row_of(made: Record) -> dict[str, Any]:
    """What a record says of its run, by the columns of the frame."""
    cell, error, steps, time = made["cell"], made["error"], made["steps"], made["time"]
    metrics = made["metrics"] if made["status"] == "ok" else {}
    primary = metrics.get(made["primary_metric"])
    is_undefined = primary is not None and primary["value"] is None
    return {
        "status": "undefined" if is_undefined else made["status"],
        "profile_title": hashing.profile_title(made["config"]),
        "protocol": cell["protocol"],
        "metric": made["primary_metric"],
        "higher_is_better": made["higher_is_better"],
        "curve_split": made["config"]["protocol"]["curve_split"],
        "curve_rows": made["config"]["trainer"].get("curve_rows"),
        "schedule": made["config"]["trainer"].get("schedule"),
        "backbone": cell["backbone"],
        "config_hash": cell["config_hash"],
        "settings_hash": hashing.settings_hash(made),
        "steps": steps,
        **(primary or {}),
        **{f"{METRIC}{name}": metric["value"] for name, metric in metrics.items()},
        **(made["params"] or {}),
        **(time or {}),
        "step_sec": time["train_sec"] / steps if time and steps else None,
        **(made["memory"] or {}),
        "error": f"{error['type']}: {error['message']}" if error else None,
        "code_version": made["provenance"]["code_version"],
        "device": made["provenance"]["device"],
    }


def _cautions(used: Sequence[Record]) -> list[str]:
    """What a reader must know of how the records were made before comparing their numbers."""
    values = {
        "code versions": {made["provenance"]["code_version"] for made in used},
        "protocols": {made["cell"]["protocol"] for made in used},
        "devices (their times do not compare)": {made["provenance"]["device"] for made in used},
    }
    cautions = [
        f"Records of several {what}: {', '.join(sorted(found))}."
        for what, found in values.items()
        if len(found) > 1
    ]
    if dirty := sum(bool(made["provenance"]["dirty"]) for made in used):
        cautions.append(f"Records made by code with uncommitted changes: {dirty}.")
    rules = [made["config"]["protocol"] for made in used]
    if any(r.get("selection") == "best" and r.get("curve_split") == "test" for r in rules):
        cautions.append(
            "The test split picked the step that is scored (the released settings do so): scores "
            "are higher than on data that picked nothing."
        )
    return cautions
