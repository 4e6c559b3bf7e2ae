"""Which records are compared: methods of one results folder, or the same cells of two folders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from frod_bench.cli import arguments
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.names import resolved, with_head
from frod_bench.common.paths import is_published
from frod_bench.compare.comparison import Comparison, Contrast
from frod_bench.records import hashing, select, sources
from frod_bench.records.schema import Record
from frod_bench.report.asked import Cell
from frod_bench.report.collect import Collected, collect, collect_folder
from frod_bench.report.folder import Folder, read_folder, words_of
from frod_bench.report.frame import method_of
from frod_bench.report.keys import Method, Run
from frod_bench.report.names import label, method_named, spelled
from frod_bench.report.rules import Rules

SEEDS = (0, 1, 2)
PROFILE, PROTOCOL, HEAD = "embedded", "fair", "classify"
HEADS = (HEAD, "rank")
SIDES = ("A", "B")
NAMED = 4  # cells that a note names; of more it says how many
NOT_THERE = "–"
# Parts of a run's identity that may differ: the method's own, and what changes no number.
OWN = ("method.", "seed", "data_fingerprint", "trainer.eval_batch_rows")
# Fields of the provenance that are part of the identity, or no settings. The others are not meant
# to change a result, but may.
NO_SETTINGS = ("started_at", "data_fingerprint", "backbone_fingerprint")
Pairs = Mapping[Run, tuple[Record, Record]]


@dataclass(frozen=True)
class CompareConfig:
    """What to compare. None means any value if there are two folders, else the default."""

    task: list[str] | None
    methods: list[str] | None  # the first one is compared with each other one
    seeds: list[int] | None
    folders: list[str]  # two or none
    across: bool
    profile: str | None
    protocol: str | None
    head: str | None
    results_root: str
    plot: str
    published: str | None  # whose curves are drawn over those of the methods
    figure_style: str
    out_dir: str | None


def parse(words: Sequence[str]) -> CompareConfig:
    """Read `key=value` words. Raises InputError for what is unknown, missing or contradictory."""
    asked = arguments.parse("compare", words)
    given = asked.values
    config = CompareConfig(
        task=asked.names("task"),
        methods=asked.names("method"),
        seeds=asked.integers("seed"),
        folders=arguments.items(given["folder"]) if "folder" in given else [],
        across=given.get("across") == "true",
        profile=given.get("profile"),
        protocol=given.get("protocol"),
        head=given.get("head"),
        results_root=given.get("results_root", "results"),
        plot=given.get("plot", "figure"),
        published=given.get("published"),
        figure_style=given.get("figures.style", "screen"),
        out_dir=given.get("out"),
    )
    if config.folders:
        if len(config.folders) != 2:
            raise InputError(
                f"folder has {len(config.folders)} names; give two: "
                "folder=results/embedded,/theirs/results/embedded."
            )
        if "results_root" in given:
            raise InputError("results_root is not used if folder names two folders. Leave it out.")
    elif not (config.task and config.methods):
        raise InputError(
            "task and method must be given: task=rte method=frod,lora; or two folders: "
            "folder=results/embedded,/theirs/results/embedded."
        )
    elif config.across:
        raise InputError("across=true is for two folders; name them by folder=A,B.")
    if config.published and (config.folders or config.plot == "none"):
        word = f"folder={given['folder']}" if config.folders else "plot=none"
        raise InputError(
            f"published={config.published}: is drawn over the curves of one folder's methods. "
            f"Leave {word} out."
        )
    return config


def compare(config: CompareConfig, rules: Rules) -> Comparison:
    """Compare the records.

    Raises InputError if a folder, task, method or seed has no records, if no cell has one (in both
    folders), and, unless `config.across`, if profile or protocol of two folders differ.
    """
    return _compare_folders(config, rules) if config.folders else _compare_methods(config, rules)


def _compare_methods(config: CompareConfig, rules: Rules) -> Comparison:
    """Compare methods on tasks, by default on the seeds that all methods have.

    A run with a seed that only one method has must not enter its mean: somebody may have tried
    other settings with it.
    """
    tasks, methods, head = config.task or [], config.methods or [], config.head or HEAD
    profile, protocol = config.profile or PROFILE, config.protocol or PROTOCOL
    root = Path(config.results_root).expanduser()
    source = sources.opened(root / profile)
    folder = source.folder
    command = _command(config, profile, protocol)
    records, _ = source.scan()
    if not records:
        raise InputError(
            f"No records under {folder}. Run them: {command}. Or name the results_root= and "
            "profile= of records that you have."
        )
    _check_names(records, tasks, methods)
    runs = select.by_run(records, profile=profile, protocol=protocol, head=head)
    seeds_of = [{r.seed for r in runs if r.task in tasks and r.method == m} for m in methods]
    shared, known = set.intersection(*seeds_of), set.union(*seeds_of)
    rule = rules.convergence
    cells = [
        Cell(task, method, seed, protocol=protocol, head=head)
        for task in tasks
        for method in dict.fromkeys([*methods, rule.reference])
        for seed in config.seeds or sorted(shared) or sorted(known) or SEEDS
    ]
    collected = collect(root, profile, cells)
    if not config.seeds and (lone := sorted(known - shared)):
        collected.warnings.append(
            f"Seeds {', '.join(map(str, lone))} are left out: not every method has a record of "
            "them. To include them, name them with seed=."
            if shared
            else "No seed has a record of every method: the means are over each one's own seeds, "
            "and no difference is paired. Run the same seeds."
        )
    collected.warnings += _unequal_settings(runs, tasks, methods, rule.reference, collected)
    first, *others = keys = list(map(method_named, methods))
    shown = collected.frame.apply(method_of, axis=1).isin(keys)
    if (collected.frame.loc[shown, "status"] == "missing").all():
        raise InputError(
            f"None of the {shown.sum()} cells has a record under {folder}: profile={profile} "
            f"protocol={protocol} head={head}. Run them: {command}"
        )
    return Comparison(
        title=next(iter(collected.frame["profile_title"].dropna()), profile),
        collected=collected,
        shown=shown,
        contrasts=[Contrast(f"{label(first)} − {label(other)}", first, other) for other in others],
        heads=("first", "second"),
        rules=rules,
        reference=Method(rule.reference),
        name="_".join(methods),
    )


def _unequal_settings(
    runs: Mapping[select.Run, Sequence[Record]],
    tasks: Sequence[str],
    methods: Sequence[str],
    reference: str,
    collected: Collected,
) -> list[str]:
    """A warning for each task whose compared runs differ in more than method and seed: one of them
    may have trained for longer, and that does not come from the methods.
    """
    chosen = set(collected.frame["config_hash"].dropna())
    found = []
    for task in tasks:
        of_method: dict[str, list[Mapping[str, str]]] = {}
        for run, candidates in runs.items():
            if run.task == task and run.method in {*methods, reference}:
                shown = (one for one in candidates if one["cell"]["config_hash"] in chosen)
                of_method.setdefault(run.method, []).extend(map(_settings, shown))
        compared = [one for name in methods for one in of_method.get(name, [])]
        if names := _unequal(compared, OWN):
            found.append(
                f"{task}: the runs differ in more than method and seed ({names}), so that "
                "differences are not the methods' alone. Compare runs of the same settings."
            )
        for name in methods:
            own = _unequal(of_method.get(name, []), OWN[1:])
            if own and not names:
                found.append(f"{task}, {name}: the seeds were run at different settings ({own}).")
        of_target = [*compared[:1], *of_method.get(reference, [])]
        if not names and (other := _unequal(of_target, OWN)):
            found.append(
                f"{task}: {label(Method(reference), in_text=True)}, which sets the target, was run "
                f"at other settings ({other})."
            )
    return found


def _settings(made: Record) -> dict[str, str]:
    """What is in the hash, however the rows of a step are cut."""
    found = _hashed(made)
    return _flat(found | {"trainer": hashing.whole_steps(found["trainer"])})


def _unequal(identities: Sequence[Mapping[str, str]], left_out: tuple[str, ...]) -> str:
    """The names of settings in which identities differ from the first one, but for some."""
    names = [n for other in identities for n, *_ in _differences(identities[0], other)]
    return ", ".join(dict.fromkeys(name for name in names if not name.startswith(left_out)))


def _command(config: CompareConfig, profile: str, protocol: str) -> str:
    """The command that runs what a comparison of methods lacks, with full fine-tuning's target."""
    words = {
        "task": ",".join(config.task or []),
        "method": ",".join(dict.fromkeys([*(config.methods or []), "full"])),
        "seed": ",".join(map(str, config.seeds or SEEDS)),
        "profile": profile,
        "protocol": protocol,
        "head": config.head or HEAD,
    }
    if not is_published(Path(config.results_root).expanduser()):
        words["results_root"] = config.results_root
    if profile != PROFILE:
        words |= {"data_root": "DIR", "model_root": "DIR"}
    return "frod-bench run -m " + " ".join(f"{key}={value}" for key, value in words.items())


