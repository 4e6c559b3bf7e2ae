"""Records -> one tidy frame: a row for each cell of an experiment, whatever became of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from frod_bench.common.copies import in_copies
from frod_bench.common.names import with_head
from frod_bench.records import hashing, select, sources, store
from frod_bench.records.lines import Lines, Share, read_curves
from frod_bench.records.schema import THEN, Provenance, Record, RecordError, outcome_of
from frod_bench.records.sources import Source
from frod_bench.records.store import Unusable
from frod_bench.report.asked import Cell, refuse_same, run_text
from frod_bench.report.curves import evaluations
from frod_bench.report.frame import AXIS, METRIC, frame_of, run_of
from frod_bench.report.keys import Run
from frod_bench.report.names import spelled
from frod_bench.report.predictions import read_predictions, remember

NO_FAMILY = "unknown family"
FEWEST_FOR_A_COPY = 500  # records whose predictions a copy of the process reads beside the curves


Curves = dict[Run, Lines]


@dataclass
class Collected:
    """What a report is made of; `frame` (see `frame_of`) has a row for each cell, as asked for."""

    frame: pd.DataFrame
    curves: Curves
    provenance: dict[Run, Provenance] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)  # other files among the records
    warnings: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # of the warnings what is wrong with files
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
        whole.add(sources.opened(results_dir), profile, cells)
    return Collected(
        frame_of(whole.rows),
        whole.curves,
        whole.provenance,
        whole.others,
        [*whole.warnings, *_cautions(whole.used), *whole.unusable],
        troubles=[*whole.warnings, *whole.unusable],
        records=whole.records,
    )


class _Gathered:
    """What was found so far, folder after folder."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.hashes = hashing.Hashes()
        self.curves: Curves = {}
        self.provenance: dict[Run, Provenance] = {}
        self.others: list[str] = []
        self.warnings: list[str] = []
        self.unusable: list[str] = []  # warnings that come last
        self.used: list[Record] = []
        self.records: list[Record] = []

    def add(self, source: Source, profile: str, cells: Sequence[Cell]) -> None:
        """Add the records of `cells`, and what else is in a folder of records."""
        records, unusable = source.scan()
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
        chosen = [made for made, _ in choices if made is not None]
        asked = {source.path_of(made): made for made in chosen}
        predictions = partial(read_predictions, source, asked)
        with in_copies([predictions], len(asked) >= FEWEST_FOR_A_COPY) as read:
            curves = _curves(source, asked)
            ((reads, damages),) = read()
        remember(source, reads)
        found = _Found(source, unusable, curves, damages)
        for cell, (made, _) in zip(cells, choices, strict=True):
            family = cell.family or families.get(cell.task, NO_FAMILY)
            self._add_run(cell, family, made, found)
        self.used += chosen
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
        runs = [select.Run.of(made) for made in records if str(source.path_of(made)) not in paths]
        unasked = Counter(f"{with_head(run.task, run.head)}, {run.method}" for run in runs)
        self.others += [f"{name}: {n} of other cells" for name, n in unasked.items()]
        self.others += [f"{path}: unusable, {reason}" for path, reason in unusable]

    def _add_run(self, cell: Cell, family: str, made: Record | None, found: "_Found") -> None:
        run = cell.run
        base = {**run.task._asdict(), "family": family, **run.method._asdict(), "seed": run.seed}
        base |= {f"{AXIS}{key}": value for key, _, value in cell.axes}
        if made is None:
            self.rows.append(base | _absent(cell, found.source.folder, found.unusable))
            return
        path = found.source.path_of(made)
        self.rows.append(base | row_of(made, self.hashes) | {"path": str(path)})
        self.provenance[run] = made["provenance"]
        read = found.curves.get(path, _Curve())
        if read.lines:
            self.curves[run] = read.lines
        troubles = filter(None, [read.trouble, found.damages.get(path, "")])
        named = f"{path.name} of {cell.task}, {spelled(run.method)}"
        self.warnings += [f"{named}: {trouble}" for trouble in troubles]


class _Curve(NamedTuple):
    """A run's curve, None if it cannot be read, and what is wrong with it."""

    lines: Lines | None = None
    trouble: str = ""


class _Found(NamedTuple):
    """What a folder has."""

    source: Source
    unusable: Sequence[Unusable]
    curves: Mapping[Path, _Curve]
    damages: Mapping[Path, str]  # what is wrong with predictions


def _curves(source: Source, records: Mapping[Path, Record]) -> dict[Path, _Curve]:
    """The curves of records by their paths."""
    paths = [path for path, made in records.items() if made["curve"] is not None]
    share: Share = {}
    contents = ((path, _whole(path, records[path], found)) for path, found in source.curves(paths))
    return {path: _curve(records[path], read) for path, read in read_curves(contents, share)}


def _whole(path: Path, made: Record, content: bytes | RecordError | None) -> bytes | RecordError:
    """The content of a record's curve if it is as it was written; otherwise what is wrong."""
    if not isinstance(content, bytes):
        return content or RecordError("its curve is missing.")
    damage = store.damage_in(made, "curve", content, store.curve_name(path.name))
    return RecordError(damage) if damage else content


