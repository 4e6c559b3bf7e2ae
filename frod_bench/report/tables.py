"""The main table and the parameter table: their numbers (long form), and the texts in them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.frame import METRIC, by_method, by_task, method_of, methods_in
from frod_bench.report.keys import FAMILY_KEY, METHOD_KEY, TASK_KEY, Family
from frod_bench.report.names import label, metric_label
from frod_bench.report.table import NOT_THERE, Row, Table

BYTES_PER_MIB = 2.0**20
# Below these numbers no interval is shown. Student's interval of two to four unlike tasks is wider
# than the scale. That of two seeds is 12.7 standard errors wide to each side, so their range says
# more.
INTERVAL_TASKS = 5
INTERVAL_SEEDS = 3
PRIMARY = "primary"
COLUMNS = (
    *("scope", *TASK_KEY, "family", *METHOD_KEY, "metric", "unit", "primary"),
    *("n_seeds", "n_tasks", "n_cells", "n_expected"),
    *("mean", "low", "high", "interval", "status", "holes"),
    *("least", "greatest", "higher_is_better"),  # the range over seeds
)
HOLE = "†"
PARAMETERS_CAPTION = (
    "Trained and frozen parameters of each method on each backbone; a range is over tasks, whose "
    "heads differ. Percentages are of the pretrained backbone's parameters."
)


class Cost(NamedTuple):
    """A quantity of a run other than its score; `scale` times the column is in `unit`."""

    column: str
    name: str
    unit: str
    scale: float = 1.0


COSTS = (
    Cost("trainable_percent", "trainable, without the head", "% of the backbone"),
    Cost("step_sec", "training step", "s"),
    Cost("setup_sec", "set-up", "s"),
    Cost("peak_rss_bytes", "peak memory", "MiB", 1 / BYTES_PER_MIB),
    Cost("peak_device_bytes", "peak device memory", "MiB", 1 / BYTES_PER_MIB),
)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Every number of the main table in long form; `COLUMNS` are its columns.

    Scores are in points (100 x the metric). scope `task`: mean over seeds of each metric with
    Student's t interval, and the costs. scope `family`, `overall`: mean over tasks of the primary
    metric with a bootstrap over tasks and seeds (of few tasks Student's t, of fewer than
    `INTERVAL_TASKS` none), and the costs; `task` is empty, and so is `family` of the overall scope.
    `status` is ok if every expected cell gave a number, partial if some did, else what became of
    them; `holes` counts the cells that gave none. A mean should be over every task that some method
    has. If a folder lacks some of these tasks for a method, `holes` says so, `n_expected` does not
    count them, and the method is not compared as if it had all.
    """
    rows: list[dict[str, Any]] = []
    keys = [*TASK_KEY, "family", *METHOD_KEY]
    for key, cells in frame.groupby(keys, sort=False):
        base = {"scope": "task", **dict(zip(keys, key, strict=True))}
        rows.extend(base | row for row in _task_rows(cells))
    scopes = [("family", *key, cells) for key, cells in frame.groupby(FAMILY_KEY)]
    for scope, family, head, group in [*scopes, ("overall", "", "", frame)]:
        asked = pd.MultiIndex.from_frame(group[TASK_KEY].drop_duplicates())
        for method, cells in by_method(group):
            base = {"scope": scope, "task": "", "head": head, "family": family, **method._asdict()}
            rows.append(base | _mean_row(cells) | _absent(cells, asked))
            rows.extend(base | row for row in _cost_rows(cells))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def holes(cells: pd.DataFrame) -> str:
    """What became of the cells that gave no number: "1 failed, 2 missing"; empty if all did."""
    lost = cells["status"] != "ok"
    if not lost.any():
        return ""
    counts = cells.loc[lost, "status"].value_counts().sort_index()
    return ", ".join(f"{n} {status}" for status, n in counts.items())


def so_many(n: int, what: str) -> str:
    """A count in words: "one seed", "3 tasks"."""
    return f"one {what}" if n == 1 else f"{n} {what}s"


