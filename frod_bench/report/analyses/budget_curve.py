"""Score over the share of the backbone that is trained, and the sizes that no other beats."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from frod_bench import stats
from frod_bench.report import figures, style
from frod_bench.report.analyses.about import About, points_of, scopes, score_text
from frod_bench.report.figures import Drawing, Look, Props
from frod_bench.report.frame import by_method, by_task, method_of, methods_in
from frod_bench.report.keys import TASK_KEY, Method
from frod_bench.report.names import csv_frame, label, spelled
from frod_bench.report.table import Row, Table

FRONT: Props = {"color": "#777777", "lw": 0.9, "ls": (0, (3, 1.5))}  # thin, to hide no score
ZERO_BELOW = 2.5  # a share of 0 is drawn left of the smallest share by this factor


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per scope and variant of a method.

    Columns: scope, task, head, method, variant, side, percent, mean, low, high, on_front, n_cells,
    n_expected, holes. percent is the trained share of the backbone without the head, mean over
    tasks; mean, low and high are the mean and the range over seeds of the mean over tasks, in
    points. `on_front`: no other variant of the scope is as cheap and as good, and better in one of
    the two. A variant with a missing run has no mean and is not on the front.
    """
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(frame):
        of_scope = []
        for method, group in by_method(cells):
            # NaN if a task has no run that counted its parameters.
            percent = group.groupby(TASK_KEY)["trainable_percent"].mean().mean(skipna=False)
            of_scope.append(scope | method._asdict() | {"percent": percent} | points_of(group))
        percents, means = zip(*((row["percent"], row["mean"]) for row in of_scope), strict=True)
        front = stats.pareto_front(percents, means)
        rows += [row | {"on_front": bool(on)} for row, on in zip(of_scope, front, strict=True)]
    found = pd.DataFrame(rows)
    found.insert(list(found).index("n_cells"), "on_front", found.pop("on_front"))
    return found


def table(found: pd.DataFrame, about: About) -> Table:
    """One group per task and one row per variant, in order of the trained share."""
    rows: list[Row] = []
    for task, lines in by_task(found):
        rows.append(Row(about.scope_name(task), heading=True))
        for line in lines.sort_values("percent", kind="stable").itertuples(index=False):
            percent = "–" if np.isnan(line.percent) else f"{line.percent:.3f}"
            ends = "" if line.holes else f"{line.low:.1f} to {line.high:.1f}"
            front = "yes" if line.on_front else ""
            rows.append(Row(label(method_of(line)), (percent, score_text(line), ends, front)))
    header = ("variant", "trained, %", "score", "range over seeds", "on the front")
    return Table(f"Score over trained parameters: {about.title}", words(about), header, rows)


def csv(found: pd.DataFrame) -> pd.DataFrame:
    """The numbers as they are written: `variant` holds the method with its settings."""
    variants = [spelled(method_of(row)) for row in found.itertuples(index=False)]
    return csv_frame(found.assign(variant=variants).drop(columns="side"))


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    mean = about.over_seeds("mean and range")
    return (
        f"{about.score.capitalize()} in points (100 × the task's primary metric; {mean}) over the "
        "trained share of the backbone, without the head. On the front: no other setting that was "
        "run is as cheap and as good, and better in one of the two; if ranges over seeds overlap, "
        f"the seeds decide which it is. {about.setting}"
    )


def draw(found: pd.DataFrame, about: About) -> dict[str, Drawing]:
    """One figure with one panel per scope."""
    scopes = list(by_task(found))
    methods = [Method(name) for name in dict.fromkeys(found["method"])]

    def panels(look: Look) -> Figure:
        front = Line2D([], [], label="Pareto front", **FRONT)
        handles = [*map(figures.legend_handle, methods), front]
        columns, y_label = look.columns(2), f"{about.score} (points)"
        figure, axes = figures.panelled(look, len(scopes), columns, 2.1, handles, y_label=y_label)
        for ax, (task, points) in zip(axes, scopes, strict=True):
            _draw_panel(ax, points.dropna(subset=["percent", "mean"]))
            ax.set_title(about.scope_name(task))
            ax.set_xlabel("trained, % of the backbone (without the head)")
        return figure

    caption = (
        f"{words(about)} Whiskers: range over seeds. Filled markers are on the front; hollow ones "
        "are beaten by another setting. A backbone of which nothing is trained is left of the "
        "dotted line."
    )
    if lost := methods_in(found[found["mean"].isna()]):
        caption += f" Not drawn because runs are missing or failed: {', '.join(map(label, lost))}."
    title = f"Score over trained parameters · {about.title}"
    return {"budget_curve": Drawing(title, caption, panels)}


def _draw_panel(ax: Axes, points: pd.DataFrame) -> None:
    if points.empty:
        ax.text(0.5, 0.5, "no variant is complete", transform=ax.transAxes, ha="center")
        return
    trained = points.loc[points["percent"] > 0, "percent"]
    smallest = float(trained.min()) if len(trained) else 1.0
    zero = smallest / ZERO_BELOW
    points = points.assign(x=points["percent"].where(points["percent"] > 0, zero))
    end = max(100.0, float(points["x"].max())) * 1.3
    front = points[points["on_front"]].sort_values("x", kind="stable")
    heights = [*front["mean"], front["mean"].iloc[-1]]
    ax.step([*front["x"], end], heights, where="post", zorder=1.5, **FRONT)
    for method, mine in points.groupby("method", sort=False):
        look, line = style.of_method(Method(str(method))), mine.sort_values("x", kind="stable")
        ax.plot(line["x"], line["mean"], color=look.color, ls=look.line, lw=1.2, zorder=3)
        ends = (line["low"], line["high"])
        ax.vlines(line["x"], *ends, color=look.color, lw=0.8, alpha=0.7, zorder=2)
        for hollow, some in line.groupby(~line["on_front"].astype(bool)):
            face = "white" if hollow else look.color
            marker: Props = {"ms": 0.9 * look.marker_pt, "mfc": face, "mec": look.color}
            ax.plot(some["x"], some["mean"], look.marker, **marker, zorder=4)
    ax.set_xscale("log")
    ax.set_xlim(zero / 1.5, end)
    decades = 10.0 ** np.arange(np.ceil(np.log10(smallest)), 3)
    ticks, names = list(decades), [f"{tick:g}" for tick in decades]
    if (points["percent"] == 0).any():
        ticks, names = [zero, *ticks], ["0", *names]
        ax.axvline(zero * np.sqrt(ZERO_BELOW), color=style.MUTED, lw=0.6, ls=(0, (1, 2)), zorder=1)
    ax.set_xticks(ticks, names)
    ax.xaxis.set_minor_locator(NullLocator())
