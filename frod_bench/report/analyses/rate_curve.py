"""Learning-rate sensitivity: score over a factor on all of a method's learning rates."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from frod_bench import stats
from frod_bench.report import style
from frod_bench.report.analyses.about import (
    ALL_FACTOR,
    ONE_TASK,
    OVERALL,
    About,
    counts,
    need_axes,
    points_of,
    scope_name,
    scopes,
    score_text,
)
from frod_bench.report.figures import Drawing, Look, Props, legend_handle, panelled, rows_of
from frod_bench.report.frame import AXIS, TASK_KEY, Method, by_task, task_of, tasks_in
from frod_bench.report.names import base_names, label, method_named
from frod_bench.report.sensitivity import FLOORED, areas, floored
from frod_bench.report.table import Row, Table

COLUMNS = (
    *("scope", *TASK_KEY, "method", "quantity", "factor", "mean", "low", "high"),
    *("n_cells", "n_expected", "holes", "n_floored"),
)
SCORE, AREA = "score", "area"
JITTER = 0.22  # of the distance between two methods


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of two quantities per scope and method, with the columns `COLUMNS`.

    `score` at each factor: mean and range over seeds of the mean over tasks, in points. A run that
    diverged counts as the lowest score of any run on its task, and `n_floored` counts those runs;
    any other missing run leaves no mean. `area`: mean over the factors of the task's score minus
    the best of them, at most 0; over all tasks the mean with its 95 % interval over tasks. Raises
    InputError if the experiment has no such factors.
    """
    need_axes(frame, "rate_curve", [ALL_FACTOR])
    axis = f"{AXIS}{ALL_FACTOR}"
    frame = frame.assign(method=base_names(frame))
    filled = floored(frame.dropna(subset=[axis]))
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(filled):
        for (method, factor), group in cells.groupby(["method", axis], sort=False):
            base = scope | {"method": method, "quantity": SCORE, "factor": factor}
            rows.append(base | points_of(group) | {"n_floored": int(group["floored"].sum())})
    found = _areas(filled, axis)
    for scope, cells in scopes(filled):
        for method, group in cells.groupby("method", sort=False):
            of_tasks = found[method].reindex(pd.MultiIndex.from_tuples(tasks_in(group)))
            base = scope | {"method": method, "quantity": AREA} | _area(of_tasks)
            rows.append(base | counts(group) | {"n_floored": int(group["floored"].sum())})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _areas(frame: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Area of each task (index) and method (column), in points; NaN if a run is missing."""
    keys = ["family", "method", axis, *TASK_KEY]
    grid = frame.groupby(keys, sort=False, as_index=False)
    means = grid.agg(score=("value", lambda values: values.mean(skipna=False)))
    found = areas(means)
    whole = frame.groupby([*TASK_KEY, "method"])["status"].agg(lambda s: (s == "ok").all())
    return found.where(whole.unstack("method").reindex_like(found).eq(True))


def _area(of_tasks: pd.Series) -> dict[str, float]:
    if len(of_tasks) == 1:
        return {"mean": float(of_tasks.iloc[0]), "low": np.nan, "high": np.nan}
    if of_tasks.isna().any():
        return {"mean": np.nan, "low": np.nan, "high": np.nan}
    estimate = stats.mean_over_tasks(of_tasks.to_numpy()[:, None])
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


def table(found: pd.DataFrame, about: About) -> Table:
    """One group per task and one row per method: its score at each factor, and the area."""
    n_tasks = len(tasks_in(about.frame))
    scores = found[found["quantity"] == SCORE]
    by_key = {(task_of(r), r.method, r.factor): r for r in scores.itertuples(index=False)}
    factors = sorted(set(scores["factor"]))
    rows: list[Row] = []
    for task, lines in by_task(found[found["quantity"] == AREA]):
        rows.append(Row(scope_name(task, n_tasks), heading=True))
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


AREA_WORDS = (
    "Area: mean over the factors minus the best of them, in points; 0 is a method that is "
    "insensitive to its learning rates. Over tasks: their mean with its 95 % interval."
)


def words(about: About) -> str:
    """What is shown of the scores, for the captions of table and figures."""
    seeds = about.frame["seed"].nunique()
    mean = "one seed" if seeds == 1 else f"mean over {seeds} seeds"
    floored = int(about.frame["status"].isin(FLOORED).sum())
    counted = f" Runs that diverged count as the lowest score on their task: {floored}."
    return (
        f"Test score in points (100 × the task's primary metric; {mean}). Every learning rate of a "
        "method is the profile's own times the factor." + (counted if floored else "")
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
    drawings = {
        "rate_curve": Drawing(
            f"Score over learning rates · {about.title}",
            " ".join([*parts, AREA_WORDS, right, *gaps, about.setting]),
            lambda look: _draw_mean(found, found[found["scope"] == scope], methods, look),
        )
    }
    if scope == OVERALL:
        of_tasks = found[found["scope"] == ONE_TASK]
        drawings["rate_curve_tasks"] = Drawing(
            f"Score over learning rates, by task · {about.title}",
            " ".join([*parts, *gaps, about.setting]),
            lambda look: _draw_tasks(of_tasks, methods, look),
        )
    return drawings


def _draw_mean(
    found: pd.DataFrame, lines: pd.DataFrame, methods: list[Method], look: Look
) -> Figure:
    columns = look.columns(2)
    ratios: Props = {"width_ratios": (1.5, 1)} if columns == 2 else {}
    handles = [legend_handle(method) for method in methods]
    figure, (curves, areas) = panelled(look, rows_of(2, columns), 2.5, handles, **ratios)
    _draw_curves(curves, lines[lines["quantity"] == SCORE])
    curves.set_ylabel("test score (points)")
    n_tasks = len(tasks_in(found[found["scope"] == ONE_TASK]))
    curves.set_title(scope_name(tasks_in(lines)[0], n_tasks))
    _draw_areas(areas, found[found["quantity"] == AREA], methods)
    return figure


def _draw_tasks(found: pd.DataFrame, methods: list[Method], look: Look) -> Figure:
    tasks = list(by_task(found[found["quantity"] == SCORE]))
    grid = rows_of(len(tasks), look.columns(4 if len(tasks) > 6 else 3))
    handles = [legend_handle(method) for method in methods]
    figure, axes = panelled(look, grid, 1.8, handles, used=len(tasks))
    for ax, (task, lines) in zip(axes, tasks, strict=True):
        _draw_curves(ax, lines)
        ax.set_title(label(task))
        if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            ax.set_ylabel("test score (points)")
    return figure


def _draw_curves(ax: Axes, lines: pd.DataFrame) -> None:
    factors = sorted(set(lines["factor"]))
    for method, line in lines.sort_values("factor").groupby("method"):
        look = style.of_method(method_named(str(method)))
        x, ends = line["factor"], (line["low"], line["high"])
        ax.fill_between(x, *ends, color=look.color, alpha=0.13, lw=0)
        marker: Props = {
            "marker": look.marker,
            "ms": 0.8 * look.marker_pt,
            "mec": "white",
            "mew": 0.6,
        }
        ax.plot(x, line["mean"], color=look.color, ls=look.line, **marker)
    ax.axvline(1, color=style.MUTED, lw=0.6, ls=(0, (2, 2)), zorder=1)
    ax.set_xscale("log")
    ax.set_xticks(factors, [f"{factor:g}" for factor in factors])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("factor on all learning rates")


def _draw_areas(ax: Axes, lines: pd.DataFrame, methods: list[Method]) -> None:
    of_tasks = lines[lines["scope"] == ONE_TASK]
    tasks = tasks_in(of_tasks)
    offsets = np.linspace(-JITTER, JITTER, len(tasks)) if len(tasks) > 1 else [0.0]
    for line in of_tasks.itertuples(index=False):
        look = style.of_method(method_named(line.method))
        x = methods.index(method_named(line.method)) + offsets[tasks.index(task_of(line))]
        ax.plot(x, line.mean, look.marker, ms=3, mfc="white", mec=look.color, mew=0.8, zorder=3)
    for line in lines[lines["scope"] == OVERALL].itertuples(index=False):
        method = method_named(line.method)
        look, x = style.of_method(method), methods.index(method)
        ax.plot([x, x], [line.low, line.high], color=look.color, lw=1.4, zorder=4)
        ax.plot(x, line.mean, look.marker, ms=7, mfc=look.color, mec="white", mew=0.9, zorder=5)
        if np.isnan(line.mean):
            turned: Props = {
                "rotation": 90,
                "ha": "center",
                "va": "center",
                "fontsize": 6.5,
            }
            ax.annotate(area_text(line), (x, 0.5), xycoords=("data", "axes fraction"), **turned)
    ax.axhline(0, color=style.INK, lw=0.6, zorder=1)
    ax.set_xticks(range(len(methods)), [label(method) for method in methods])
    ax.set_xlim(-0.6, len(methods) - 0.4)
    ax.grid(visible=False, axis="x")
    ax.set_ylabel("area: mean − best (points)")
    ax.set_title("learning-rate sensitivity (0: insensitive)")