def _check_names(records: Iterable[Record], tasks: Sequence[str], methods: Sequence[str]) -> None:
    """Raise InputError for a task, or a method on a task, that no record is of."""
    made: dict[str, set[str]] = {}
    for run in map(select.Run.of, records):
        made.setdefault(run.task, set()).add(run.method)
    for task in tasks:
        if task not in made:
            raise InputError(f"No records of task {task!r}.{did_you_mean(task, made)}")
        for method in methods:
            if method not in made[task]:
                hint = did_you_mean(method, made[task])
                raise InputError(f"No records of method {method!r} on task {task!r}.{hint}")


def _compare_folders(config: CompareConfig, rules: Rules) -> Comparison:
    """Compare the cells that both folders have, whatever their settings: first minus second.

    Of several records of a cell the first folder's newest is taken, and the second's that is
    nearest to it.
    """
    ours, theirs = _read(config)
    asked = _asked(config, ours, theirs)
    both = [run for run in asked if run in ours.made and run in theirs.made]
    if not both:
        raise InputError(f"No cell is in both folders. A: {ours.extent}. B: {theirs.extent}.")
    newest = {run: ours.made[run][0] for run in both}
    pairs = {run: (newest[run], _nearest(newest[run], theirs.made[run])) for run in both}
    of_other_metric = {
        run.task: f"{label(run.task)} ({a['primary_metric']} and {b['primary_metric']})"
        for run, (a, b) in pairs.items()
        if a["primary_metric"] != b["primary_metric"]
    }
    pairs = {run: pair for run, pair in pairs.items() if run.task not in of_other_metric}
    others = ", ".join(of_other_metric.values())
    if not pairs:
        raise InputError(f"The folders measure other metrics: {others}.")
    notes = _notes(ours, theirs, asked, pairs)
    if others:
        notes.append(f"Left out, for the metrics differ: {others}.")
    reference = Method(rules.convergence.reference)
    collected = _collect(ours, theirs, pairs, reference)
    frame = collected.frame
    methods = list(dict.fromkeys(run.method for run in pairs))
    return Comparison(
        title=" and ".join(map(str, frame["profile_title"].dropna().unique())),
        collected=collected,
        shown=pd.Series(frame.index < len(SIDES) * len(pairs), frame.index),
        contrasts=[Contrast(label(m), *(m._replace(side=side) for side in SIDES)) for m in methods],
        heads=SIDES,
        rules=rules,
        reference=reference._replace(side=theirs.side),
        name="_".join(["folders", *(map(spelled, methods) if config.methods else [])]),
        notes=notes,
        caption=f"A: {ours.path}. B: {theirs.path}.",
        settings=_differing_settings(pairs.values()),
    )


