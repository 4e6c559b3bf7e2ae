"""What a convergence figure shows: for each task and over all tasks, by step and by second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.records.schema import CurvePoint
from frod_bench.report.convergence import middle_seed
from frod_bench.report.curves import (
    AXES,
    Axis,
    Band,
    Curve,
    band_over_seeds,
    band_over_tasks,
    evaluated_curves,
)
from frod_bench.report.frame import (
    Method,
    Run,
    Task,
    by_method,
    by_task,
    is_task,
    run_of,
    tasks_in,
)
from frod_bench.report.names import label, metric_label, spelled
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
    bands: dict[Axis, dict[Method, Band]]
    target: float = np.nan
    arrived: dict[Axis, dict[Method, float]] = field(default_factory=dict)
    task: Task | None = None  # None: the mean over all


def experiment_panels(
    frame: pd.DataFrame,
    curves: Mapping[Run, Sequence[CurvePoint]],
    arrived: pd.DataFrame,
    title: str,
    rule: ConvergenceRule,
) -> dict[str, Panels]:
    """The panels of each task that has a curve, and of `all_tasks` where some task has them all.

    `frame` and `curves` are those of `Collected`, `arrived` is `arrivals` of them; `title` is the
    profile's title.
    """
    smoothed = {
        key: curve.smoothed(rule.window_evaluations)
        for key, curve in evaluated_curves(frame, curves).items()
    }
    found = {
        spelled(task): task_panels(cells, smoothed, arrived, title, rule)
        for task, cells in by_task(frame)
    }
    found[ALL_TASKS] = all_tasks_panels(frame, smoothed, title, rule)
    return {name: panels for name, panels in found.items() if panels is not None}


def task_panels(
    cells: pd.DataFrame,
    smoothed: Mapping[Run, Curve],
    arrived: pd.DataFrame,
    title: str,
    rule: ConvergenceRule,
) -> Panels | None:
    """What the figure of one task shows; None where no cell has a curve."""
    (task,) = tasks_in(cells)
    found: dict[Method, list[Curve]] = {}
    for run in map(run_of, cells.itertuples(index=False)):
        if (curve := smoothed.get(run)) is not None:
            found.setdefault(run.method, []).append(curve)
    if not found:
        return None
    here = arrived[is_task(arrived, task)]
    target = float(here["target"].iloc[0])
    metric = metric_label(cells["metric"].dropna().iloc[0])
    split = cells["curve_split"].dropna().iloc[0]
    return Panels(
        title=f"{label(task)} · {title}",
        y_label=f"{split} {metric} (%)" if metric == "accuracy" else f"{split} {metric} × 100",
        caption=_task_caption(cells, target, rule),
        bands={
            axis: {m: band_over_seeds(curves, axis) for m, curves in found.items()} for axis in AXES
        },
        target=target,
        arrived={
            axis: {m: stats.median_over_seeds(rows[axis]) for m, rows in by_method(here)}
            for axis in AXES
        },
        task=task,
    )


def all_tasks_panels(
    frame: pd.DataFrame, smoothed: Mapping[Run, Curve], title: str, rule: ConvergenceRule
) -> Panels | None:
    """What the figure over all tasks shows; None where there is no task with every curve."""
    seeds = {method: sorted(set(rows["seed"])) for method, rows in by_method(frame)}
    methods, every = list(seeds), tasks_in(frame)
    whole = [
        task
        for task in every
        if all(Run(task, method, seed) in smoothed for method in methods for seed in seeds[method])
    ]
    if not whole:
        return None
    bands: dict[Axis, dict[Method, Band]] = {
        axis: {
            m: band_over_tasks([[smoothed[Run(t, m, s)] for t in whole] for s in seeds[m]], axis)
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
        caption += (
            f" Left out, for a method or seed has no curve: {', '.join(map(label, left_out))}."
        )
    return Panels(
        title=f"mean of {len(whole)} tasks · {title}",
        y_label=f"mean {splits} score (points)",
        caption=caption,
        bands=bands,
    )


def _task_caption(cells: pd.DataFrame, target: float, rule: ConvergenceRule) -> str:
    reference = label(Method(rule.reference), in_text=True)
    drawn = cells[cells["status"] == "ok"].groupby("method", sort=False)["seed"].nunique()
    text = f"Metric smoothed over {rule.window_evaluations} evaluations; {_band_words(drawn.max())}"
    lost = [f"{label(m)} ({why})" for m, rows in by_method(cells) if (why := holes(rows))]
    if lost:
        text += f" Not drawn: {', '.join(lost)}."
    if np.isnan(target):
        return text + f" No target: {reference} has no curve here, or gains nothing over it."
    return text + (
        f" Target: {100 * rule.target_fraction:.0f} % of the way that {reference}'s mean "
        "curve goes; a marker stands at the time to reach it, "
        f"{middle_seed(cells['seed'].nunique())}, none for a miss."
    )


def _band_words(seeds: int) -> str:
    return "one seed." if seeds == 1 else f"line: median over {seeds} seeds, band: their range."
