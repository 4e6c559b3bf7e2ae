"""Records -> one tidy frame: a row for each cell of an experiment, whatever became of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.records import hashing, schema, select, store
from frod_bench.records.schema import CurvePoint, Provenance, Record
from frod_bench.records.store import Unusable
from frod_bench.report.curves import evaluations
from frod_bench.report.frame import AXIS, METRIC, Run, Task, frame_of, run_of
from frod_bench.report.names import method_named, spelled

STATUSES = ("ok", "undefined", "diverged", "failed", "unusable", "missing")
NO_FAMILY = "unknown family"


class AxisValue(NamedTuple):
    """What tells a variant of a method from the others: a setting, its short name, its value."""

    key: str
    name: str
    value: Any


@dataclass(frozen=True)
class Cell:
    """A cell that a report asks for.

    `config_hash` says exactly which record is meant; without it the newest record of the task,
    method and seed (and protocol, where named) is taken, with a warning where there are several.
    `family` is known before any record is; left out, it is read off the task's other records.
    Cells with `axes` are variants of their method.
    """

    task: str
    method: str
    seed: int
    config_hash: str | None = None
    protocol: str | None = None
    family: str | None = None
    head: str = "classify"
    axes: tuple[AxisValue, ...] = ()

    @property
    def run(self) -> Run:
        """The cell's key in the report."""
        variant = ", ".join(f"{axis.name} {_short(axis.value)}" for axis in self.axes)
        return Run(Task(self.task, self.head), method_named(self.method, variant), self.seed)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


Curves = dict[Run, list[CurvePoint]]


@dataclass
class Collected:
    """What a report is made of.

    `frame` has a row for each cell, in the order asked for; `frame.COLUMNS` are its columns, then
    `metric/<name>` for all metrics and `axis/<key>` for all settings that tell variants apart.
    `curves` holds the curve of each run that has one, and `provenance` what each record says it was
    made with.
    """

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
    """Pick the records of `cells` out of `<results_dir>/records`, and say what was missing or not
    asked for.

    Never raises on a bad record: its cell is `unusable` and shown as such. Raises InputError where
    two of `cells` are of one task, method and seed.
    """
    refuse_same(cells)
    folder = results_dir / "records"
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
    chosen = [choice.record for choice in choices]
    warnings = [choice.warning for choice in choices if choice.warning]
    families = {made["cell"]["task"]: made["cell"]["family"] for made in records}
    rows: list[dict[str, Any]] = []
    curves: Curves = {}
    provenance = {}
    for cell, made in zip(cells, chosen, strict=True):
        run = cell.run
        family = cell.family or families.get(cell.task, NO_FAMILY)
        base = {**run.task._asdict(), "family": family, **run.method._asdict(), "seed": run.seed}
        base |= {f"{AXIS}{axis.key}": axis.value for axis in cell.axes}
        if made is None:
            rows.append(base | _absent(cell, folder, unusable))
            continue
        path = _path(folder, made)
        rows.append(base | _row(made, path))
        provenance[run] = made["provenance"]
        if made["curve"] is not None:
            curve, trouble = _curve(path, made)
            if curve:
                curves[run] = curve
            if trouble:
                warnings.append(f"{path.name} of {cell.task}, {spelled(run.method)}: {trouble}")
        predictions = store.predictions_path(path)
        if predictions.exists() and (damage := store.damage_of(made, "predictions", predictions)):
            warnings.append(f"{path.name} of {cell.task}, {spelled(run.method)}: {damage}")
    used = [made for made in chosen if made is not None]
    return Collected(
        frame=frame_of(rows),
        curves=curves,
        provenance=provenance,
        others=_others(records, used, unusable),
        warnings=warnings
        + _foreign(records, profile)
        + _cautions(used)
        + _left_out(rows, unusable),
        records=[made for made in records if made["cell"]["profile"] == profile],
    )


def _curve(path: Path, made: Record) -> tuple[list[CurvePoint], str]:
    """A record's curve, empty where it cannot be read, and what is wrong with it, if anything."""
    try:
        curve = store.read_curve(path, made)
    except schema.RecordError as error:
        return [], str(error)
    metric = made["primary_metric"]
    if made["status"] == "ok" and not evaluations(curve, metric, setup_sec=0.0).values.size:
        return curve, f"its curve has no evaluation with a finite {metric}."
    return curve, ""