def _read(config: CompareConfig) -> tuple[Folder, Folder]:
    first, second = paths = [Path(folder).expanduser() for folder in config.folders]
    if resolved(first, "folder") == resolved(second, "folder"):
        raise InputError(f"folders: both are {resolved(first)}; there is nothing to compare.")
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
    return ours, theirs


def _asked(config: CompareConfig, ours: Folder, theirs: Folder) -> list[Run]:
    """The cells of either folder that the command line asks for, in order of name."""
    runs = sorted({*ours.made, *theirs.made})
    heads = [config.head] if config.head else HEADS
    # What is asked for, and how records may spell it.
    tasks = {task: {with_head(task, head) for head in heads} for task in config.task or ()}
    methods = {method: {method} for method in config.methods or ()}
    seeds = {str(seed): {str(seed)} for seed in config.seeds or ()}
    kinds = (("task", tasks), ("method", methods), ("seed", seeds))
    for place, (kind, wanted) in enumerate(kinds):
        known, allowed = {words_of(run)[place] for run in runs}, set().union(*wanted.values())
        for value, spellings in wanted.items():
            if not spellings & known:
                hint = did_you_mean(value, known)
                raise InputError(f"No records of {kind} {value} in either folder.{hint}")
        runs = [run for run in runs if not allowed or words_of(run)[place] in allowed]
    return runs


def _nearest(to: Record, candidates: Sequence[Record]) -> Record:
    """The record whose settings differ from `to`'s in the fewest places; of several the newest."""
    if len(candidates) == 1:
        return candidates[0]
    settings = _identity(to)
    return min(candidates, key=lambda made: len(_differences(settings, _identity(made))))


