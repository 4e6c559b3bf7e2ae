"""Spread of a method's scores over seeds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frod_bench import stats
from frod_bench.report import figures, style
from frod_bench.report.analyses.about import NO_TASK, ONE_TASK, OVERALL, About, counts
from frod_bench.report.figures import Drawing, Look, Props
from frod_bench.report.frame import (
    by_method,
    by_task,
    is_method,
    method_of,
    methods_in,
    task_of,
    tasks_in,
)
from frod_bench.report.keys import METHOD_KEY, TASK_KEY, Method
from frod_bench.report.names import label
from frod_bench.report.table import Row, Table

INTERVAL = "its 95 % interval (chi-squared, which assumes normal scores)"
SEED_WORDS = "A seed draws the validation rows, the order of rows, the head and the adapter."


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method, and a mean over tasks.

    Columns: scope, task, head, method, variant, side, mean, low, high, spread, spread_low,
    spread_high, n_cells, n_expected, holes. low and high are the range over seeds, spread is their
    standard deviation (n - 1) with its 95 % chi-squared interval; all in points. On a task they are
    of the seeds that gave a number, which `n_cells` counts. A mean over tasks needs every run, and
    has no interval.
    """
    rows: list[dict[str, Any]] = []
    keys = [*TASK_KEY, *METHOD_KEY]
    for key, cells in frame.groupby(keys, sort=False):
        scores = 100.0 * cells["value"].dropna()
        spread = stats.spread_interval(scores.to_numpy())
        row = {"scope": ONE_TASK, **dict(zip(keys, key, strict=True))}
        row |= {"mean": scores.mean(), "low": scores.min(), "high": scores.max()}
        row |= {"spread": spread.mean, "spread_low": spread.low, "spread_high": spread.high}
        rows.append(row | counts(cells))
    of_tasks = pd.DataFrame(rows)
    if len(tasks_in(of_tasks)) > 1:
        for method, lines in by_method(of_tasks):
            row = {"scope": OVERALL, **NO_TASK._asdict(), **method._asdict()}
            row |= counts(frame[is_method(frame, method)])
            if not row["holes"]:
                row |= {name: lines[name].mean(skipna=False) for name in ("mean", "spread")}
            rows.append(row)
    return pd.DataFrame(rows)


def table(found: pd.DataFrame, about: About) -> Table:
    """Task x method: the spread with its interval."""
    methods = methods_in(found)
    rows = []
    for task, lines in by_task(found):
        of_task = {method_of(row): row for row in lines.itertuples(index=False)}
        cells = tuple(_text(of_task[m]) if m in of_task else "–" for m in methods)
        is_mean = task == NO_TASK
        rows.append(Row("mean of all tasks" if is_mean else label(task), cells, strong=is_mean))
    header = ("task", *(label(method) for method in methods))
    brackets = INTERVAL if _has_interval(found) else "the range of the scores in brackets"
    caption = (
        f"Standard deviation over seeds of the {about.score}, in points (100 × the task's primary "
        f"metric), with {brackets}. {SEED_WORDS} {about.setting}"
    )
    return Table(f"Spread over seeds: {about.title}", caption, header, rows)


def _has_interval(found: pd.DataFrame) -> bool:
    """Whether any spread is of enough seeds for an interval."""
    of_tasks = found[found["scope"] == ONE_TASK]
    return bool((of_tasks["n_cells"] >= stats.FEWEST_SEEDS).any())


def _text(row: Any) -> str:
    lost = f" ({row.n_cells} of {row.n_expected}: {row.holes})" if row.holes else ""
    if np.isnan(row.spread):
        return f"no spread{lost}" if row.scope == ONE_TASK else f"not averaged{lost}"
    if row.scope == OVERALL:
        interval = ""
    elif row.n_cells < stats.FEWEST_SEEDS:
        interval = f" (range {row.high - row.low:.2f})"
    else:
        interval = f" [{row.spread_low:.2f}, {row.spread_high:.2f}]"
    return f"{row.spread:.2f}{interval}{lost}"


def draw(found: pd.DataFrame, about: About) -> dict[str, Drawing]:
    """One figure: a panel per task with its scores, then one with the spreads."""
    methods = methods_in(found)
    of_tasks = found[found["scope"] == ONE_TASK]
    lines_of, cells_of = dict(by_task(of_tasks)), dict(by_task(about.frame))

    def panels(look: Look) -> Figure:
        columns, handles = look.columns(4), list(map(figures.legend_handle, methods))
        figure, axes = figures.panelled(
            look, len(lines_of) + 1, columns, 2.2, handles, y_label=f"{about.score} (points)"
        )
        for ax, task in zip(axes[:-1], lines_of, strict=True):
            _draw_scores(ax, cells_of[task], lines_of[task], methods)
            ax.set_title(label(task))
        _draw_spreads(axes[-1], of_tasks, methods)
        return figure

    each = f", each with {INTERVAL}" if _has_interval(found) else ""
    caption = (
        f"Points: {about.score} of each seed (100 × the task's primary metric), seeds from left to "
        "right. Line: their mean; band: one standard deviation to each side. Last panel: standard "
        f"deviation on each task, in the order of the panels{each}. {SEED_WORDS} If runs are "
        f"missing, the number of seeds with a score is written at the bottom. {about.setting}"
    )
    return {"seed_spread": Drawing(f"Spread over seeds · {about.title}", caption, panels)}


def _draw_scores(ax: Axes, cells: pd.DataFrame, lines: pd.DataFrame, methods: list[Method]) -> None:
    offsets = figures.jitter(sorted(set(cells["seed"])))
    for x, method in enumerate(methods):
        look = style.of_method(method)
        mine = cells[is_method(cells, method) & cells["value"].notna()]
        places = [x + offsets[seed] for seed in mine["seed"]]
        dot: Props = {"ms": 3.2, "mfc": look.color, "mec": "white", "mew": 0.4, "alpha": 0.9}
        ax.plot(places, 100 * mine["value"], look.marker, **dot, zorder=4)
    for line in lines.itertuples(index=False):
        method = method_of(line)
        x, color = methods.index(method), style.of_method(method).color
        width = [x - 0.36, x + 0.36]
        if not np.isnan(line.spread):
            low, high = line.mean - line.spread, line.mean + line.spread
            ax.fill_between(width, low, high, color=color, alpha=0.16, lw=0, zorder=2)
        ax.plot(width, [line.mean] * 2, color=color, lw=1.3, zorder=3)
        if line.holes:
            below: Props = {"ha": "center", "va": "bottom", "fontsize": 6}
            text = f"{line.n_cells}/{line.n_expected}"
            ax.annotate(text, (x, 0), xycoords=("data", "axes fraction"), **below)
    figures.methods_below(ax, methods, rotation=40, ha="right", rotation_mode="anchor")


def _draw_spreads(ax: Axes, lines: pd.DataFrame, methods: list[Method]) -> None:
    offsets = figures.jitter(tasks_in(lines))
    for line in lines.dropna(subset=["spread"]).itertuples(index=False):
        method = method_of(line)
        look = style.of_method(method)
        x = methods.index(method) + offsets[task_of(line)]
        if line.n_cells >= stats.FEWEST_SEEDS:
            ax.plot([x, x], [line.spread_low, line.spread_high], color=look.color, lw=0.9, zorder=3)
        ax.plot(x, line.spread, look.marker, ms=4, mfc=look.color, mec="white", mew=0.5, zorder=4)
    ax.set_title("standard deviation")
    ax.set_ylabel("points")
    ax.set_ylim(bottom=0)
    figures.methods_below(ax, methods, rotation=40, ha="right", rotation_mode="anchor")
