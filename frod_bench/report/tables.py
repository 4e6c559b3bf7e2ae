"""The main table and the parameter table, each as Markdown, CSV (long) and LaTeX."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench.report.frame import (
    FAMILY_KEY,
    METHOD_KEY,
    Family,
    Method,
    Task,
    by_method,
    by_task,
    method_of,
    methods_in,
    task_of,
)
from frod_bench.report.names import label, metric_label
from frod_bench.report.summary import COSTS, INTERVAL_SEEDS, INTERVAL_TASKS, so_many
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.stats import FEW_TASKS

HOLE = "†"
MAIN_CAPTION = (
    "Test scores in points (100 × the task's primary metric; accuracy unless named), mean over "
    "seeds ± half of the 95 % interval (Student's t), or the range of fewer than "
    f"{INTERVAL_SEEDS} seeds. Means over tasks have the 95 % interval of a bootstrap over tasks "
    f"and seeds (of fewer than {FEW_TASKS} tasks Student's t, of fewer than {INTERVAL_TASKS} none)."
)
PARAMETERS_CAPTION = (
    "Trained and frozen parameters of each method on each backbone; a range is over tasks, whose "
    "heads differ. Percentages are of the pretrained backbone's parameters."
)


class Line(NamedTuple):
    """A line of the main table: a row of the summary for each method, None where none was asked.

    `group` is the family, or empty below all families; `strong` is a mean over tasks.
    """

    group: str
    label: str
    numbers: tuple[Any, ...]
    strong: bool = False


def main_table(summary: pd.DataFrame, title: str, notes: Sequence[str] = ()) -> Table:
    """Task x method, tasks grouped by family, then the means, then what it cost.

    `title` is the profile's title; `notes` (e.g. warnings) are printed below.
    """
    rows: list[Row] = []
    for group, lines in itertools.groupby(score_lines(summary), lambda line: line.group):
        rows.append(Row(group or "all tasks", heading=True))
        for line in lines:
            texts = tuple(NOT_THERE if n is None else format_score(n) for n in line.numbers)
            rows.append(Row(line.label, texts, strong=line.strong, best=best_of(line)))
    for line in cost_lines(summary):
        texts = tuple(NOT_THERE if n is None else format_cost(n) for n in line.numbers)
        rows.append(Row(line.label, texts))
    return Table(
        title=f"Main table: {title}",
        caption=MAIN_CAPTION,
        header=("task", *(label(method) for method in methods_in(summary))),
        rows=rows,
        notes=[*hole_notes(summary), *notes],
    )


def methods_of(summary: pd.DataFrame) -> list[Method]:
    """The methods, in the order of the columns."""
    return methods_in(summary)


def score_lines(summary: pd.DataFrame) -> list[Line]:
    """The scores: of each task, family by family with the family's mean, then of all tasks."""
    primary = summary[summary["primary"]]
    by_key = {
        (row.scope, task_of(row), row.family, method_of(row)): row
        for row in primary.itertuples(index=False)
    }
    methods = methods_in(summary)

    def numbers(scope: str, task: Task, family: str) -> tuple[Any, ...]:
        return tuple(by_key.get((scope, task, family, method)) for method in methods)

    lines: list[Line] = []
    for key, group in primary[primary["scope"] == "task"].groupby(FAMILY_KEY):
        family = Family(*key)
        name = label(family)
        for task, of_task in by_task(group):
            text = _task_label(task, of_task["metric"])
            lines.append(Line(name, text, numbers("task", task, family.family)))
        means = numbers("family", Task("", family.head), family.family)
        lines.append(Line(name, f"mean of {name}", means, strong=True))
    overall = numbers("overall", Task("", ""), "")
    return [*lines, Line("", "mean of all tasks", overall, strong=True)]


def cost_lines(summary: pd.DataFrame) -> list[Line]:
    """What it cost, a line a quantity that some method has."""
    overall = summary[(summary["scope"] == "overall") & ~summary["primary"]]
    by_key = {(row.metric, method_of(row)): row for row in overall.itertuples(index=False)}
    lines = []
    for cost in COSTS:
        found = tuple(by_key.get((cost.name, method)) for method in methods_of(summary))
        if any(number is not None for number in found):
            lines.append(Line("", f"{cost.name}, {cost.unit}", found))
    return lines


def best_of(line: Line) -> frozenset[int]:
    """Places of the best score among whole ones, and of all that are shown equal to it."""
    whole = {
        place: float(score_text(number).mean)
        for place, number in enumerate(line.numbers)
        if number is not None and not number.holes and not np.isnan(number.mean)
    }
    higher = {line.numbers[place].higher_is_better for place in whole}
    if len(whole) < 2 or higher not in ({True}, {False}):
        return frozenset()
    best = max(whole.values()) if higher == {True} else min(whole.values())
    return frozenset(place for place, score in whole.items() if score == best)


