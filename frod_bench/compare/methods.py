"""Methods of one results folder: which record of each cell is meant."""

from collections.abc import Sequence
from pathlib import Path

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import is_published
from frod_bench.compare.comparison import Comparison, Contrast
from frod_bench.compare.options import PROFILE, PROTOCOL, SEEDS, CompareConfig
from frod_bench.records import select, store
from frod_bench.report.collect import Cell, collect
from frod_bench.report.frame import Method, method_of
from frod_bench.report.names import label, method_named
from frod_bench.report.rules import Rules


def compare_methods(config: CompareConfig, rules: Rules) -> Comparison:
    """Compare methods on tasks by their records.

    Without `seeds` those that all methods have are compared: a run of one method alone, with
    settings that somebody tried, must not enter its mean. Raises InputError if a task or a method
    has no record at all under the results folder, or none of the cells has one.
    """
    tasks, methods, head = config.task or [], config.methods or [], config.head
    profile, protocol = config.profile or PROFILE, config.protocol or PROTOCOL
    root = Path(config.results_root).expanduser()
    folder = root / profile / "records"
    command = _command(config, profile, protocol)
    _check_names(folder, tasks, methods, command)
    runs = select.by_run(store.scan(folder)[0], profile=profile, protocol=protocol, head=head)
    seeds_of = [{r.seed for r in runs if r.task in tasks and r.method == m} for m in methods]
    shared = set.intersection(*seeds_of)
    rule = rules.convergence
    cells = [
        Cell(task, method, seed, protocol=protocol, head=head)
        for task in tasks
        for method in dict.fromkeys([*methods, rule.reference])
        for seed in config.seeds or sorted(shared) or SEEDS
    ]
    collected = collect(root, profile, cells)
    if not config.seeds and (lone := sorted(set.union(*seeds_of) - shared)):
        collected.warnings.append(
            f"Seeds {', '.join(map(str, lone))} are left out: not every method has a record of "
            "them. seed= names them."
        )
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


def _command(config: CompareConfig, profile: str, protocol: str) -> str:
    """The command that runs what a comparison of methods lacks, with full fine-tuning's target."""
    words = {
        "task": ",".join(config.task or []),
        "method": ",".join(dict.fromkeys([*(config.methods or []), "full"])),
        "seed": ",".join(map(str, config.seeds or SEEDS)),
        "profile": profile,
        "protocol": protocol,
        "head": config.head,
    }
    if not is_published(Path(config.results_root).expanduser()):
        words["results_root"] = config.results_root
    if profile != PROFILE:
        words |= {"data_root": "DIR", "model_root": "DIR"}
    return "frod-bench run -m " + " ".join(f"{key}={value}" for key, value in words.items())


def _check_names(records: Path, tasks: Sequence[str], methods: Sequence[str], command: str) -> None:
    """Raise InputError unless each task and method has a folder: a name may be misspelt."""
    existing = _folders(records)
    if not existing:
        raise InputError(
            f"No records under {records}. Run them: {command}. Or "
            "name the results_root= and profile= of records that you have."
        )
    for task in tasks:
        if task not in existing:
            raise InputError(f"No records of task {task!r}.{did_you_mean(task, existing)}")
        made = _folders(records / task)
        for method in methods:
            if method not in made:
                hint = did_you_mean(method, made)
                raise InputError(f"No records of method {method!r} on task {task!r}.{hint}")


def _folders(parent: Path) -> list[str]:
    return sorted(p.name for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
