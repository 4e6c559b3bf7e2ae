"""Convergence figures: the metric by step and by second, for each task and over all tasks."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from frod_bench import stats
from frod_bench.record import CurvePoint
from frod_bench.report import style
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import (
    AXES,
    Axis,
    Band,
    Curve,
    Key,
    band_over_seeds,
    band_over_tasks,
    evaluated_curves,
)
from frod_bench.report.rules import ConvergenceRule
from frod_bench.report.summary import holes

AXIS_LABELS: dict[Axis, str] = {
    "steps": "optimizer steps",
    "seconds": "training time with set-up (s)",
}
ALL_TASKS = "all_tasks"


@dataclass
class Panels:
    """What one figure shows: a band a method and axis, and where the target lies."""

    title: str
    y_label: str
    caption: str
    bands: dict[Axis, dict[str, Band]]
    target: float = np.nan
    arrived: dict[Axis, dict[str, float]] = field(default_factory=dict)


def write_figures(
    frame: pd.DataFrame,
    curves: Mapping[Key, Sequence[CurvePoint]],
    out_dir: Path,
    title: str,
    rule: ConvergenceRule,
) -> list[Path]:
    """Write `convergence_<task>` and `convergence_all_tasks` as .png and .pdf; returns the paths.

    `frame` and `curves` are those of `Collected`; `title` is the profile's title. A task without
    any curve gets no figure.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    smoothed = {
        key: curve.smoothed(rule.window_evaluations)
        for key, curve in evaluated_curves(frame, curves).items()
    }
    arrived = arrivals(frame, curves, rule)
    figures = {
        str(task): task_panels(cells, smoothed, arrived, title, rule)
        for task, cells in frame.groupby("task", sort=False)
    }
    figures[ALL_TASKS] = all_tasks_panels(frame, smoothed, title, rule)
    paths: list[Path] = []
    for name, panels in figures.items():
        if panels is not None:
            paths += save_figure(draw(panels), out_dir / f"convergence_{name}")
    return paths


def task_panels(
    cells: pd.DataFrame,
    smoothed: Mapping[Key, Curve],
    arrived: pd.DataFrame,
    title: str,
    rule: ConvergenceRule,
) -> Panels | None:
    """What the figure of one task shows; None where no cell has a curve."""
    task = str(cells["task"].iloc[0])
    by_method: dict[str, list[Curve]] = {}
    for cell in cells.itertuples(index=False):
        if (curve := smoothed.get((task, cell.method, cell.seed))) is not None:
            by_method.setdefault(str(cell.method), []).append(curve)
    if not by_method:
        return None
    here = arrived[arrived["task"] == task]
    target = float(here["target"].iloc[0])
    metric = cells["metric"].dropna().iloc[0].replace("_", " ")
    split = cells["curve_split"].dropna().iloc[0]
    return Panels(
        title=f"{task} · {title}",
        y_label=f"{split} {metric} (%)" if metric == "accuracy" else f"{split} {metric} × 100",
        caption=_task_caption(cells, target, rule),
        bands={
            axis: {m: band_over_seeds(found, axis) for m, found in by_method.items()}
            for axis in AXES
        },
        target=target,
        arrived={axis: here.groupby("method")[axis].agg(_median).to_dict() for axis in AXES},
    )


def all_tasks_panels(
    frame: pd.DataFrame, smoothed: Mapping[Key, Curve], title: str, rule: ConvergenceRule
) -> Panels | None:
    """What the figure over all tasks shows; None where there is no task with every curve."""
    methods = [str(m) for m in dict.fromkeys(frame["method"])]
    seeds = {m: sorted(set(frame.loc[frame["method"] == m, "seed"])) for m in methods}
    every = [str(task) for task in dict.fromkeys(frame["task"])]
    whole = [
        task
        for task in every
        if all((task, method, seed) in smoothed for method in methods for seed in seeds[method])
    ]
    if not whole:
        return None
    bands: dict[Axis, dict[str, Band]] = {
        axis: {
            m: band_over_tasks([[smoothed[t, m, s] for t in whole] for s in seeds[m]], axis)
            for m in methods
        }
        for axis in AXES
    }
    left_out = [task for task in every if task not in whole]
    splits = ", ".join(sorted(set(frame["curve_split"].dropna())))
    most = max(len(found) for found in seeds.values())
    caption = (
        f"Mean over {len(whole)} tasks of the primary metric (100 × its value), smoothed over "
        f"{rule.window_evaluations} evaluations; {_band_words(most)} A run that has ended keeps "
        "its last value; a line starts when every task's set-up is done."
    )
    if left_out:
        caption += f" Left out, for a method or seed has no curve: {', '.join(left_out)}."
    return Panels(
        title=f"mean of {len(whole)} tasks · {title}",
        y_label=f"mean {splits} score (points)",
        caption=caption,
        bands=bands,
    )