class ScoreText(NamedTuple):
    """A score in three parts, which put together are its text."""

    mean: str  # or what became of the cells
    interval: str
    holes: str


def format_score(number: Any) -> str:
    """A row of the summary as text: a score with its interval, or what became of its cells."""
    return "".join(score_text(number))


def score_text(number: Any) -> ScoreText:
    """The parts of `format_score`."""
    if np.isnan(number.mean):
        return ScoreText(str(number.status), "", "")
    mean, known = f"{number.mean:.1f}", not np.isnan(number.low)
    if number.scope == "task":
        interval = f" ({too_few(number)})" if not number.holes else ""
        if known:
            interval = seeds_interval(number, number.n_seeds)
        counts = f" ({number.n_cells} of {number.n_expected}: {number.holes})"
        return ScoreText(mean, interval, counts if number.holes else "")
    interval = f" [{number.low:.1f}, {number.high:.1f}]" if known else f" ({too_few(number)})"
    return ScoreText(mean, interval, HOLE if number.holes else "")


def seeds_interval(number: Any, n: int, form: Callable[[float], str] = "{:.1f}".format) -> str:
    """How far seeds (or pairs) are apart: half of the 95 % interval, of a few their range."""
    if n < INTERVAL_SEEDS:
        return f" ({form(number.least)} to {form(number.greatest)})"
    return f" ± {number.high - number.mean:.1f}"


def too_few(number: Any) -> str:
    """Of what a number has too few for an interval: "one seed", "3 tasks"."""
    if number.scope == "task":
        return so_many(number.n_seeds, "seed")
    return so_many(number.n_tasks, "task")


def format_cost(number: Any) -> str:
    """A cost to three digits, marked where it is the mean of fewer cells than were asked for."""
    text = f"{number.mean:,.0f}" if number.mean >= 100 else f"{number.mean:.3g}"
    return text + (HOLE if number.holes else "")


def hole_notes(summary: pd.DataFrame) -> list[str]:
    """One note a method whose averages are over fewer cells than were asked for."""
    overall = summary[(summary["scope"] == "overall") & summary["primary"]]
    return [
        f"{HOLE} {label(method_of(row))}: averages are over {row.n_cells} of {row.n_expected} "
        f"cells ({row.holes}); they do not compare with a whole column."
        for row in overall.itertuples(index=False)
        if row.holes
    ]


def _task_label(task: Task, metrics: pd.Series) -> str:
    named = [name for name in metrics if name and name != "accuracy"]
    return f"{label(task)} ({metric_label(named[0])})" if named else label(task)


_COUNTS = {
    "adapted": "trained, without the head",
    "trainable_head": "trained in the head",
    "percent_without_head": "trained without the head, %",
    "percent_with_head": "trained with the head, %",
    "extra_frozen": "frozen besides the backbone",
    "backbone_total": "backbone",
}


def parameter_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Parameter counts, long: family, backbone, method, quantity, n_cells, mean, low, high.

    low and high are the ends of the range over cells: counts have no sampling error.
    """
    known = frame[frame["backbone_total"].notna()].copy()
    known["adapted"] = known["trainable"] - known["trainable_head"]
    known["percent_without_head"] = known["trainable_percent"]
    known["percent_with_head"] = 100.0 * known["trainable"] / known["backbone_total"]
    keys = [*FAMILY_KEY, "backbone", *METHOD_KEY]
    long = known[[*keys, *_COUNTS]].melt(id_vars=keys, var_name="quantity")
    grouped = long.groupby([*keys, "quantity"], sort=False)["value"]
    return grouped.agg(n_cells="count", mean="mean", low="min", high="max").reset_index()


def parameter_table(parameters: pd.DataFrame, title: str) -> Table:
    """Method x quantity, a group a backbone."""
    rows: list[Row] = []
    for (*family, backbone), group in parameters.groupby([*FAMILY_KEY, "backbone"]):
        rows.append(Row(f"{label(Family(*family))}: {backbone}", heading=True))
        for method, counts in by_method(group):
            by_name = {row.quantity: row for row in counts.itertuples(index=False)}
            rows.append(Row(label(method), tuple(_range(by_name[name]) for name in _COUNTS)))
    header = ("method", *_COUNTS.values())
    return Table(f"Parameters: {title}", PARAMETERS_CAPTION, header, rows)


def _range(count: Any) -> str:
    style = "{:.3f}" if count.quantity.startswith("percent") else "{:,.0f}"
    ends = [style.format(count.low), style.format(count.high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
