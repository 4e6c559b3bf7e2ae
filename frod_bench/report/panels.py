"""What a convergence figure shows: per task and over all tasks, by step and by second."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.convergence import middle_seed, target_words
from frod_bench.report.curves import (
    AXES,
    Axis,
    Band,
    Curve,
    band_over_seeds,
    band_over_tasks,
    smoothed_curves,
)
from frod_bench.report.frame import by_method, by_task, curve_split_of, runs_of
from frod_bench.report.keys import TASK_KEY, Method, Run, Task
from frod_bench.report.names import label, metric_label, spelled
from frod_bench.report.rules import ConvergenceRule
from frod_bench.report.tables import holes

ALL_TASKS = "all_tasks"
X_LABELS: dict[Axis, str] = {
    "steps": "optimizer steps",
    "seconds": "training time with set-up (s)",
}
SHARE_LABEL = "optimizer steps (% of the run)"


class Quantity(NamedTuple):
    """What curves show: the task's primary metric, or a loss in a column of the curves' lines."""

    column: str = ""
    rows: str = ""  # whose rows a loss is of, if not of the split that the curve is measured on
    window: int | None = None  # evaluations per mean, if not the rule's


SCORE = Quantity()
LOSSES = {
    "held-out loss": Quantity("eval_loss"),
    "training loss": Quantity("train_loss", "training", window=20),  # single batches are noisy
}


class Caption(NamedTuple):
    """What a figure says of itself, in parts; whoever shows the figure picks those that apply."""

    what: str  # the quantity, its lines and bands
    markers: str = ""  # the target and when it is reached
    missing: str = ""  # what is not drawn, and why
    setting: str = ""  # which runs these are

    def __str__(self) -> str:
        return " ".join(filter(None, self))


@dataclass(frozen=True)
class Panels:
    """What one figure shows: a band per method and axis, the target and when it is reached.

    Bands and target are in the quantity's own unit; `scale` times that is drawn. `task` is None for
    the mean over tasks.
    """

    title: str
    y_label: str
    caption: Caption
    bands: Mapping[Axis, Mapping[Method, Band]]
    x_labels: Mapping[Axis, str] = field(default_factory=lambda: X_LABELS)
    target: float = np.nan
    arrived: Mapping[Axis, Mapping[Method, float]] = field(default_factory=dict)
    is_loss: bool = False
    task: Task | None = None

    @property
    def scale(self) -> float:
        """What values are multiplied by when they are drawn: scores are drawn in points."""
        return 1.0 if self.is_loss else 100.0

    @property
    def target_text(self) -> str:
        """The target as it is written next to its line."""
        return f"target {self.scale * self.target:{'.3g' if self.is_loss else '.1f'}}"

    @property
    def has_target(self) -> bool:
        """Whether a line shows the target."""
        return bool(np.isfinite(self.target))

    @property
    def has_arrivals(self) -> bool:
        """Whether markers show when the target is reached."""
        return bool(self.arrived)


def experiment_panels(
    frame: pd.DataFrame,
    measured: Mapping[Run, Curve],
    arrived: pd.DataFrame,
    title: str,
    rule: ConvergenceRule,
    *,
    quantity: Quantity = SCORE,
    constant: Collection[Task] = (),
    setting: str = "",
) -> dict[str, Panels]:
    """The panels of each task that has a curve, and of `all_tasks` if some task has every curve.

    `measured` are the `evaluated_curves` of `Collected.frame` for `quantity`, and `arrived` are its
    `arrivals`. `title` is the profile's, and `setting` says in captions which runs these are. Only
    the quantity of the rule has a target. Markers show when it is reached, also on the curves of
    scores. On the tasks in `constant` the reference predicts a single class, so a target is moot.
    """
    window = quantity.window or rule.window_evaluations
    smoothed = smoothed_curves(measured, window)
    found: dict[str, Panels] = {}
    arrived_on = dict(by_task(arrived))
    for task, cells in by_task(frame):
        if panels := _task_panels(task, cells, smoothed, rule, quantity):
            if quantity.column in (SCORE.column, rule.column):
                has_line = quantity.column == rule.column
                own = arrived_on[task]
                panels = _with_target(panels, own, rule, task in constant, has_line=has_line)
            found[spelled(task)] = panels
    if mean := _mean_panels(frame, smoothed, rule, quantity):
        found[ALL_TASKS] = mean
    return {
        name: replace(
            panels,
            title=f"{panels.title} · {title}",
            caption=panels.caption._replace(setting=setting),
        )
        for name, panels in found.items()
    }


def _task_panels(
    task: Task,
    cells: pd.DataFrame,
    smoothed: Mapping[Run, Curve],
    rule: ConvergenceRule,
    quantity: Quantity,
) -> Panels | None:
    curves: dict[Method, list[Curve]] = {}
    for run in runs_of(cells):
        if run in smoothed:
            curves.setdefault(run.method, []).append(smoothed[run])
    if not curves:
        return None
    what, y_label = _quantity_words(cells, quantity)
    lost = [f"{label(m)} ({why})" for m, rows in by_method(cells) if (why := holes(rows))]
    return Panels(
        title=label(task),
        y_label=y_label,
        caption=Caption(
            what=f"{what[0].upper()}{what[1:]}, "
            + _statistics(max(map(len, curves.values())), rule, quantity),
            missing=f"Not drawn: {', '.join(lost)}." if lost else "",
        ),
        bands={
            axis: levelled({m: band_over_seeds(c, axis) for m, c in curves.items()})
            for axis in AXES
        },
        is_loss=bool(quantity.column),
        task=task,
    )


def levelled(bands: Mapping[Method, Band]) -> dict[Method, Band]:
    """The bands; one of a single value is extended to the end of the longest band.

    A method that takes no step, such as the frozen backbone that ranks options, is evaluated once.
    """
    end = max((band.grid[-1] for band in bands.values() if band.grid.size), default=0.0)
    found = dict(bands)
    for method, band in bands.items():
        if band.grid.size and band.grid[0] == band.grid[-1] < end:
            ends = [0, -1]
            values = band.median[ends], band.low[ends], band.high[ends]
            found[method] = Band(np.array([band.grid[0], end]), *values, band.seeds)
    return found


def _mean_panels(
    frame: pd.DataFrame, smoothed: Mapping[Run, Curve], rule: ConvergenceRule, quantity: Quantity
) -> Panels | None:
    """The mean over the tasks that have every curve; None if there is no such task."""
    seeds = {method: sorted(set(rows["seed"])) for method, rows in by_method(frame)}
    runs = {t: [Run(t, m, s) for m in seeds for s in seeds[m]] for t, _ in by_task(frame)}
    whole = [task for task in runs if all(run in smoothed for run in runs[task])]
    if not whole:
        return None
    x_labels = X_LABELS
    if frame.loc[frame["status"] == "ok"].groupby(TASK_KEY)["steps"].max().nunique() > 1:
        x_labels = X_LABELS | {"steps": SHARE_LABEL}
        # A run that trains nothing has no steps, and one evaluation: its start.
        steps = {run: n or 1.0 for run, n in zip(runs_of(frame), frame["steps"], strict=True)}
        smoothed = {
            run: smoothed[run]._replace(steps=100.0 * smoothed[run].steps / n)
            for run, n in steps.items()
            if run in smoothed
        }
    curves = {
        m: [[smoothed[Run(task, m, s)] for task in whole] for s in of_method]
        for m, of_method in seeds.items()
    }
    what, y_label = _quantity_words(frame, quantity, is_mean=True)
    lost = ", ".join(label(task) for task in runs if task not in whole)
    rows, names = len(whole), len({task.task for task in whole})
    so_many = f"{rows} tasks" if rows == names else f"{rows} rows of {names} tasks"  # two heads
    return Panels(
        title=f"mean of {so_many}",
        y_label=y_label,
        caption=Caption(
            what=f"Mean over {so_many} of the {what}, "
            f"{_statistics(max(map(len, seeds.values())), rule, quantity)} A run that has ended "
            "keeps its last value; a curve starts when the set-up of every task is done.",
            missing=f"Left out because a method or a seed has no curve: {lost}." if lost else "",
        ),
        bands={
            axis: levelled({m: band_over_tasks(c, axis) for m, c in curves.items()})
            for axis in AXES
        },
        x_labels=x_labels,
        is_loss=bool(quantity.column),
    )


def _with_target(
    panels: Panels,
    arrived: pd.DataFrame,
    rule: ConvergenceRule,
    is_constant: bool,
    *,
    has_line: bool,
) -> Panels:
    """The panels of a task with the times at which its target is reached, or with the reason why it
    has none. `has_line`: the target is one of the quantity that is shown, and drawn.
    """
    reference = label(Method(rule.reference), in_text=True)
    target = float(arrived["target"].median())
    if np.isnan(target) or is_constant:
        why = (
            "predicts a single class"
            if is_constant
            else "has no curve here or improves in too few runs"
        )
        markers = f"No target: {reference} {why}."
        return replace(panels, caption=panels.caption._replace(markers=markers))
    of_seeds = " (drawn: the median of the seeds' targets)" if rule.column and has_line else ""
    of_loss = "" if has_line else f"of {rule.words}, "
    markers = (
        f"Target: {of_loss}{target_words(rule, Method(rule.reference))}{of_seeds}. A marker shows "
        f"when a method reaches it ({middle_seed(arrived['seed'].nunique())}); a method that "
        "misses it has none."
    )
    groups = list(by_method(arrived))
    times = {axis: {m: stats.median_over_seeds(rows[axis]) for m, rows in groups} for axis in AXES}
    caption = panels.caption._replace(markers=markers)
    shown = target if has_line else np.nan
    return replace(panels, caption=caption, target=shown, arrived=times)


def _quantity_words(
    cells: pd.DataFrame, quantity: Quantity, *, is_mean: bool = False
) -> tuple[str, str]:
    """The quantity for a caption and for the axis."""
    split = curve_split_of(cells)
    if quantity.column:
        what = f"{quantity.rows or split} loss"
        return what, f"mean {what}" if is_mean else what
    if is_mean:
        return f"primary metric (× 100) on {split}", f"mean {split} score (points)"
    metric = metric_label(cells["metric"].dropna().iloc[0])
    what = f"{split} {metric}"
    return what, f"{what} (%)" if metric == "accuracy" else f"{what} × 100"


def _statistics(seeds: int, rule: ConvergenceRule, quantity: Quantity) -> str:
    window = quantity.window or rule.window_evaluations
    points = "evaluations" if quantity.window is None else "measurements"
    lines = "One seed." if seeds == 1 else f"Line: median over {seeds} seeds; band: their range."
    return f"smoothed over {window} {points}. {lines}"
