"""Methods of one results folder: which record of each cell is meant."""

from collections.abc import Iterable, Sequence
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

    Raises InputError where a task or a method has no record at all under the results folder, or
    none of its cells has one.
    """
    tasks, methods = config.task or [], list(dict.fromkeys(config.methods or []))
    rule = rules.convergence
    root, profile = Path(config.results_root).expanduser(), config.profile_or_default
    folder = root / profile / "records"
    protocol = config.protocol or PROTOCOL
    command = _command(config, protocol)
    _must_be_there(folder, tasks, methods, command)
    records, _ = store.scan(folder)
    runs = select.by_run(records, profile=profile, protocol=protocol, head=config.head)
    shared, lone = _seeds_of(runs, tasks, methods)
    cells = [
        Cell(task, method, seed, protocol=protocol, head=config.head)
        for task in dict.fromkeys(tasks)
        for method in dict.fromkeys([*methods, rule.reference])
        for seed in dict.fromkeys(config.seeds or shared or SEEDS)
    ]
    collected = collect(root, profile, cells)
    if lone and not config.seeds:
        names = ", ".join(map(str, lone))
        collected.warnings.append(
            f"Seeds {names} are left out: not every method has a record of them. seed= names them."
        )
    chosen_methods = list(map(method_named, methods))
    shown = collected.frame.apply(method_of, axis=1).isin(chosen_methods)
    if (collected.frame.loc[shown, "status"] == "missing").all():
        raise InputError(
            f"None of the {shown.sum()} cells has a record under {folder}: profile={profile} "
            f"protocol={protocol} head={config.head}. Run them: {command}"
        )
    titles = collected.frame["profile_title"].dropna()
    first, *others = chosen_methods
    return Comparison(
        title=str(titles.iloc[0]) if len(titles) else profile,
        collected=collected,
        shown=shown,
        contrasts=[Contrast(f"{label(first)} − {label(other)}", first, other) for other in others],
        heads=("first", "second"),
        margin_points=rules.accuracy.margin_points,
        rule=rule,
        reference=Method(rule.reference),
        name="_".join(methods),
    )


def _seeds_of(
    runs: Iterable[select.Run], tasks: Sequence[str], methods: Sequence[str]
) -> tuple[list[int], list[int]]:
    """The seeds of which each of the methods has a record on some task, and those of some only.

    A run of one method alone, with settings that somebody tried, is so not mixed into its mean.
    """
    have = [
        {run.seed for run in runs if run.task in tasks and run.method == method}
        for method in methods
    ]
    shared = set.intersection(*have)
    return sorted(shared), sorted(set.union(*have) - shared)


def _command(config: CompareConfig, protocol: str) -> str:
    """The command that runs what a comparison of methods lacks, with full fine-tuning's target."""
    methods = dict.fromkeys([*(config.methods or []), "full"])
    words = {
        "task": ",".join(config.task or []),
        "method": ",".join(methods),
        "seed": ",".join(map(str, config.seeds or SEEDS)),
        "profile": config.profile_or_default,
        "protocol": protocol,
        "head": config.head,
    }
    if not is_published(Path(config.results_root).expanduser()):
        words["results_root"] = config.results_root
    if config.profile_or_default != PROFILE:
        words |= {"data_root": "DIR", "model_root": "DIR"}
    return "frod-bench run -m " + " ".join(f"{key}={value}" for key, value in words.items())


def _must_be_there(
    records: Path, tasks: Sequence[str], methods: Sequence[str], command: str
) -> None:
    """Each task and method has a folder: a misspelt name is told from a run that is missing."""
    there = _folders(records)
    if not there:
        raise InputError(
            f"No records under {records}. Run them: {command}. Or "
            "name the results_root= and profile= of records that you have."
        )
    for task in tasks:
        if task not in there:
            raise InputError(f"No records of task {task!r}.{did_you_mean(task, there)}")
        made = _folders(records / task)
        for method in methods:
            if method not in made:
                hint = did_you_mean(method, made)
                raise InputError(f"No records of method {method!r} on task {task!r}.{hint}")


def _folders(parent: Path) -> list[str]:
    return sorted(p.name for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