def _collect(ours: Folder, theirs: Folder, pairs: Pairs, reference: Method) -> Collected:
    """The pairs, cell by cell ours and theirs; then their reference, which sets the target."""
    tasks = {run.task for run in pairs}
    rest = {
        run: found[0]
        for run, found in theirs.made.items()
        if run.method == reference and run.task in tasks and run not in pairs
    }
    parts = [
        _collect_side(ours, {run: pair[0] for run, pair in pairs.items()}),
        _collect_side(theirs, {run: pair[1] for run, pair in pairs.items()}),
        *([_collect_side(theirs, rest)] if rest else []),
    ]
    frames = [part.frame for part in parts]
    side_by_side = pd.concat(frames[:2]).sort_index(kind="stable")
    return Collected(
        frame=pd.concat([side_by_side, *frames[2:]], ignore_index=True),
        curves={run: points for part in parts for run, points in part.curves.items()},
        warnings=list(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def _collect_side(folder: Folder, chosen: Mapping[Run, Record]) -> Collected:
    """The chosen records, with the folder's side."""
    cells = []
    for run, made in chosen.items():
        c = made["cell"]
        names = c["task"], c["method"], c["seed"], c["config_hash"]
        cells.append(Cell(*names, folder.protocol, head=run.task.head))
    found = collect_folder(folder.path, folder.profile, cells)
    found.frame["side"] = folder.side
    found.curves = {
        run._replace(method=run.method._replace(side=folder.side)): points
        for run, points in found.curves.items()
    }
    found.warnings = [f"{folder.side}: {warning}" for warning in found.warnings]
    return found


def _notes(ours: Folder, theirs: Folder, asked: Sequence[Run], pairs: Pairs) -> list[str]:
    """What was paired and what was not."""
    notes = [f"{folder.side}: {folder.path} ({folder.kind})" for folder in (ours, theirs)]
    notes.append(f"Cells in both: {len(pairs)}.")
    for folder, other in ((ours, theirs), (theirs, ours)):
        if alone := [run for run in asked if run in folder.made and run not in other.made]:
            notes.append(f"Cells in {folder.side} only: {_named(alone)}.")
    data = {run: {r["provenance"]["data_fingerprint"] for r in pair} for run, pair in pairs.items()}
    if other_data := [run for run, prints in data.items() if len(prints) > 1]:
        notes.append(f"Cells on other data, whose rows may not be the same: {_named(other_data)}.")
    for folder, which in ((ours, "the newest"), (theirs, "the nearest to A's")):
        if several := [run for run in pairs if len(folder.made[run]) > 1]:
            notes.append(
                f"Cells of {folder.side} with several configurations, of which {which} was taken: "
                f"{_named(several)}."
            )
    for folder in (ours, theirs):
        notes += [
            f"{folder.side}: {path} is not a valid record: {why}" for path, why in folder.unusable
        ]
    return notes


def _named(runs: Sequence[Run]) -> str:
    words = ["/".join(words_of(run)) for run in runs]
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return f"{len(words)} ({', '.join(words[:NAMED])}{more})"


def _differing_settings(pairs: Iterable[tuple[Record, Record]]) -> pd.DataFrame:
    """A row per setting and pair of values: setting, ours, theirs (texts), pairs; the most first.

    Of what records were made with (code, packages, device), only what both of them name.
    """
    rows = []
    for ours, theirs in pairs:
        rows += _differences(_identity(ours), _identity(theirs))
        made_with = _differences(_made_with(ours), _made_with(theirs))
        rows += [found for found in made_with if NOT_THERE not in found]
    columns = ["setting", "ours", "theirs"]
    frame = pd.DataFrame(rows, columns=columns)
    counts = frame.groupby(columns, sort=False).size().reset_index(name="pairs")
    return counts.sort_values(["setting", "pairs"], ascending=[True, False], ignore_index=True)


def _differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[tuple[str, ...]]:
    values = {
        name: (ours.get(name, NOT_THERE), theirs.get(name, NOT_THERE))
        for name in dict.fromkeys([*ours, *theirs])
    }
    return [(name, mine, other) for name, (mine, other) in values.items() if mine != other]


def _identity(made: Record) -> dict[str, str]:
    """What is in the hash, as one level of names."""
    return _flat(_hashed(made))


def _hashed(made: Record) -> dict[str, Any]:
    prints = made["provenance"]["data_fingerprint"], made["provenance"]["backbone_fingerprint"]
    return hashing.identity(made["config"], *prints)


def _made_with(made: Record) -> dict[str, str]:
    return _flat({k: v for k, v in made["provenance"].items() if k not in NO_SETTINGS})


def _flat(tree: Mapping[str, Any]) -> dict[str, str]:
    (flat,) = pd.json_normalize(dict(tree)).to_dict("records")
    return {str(k): f"{v:g}" if isinstance(v, float) else str(v) for k, v in flat.items()}