def missing_runs(frame: pd.DataFrame) -> list[str]:
    """A line for each cell that gave no number: what, which, and why where that is known."""
    return [
        f"{row.status}: {run_text(run_of(row))}"
        + (f": {row.error}" if isinstance(row.error, str) else "")
        for row in frame[frame["status"] != "ok"].itertuples(index=False)
    ]


def run_text(run: Run) -> str:
    """A run in a message, in the names that a user types."""
    return f"{spelled(run.task)}, {spelled(run.method)}, seed {run.seed}"


def refuse_same(cells: Iterable[Cell]) -> None:
    """Raise InputError where two of `cells` are of one task, method and seed.

    A table has one number for them, so their settings must be one.
    """
    counts = Counter(cell.run for cell in cells)
    same = [run_text(run) for run, n in counts.items() if n > 1]
    if same:
        raise InputError(
            f"{len(same)} of {len(counts)} cells are asked for more than once, with different "
            f"settings, such as {same[0]}. A report shows one of them: leave the other settings "
            "out of the grid, or name them in experiment.axes (docs/how-to/analyses.md)."
        )


def _absent(cell: Cell, folder: Path, unusable: Iterable[Unusable]) -> dict[str, Any]:
    """Status of a cell without a record: missing, or unusable where a bad file is in its place."""
    here = folder / cell.task / cell.method
    names = f"{cell.seed}-{cell.config_hash or ''}"
    for path, reason in unusable:
        if path.parent == here and path.name.startswith(names):
            return {"status": "unusable", "error": reason, "path": str(path)}
    return {"status": "missing"}


def _row(made: Record, path: Path) -> dict[str, Any]:
    cell, params, time, memory = made["cell"], made["params"], made["time"], made["memory"]
    metrics = made["metrics"] if made["status"] == "ok" else {}
    primary = metrics.get(made["primary_metric"])
    status: str = made["status"]
    if primary is not None and primary["value"] is None:
        status = "undefined"
    error = made["error"]
    steps = made["steps"]
    return {
        "status": status,
        "profile_title": hashing.profile_title(made["config"]),
        "protocol": cell["protocol"],
        "metric": made["primary_metric"],
        "higher_is_better": made["higher_is_better"],
        "curve_split": made["config"]["protocol"]["curve_split"],
        "backbone": cell["backbone"],
        "config_hash": cell["config_hash"],
        "settings_hash": hashing.settings_hash(made),
        "steps": steps,
        **(primary or {}),
        **{f"{METRIC}{name}": metric["value"] for name, metric in metrics.items()},
        **(params or {}),
        **(time or {}),
        "step_sec": time["train_sec"] / steps if time and steps else None,
        **(memory or {}),
        "error": f"{error['type']}: {error['message']}" if error else None,
        "code_version": made["provenance"]["code_version"],
        "device": made["provenance"]["device"],
        "path": str(path),
    }


def _path(folder: Path, made: Record) -> Path:
    cell = made["cell"]
    name = f"{cell['seed']}-{cell['config_hash']}.json"
    return folder / cell["task"] / cell["method"] / name


def _foreign(records: Iterable[Record], profile: str) -> list[str]:
    """A line if records of other profiles are among those of this one."""
    counts = Counter(made["cell"]["profile"] for made in records)
    names = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items()) if name != profile)
    return [f"Records of other profiles in this folder are not shown: {names}."] if names else []


def _others(
    records: Sequence[Record], used: Sequence[Record], unusable: Sequence[Unusable]
) -> list[str]:
    """One line for each record that is not in this report."""
    taken = {_key(made) for made in used}
    counts: dict[tuple[str, str], int] = {}
    for made in records:
        if _key(made) not in taken:
            task = with_head(made["cell"]["task"], made["config"].get("head", "classify"))
            name = (task, made["cell"]["method"])
            counts[name] = counts.get(name, 0) + 1
    lines = [f"{task}, {method}: {n} of other cells" for (task, method), n in counts.items()]
    return lines + [f"{path}: unusable, {reason}" for path, reason in unusable]


def _left_out(rows: Iterable[Mapping[str, Any]], unusable: Iterable[Unusable]) -> list[str]:
    """One line for each unusable file, except for those that count as a missing run already."""
    holes = {row.get("path") for row in rows}
    return [
        f"{'/'.join(path.parts[-3:])} is not a usable record, and left out: {reason}"
        for path, reason in unusable
        if str(path) not in holes
    ]


def _key(made: Record) -> tuple[str, str, str, int, str]:
    cell = made["cell"]
    return cell["profile"], cell["task"], cell["method"], cell["seed"], cell["config_hash"]


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
