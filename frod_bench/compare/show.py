"""A comparison in the terminal: its tables, and what a reader must know of them."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console

from frod_bench.compare.comparison import Comparison, Contrast
from frod_bench.report.collect import missing_runs
from frod_bench.report.convergence import format_target
from frod_bench.report.frame import Task, by_task, method_of, methods_in, task_of, tasks_in
from frod_bench.report.names import label
from frod_bench.report.paired import MEAN, MIDDLE, WINS, minus, p_text, signed
from frod_bench.report.table import NOT_THERE, Row, Table, to_rich

_OVERALL = {MEAN: "all tasks", MIDDLE: "middle half", WINS: "wins, share"}
VALUES_SHOWN = 3  # of a setting that differs in several ways


def show(comparison: Comparison, console: Console) -> None:
    """Print scores and times, settings that differ, and paired differences."""
    for note in comparison.notes:
        _line(console, note)
    reference = label(comparison.reference, in_text=True)
    console.print(to_rich(_scores(comparison)))
    _line(
        console,
        "Score: mean over seeds ± half of the 95 % interval (Student's t), or the range of two "
        "seeds. Target: "
        f"{100 * comparison.rule.target_fraction:.0f} % of the way that "
        f"{reference}'s mean curve goes; ∞: not reached. Seconds are of training, "
        "with set-up charged.",
    )
    for line in comparison.out_of_reach():
        _line(console, line)
    if len(comparison.settings):
        console.print(to_rich(_settings(comparison)))
    if comparison.contrasts:
        console.print(to_rich(_differences(comparison)))
        _line(
            console,
            f"Points of {comparison.heads[0]} minus {comparison.heads[1]}, paired by task and "
            "seed, over the pairs that both have. Intervals: Student's t over pairs; over tasks a "
            "bootstrap of tasks and seeds. McNemar: test examples that one alone gets right, and "
            "the exact p-value, by Holm over tasks. Middle half: the interquartile mean over tasks "
            "and seeds. Wins: how often a run of the one beats a run of the other.",
        )
    for warning in (*comparison.collected.warnings, *missing_runs(comparison.cells)):
        _line(console, f"Warning: {warning}", style="yellow")


def _line(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _scores(comparison: Comparison) -> Table:
    numbers = ("score (points)", "target (points)", "steps to target", "seconds to target")
    rows = []
    for row in comparison.frame.itertuples(index=False):
        target, method = format_target(row.target), label(method_of(row))
        rows.append(Row(label(task_of(row)), (method, row.score, target, row.steps, row.seconds)))
    title = f"Comparison: {comparison.title}"
    return Table(title, "", ("task", "method", *numbers), rows, texts=1)


def _differences(comparison: Comparison) -> Table:
    """A row for each task and contrast, then the same over tasks."""
    pairs = comparison.pairs
    of_tasks = pairs[pairs["scope"] == "task"] if len(pairs) else pairs
    by_key = {(task_of(row), row.contrast): row for row in of_tasks.itertuples(index=False)}
    rows = []
    for task, contrast in _asked(comparison):
        row = by_key.get((task, contrast.name))
        cells = _NO_PAIR if row is None or math.isnan(row.mean) else _pair_cells(row)
        rows.append(Row(label(task), (contrast.name, *cells)))
    if len(of_tasks) and len(tasks_in(of_tasks)) > 1:
        overall = pairs[pairs["scope"] == "overall"]
        for quantity, words in _OVERALL.items():
            form = "{:.2f}".format if quantity == WINS else signed
            for row in overall[overall["quantity"] == quantity].itertuples(index=False):
                rows.append(Row(words, (row.contrast, *_overall_cells(row, form))))
    header = ("task", "method", *comparison.heads, "mean", "95 % interval", "pairs", "McNemar")
    return Table("Paired differences (points)", "", header, rows, texts=1)


def _asked(comparison: Comparison) -> Iterator[tuple[Task, Contrast]]:
    """Each task with the contrasts that it has cells of."""
    for task, cells in by_task(comparison.cells):
        there = set(methods_in(cells))
        for contrast in comparison.contrasts:
            if {contrast.ours, contrast.theirs} & there:
                yield task, contrast


_NO_PAIR = (NOT_THERE, NOT_THERE, NOT_THERE, "no pair", "0", "")


def _pair_cells(row: Any) -> tuple[str, ...]:
    interval = "not available" if math.isnan(row.low) else _interval(row, signed)
    if row.n == 2:
        interval = f"{signed(row.least)} to {signed(row.greatest)} (range)"
    test = (
        f"{row.only_ours:.0f} : {row.only_theirs:.0f}, {p_text(row.p_holm)}" if row.n_tested else ""
    )
    means = (minus(f"{mean:.1f}") for mean in (row.ours_mean, row.theirs_mean))
    return (*means, signed(row.mean), interval, f"{row.n:.0f}", test)


def _overall_cells(row: Any, style: Callable[[float], str]) -> tuple[str, ...]:
    mean = NOT_THERE if math.isnan(row.mean) else style(row.mean)
    interval = "not available" if math.isnan(row.low) else _interval(row, style)
    return "", "", mean, interval, f"{row.n:.0f} tasks", ""


def _interval(row: Any, style: Callable[[float], str]) -> str:
    return f"[{style(row.low)}, {style(row.high)}]"


def _settings(comparison: Comparison) -> Table:
    """A row for each setting; of one with many values those that most pairs have."""
    rows = []
    for setting, found in comparison.settings.groupby("setting", sort=False):
        for row in found.head(VALUES_SHOWN).itertuples(index=False):
            rows.append(Row(str(setting), (row.ours, row.theirs, str(row.pairs))))
        rest = found.iloc[VALUES_SHOWN:]
        if len(rest):
            rows.append(Row(str(setting), (f"{len(rest)} more", "", str(rest["pairs"].sum()))))
    header = ("setting", *comparison.heads, "pairs")
    return Table("Settings that differ", "", header, rows, texts=2)
