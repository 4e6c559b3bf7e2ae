"""Learning-rate sensitivity: score over a factor on all of a method's learning rates."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from frod_bench import stats
from frod_bench.report import figures, style
from frod_bench.report.analyses.about import (
    ONE_TASK,
    OVERALL,
    About,
    counts,
    need_axes,
    points_of,
    scopes,
    score_text,
)
from frod_bench.report.figures import Drawing, Look, Props
from frod_bench.report.frame import AXIS, by_task, task_of, tasks_in
from frod_bench.report.keys import TASK_KEY, Method
from frod_bench.report.names import base_names, label, method_named
from frod_bench.report.sensitivity import FLOORED, areas, floored
from frod_bench.report.table import Row, Table

SCORE, AREA = "score", "area"  # quantities
AREA_WORDS = (
    "Area: mean over the factors minus the best of them, in points; 0 is a method that is "
    "insensitive to its learning rates. Over tasks: their mean with its 95 % interval."
)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of two quantities per scope and method.

    Columns: scope, task, head, method, quantity, factor, mean, low, high, n_cells, n_expected,
    holes, n_floored. `score` at each factor: mean and range over seeds of the mean over tasks, in
    points. A run that diverged counts as the lowest score of any run on its task, and `n_floored`
    counts those runs; any other missing run leaves no mean. `area`: mean over the factors of the
    task's score minus the best of them, at most 0; over all tasks the mean with its 95 % interval
    over tasks. Raises InputError if the experiment has no such factors.
    """
    need_axes(frame, "rate_curve", ["rate_factors.all"])
    axis = f"{AXIS}rate_factors.all"
    frame = frame.assign(method=base_names(frame))
    filled = floored(frame.dropna(subset=[axis]))
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(filled):
        for (method, factor), group in cells.groupby(["method", axis], sort=False):
            base = scope | {"method": method, "quantity": SCORE, "factor": factor}
            rows.append(base | points_of(group) | {"n_floored": int(group["floored"].sum())})
    by_factor = filled.groupby([*TASK_KEY, "method", axis], sort=False, as_index=False)
    found = areas(by_factor.agg(score=("value", lambda values: values.mean(skipna=False))))
    for scope, cells in scopes(filled):
        for method, group in cells.groupby("method", sort=False):
            of_tasks = found[method].reindex(pd.MultiIndex.from_tuples(tasks_in(group)))
            base = scope | {"method": method, "quantity": AREA} | _area(of_tasks)
            rows.append(base | counts(group) | {"n_floored": int(group["floored"].sum())})
    return pd.DataFrame(rows)


def _area(of_tasks: pd.Series) -> dict[str, float]:
    """One task's area, or the mean of several with its interval; NaN if one is unknown."""
    if len(of_tasks) == 1 or of_tasks.isna().any():
        return {"mean": of_tasks.mean(skipna=False)}
    estimate = stats.mean_over_tasks(of_tasks.to_numpy()[:, None])
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


def table(found: pd.DataFrame, about: About) -> Table:
    """One group per task and one row per method: its score at each factor, and the area."""
    scores = found[found["quantity"] == SCORE]
    by_key = {(task_of(r), r.method, r.factor): r for r in scores.itertuples(index=False)}
    factors = sorted(set(scores["factor"]))
    rows: list[Row] = []
    for task, lines in by_task(found[found["quantity"] == AREA]):
        rows.append(Row(about.scope_name(task), heading=True))
        for line in lines.itertuples(index=False):
            cells = [_score(by_key.get((task, line.method, factor))) for factor in factors]
            rows.append(Row(label(method_named(line.method)), (*cells, area_text(line))))
    header = ("method", *(f"learning rates × {factor:g}" for factor in factors), "area")
    caption = f"{words(about)} {AREA_WORDS} {about.setting}"
    return Table(f"Score over learning rates: {about.title}", caption, header, rows)


def area_text(row: Any) -> str:
    """An area with its interval, if it has one."""
    if np.isnan(row.mean):
        return f"no area: {row.holes}"
    interval = "" if np.isnan(row.low) else f" [{row.low:.1f}, {row.high:.1f}]"
    return f"{row.mean:.1f}{interval}"


def _score(row: Any) -> str:
    if row is None:
        return "–"
    return score_text(row) + (f" ({row.n_floored} diverged)" if row.n_floored else "")


def words(about: About) -> str:
    """What is shown of the scores, for the captions of table and figures."""
    floored = int(about.frame["status"].isin(FLOORED).sum())
    counted = f" Runs that diverged count as the lowest score on their task: {floored}."
    return (
        f"{about.score.capitalize()} in points (100 × the task's primary metric; "
        f"{about.over_seeds()}). Every learning rate of a method is the profile's own times the "
        "factor." + (counted if floored else "")
    )


