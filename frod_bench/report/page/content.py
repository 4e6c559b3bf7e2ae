"""What the page shows of a report's numbers, in words and rows; `write` makes HTML of it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench.report import style
from frod_bench.report.claims import NOT_SUPPORTED, SUPPORTED, Judged
from frod_bench.report.claims_table import claims_table
from frod_bench.report.convergence import convergence_table
from frod_bench.report.frame import Method, method_of, methods_in, tasks_in
from frod_bench.report.names import label
from frod_bench.report.numbers import Numbers
from frod_bench.report.page.cells import (
    CellLine,
    MapRow,
    cell_lines,
    cell_map,
    counts,
    relative,
)
from frod_bench.report.page.charts import Chart, curve_charts, dash, front_charts
from frod_bench.report.page.provenance import inputs_table, provenance_table
from frod_bench.report.paired import paired_table
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.report.tables import (
    MAIN_CAPTION,
    Line,
    cost_lines,
    format_cost,
    hole_notes,
    parameter_table,
    score_lines,
    score_text,
    too_few,
)


class Score(NamedTuple):
    """A score in the main table; `value` sorts it, and is None if there is no number."""

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

    @property
    def curve_names(self) -> dict[str, str]:
        """The tasks with curves, and all of them: name -> label."""
        return {name.split("/")[0]: chart.label for name, chart in self.curves.items()}

    @property
    def quantities(self) -> list[str]:
        """The quantities that there are curves of."""
        return list(dict.fromkeys(name.split("/")[1] for name in self.curves))


def page_content(numbers: Numbers, page_dir: Path) -> Content:
    """What the page in `page_dir` shows of an experiment."""
    collected, title, rules = numbers.collected, numbers.title, numbers.rules
    summary = numbers.summary
    lines = cell_lines(collected.frame, page_dir)
    ours = Method(rules.accuracy.ours)
    methods = ours_second(methods_in(summary), ours, Method(rules.accuracy.reference))
    map_methods, rows = cell_map(sorted(lines, key=lambda line: methods.index(line.method)))
    return Content(
        title=title,
        facts=_facts(numbers),
        warnings=collected.warnings,
        judged=numbers.judged,
        claims_caption=claims_table(numbers.judged, title).caption,
        methods=[label(method) for method in methods],
        score_groups=_score_groups(summary, methods),
        score_caption=MAIN_CAPTION,
        score_notes=hole_notes(summary),
        paired=paired_table(numbers.pairs, ours, title) if len(numbers.pairs) else None,
        swatches=[_swatch(method) for method in methods],
        curves=curve_charts(numbers.panels, numbers.losses),
        times=convergence_table(
            numbers.times, rules.convergence, title, methods=methods, missed="not reached"
        ),
        fronts=front_charts(summary),
        costs=_costs_table(numbers, methods),
        parameters=parameter_table(_in_order(methods, numbers.parameters), title),
        map_methods=[label(method) for method in map_methods],
        cell_map=rows,
        counts=counts(collected.frame),
        cells=lines,
        provenance=[provenance_table(collected, title), inputs_table(collected, title)],
        others=collected.others,
        files=[relative(path, page_dir) for path in sorted((page_dir / "tables").glob("*.csv"))],
    )


def ours_second(methods: Sequence[Method], ours: Method, reference: Method) -> list[Method]:
    """The methods with `ours` after the reference, since a narrow screen shows two columns.

    Without the reference ours is the first.
    """
    others = [method for method in methods if method != ours]
    at = others.index(reference) + 1 if reference in others else 0
    return [*others[:at], *([ours] if ours in methods else []), *others[at:]]


def _in_order(methods: Sequence[Method], frame: pd.DataFrame) -> pd.DataFrame:
    """A long frame with its rows in the order of the methods."""
    order = [methods.index(method_of(row)) for row in frame.itertuples(index=False)]
    return frame.iloc[np.argsort(order, kind="stable")]


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
    return [
        ("runs with a score", f"{n_ok} of {len(frame)}"),
        ("tasks", str(len(tasks_in(frame)))),
        ("methods", ", ".join(map(label, methods_in(numbers.summary)))),
        ("seeds", ", ".join(str(seed) for seed in sorted(set(frame["seed"])))),
        ("protocol", ", ".join(sorted(set(frame["protocol"].dropna())))),
    ]


def _score_groups(
    summary: pd.DataFrame, methods: Sequence[Method]
) -> list[tuple[str, list[ScoreRow]]]:
    columns = [methods_in(summary).index(method) for method in methods]

    def row(line: Line) -> ScoreRow:
        return ScoreRow(line.label, tuple(_score(line.numbers[i]) for i in columns), line.strong)

    by_group = itertools.groupby(score_lines(summary), lambda line: line.group)
    return [(group or "all tasks", [row(line) for line in lines]) for group, lines in by_group]


def _score(number: Any) -> Score:
    """A row of the summary in parts; if an interval is unavailable it says why."""
    if number is None:
        return Score(NOT_THERE, "", "", None)
    mean, interval, holes = (part.strip() for part in score_text(number))
    if np.isnan(number.mean):
        return Score("", "", mean, None)
    if np.isnan(number.low):
        interval = f"no interval: {too_few(number)}"
    return Score(mean, interval, holes, float(number.mean))


def _costs_table(numbers: Numbers, methods: Sequence[Method]) -> Table:
    lines = cost_lines(numbers.summary)
    columns = [methods_in(numbers.summary).index(method) for method in methods]
    rows = [
        Row(label(method), tuple(_cost(line.numbers[column]) for line in lines))
        for method, column in zip(methods, columns, strict=True)
    ]
    caption = (
        "Means over the runs. Seconds and memory were measured once, on one machine, so they have "
        "no interval; peak memory includes what the worker process kept from earlier runs."
    )
    header = ("method", *(line.label for line in lines))
    return Table(f"Costs: {numbers.title}", caption, header, rows)


def _cost(number: Any) -> str:
    return NOT_THERE if number is None else format_cost(number)


def _swatch(method: Method) -> Swatch:
    look = style.of_method(method)
    gaps = dash(look).replace("px", "").replace("solid", "none")
    return Swatch(label(method), look.color, look.color_on_dark, gaps)
