"""Two results folders: the same cells of both, paired by what they are and not by their hash."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.names import with_head
from frod_bench.compare.comparison import Comparison, Contrast
from frod_bench.compare.differences import count_differences, differing_settings
from frod_bench.compare.options import CompareConfig
from frod_bench.records.schema import Record
from frod_bench.report.collect import Cell, Collected, collect_folder
from frod_bench.report.folder import Folder, read_folder, words_of
from frod_bench.report.frame import Method, Run
from frod_bench.report.names import label, spelled
from frod_bench.report.rules import Rules

SIDES = ("A", "B")
NAMED = 4  # cells that a note names; of more it says how many
Pairs = dict[Run, tuple[Record, Record]]


@dataclass(frozen=True)
class Paired:
    """Two folders: the cells that were asked for, those that both have, and tasks left out."""

    ours: Folder
    theirs: Folder
    asked: Sequence[Run]
    pairs: Pairs
    of_other_metric: Sequence[str]


def compare_folders(config: CompareConfig, rules: Rules) -> Comparison:
    """Compare the cells that both of `config.folders` have: the first folder minus the second.

    Raises InputError where a folder has no records, where none is of a cell of the other, and,
    unless `config.across`, where profile or protocol differ.
    """
    paired = pair(config)
    reference = Method(rules.convergence.reference)
    collected = _collect(paired, reference)
    methods = list(dict.fromkeys(run.method for run in paired.pairs))
    titles = dict.fromkeys(collected.frame["profile_title"].dropna())
    frame = collected.frame
    return Comparison(
        title=" and ".join(map(str, titles)),
        collected=collected,
        shown=pd.Series(frame.index < len(SIDES) * len(paired.pairs), frame.index),
        contrasts=[Contrast(label(m), *(m._replace(side=side) for side in SIDES)) for m in methods],
        heads=SIDES,
        margin_points=rules.accuracy.margin_points,
        rule=rules.convergence,
        reference=reference._replace(side=paired.theirs.side),
        name="_".join(["folders", *(map(spelled, methods) if config.methods else [])]),
        notes=_notes(paired),
        caption=f"A: {paired.ours.path}. B: {paired.theirs.path}.",
        settings=differing_settings(paired.pairs.values()),
    )


def pair(config: CompareConfig) -> Paired:
    """Find each cell of the first folder in the second, whatever their settings.

    Of several records of a cell the first folder's newest is taken, and the second's that is
    nearest to it. Raises InputError as `compare_folders` does.
    """
    paths = [Path(folder).expanduser() for folder in config.folders]
    if paths[0].resolve() == paths[1].resolve():
        raise InputError(f"folders: both are {paths[0].resolve()}; there is nothing to compare.")
    asked = {"profile": config.profile, "protocol": config.protocol, "head": config.head}
    ours, theirs = (
        replace(read_folder(path, **asked), side=side)
        for side, path in zip(SIDES, paths, strict=True)
    )
    if ours.kind != theirs.kind and not config.across:
        raise InputError(
            f"The folders are not of one comparison. A: {ours.kind}; B: {theirs.kind}. Their "
            "scores are not measured alike; across=true compares them all the same."
        )
    wanted = _asked(config, ours, theirs)
    both = [name for name in wanted if name in ours.made and name in theirs.made]
    if not both:
        raise InputError(f"No cell is in both folders. A: {ours.extent}. B: {theirs.extent}.")
    pairs = {
        name: (ours.made[name][0], _nearest(ours.made[name][0], theirs.made[name])) for name in both
    }
    other = {
        run.task: f"{label(run.task)} ({a['primary_metric']} and {b['primary_metric']})"
        for run, (a, b) in pairs.items()
        if a["primary_metric"] != b["primary_metric"]
    }
    kept = {run: found for run, found in pairs.items() if run.task not in other}
    if not kept:
        raise InputError(f"The folders measure other metrics: {', '.join(other.values())}.")
    return Paired(ours, theirs, wanted, kept, list(other.values()))


def _asked(config: CompareConfig, ours: Folder, theirs: Folder) -> list[Run]:
    """The cells of either folder that the command line asks for, in order of name.

    Raises InputError for a task, method or seed that neither folder has.
    """
    runs = sorted({*ours.made, *theirs.made})
    tasks = [with_head(task, config.head) for task in config.task or ()]
    kinds = (("task", tasks), ("method", config.methods or ()), ("seed", config.seeds or ()))
    for place, (kind, wanted) in enumerate(kinds):
        known = {words_of(run)[place] for run in runs}
        for value in wanted:
            if str(value) not in known:
                hint = did_you_mean(str(value), known)
                raise InputError(f"No records of {kind} {value} in either folder.{hint}")
        allowed = set(map(str, wanted))
        runs = [run for run in runs if not wanted or words_of(run)[place] in allowed]
    return runs


def _nearest(to: Record, candidates: Sequence[Record]) -> Record:
    """The record whose settings differ from `to`'s in the fewest places; of several the newest."""
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda made: count_differences(to, made))