def _curve(made: Record, read: Lines | RecordError) -> _Curve:
    """The curve of a record, of what was read."""
    if isinstance(read, RecordError):
        return _Curve(None, str(read))
    metric = made["primary_metric"]
    if made["status"] == "ok" and not evaluations(read, metric, 0.0).values.size:
        return _Curve(read, f"its curve has no evaluation with a finite {metric}.")
    return _Curve(read)


def missing_runs(frame: pd.DataFrame) -> list[str]:
    """A line for each cell that gave no number: what, which, and why if that is known."""
    return [
        f"{row.status}: {run_text(run_of(row))}"
        + (f": {row.error}" if isinstance(row.error, str) else "")
        for row in frame[frame["status"] != "ok"].itertuples(index=False)
    ]


def _absent(cell: Cell, folder: Path, unusable: Iterable[Unusable]) -> dict[str, Any]:
    """Status of a cell without a record: missing, or unusable if a bad file is in its place."""
    here = folder / cell.task / cell.method
    names = f"{cell.seed}-{cell.config_hash or ''}"
    for path, reason in unusable:
        if path.parent == here and path.name.startswith(names):
            return {"status": "unusable", "error": reason, "path": str(path)}
    return {"status": "missing"}


def row_of(made: Record, hashes: hashing.Hashes | None = None) -> dict[str, Any]:
    """What a record says of its run, by the columns of the frame. Of many records with equal
    configurations, `hashes` knows those that it has seen.
    """
    hashes = hashes or hashing.Hashes()
    cell, error, steps, time = made["cell"], made["error"], made["steps"], made["time"]
    metrics = made["metrics"] if made["status"] == "ok" else {}
    primary = metrics.get(made["primary_metric"])
    return {
        "status": outcome_of(made),
        "profile_title": hashing.profile_title(made["config"]),
        "protocol": cell["protocol"],
        "metric": made["primary_metric"],
        "higher_is_better": made["higher_is_better"],
        "curve_split": made["config"]["protocol"]["curve_split"],
        "metrics_split": made["config"]["protocol"].get("metrics_split", "test"),  # all, once
        "curve_rows": made["config"]["trainer"].get("curve_rows"),
        "schedule": made["config"]["trainer"].get("schedule"),
        "backbone": cell["backbone"],
        "config_hash": cell["config_hash"],
        "settings_hash": hashing.settings_hash(made, hashes),
        "held_equal_hash": hashes.of_held(made),
        "training_hash": hashes.of_training(made),
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
        "processor": _processor(made),
    }


def _processor(made: Record) -> str | None:
    """The model of what computed, a processor or a GPU; None if an older record does not say."""
    provenance = made["provenance"]
    if provenance["device"] == "cpu":
        return provenance.get("processor")
    return provenance.get("accelerator")


def _models(used: Sequence[Record], *, on_cpu: bool) -> set[str]:
    """The models of the processors, or of the accelerators, that computed, as far as is known."""
    names = (_processor(m) for m in used if (m["provenance"]["device"] == "cpu") == on_cpu)
    return {name for one in names if one for name in one.split(THEN)}


def _code_cautions(used: Sequence[Record]) -> list[str]:
    """Cautions about the code that computed the numbers, as far as records have its digests.

    Several code versions can matter only if these digests differ. The digests may also differ under
    one version, because of uncommitted changes.
    """
    told = [code for made in used if (code := made["provenance"].get("code"))]
    names = dict.fromkeys(name for code in told for name in code)
    values = {name: Counter(code.get(name, "none") for code in told) for name in names}
    differ = [
        f"{name} ({', '.join(f'{value}: {n}' for value, n in found.items())})"
        for name, found in values.items()
        if len(found) > 1
    ]
    if differ:
        return [
            "The code that computes numbers differs, so that scores may differ for that reason: "
            f"{'; '.join(differ)}. In brackets how many records have which digest."
        ]
    if not told or len({made["provenance"]["code_version"] for made in used}) == 1:
        return []
    words = "The difference between code versions cannot matter"
    if lost := len(used) - len(told):
        words += f", as far as is known ({lost} of {len(used)} records do not say)"
    return [f"{words}: what computes numbers is the same ({', '.join(names)})."]


def _cautions(used: Sequence[Record]) -> list[str]:
    """What a reader must know of how the records were made before comparing their numbers."""
    values = {
        "code versions": {made["provenance"]["code_version"] for made in used},
        "protocols": {made["cell"]["protocol"] for made in used},
        "devices (their times do not compare)": {made["provenance"]["device"] for made in used},
        "processors (their seconds do not compare)": _models(used, on_cpu=True),
        "accelerators (their seconds do not compare)": _models(used, on_cpu=False),
    }
    cautions = [
        f"Records of several {what}: {', '.join(sorted(found))}."
        for what, found in values.items()
        if len(found) > 1
    ]
    cautions += _code_cautions(used)
    if dirty := sum(bool(made["provenance"]["dirty"]) for made in used):
        cautions.append(f"Records made by code with uncommitted changes: {dirty}.")
    rules = [made["config"]["protocol"] for made in used]
    if any(r.get("selection") == "best" and r.get("curve_split") == "test" for r in rules):
        cautions.append(
            "The test split picked the step that is scored (the released settings do so): scores "
            "are higher than on data that picked nothing."
        )
    return cautions
