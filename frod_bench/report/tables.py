"""The main table and the parameter table, each as Markdown, CSV (long) and LaTeX."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frod_bench.report.markup import Row, Table, to_latex, to_markdown
from frod_bench.report.summary import COSTS, summarise

NOT_THERE = "–"
HOLE = "†"
MAIN_CAPTION = (
    "Test scores in points (100 × the task's primary metric; accuracy unless named). Tasks: mean "
    "over seeds ± half of the 95 % interval (Student's t). Means: over tasks, with the 95 % "
    "interval of a bootstrap over tasks and seeds."
)
PARAMETERS_CAPTION = (
    "Trained and frozen parameters of each method on each backbone; a range is over tasks, whose "
    "heads differ. Percents are of the pretrained backbone's parameters."
)


def write_tables(
    frame: pd.DataFrame, out_dir: Path, title: str, notes: Sequence[str] = ()
) -> list[Path]:
    """Write `main` and `parameters` as .md, .csv and .tex under `out_dir`; returns the paths.

    `frame` is `Collected.frame`; `title` is the profile's title and heads every table; `notes`
    (warnings, say) are appended to the main table.
    """
    summary = summarise(frame)
    parameters = parameter_summary(frame)
    paths = write_table(main_table(summary, title, notes), summary, out_dir, "main")
    return paths + write_table(
        parameter_table(parameters, title), parameters, out_dir, "parameters"
    )


def write_table(table: Table, numbers: pd.DataFrame, out_dir: Path, name: str) -> list[Path]:
    """Write one table in its three forms; `numbers` is the long frame behind it."""
    out_dir.mkdir(parents=True, exist_ok=True)
    texts = {
        "md": to_markdown(table),
        "tex": to_latex(table, name),
        "csv": numbers.to_csv(index=False, float_format="%.10g", lineterminator="\n"),
    }
    paths = [out_dir / f"{name}.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def main_table(summary: pd.DataFrame, title: str, notes: Sequence[str] = ()) -> Table:
    """Task x method, tasks grouped by family, then the means, then what it cost."""
    methods = list(dict.fromkeys(summary["method"]))
    scores = _Scores(summary, methods)
    tasks = summary[(summary["scope"] == "task") & summary["primary"]]
    rows: list[Row] = []
    for family, group in tasks.groupby("family"):
        rows.append(Row(str(family), heading=True))
        for task, of_task in group.groupby("task", sort=False):
            label = _task_label(str(task), of_task["metric"])
            rows.append(Row(label, scores.line("task", str(task), str(family))))
        rows.append(Row(f"mean of {family}", scores.line("family", "", str(family)), strong=True))
    rows.append(Row("all tasks", heading=True))
    rows.append(Row("mean of all tasks", scores.line("overall", "", ""), strong=True))
    rows.extend(_cost_lines(summary, methods))
    return Table(
        title=f"Main table: {title}",
        caption=MAIN_CAPTION,
        header=("task", *methods),
        rows=rows,
        notes=[*_hole_notes(summary), *notes],
    )


def format_score(number: Any) -> str:
    """A row of the summary as text: a score with its interval, or what became of its cells."""
    if np.isnan(number.mean):
        return str(number.status)
    text = f"{number.mean:.1f}"
    if number.scope == "task":
        if not np.isnan(number.low):
            text += f" ± {number.high - number.mean:.1f}"
        elif not number.holes:
            text += " (one seed)"
        if number.holes:
            text += f" ({number.n_cells} of {number.n_expected}: {number.holes})"
        return text
    interval = " (one task)" if np.isnan(number.low) else f" [{number.low:.1f}, {number.high:.1f}]"
    return text + interval + (HOLE if number.holes else "")


class _Scores:
    """The primary scores by scope, task, family and method."""

    def __init__(self, summary: pd.DataFrame, methods: Sequence[str]) -> None:
        primary = summary[summary["primary"]].itertuples(index=False)
        self._by_key = {(row.scope, row.task, row.family, row.method): row for row in primary}
        self._methods = methods

    def line(self, scope: str, task: str, family: str) -> tuple[str, ...]:
        """Text of each method; a dash where no cell was asked for, unlike a missing one."""
        found = (self._by_key.get((scope, task, family, method)) for method in self._methods)
        return tuple(NOT_THERE if row is None else format_score(row) for row in found)


def _task_label(task: str, metrics: pd.Series) -> str:
    named = [name for name in metrics if name and name != "accuracy"]
    return f"{task} ({named[0].replace('_', ' ')})" if named else task


def _cost_lines(summary: pd.DataFrame, methods: Sequence[str]) -> list[Row]:
    overall = summary[(summary["scope"] == "overall") & ~summary["primary"]]
    by_key = {(row.metric, row.method): row for row in overall.itertuples(index=False)}
    rows = []
    for cost in COSTS:
        found = [by_key.get((cost.name, method)) for method in methods]
        if any(row is not None for row in found):
            cells = tuple(NOT_THERE if row is None else format_cost(row) for row in found)
            rows.append(Row(f"{cost.name}, {cost.unit}", cells))
    return rows


def format_cost(number: Any) -> str:
    """A cost to three digits, marked where it is the mean of fewer cells than were asked for."""
    text = f"{number.mean:,.0f}" if number.mean >= 100 else f"{number.mean:.3g}"
    return text + (HOLE if number.holes else "")


def _hole_notes(summary: pd.DataFrame) -> list[str]:
    """One note a method whose averages are over fewer cells than were asked for."""
    overall = summary[(summary["scope"] == "overall") & summary["primary"]]
    return [
        f"{HOLE} {row.method}: averages are over {row.n_cells} of {row.n_expected} cells "
        f"({row.holes}); they do not compare with a whole column."
        for row in overall.itertuples(index=False)
        if row.holes
    ]


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
    keys = ["family", "backbone", "method"]
    long = known[[*keys, *_COUNTS]].melt(id_vars=keys, var_name="quantity")
    grouped = long.groupby([*keys, "quantity"], sort=False)["value"]
    return grouped.agg(n_cells="count", mean="mean", low="min", high="max").reset_index()


def parameter_table(parameters: pd.DataFrame, title: str) -> Table:
    """Method x quantity, a group a backbone."""
    rows: list[Row] = []
    for (family, backbone), group in parameters.groupby(["family", "backbone"]):
        rows.append(Row(f"{family}: {backbone}", heading=True))
        for method, counts in group.groupby("method", sort=False):
            by_name = {row.quantity: row for row in counts.itertuples(index=False)}
            rows.append(Row(str(method), tuple(_range(by_name[name]) for name in _COUNTS)))
    header = ("method", *_COUNTS.values())
    return Table(f"Parameters: {title}", PARAMETERS_CAPTION, header, rows)


def _range(count: Any) -> str:
    style = "{:.3f}" if count.quantity.startswith("percent") else "{:,.0f}"
    ends = [style.format(count.low), style.format(count.high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