def draw(found: pd.DataFrame, about: About) -> dict[str, Drawing]:
    """Two figures: the mean over tasks (or the one task) with the areas, and the tasks."""
    methods = [method_named(method) for method in dict.fromkeys(found["method"])]
    scope = OVERALL if (found["scope"] == OVERALL).any() else ONE_TASK
    lost = [label(method_named(m)) for m in sorted(set(found.loc[found["mean"].isna(), "method"]))]
    parts = [words(about)]
    if about.frame["seed"].nunique() > 1:
        parts.append("Band: range over seeds.")
    gaps = [f"Gaps, where runs are missing or failed: {', '.join(lost)}."] if lost else []
    right = "Hollow markers: the area of each task; filled: their mean."
    scores = found[found["quantity"] == SCORE]
    ((task, mean),) = by_task(scores[scores["scope"] == scope])
    by_name = list(by_task(scores[scores["scope"] == ONE_TASK]))
    y_label = f"{about.score} (points)"

    def draw_mean(look: Look) -> Figure:
        columns = look.columns(2)
        handles = list(map(figures.legend_handle, methods))
        ratios: Props = {"width_ratios": (1.5, 1)} if columns == 2 else {}
        figure, (curves, areas) = figures.panelled(
            look, 2, columns, 2.5, handles, y_label=y_label, **ratios
        )
        _draw_curves(curves, mean)
        curves.set_title(about.scope_name(task))
        _draw_areas(areas, found[found["quantity"] == AREA], methods)
        return figure

    def draw_tasks(look: Look) -> Figure:
        columns = look.columns(4 if len(by_name) > 6 else 3)
        handles = list(map(figures.legend_handle, methods))
        figure, axes = figures.panelled(look, len(by_name), columns, 1.8, handles, y_label=y_label)
        for ax, (task, lines) in zip(axes, by_name, strict=True):
            _draw_curves(ax, lines)
            ax.set_title(label(task))
        return figure

    title = "Score over learning rates"
    caption = " ".join([*parts, AREA_WORDS, right, *gaps, about.setting])
    drawings = {"rate_curve": Drawing(f"{title} · {about.title}", caption, draw_mean)}
    if scope == OVERALL:
        caption = " ".join([*parts, *gaps, about.setting])
        drawing = Drawing(f"{title}, by task · {about.title}", caption, draw_tasks)
        drawings["rate_curve_tasks"] = drawing
    return drawings


def _draw_curves(ax: Axes, lines: pd.DataFrame) -> None:
    factors = sorted(set(lines["factor"]))
    for method, line in lines.sort_values("factor").groupby("method"):
        look = style.of_method(method_named(str(method)))
        x, ends = line["factor"], (line["low"], line["high"])
        ax.fill_between(x, *ends, color=look.color, alpha=0.13, lw=0)
        marker = figures.marker_of(look, 0.8, mew=0.6)
        ax.plot(x, line["mean"], color=look.color, ls=look.line, **marker)
    ax.axvline(1, color=style.MUTED, lw=0.6, ls=(0, (2, 2)), zorder=1)
    ax.set_xscale("log")
    ax.set_xticks(factors, [f"{factor:g}" for factor in factors])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("factor on all learning rates")


def _draw_areas(ax: Axes, lines: pd.DataFrame, methods: list[Method]) -> None:
    of_tasks = lines[lines["scope"] == ONE_TASK]
    offsets = figures.jitter(tasks_in(of_tasks))
    for line in of_tasks.itertuples(index=False):
        look = style.of_method(method_named(line.method))
        x = methods.index(method_named(line.method)) + offsets[task_of(line)]
        ax.plot(x, line.mean, look.marker, ms=3, mfc="white", mec=look.color, mew=0.8, zorder=3)
    for line in lines[lines["scope"] == OVERALL].itertuples(index=False):
        method = method_named(line.method)
        look, x = style.of_method(method), methods.index(method)
        ax.plot([x, x], [line.low, line.high], color=look.color, lw=1.4, zorder=4)
        ax.plot(x, line.mean, look.marker, ms=7, mfc=look.color, mec="white", mew=0.9, zorder=5)
        if np.isnan(line.mean):
            turned: Props = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 6.5}
            ax.annotate(area_text(line), (x, 0.5), xycoords=("data", "axes fraction"), **turned)
    ax.axhline(0, color=style.INK, lw=0.6, zorder=1)
    figures.methods_below(ax, methods)
    ax.set_ylabel("area: mean − best (points)")
    ax.set_title("learning-rate sensitivity (0: insensitive)")