def _task_rows(cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The primary metric first, then the task's other metrics, then the costs."""
    names = cells["metric"].dropna()
    primary = names.iloc[0] if len(names) else ""
    yield _score(cells, "value", primary) | {"primary": True}
    for column in cells.columns[cells.columns.str.startswith(METRIC)]:
        name = column.removeprefix(METRIC)
        if name != primary and cells[column].notna().any():
            yield _score(cells, column, name) | {"primary": False}
    yield from _cost_rows(cells)


def _score(cells: pd.DataFrame, column: str, name: str) -> dict[str, Any]:
    points = 100.0 * cells[column]
    estimate = stats.mean_interval(points.to_numpy())
    seeds = stats.seed_range(points.to_numpy())
    return {
        "metric": name,
        "unit": "points",
        "n_seeds": estimate.n,
        "n_tasks": 1,
        **_counts(cells),
        **estimate._asdict(),
        "interval": "t over seeds",
        "least": seeds.low,
        "greatest": seeds.high,
        "higher_is_better": is_higher_better(cells) if column == "value" else None,
    }


def _mean_row(cells: pd.DataFrame) -> dict[str, Any]:
    table = cells.pivot_table(index=TASK_KEY, columns="seed", values="value", aggfunc="first")
    estimate = stats.mean_over_tasks(100.0 * table.to_numpy()) if table.size else stats.NOTHING
    kind = "t over tasks" if estimate.n < stats.FEW_TASKS else "bootstrap over tasks and seeds"
    if estimate.n < INTERVAL_TASKS:
        kind, estimate = "none", estimate._replace(low=np.nan, high=np.nan)
    return {
        "metric": PRIMARY,
        "unit": "points",
        "primary": True,
        "n_seeds": cells.loc[cells["status"] == "ok", "seed"].nunique(),
        "n_tasks": estimate.n,
        **_counts(cells),
        **estimate._asdict(),
        "interval": kind,
        "higher_is_better": is_higher_better(cells),
    }


def is_higher_better(cells: pd.DataFrame) -> bool | None:
    """Whether more of the primary metric is better; None if the tasks' metrics disagree."""
    said = set(cells["higher_is_better"].dropna())
    return bool(said.pop()) if len(said) == 1 else None


def _cost_rows(cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Means over the cells that ran; times of one machine are not a sample, so without interval."""
    counts, seeds = _counts(cells), cells["seed"].to_numpy()
    tasks = list(zip(*(cells[name].tolist() for name in TASK_KEY), strict=True))
    for cost in COSTS:
        values = cells[cost.column].to_numpy()
        known = ~np.isnan(values)
        if known.any():
            yield {
                "metric": cost.name,
                "unit": cost.unit,
                "primary": False,
                "n_seeds": len(np.unique(seeds[known])),
                "n_tasks": len(set(itertools.compress(tasks, known))),
                **counts,
                "mean": float((values[known] * cost.scale).mean()),
                "interval": "none",
            }


def _counts(cells: pd.DataFrame) -> dict[str, Any]:
    n_cells = int((cells["status"] == "ok").sum())
    lost = holes(cells)
    if not lost:
        status = "ok"
    elif n_cells:
        status = "partial"
    else:
        status = " / ".join(sorted(cells["status"].unique()))
    return {"n_cells": n_cells, "n_expected": len(cells), "status": status, "holes": lost}


def _absent(cells: pd.DataFrame, asked: pd.MultiIndex) -> dict[str, Any]:
    """What changes in `_counts` if a method has no row at all for some of the tasks."""
    lost = len(asked.difference(pd.MultiIndex.from_frame(cells[TASK_KEY])))
    if not lost:
        return {}
    counts = _counts(cells)
    status = "partial" if counts["n_cells"] else counts["status"]
    why = ", ".join(filter(None, [counts["holes"], f"{so_many(lost, 'task')} without a record"]))
    return {"status": status, "holes": why}


class Line(NamedTuple):
    """A line of the main table: a row of the summary for each method, or None."""

    group: str  # the family; empty below all families
    label: str
    numbers: tuple[Any, ...]
    strong: bool = False  # a mean over tasks


def main_caption(split: str) -> str:
    """What the scores of the main table are; `split` is what they are of."""
    return (
        f"{split.capitalize()} scores in points (100 × the task's primary metric; accuracy unless "
        "named), mean over seeds ± half of the 95 % interval (Student's t), or the range of fewer "
        f"than {INTERVAL_SEEDS} seeds. Means over tasks have the 95 % interval of a bootstrap over "
        f"tasks and seeds (of fewer than {stats.FEW_TASKS} tasks Student's t, of fewer than "
        f"{INTERVAL_TASKS} none)."
    )


def main_table(
    summary: pd.DataFrame, title: str, notes: Sequence[str] = (), *, split: str = "test"
) -> Table:
    """Task x method, tasks grouped by family, then the means, then what it cost."""
    rows: list[Row] = []
    for group, lines in itertools.groupby(score_lines(summary), lambda line: line.group):
        rows.append(Row(group or "all tasks", heading=True))
        for line in lines:
            texts = tuple(NOT_THERE if n is None else format_score(n) for n in line.numbers)
            rows.append(Row(line.label, texts, strong=line.strong, best=best_of(line)))
    for line in cost_lines(summary):
        rows.append(Row(line.label, cost_texts(line.numbers)))
    header = ("task", *map(label, methods_in(summary)))
    notes = [*hole_notes(summary), *notes]
    return Table(f"Main table: {title}", main_caption(split), header, rows, notes)


def score_lines(summary: pd.DataFrame) -> list[Line]:
    """The scores: of each task, family by family with the family's mean, then of all tasks."""
    primary = summary[summary["primary"]]
    methods = methods_in(summary)

    def numbers(rows: pd.DataFrame) -> tuple[Any, ...]:
        by_name = {method_of(row): row for row in rows.itertuples(index=False)}
        return tuple(by_name.get(method) for method in methods)

    lines: list[Line] = []
    for key, group in primary[primary["scope"] != "overall"].groupby(FAMILY_KEY):
        name = label(Family(*key))
        for task, of_task in by_task(group[group["scope"] == "task"]):
            named = [metric for metric in of_task["metric"] if metric not in ("", "accuracy")]
            text = f"{label(task)} ({metric_label(named[0])})" if named else label(task)
            lines.append(Line(name, text, numbers(of_task)))
        means = numbers(group[group["scope"] == "family"])
        lines.append(Line(name, f"mean of {name}", means, strong=True))
    overall = numbers(primary[primary["scope"] == "overall"])
    return [*lines, Line("", "mean of all tasks", overall, strong=True)]


def cost_lines(summary: pd.DataFrame) -> list[Line]:
    """What it cost, a line per quantity that some method has."""
    overall = summary[(summary["scope"] == "overall") & ~summary["primary"]]
    by_key = {(row.metric, method_of(row)): row for row in overall.itertuples(index=False)}
    lines = []
    for cost in COSTS:
        found = tuple(by_key.get((cost.name, method)) for method in methods_in(summary))
        if any(found):
            lines.append(Line("", f"{cost.name}, {cost.unit}", found))
    return lines


def best_of(line: Line) -> frozenset[int]:
    """Places of the best score among whole ones, and of all that are shown equal to it."""
    whole = {
        place: float(score_text(number)[0])
        for place, number in enumerate(line.numbers)
        if number is not None and not number.holes and not np.isnan(number.mean)
    }
    higher = {line.numbers[place].higher_is_better for place in whole}
    if len(whole) < 2 or higher not in ({True}, {False}):
        return frozenset()
    best = max(whole.values()) if higher == {True} else min(whole.values())
    return frozenset(place for place, score in whole.items() if score == best)


def format_score(number: Any) -> str:
    """A row of the summary as text."""
    return "".join(score_text(number))


def score_text(number: Any) -> tuple[str, str, str]:
    """A row of the summary in parts: mean (or what became of its cells), interval, missing runs."""
    if np.isnan(number.mean):
        return str(number.status), "", ""
    mean, known = f"{number.mean:.1f}", not np.isnan(number.low)
    if number.scope == "task":
        interval = f" ({too_few(number)})" if not number.holes else ""
        if known:
            interval = seeds_interval(number, number.n_seeds)
        counts = f" ({number.n_cells} of {number.n_expected}: {number.holes})"
        return mean, interval, counts if number.holes else ""
    interval = f" [{number.low:.1f}, {number.high:.1f}]" if known else f" ({too_few(number)})"
    return mean, interval, HOLE if number.holes else ""


def seeds_interval(number: Any, n: int, form: Callable[[float], str] = "{:.1f}".format) -> str:
    """Half of the 95 % interval over seeds or pairs; of fewer than `INTERVAL_SEEDS` the range."""
    if n < INTERVAL_SEEDS:
        return f" ({form(number.least)} to {form(number.greatest)})"
    return f" ± {number.high - number.mean:.1f}"


def too_few(number: Any) -> str:
    """Of what a number has too few for an interval: "one seed", "3 tasks"."""
    if number.scope == "task":
        return so_many(number.n_seeds, "seed")
    return so_many(number.n_tasks, "task")


def cost_texts(numbers: Sequence[Any]) -> tuple[str, ...]:
    """Costs to three digits, one of each method, marked if it is the mean of fewer cells than were
    asked for, or of fewer tasks than another: a backbone that ranks options takes no step.
    """
    most = max(number.n_tasks for number in numbers if number is not None)
    return tuple(NOT_THERE if one is None else _cost_text(one, most) for one in numbers)


def _cost_text(number: Any, most: int) -> str:
    text = f"{number.mean:,.0f}" if number.mean >= 100 else f"{number.mean:.3g}"
    tasks = f" ({number.n_tasks} of {most} tasks)" if number.n_tasks < most else ""
    return text + (HOLE if number.holes else tasks)


def hole_notes(summary: pd.DataFrame) -> list[str]:
    """A note per method whose averages are over fewer cells than were asked for."""
    overall = summary[(summary["scope"] == "overall") & summary["primary"]]
    return [
        f"{HOLE} {label(method_of(row))}: averages are over {row.n_cells} of {row.n_expected} "
        f"cells ({row.holes}); they do not compare with a whole column."
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
    """Parameter counts, long: family, backbone, method, quantity, n_cells, mean, low, high (the
    range over cells: counts have no sampling error).
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
