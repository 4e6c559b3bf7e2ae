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


def experiment_panels(
    frame: pd.DataFrame,
    curves: Mapping[Key, Sequence[CurvePoint]],
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
        str(task): task_panels(cells, smoothed, arrived, title, rule)
        for task, cells in frame.groupby("task", sort=False)
    }
    found[ALL_TASKS] = all_tasks_panels(frame, smoothed, title, rule)
    return {name: panels for name, panels in found.items() if panels is not None}


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
        "curve goes; a marker stands at the time to reach it, "
        f"{middle_seed(cells['seed'].nunique())}, none for a miss."
    )


def _band_words(seeds: int) -> str:
    return "one seed." if seeds == 1 else f"line: median over {seeds} seeds, band: their range."


def _median(times: pd.Series) -> float:
    return stats.median_over_seeds(times)
