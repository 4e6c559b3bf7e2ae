"""The numbers of a report -> what stands on the page, in words and rows; no HTML yet."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from frod_bench.report import style
from frod_bench.report.claims import NOT_SUPPORTED, SUPPORTED, Judged
from frod_bench.report.claims_table import claims_table
from frod_bench.report.convergence import convergence_table
from frod_bench.report.markup import Row, Table
from frod_bench.report.numbers import Numbers
from frod_bench.report.page.cells import (
    CellLine,
    MapRow,
    cell_lines,
    cell_map,
    counts,
    relative,
)
from frod_bench.report.page.charts import Chart
from frod_bench.report.page.curve_charts import curve_charts, dash
from frod_bench.report.page.front_charts import front_charts
from frod_bench.report.page.provenance import inputs_table, provenance_table
from frod_bench.report.paired import paired_table
from frod_bench.report.tables import (
    MAIN_CAPTION,
    NOT_THERE,
    Line,
    cost_lines,
    format_cost,
    hole_notes,
    methods_of,
    parameter_table,
    score_lines,
    score_text,
)


class Score(NamedTuple):
    """A score in the main table; `value` sorts it, and is None where there is no number."""

    mean: str
    interval: str
    holes: str
    value: float | None


class ScoreRow(NamedTuple):
    """A task, or a mean over tasks (`strong`), with the score of each method."""

    label: str
    scores: tuple[Score, ...]
    strong: bool


class Swatch(NamedTuple):
    """How a method is drawn, for the legend."""

    method: str
    light: str
    dark: str
    dash: str


@dataclass(frozen=True)
class Content:
    """All that the page shows."""

    title: str
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    judged: Judged
    claims_caption: str
    methods: Sequence[str]
    score_groups: Sequence[tuple[str, Sequence[ScoreRow]]]
    score_caption: str
    score_notes: Sequence[str]
    paired: Table | None
    swatches: Sequence[Swatch]
    curves: dict[str, Chart]
    times: Table
    fronts: dict[str, Chart]
    costs: Table
    parameters: Table
    map_methods: Sequence[str]
    cell_map: Sequence[MapRow]
    counts: Sequence[tuple[str, int]]
    cells: Sequence[CellLine]
    provenance: Sequence[Table]
    others: Sequence[str]
    files: Sequence[str]


def page_content(numbers: Numbers, page_dir: Path) -> Content:
    """What the page in `page_dir` shows of an experiment."""
    collected, title, rules = numbers.collected, numbers.title, numbers.rules
    lines = cell_lines(collected.frame, page_dir)
    map_methods, rows = cell_map(lines)
    methods = methods_of(numbers.summary)
    paired = paired_table(numbers.pairs, rules.accuracy.ours, title) if len(numbers.pairs) else None
    return Content(
        title=title,
        facts=_facts(numbers),
        warnings=collected.warnings,
        judged=numbers.judged,
        claims_caption=claims_table(numbers.judged, title).caption,
        methods=methods,
        score_groups=_score_groups(score_lines(numbers.summary)),
        score_caption=MAIN_CAPTION,
        score_notes=hole_notes(numbers.summary),
        paired=paired,
        swatches=[_swatch(method) for method in methods],
        curves=curve_charts(numbers.panels),
        times=_in_words(convergence_table(numbers.times, rules.convergence, title)),
        fronts=front_charts(numbers.summary),
        costs=_costs_table(numbers, methods),
        parameters=parameter_table(numbers.parameters, title),
        map_methods=map_methods,
        cell_map=rows,
        counts=counts(collected.frame),
        cells=lines,
        provenance=[provenance_table(collected, title), inputs_table(collected, title)],
        others=collected.others,
        files=[relative(path, page_dir) for path in sorted((page_dir / "tables").glob("*.csv"))],
    )


def verdict_kind(verdict: str) -> str:
    """`good`, `bad` or `open`: how a verdict is coloured."""
    return {SUPPORTED: "good", NOT_SUPPORTED: "bad"}.get(verdict, "open")  # type: ignore[call-overload]


class Group(NamedTuple):
    """Rows of a table below a heading, which may be empty: those that sort, and those that stay."""

    heading: str
    rows: list[Row]
    fixed: list[Row]


def grouped(table: Table) -> list[Group]:
    """The groups of a table; from the first strong row on, the rows of a group stay below it."""
    groups = [Group("", [], [])]
    for row in table.rows:
        if row.heading:
            groups.append(Group(row.label, [], []))
        elif row.strong or groups[-1].fixed:
            groups[-1].fixed.append(row)
        else:
            groups[-1].rows.append(row)
    return groups if groups[0].rows or groups[0].fixed else groups[1:]


def _facts(numbers: Numbers) -> list[tuple[str, str]]:
    frame = numbers.collected.frame
    n_ok = int((frame["status"] == "ok").sum())
    seeds = ", ".join(str(seed) for seed in sorted(set(frame["seed"])))
    return [
        ("cells with a number", f"{n_ok} of {len(frame)}"),
        ("tasks", str(frame["task"].nunique())),
        ("methods", ", ".join(methods_of(numbers.summary))),
        ("seeds", seeds),
        ("protocol", ", ".join(sorted(set(frame["protocol"].dropna())))),
    ]


def _score_groups(lines: Sequence[Line]) -> list[tuple[str, list[ScoreRow]]]:
    return [
        (
            group or "all tasks",
            [
                ScoreRow(line.label, tuple(_score(n) for n in line.numbers), line.strong)
                for line in of_group
            ],
        )
        for group, of_group in itertools.groupby(lines, lambda line: line.group)
    ]


def _score(number: Any) -> Score:
    """A row of the summary in parts; says in words where an interval is not to be had."""
    if number is None:
        return Score(NOT_THERE, "", "", None)
    mean, interval, holes = (part.strip() for part in score_text(number))
    if np.isnan(number.mean):
        return Score("", "", mean, None)
    if np.isnan(number.low):
        of_one = "one seed" if number.scope == "task" else "one task"
        interval = f"no interval: {of_one}"
    return Score(mean, interval, holes, float(number.mean))


def _costs_table(numbers: Numbers, methods: Sequence[str]) -> Table:
    lines = cost_lines(numbers.summary)
    rows = [
        Row(
            method,
            tuple(NOT_THERE if n is None else format_cost(n) for n in numbers_of_method),
        )
        for method, *numbers_of_method in zip(methods, *(li.numbers for li in lines), strict=True)
    ]
    caption = (
        "Means over the cells that ran. Seconds and memory are of one machine and one run each, "
        "so they have no interval; the worker process keeps what earlier cells loaded."
    )
    header = ("method", *(line.label for line in lines))
    return Table(f"Costs: {numbers.title}", caption, header, rows)


def _in_words(table: Table) -> Table:
    """The convergence table with misses in words."""
    rows = [
        row
        if row.strong or row.heading
        else Row(row.label, tuple(text.replace("∞", "not reached") for text in row.cells))
        for row in table.rows
    ]
    caption = table.caption.replace(" ∞: not reached.", "")
    return Table(table.title, caption, table.header, rows, table.notes)


def _swatch(method: str) -> Swatch:
    look = style.of_method(method)
    gaps = dash(look).replace("px", "").replace("solid", "none")
    return Swatch(method, look.color, look.color_on_dark, gaps)
