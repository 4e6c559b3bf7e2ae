"""A comparison in the terminal: its tables, and what a reader must know of them."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from frod_bench.compare.comparison import Comparison, Contrast
from frod_bench.report.collect import holes_of
from frod_bench.report.convergence import format_target
from frod_bench.report.frame import Task, by_task, method_of, methods_in, task_of, tasks_in
from frod_bench.report.names import label
from frod_bench.report.paired import MEAN, MIDDLE, WINS, minus, p_text, signed

NOT_THERE = "–"
_OVERALL = {MEAN: "all tasks", MIDDLE: "middle half", WINS: "wins, share"}
VALUES_SHOWN = 3  # of a setting that differs in several ways


def show(comparison: Comparison, console: Console) -> None:
    """Print scores and times, settings that differ, and paired differences."""
    for note in comparison.notes:
        _line(console, note)
    reference = label(comparison.reference, in_text=True)
    console.print(_scores(comparison))
    _line(
        console,
        "Score: mean over seeds ± half of the 95 % interval (Student's t). Target: "
        f"{100 * comparison.rule.target_fraction:.0f} % of the way that "
        f"{reference}'s mean curve goes; ∞: not reached. Seconds are of training, "
        "with set-up charged.",
    )
    for line in comparison.out_of_reach():
        _line(console, line)
    if len(comparison.settings):
        console.print(_settings(comparison))
    if comparison.contrasts:
        console.print(_differences(comparison))
        _line(
            console,
            f"Points of {comparison.heads[0]} minus {comparison.heads[1]}, paired by task and "
            "seed, over the pairs that both have. Intervals: Student's t over pairs; over tasks a "
            "bootstrap of tasks and seeds. McNemar: test examples that one alone gets right, and "
            "the exact p-value, by Holm over tasks. Middle half: the interquartile mean over tasks "
            "and seeds. Wins: how often a run of the one beats a run of the other.",
        )
    for warning in (*comparison.collected.warnings, *holes_of(comparison.cells)):
        _line(console, f"Warning: {warning}", style="yellow")


def _line(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def _scores(comparison: Comparison) -> Table:
    numbers = ("score (points)", "target (points)", "steps to target", "seconds to target")
    table = _table(f"Comparison: {comparison.title}", ("task", "method"), numbers)
    name = _once(table)
    for row in comparison.frame.itertuples(index=False):
        target = format_target(row.target)
        table.add_row(
            name(label(task_of(row))),
            label(method_of(row)),
            row.score,
            target,
            row.steps,
            row.seconds,
        )
    return table


def _differences(comparison: Comparison) -> Table:
    """A row a task and contrast, then the same over tasks."""
    numbers = (*comparison.heads, "mean", "95 % interval", "pairs", "McNemar")
    table = _table("Paired differences (points)", ("task", "method"), numbers)
    for column in table.columns[2:-1]:
        column.no_wrap = True
    pairs = comparison.pairs
    of_tasks = pairs[pairs["scope"] == "task"] if len(pairs) else pairs
    by_key = {(task_of(row), row.contrast): row for row in of_tasks.itertuples(index=False)}
    name = _once(table)
    for task, contrast in _asked(comparison):
        row = by_key.get((task, contrast.name))
        cells = _NO_PAIR if row is None or math.isnan(row.mean) else _pair_cells(row)
        table.add_row(name(label(task)), contrast.name, *cells)
    if len(of_tasks) and len(tasks_in(of_tasks)) > 1:
        overall = pairs[pairs["scope"] == "overall"]
        for quantity, words in _OVERALL.items():
            for row in overall[overall["quantity"] == quantity].itertuples(index=False):
                cells = _overall_cells(row, _share if quantity == WINS else signed)
                table.add_row(name(words), row.contrast, *cells)
    return table


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
    """A row a setting; of one with many values those that most pairs have."""
    table = _table("Settings that differ", ("setting", *comparison.heads), ("pairs",))
    for setting, rows in comparison.settings.groupby("setting", sort=False):
        name = _once(table, sections=False)
        for row in rows.head(VALUES_SHOWN).itertuples(index=False):
            table.add_row(name(setting), row.ours, row.theirs, str(row.pairs))
        rest = rows.iloc[VALUES_SHOWN:]
        if len(rest):
            table.add_row("", f"{len(rest)} more", "", str(rest["pairs"].sum()))
    return table


def _once(table: Table, *, sections: bool = True) -> Callable[[object], str]:
    """Text of a row's first cell: the same one is not said twice, another begins a section."""
    last: list[object] = []

    def name(value: object) -> str:
        if last == [value]:
            return ""
        if last and sections:
            table.add_section()
        last[:] = [value]
        return str(value)

    return name


def _share(value: float) -> str:
    return f"{value:.2f}"
