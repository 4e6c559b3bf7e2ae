"""Score over the share of the backbone that is trained, and which sizes no other beats."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from frod_bench import stats
from frod_bench.report import style
from frod_bench.report.analyses.about import About, points_of, scope_name, scopes, score_text
from frod_bench.report.analyses.layout import drop_unused, paged, rows_of
from frod_bench.report.figures import legend_handle
from frod_bench.report.frame import (
    METHOD_KEY,
    TASK_KEY,
    Method,
    by_method,
    by_task,
    method_of,
    methods_in,
    tasks_in,
)
from frod_bench.report.names import csv_frame, label, spelled
from frod_bench.report.table import Row, Table

COLUMNS = (
    *("scope", *TASK_KEY, *METHOD_KEY, "percent", "mean", "low", "high"),
    *("on_front", "n_cells", "n_expected", "holes"),
)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each scope and variant of a method; `COLUMNS` are its columns.

    percent is the trained share of the backbone without the head, mean over tasks; mean, low and
    high are the mean and the range over seeds of the mean over tasks, in points. `on_front`: no
    other variant of the scope is as cheap and as good, and better in one of the two. A variant with
    a hole has neither a mean nor a place on the front.
    """
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(frame):
        of_scope = [
            scope | method._asdict() | {"percent": _percent(group)} | points_of(group)
            for method, group in by_method(cells)
        ]  # fmt: skip
        front = stats.pareto_front(
            [row["percent"] for row in of_scope], [row["mean"] for row in of_scope]
        )
        rows += [row | {"on_front": bool(on)} for row, on in zip(of_scope, front, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _percent(cells: pd.DataFrame) -> float:
    """Mean over tasks; NaN where a task has no cell that counted."""
    return float(cells.groupby(TASK_KEY)["trainable_percent"].mean().mean(skipna=False))


def table(found: pd.DataFrame, about: About) -> Table:
    """A group a task, a row a variant in order of what it trains."""
    n_tasks = len(tasks_in(about.frame))
    rows: list[Row] = []
    for task, lines in by_task(found):
        rows.append(Row(scope_name(task, n_tasks), heading=True))
        for line in lines.sort_values("percent", kind="stable").itertuples(index=False):
            percent = "–" if np.isnan(line.percent) else f"{line.percent:.3f}"
            ends = "" if line.holes else f"{line.low:.1f} to {line.high:.1f}"
            front = "yes" if line.on_front else ""
            rows.append(Row(label(method_of(line)), (percent, score_text(line), ends, front)))
    header = ("variant", "trained, %", "score", "range over seeds", "on the front")
    return Table(f"Score over trained parameters: {about.title}", words(about), header, rows)


def csv(found: pd.DataFrame) -> pd.DataFrame:
    """The numbers as they are written: `method` without and `variant` with what is varied."""
    variants = [spelled(method_of(row)) for row in found.itertuples(index=False)]
    return csv_frame(found.assign(variant=variants).drop(columns="side"))


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    seeds = about.frame["seed"].nunique()
    mean = "one seed" if seeds == 1 else f"mean and range over {seeds} seeds"
    return (
        "Test score in points (100 × the task's primary metric), "
        f"{mean}, over the trained share of the backbone, without the head. On the front: no other "
        "setting that was run is as cheap and as good, and better in one of the two; where ranges "
        f"over seeds overlap, seeds decide who is. {about.setting}"
    )


MOST_COLUMNS = 2
FRONT_COLOR = "#9a9a9a"
ZERO_BELOW = 2.5  # nothing trained stands this factor left of the smallest share


def draw(found: pd.DataFrame, about: About) -> dict[str, Figure]:
    """One figure, a panel a scope."""
    n_tasks = len(tasks_in(about.frame))
    scopes = list(by_task(found))
    front = Line2D([], [], color=FRONT_COLOR, lw=2.4, label="Pareto front")
    figure, axes = paged(
        f"Score over trained parameters · {about.title}",
        _caption(found, about),
        rows_of(len(scopes), MOST_COLUMNS),
        2.0,
        legend=[*(legend_handle(Method(m)) for m in dict.fromkeys(found["method"])), front],
        gaps=(0.16, 0.42),
    )
    for ax, (task, points) in zip(axes, scopes, strict=False):
        _draw_panel(ax, points.dropna(subset=["percent", "mean"]))
        ax.set_title(scope_name(task, n_tasks), fontsize=8, pad=3)
        ax.set_xlabel("trained, % of the backbone (without the head)")
        if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            ax.set_ylabel("test score (points)")
    drop_unused(axes, len(scopes))
    return {"": figure}


def _draw_panel(ax: Axes, points: pd.DataFrame) -> None:
    if points.empty:
        ax.text(0.5, 0.5, "no variant is whole", transform=ax.transAxes, ha="center")
        return
    trained = points.loc[points["percent"] > 0, "percent"]
    smallest = float(trained.min()) if len(trained) else 1.0
    zero = smallest / ZERO_BELOW
    points = points.assign(x=points["percent"].where(points["percent"] > 0, zero))
    end = max(100.0, float(points["x"].max())) * 1.3
    front = points[points["on_front"]].sort_values("x", kind="stable")
    ax.step(
        [*front["x"], end], [*front["mean"], front["mean"].iloc[-1]],
        where="post", color=FRONT_COLOR, lw=2.4, zorder=1.5,
    )  # fmt: skip
    for method, mine in points.groupby("method", sort=False):
        look, line = style.of_method(Method(str(method))), mine.sort_values("x", kind="stable")
        ax.plot(line["x"], line["mean"], color=look.color, ls=look.line, lw=1.2, zorder=3)
        ax.vlines(
            line["x"], line["low"], line["high"], color=look.color, lw=0.8, alpha=0.7, zorder=2
        )
        for point in line.itertuples(index=False):
            face = look.color if point.on_front else "white"
            ax.plot(
                point.x, point.mean, look.marker, ms=5, mfc=face, mec=look.color, mew=1.0, zorder=4
            )
    ax.set_xscale("log")
    ax.set_xlim(zero / 1.5, end)
    _ticks(ax, zero, smallest, nothing=bool((points["percent"] == 0).any()))


def _ticks(ax: Axes, zero: float, smallest: float, *, nothing: bool) -> None:
    decades = 10.0 ** np.arange(np.ceil(np.log10(smallest)), 3)
    ticks, names = list(decades), [f"{tick:g}" for tick in decades]
    if nothing:
        ticks, names = [zero, *ticks], ["0", *names]
        ax.axvline(zero * np.sqrt(ZERO_BELOW), color=style.MUTED, lw=0.6, ls=(0, (1, 2)), zorder=1)
    ax.set_xticks(ticks, names)
    ax.xaxis.set_minor_locator(NullLocator())


def _caption(found: pd.DataFrame, about: About) -> str:
    text = (
        f"{words(about)} Whiskers: the range over seeds. Filled: on the front; hollow: another "
        "setting beats it. What trains nothing stands left of the dotted line."
    )
    if lost := methods_in(found[found["mean"].isna()]):
        names = ", ".join(map(label, lost))
        text += f" Not drawn where a cell is missing or failed: {names}."
    return text
