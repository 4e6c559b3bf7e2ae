"""Score over a factor on all learning rates, mean over tasks, and the areas of each method."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from frod_bench.report import style
from frod_bench.report.analyses.about import OVERALL, TASK, About, scope_name
from frod_bench.report.analyses.layout import drop_unused, paged, rows_of
from frod_bench.report.analyses.rate_curve import AREA, SCORE, area_text, words
from frod_bench.report.figures import legend_handle

MOST_COLUMNS = 4
JITTER = 0.22


def draw(found: pd.DataFrame, about: About) -> dict[str, Figure]:
    """Two figures: the mean over tasks (or the one task) with the areas, and the tasks."""
    methods = list(dict.fromkeys(found["method"]))
    scope = OVERALL if (found["scope"] == OVERALL).any() else TASK
    figures = {"": _draw_mean(found, found[found["scope"] == scope], methods, about)}
    if scope == OVERALL:
        figures["tasks"] = _draw_tasks(found[found["scope"] == TASK], methods, about)
    return figures


def _draw_mean(
    found: pd.DataFrame, lines: pd.DataFrame, methods: list[str], about: About
) -> Figure:
    figure, (curves, areas) = paged(
        f"Score over learning rates · {about.title}",
        _caption(found, about, areas=True),
        (1, 2),
        2.5,
        legend=[legend_handle(method) for method in methods],
        gaps=(0.2, 0.0),
        widths=(1.5, 1),
    )
    _draw_curves(curves, lines[lines["quantity"] == SCORE])
    curves.set_ylabel("test score (points)")
    curves.set_title(
        scope_name(str(lines["task"].iloc[0]), about.frame["task"].nunique()), fontsize=8, pad=3
    )
    _draw_areas(areas, found[found["quantity"] == AREA], methods)
    return figure


def _draw_tasks(found: pd.DataFrame, methods: list[str], about: About) -> Figure:
    tasks = list(found[found["quantity"] == SCORE].groupby("task", sort=False))
    figure, axes = paged(
        f"Score over learning rates, by task · {about.title}",
        _caption(found, about, areas=False),
        rows_of(len(tasks), MOST_COLUMNS if len(tasks) > 6 else 3),
        1.6,
        legend=[legend_handle(method) for method in methods],
        gaps=(0.22, 0.5),
    )
    for ax, (task, lines) in zip(axes, tasks, strict=False):
        _draw_curves(ax, lines)
        ax.set_title(str(task), fontsize=8, pad=3)
        if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            ax.set_ylabel("test score (points)")
    drop_unused(axes, len(tasks))
    return figure


def _draw_curves(ax: Axes, lines: pd.DataFrame) -> None:
    factors = sorted(set(lines["factor"]))
    for method, line in lines.sort_values("factor").groupby("method"):
        look = style.of_method(str(method))
        ax.fill_between(
            line["factor"], line["low"], line["high"], color=look.color, alpha=0.13, lw=0
        )
        ax.plot(
            line["factor"], line["mean"], color=look.color, ls=look.line, marker=look.marker,
            ms=4.5, mec="white", mew=0.6,
        )  # fmt: skip
    ax.axvline(1, color=style.MUTED, lw=0.6, ls=(0, (2, 2)), zorder=1)
    ax.set_xscale("log")
    ax.set_xticks(factors, [f"{factor:g}" for factor in factors])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("factor on all learning rates")


def _draw_areas(ax: Axes, lines: pd.DataFrame, methods: list[str]) -> None:
    of_tasks = lines[lines["scope"] == TASK]
    tasks = list(dict.fromkeys(of_tasks["task"]))
    offsets = np.linspace(-JITTER, JITTER, len(tasks)) if len(tasks) > 1 else [0.0]
    for line in of_tasks.itertuples(index=False):
        look = style.of_method(line.method)
        x = methods.index(line.method) + offsets[tasks.index(line.task)]
        ax.plot(x, line.mean, look.marker, ms=3, mfc="white", mec=look.color, mew=0.8, zorder=3)
    for line in lines[lines["scope"] == OVERALL].itertuples(index=False):
        look, x = style.of_method(line.method), methods.index(line.method)
        ax.plot([x, x], [line.low, line.high], color=look.color, lw=1.4, zorder=4)
        ax.plot(x, line.mean, look.marker, ms=7, mfc=look.color, mec="white", mew=0.9, zorder=5)
        if np.isnan(line.mean):
            ax.annotate(
                area_text(line), (x, 0.5), xycoords=("data", "axes fraction"), rotation=90,
                ha="center", va="center", fontsize=6.5, color=style.INK,
            )  # fmt: skip
    ax.axhline(0, color=style.INK, lw=0.6, zorder=1)
    ax.set_xticks(range(len(methods)), methods)
    ax.set_xlim(-0.6, len(methods) - 0.4)
    ax.grid(visible=False, axis="x")
    ax.set_ylabel("area: mean less best (points)")
    ax.set_title("0: no factor costs anything", fontsize=8, pad=3)


def _caption(found: pd.DataFrame, about: About, *, areas: bool) -> str:
    text = words(about)
    if about.frame["seed"].nunique() > 1:
        text += " Band: the range over seeds."
    if areas:
        text += " Right: hollow, the area of each task; filled, their mean."
    if lost := sorted(set(found.loc[found["mean"].isna(), "method"])):
        text += f" Gaps, where a cell is missing or failed: {', '.join(lost)}."
    return text
