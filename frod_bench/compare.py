"""Methods side by side on chosen tasks: scores, steps and seconds to target, and the curves.

`python -m frod_bench.compare task=rte methods=[frod,lora]` prints a table and draws a figure.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from rich.console import Console
from rich.table import Table as TerminalTable

from frod_bench import record
from frod_bench.errors import InputError, did_you_mean
from frod_bench.report.collect import Cell, Collected, collect
from frod_bench.report.convergence import arrivals, format_target, format_time, time_summary
from frod_bench.report.curves import AXES
from frod_bench.report.rules import ConvergenceRule, load_rules
from frod_bench.report.summary import summarise
from frod_bench.report.tables import format_score

HEADS = ("classify", "rank")


@dataclass
class CompareConfig:
    """What the command line may set, as `key=value`."""

    task: Any = MISSING  # a task, or a list of them
    methods: list[str] = MISSING
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    profile: str = "embedded"
    protocol: str = "fair"
    head: str = "classify"
    results_root: str = "results"

    def tasks(self) -> list[str]:
        """The tasks, as a list."""
        return [str(t) for t in self.task] if isinstance(self.task, list) else [str(self.task)]


@dataclass(frozen=True)
class Comparison:
    """The records of the methods and of the reference that sets the target, and what they say.

    `frame` has a row a task and method: task, method, target (metric's own unit), score (text),
    steps and seconds (text, to target), and their medians as steps_median and seconds_median.
    """

    frame: pd.DataFrame
    collected: Collected
    methods: list[str]


def parse(overrides: Sequence[str]) -> CompareConfig:
    """Read `key=value` arguments. Raises InputError for an unknown key or a value of wrong type."""
    allowed = CompareConfig.__dataclass_fields__
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            raise InputError(f"{override!r} is no key=value, such as task=rte.")
        if key not in allowed:
            raise InputError(f"Unknown key {key!r}.{did_you_mean(key, allowed)}")
    try:
        given = OmegaConf.from_dotlist(list(overrides))
        merged = OmegaConf.merge(OmegaConf.structured(CompareConfig), given)
        config = cast(CompareConfig, OmegaConf.to_object(merged))
    except MissingMandatoryValue as error:
        raise InputError("task and methods must be given: task=rte methods=[frod,lora].") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    given_values = {"task": config.tasks(), "methods": config.methods, "seeds": config.seeds}
    if config.head not in HEADS:
        raise InputError(f"head={config.head} is unknown.{did_you_mean(config.head, HEADS)}")
    for name, values in given_values.items():
        if not values:
            raise InputError(f"{name} is empty; give at least one.")
    return config


def compare(config: CompareConfig, rule: ConvergenceRule) -> Comparison:
    """Compare methods on tasks by their records.

    Raises InputError where a task or a method has no record at all under the results folder.
    """
    wanted = list(dict.fromkeys([*config.methods, rule.reference]))
    root = Path(config.results_root)
    folder = root / config.profile / "records"
    _must_be_there(folder, config)
    made = _hashes(folder, config)
    chosen = [
        _newest(Cell(task, method, seed, protocol=config.protocol, head=config.head), made)
        for task in config.tasks()
        for method in wanted
        for seed in config.seeds
    ]
    collected = collect(root, config.profile, [cell for cell, _ in chosen])
    collected.warnings[:0] = [warning for _, warning in chosen if warning]
    asked = collected.frame["method"].isin(config.methods)
    scores = summarise(collected.frame[asked])
    scores = scores[(scores["scope"] == "task") & scores["primary"]]
    times = time_summary(arrivals(collected.frame, collected.curves, rule), rule)
    by_key = {(row.axis, row.task, row.method): row for row in times.itertuples(index=False)}
    rows = []
    for score in scores.itertuples(index=False):
        found = {axis: by_key[axis, score.task, score.method] for axis in AXES}
        texts = {axis: format_time(row) for axis, row in found.items()}
        medians = {f"{axis}_median": row.median for axis, row in found.items()}
        base = {"task": score.task, "method": score.method, "target": found["steps"].target}
        rows.append(base | {"score": format_score(score)} | texts | medians)
    return Comparison(pd.DataFrame(rows), collected, config.methods)


def draw(comparison: Comparison, out_dir: Path, title: str, rule: ConvergenceRule) -> list[Path]:
    """Draw the methods' curves on each task, `compare_<task>_<methods>` as .png and .pdf."""
    from frod_bench.report import figures
    from frod_bench.report.curves import evaluated_curves
    from frod_bench.report.panels import task_panels

    frame, curves = comparison.collected.frame, comparison.collected.curves
    arrived = arrivals(frame, curves, rule)
    smoothed = {
        key: curve.smoothed(rule.window_evaluations)
        for key, curve in evaluated_curves(frame, curves).items()
    }
    asked = frame[frame["method"].isin(comparison.methods)]
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for task, cells in asked.groupby("task", sort=False):
        panels = task_panels(cells, smoothed, arrived, title, rule)
        if panels is not None:
            stem = out_dir / "_".join(["compare", str(task), *comparison.methods])
            paths += figures.save_figure(figures.draw(panels), stem)
    return paths


def show(comparison: Comparison, title: str, console: Console) -> None:
    """Print the comparison as a table, and what a reader must know of it."""
    table = TerminalTable(title=f"Comparison: {title}", title_justify="left")
    for name in ("task", "method"):
        table.add_column(name)
    for name in ("score (points)", "target (points)", "steps to target", "seconds to target"):
        table.add_column(name, justify="right")
    last = None
    for row in comparison.frame.itertuples(index=False):
        if last not in (None, row.task):
            table.add_section()
        task = "" if row.task == last else row.task
        target = format_target(row.target)
        table.add_row(task, row.method, row.score, target, row.steps, row.seconds)
        last = row.task
    console.print(table)
    console.print("∞: the target was not reached. Seconds are of training, with set-up charged.")
    for warning in comparison.collected.warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 for bad input."""
    try:
        config = parse(sys.argv[1:] if arguments is None else arguments)
        rule = load_rules().convergence
        comparison = compare(config, rule)
    except InputError as error:
        print(f"frod_bench.compare: {error}", file=sys.stderr)
        return 2
    title = _title(comparison, config)
    show(comparison, title, Console())
    for path in draw(
        comparison, Path(config.results_root) / config.profile / "figures", title, rule
    ):
        print(path.resolve())
    return 0


def _hashes(folder: Path, config: CompareConfig) -> dict[tuple[str, str, int], list[str]]:
    """Hashes of each (task, method, seed) under the profile, protocol and head, newest first.

    Random weights are a calibration's, never meant unless they are named.
    """
    found: dict[tuple[str, str, int], list[str]] = {}
    records, _ = record.scan(folder)
    for made in sorted(records, key=lambda one: one["provenance"]["started_at"], reverse=True):
        cell = made["cell"]
        asked = (cell["profile"], cell["protocol"]) == (config.profile, config.protocol)
        asked = asked and made["config"].get("head", "classify") == config.head
        if asked and made["config"].get("pretrained", True):
            found.setdefault((cell["task"], cell["method"], cell["seed"]), []).append(
                cell["config_hash"]
            )
    return found


def _newest(
    cell: Cell, made: Mapping[tuple[str, str, int], Sequence[str]]
) -> tuple[Cell, str | None]:
    """The cell with the hash of its newest record, and a warning where there are others."""
    found = made.get((cell.task, cell.method, cell.seed), [])
    if not found:
        return cell, None
    taken, *others = found
    warning = (
        f"{cell.task}/{cell.method}/{cell.seed}: the newest configuration was taken, {taken}; "
        f"{len(others)} {'other lies' if len(others) == 1 else 'others lie'} beside it."
    )
    return replace(cell, config_hash=taken), warning if others else None


def _must_be_there(records: Path, config: CompareConfig) -> None:
    """Each task and method has a folder: a misspelt name is told from a run that is missing."""
    tasks = _folders(records)
    if not tasks:
        raise InputError(
            f"No records under {records}. Make some with `make smoke`, or name another "
            "results_root= or profile=."
        )
    for task in config.tasks():
        if task not in tasks:
            raise InputError(f"No records of task {task!r}.{did_you_mean(task, tasks)}")
        methods = _folders(records / task)
        for method in config.methods:
            if method not in methods:
                hint = did_you_mean(method, methods)
                raise InputError(f"No records of method {method!r} on task {task!r}.{hint}")


def _folders(parent: Path) -> list[str]:
    return sorted(p.name for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []


def _title(comparison: Comparison, config: CompareConfig) -> str:
    """The profile's title as its records carry it."""
    titles = comparison.collected.frame["profile_title"].dropna()
    return str(titles.iloc[0]) if len(titles) else config.profile


if __name__ == "__main__":
    sys.exit(main())