def _collect(paired: Paired, reference: Method) -> Collected:
    """The pairs, cell by cell ours and theirs; and behind them what sets the target.

    That is their reference, on the tasks that are compared, also where it is not compared itself.
    """
    tasks = {run.task for run in paired.pairs}
    rest = {
        run: found[0]
        for run, found in paired.theirs.made.items()
        if run.method == reference and run.task in tasks and run not in paired.pairs
    }
    parts = [
        _collected(paired.ours, {name: ours for name, (ours, _) in paired.pairs.items()}),
        _collected(paired.theirs, {name: them for name, (_, them) in paired.pairs.items()}),
        _collected(paired.theirs, rest),
    ]
    side_by_side = pd.concat([part.frame for part in parts[: len(SIDES)]]).sort_index(kind="stable")
    frames = [side_by_side, *(part.frame for part in parts[len(SIDES) :] if len(part.frame))]
    return Collected(
        frame=pd.concat(frames, ignore_index=True),
        curves={key: points for part in parts for key, points in part.curves.items()},
        warnings=list(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def _collected(folder: Folder, chosen: Mapping[Run, Record]) -> Collected:
    """The chosen records, with the folder's side."""
    cells = [
        Cell(
            *(c["task"], c["method"], c["seed"], c["config_hash"], folder.protocol),
            head=run.task.head,
        )
        for run, c in ((run, made["cell"]) for run, made in chosen.items())
    ]
    found = collect_folder(folder.path, folder.profile, cells)
    found.frame["side"] = folder.side
    found.curves = {
        run._replace(method=run.method._replace(side=folder.side)): points
        for run, points in found.curves.items()
    }
    found.warnings = [f"{folder.side}: {warning}" for warning in found.warnings]
    return found


def _notes(paired: Paired) -> list[str]:
    """What was paired and what was not."""
    ours, theirs = paired.ours, paired.theirs
    notes = [f"{folder.side}: {folder.path} ({folder.kind})" for folder in (ours, theirs)]
    notes.append(f"Cells in both: {len(paired.pairs)}.")
    for folder, other in ((ours, theirs), (theirs, ours)):
        alone = [name for name in paired.asked if name in folder.made and name not in other.made]
        if alone:
            notes.append(f"Cells in {folder.side} only: {_named(alone)}.")
    if paired.of_other_metric:
        notes.append(f"Left out, for the metrics differ: {', '.join(paired.of_other_metric)}.")
    other_data = [name for name, found in paired.pairs.items() if len(_data(found)) > 1]
    if other_data:
        notes.append(f"Cells on other data, whose rows may not be the same: {_named(other_data)}.")
    taken = ("the newest was taken", "the nearest to A's was taken")
    for folder, words in zip((ours, theirs), taken, strict=True):
        several = [name for name in paired.pairs if len(folder.made[name]) > 1]
        if several:
            which = f"Cells of {folder.side} with several configurations, of which {words}"
            notes.append(f"{which}: {_named(several)}.")
    for folder in (ours, theirs):
        notes += [
            f"{folder.side}: {path} is not a valid record: {why}" for path, why in folder.unusable
        ]
    return notes


def _data(records: Iterable[Record]) -> set[str]:
    return {made["provenance"]["data_fingerprint"] for made in records}


def _named(runs: Sequence[Run]) -> str:
    words = ["/".join(words_of(run)) for run in runs]
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return f"{len(words)} ({', '.join(words[:NAMED])}{more})"
