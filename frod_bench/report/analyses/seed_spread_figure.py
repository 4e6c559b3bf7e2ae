"""Every seed of every method as a point, a panel a task, and the spreads side by side."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frod_bench.report import style
from frod_bench.report.analyses.about import TASK, About
from frod_bench.report.analyses.layout import drop_unused, paged, rows_of
from frod_bench.report.figures import legend_handle

MOST_COLUMNS = 4
JITTER = 0.22  # of the distance of two methods
SPREAD_TITLE = "standard deviation"


def draw(found: pd.DataFrame, about: About) -> dict[str, Figure]:
    """One figure: a panel a task with its scores, then one with the spreads."""
    methods = list(dict.fromkeys(found["method"]))
    of_tasks = found[found["scope"] == TASK]
    tasks = list(dict.fromkeys(of_tasks["task"]))
    panels = rows_of(len(tasks) + 1, MOST_COLUMNS)
    figure, axes = paged(
        f"Spread over seeds · {about.title}",
        _caption(about),
        panels,
        1.75,
        legend=[legend_handle(method) for method in methods],
        gaps=(0.36, 0.42),
    )
    for ax, task in zip(axes, tasks, strict=False):
        cells = about.frame[about.frame["task"] == task]
        _draw_task(ax, cells, of_tasks[of_tasks["task"] == task], methods)
        ax.set_title(str(task), fontsize=8, pad=3)
        if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            ax.set_ylabel("test score (points)")
    _draw_spreads(axes[len(tasks)], of_tasks, methods, tasks)
    drop_unused(axes, len(tasks) + 1)
    return {"": figure}


def _draw_task(ax: Axes, cells: pd.DataFrame, lines: pd.DataFrame, methods: list[str]) -> None:
    seeds = sorted(set(cells["seed"]))
    offsets = dict(zip(seeds, np.linspace(-JITTER, JITTER, len(seeds)), strict=True))
    for x, method in enumerate(methods):
        look = style.of_method(method)
        mine = cells[(cells["method"] == method) & cells["value"].notna()]
        places = [x + offsets[seed] for seed in mine["seed"]]
        ax.plot(
            places, 100 * mine["value"], look.marker, ms=3.2, mfc=look.color, mec="white",
            mew=0.4, alpha=0.9, zorder=4,
        )  # fmt: skip
    for line in lines.itertuples(index=False):
        x, color = methods.index(line.method), style.of_method(line.method).color
        width = [x - 0.36, x + 0.36]
        if not np.isnan(line.spread):
            low, high = line.mean - line.spread, line.mean + line.spread
            ax.fill_between(width, low, high, color=color, alpha=0.16, lw=0, zorder=2)
        ax.plot(width, [line.mean] * 2, color=color, lw=1.3, zorder=3)
        if line.holes:
            ax.annotate(
                f"{line.n_cells}/{line.n_expected}", (x, 0), xycoords=("data", "axes fraction"),
                ha="center", va="bottom", fontsize=6, color=style.INK,
            )  # fmt: skip
    _name_methods(ax, methods)


def _draw_spreads(ax: Axes, lines: pd.DataFrame, methods: list[str], tasks: list[str]) -> None:
    offsets = np.linspace(-JITTER, JITTER, len(tasks)) if len(tasks) > 1 else [0.0]
    for line in lines.dropna(subset=["spread"]).itertuples(index=False):
        look = style.of_method(line.method)
        x = methods.index(line.method) + offsets[tasks.index(line.task)]
        ax.plot([x, x], [line.spread_low, line.spread_high], color=look.color, lw=0.9, zorder=3)
        ax.plot(x, line.spread, look.marker, ms=4, mfc=look.color, mec="white", mew=0.5, zorder=4)
    ax.set_title(SPREAD_TITLE, fontsize=8, pad=3)
    ax.set_ylabel("points")
    ax.set_ylim(bottom=0)
    _name_methods(ax, methods)


def _name_methods(ax: Axes, methods: list[str]) -> None:
    ax.set_xticks(range(len(methods)), methods, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(methods) - 0.4)
    ax.grid(visible=False, axis="x")


def _caption(about: About) -> str:
    return (
        "Points: the test score of each seed (100 × the task's primary metric), seeds from left to "
        "right; line: their mean, band: one standard deviation to each side. Last panel: the "
        "standard deviations of the tasks, in the order of the panels, each with its 95 % interval "
        "(chi-squared: as if seeds were normal). A seed draws the validation rows, the order of "
        f"rows, the head and the adapter. {about.setting} Of a method with holes, the count of "
        "seeds that gave a number stands below."
    )