def draw(panels: Panels) -> Figure:
    """Two panels side by side, one legend, the caption below."""
    with style.applied():
        figure, axes = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH_IN, 3.45), sharey=True)
        for axis, ax in zip(AXES, axes, strict=True):
            _draw_panel(ax, panels, axis)
        axes[0].set_ylabel(panels.y_label)
        methods = list(panels.bands["steps"])
        figure.subplots_adjust(left=0.075, right=0.985, top=0.80, bottom=0.29, wspace=0.09)
        figure.text(0.012, 0.955, panels.title, fontsize=9.5, fontweight="bold", va="center")
        figure.legend(
            handles=[_handle(method) for method in methods],
            loc="center left",
            bbox_to_anchor=(0.005, 0.875),
            ncols=min(len(methods), 8),
            columnspacing=1.8,
            handlelength=3.4,
        )
        caption = textwrap.fill(panels.caption, 138)
        figure.text(0.012, 0.135, caption, fontsize=7, color=style.MUTED, va="top", linespacing=1.4)
    return figure


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and PDF, without dates in it, and close it."""
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "pdf")]
    with style.applied():
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"CreationDate": None})
    plt.close(figure)
    return paths


def _draw_panel(ax: Axes, panels: Panels, axis: Axis) -> None:
    bands = panels.bands[axis]
    for method, band in bands.items():
        look = style.of_method(method)
        front = 3 if method == "frod" else 2
        low, high, median = 100 * band.low, 100 * band.high, 100 * band.median
        ax.fill_between(band.grid, low, high, color=look.color, alpha=0.13, lw=0, zorder=front)
        ax.plot(band.grid, median, color=look.color, linestyle=look.line, zorder=front + 2)
        when = panels.arrived.get(axis, {}).get(method, np.nan)
        if np.isfinite(when):
            _mark(ax, when, 100 * float(np.interp(when, band.grid, band.median)), look)
    if np.isfinite(panels.target):
        ax.axhline(100 * panels.target, color=style.INK, lw=0.7, ls=(0, (2, 2)), zorder=1.5)
        ax.annotate(
            f"target {100 * panels.target:.1f}",
            (0, 100 * panels.target),
            xycoords=("axes fraction", "data"),
            xytext=(3, 2.5),
            textcoords="offset points",
            fontsize=7,
            color=style.MUTED,
        )
    ax.set_xlabel(AXIS_LABELS[axis])
    ax.xaxis.set_major_locator(MaxNLocator(integer=axis == "steps", steps=[1, 2, 5, 10]))
    ax.set_xlim(0, max((band.grid[-1] for band in bands.values() if band.grid.size), default=1))
    ax.margins(y=0.08)


def _mark(ax: Axes, x: float, y: float, look: style.MethodStyle) -> None:
    ax.plot(
        x, y, look.marker, ms=5.5, mfc=look.color, mec="white", mew=0.9, zorder=7, clip_on=False
    )


def _handle(method: str) -> Line2D:
    look = style.of_method(method)
    return Line2D(
        [],
        [],
        color=look.color,
        ls=look.line,
        marker=look.marker,
        mec="white",
        ms=5.5,
        label=method,
    )


def _task_caption(cells: pd.DataFrame, target: float, rule: ConvergenceRule) -> str:
    drawn = cells[cells["status"] == "ok"].groupby("method", sort=False)["seed"].nunique()
    text = f"Metric smoothed over {rule.window_evaluations} evaluations; {_band_words(drawn.max())}"
    not_drawn = {str(method): holes(group) for method, group in cells.groupby("method", sort=False)}
    lost = [f"{method} ({what})" for method, what in not_drawn.items() if what]
    if lost:
        text += f" Not drawn: {', '.join(lost)}."
    if np.isnan(target):
        return text + f" No target: {rule.reference} has no curve here, or gains nothing over it."
    return text + (
        f" Target: {100 * rule.target_fraction:.0f} % of the way that {rule.reference}'s mean "
        "curve goes; a marker stands at the median time over seeds to reach it, none for a miss."
    )


def _band_words(seeds: int) -> str:
    return "one seed." if seeds == 1 else f"line: median over {seeds} seeds, band: their range."


def _median(times: pd.Series) -> float:
    return stats.median_over_seeds(times)
