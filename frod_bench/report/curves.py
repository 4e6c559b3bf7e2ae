"""The curves of runs as arrays: smoothed by the rules, set-up included, aligned over seeds."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.records.lines import NO_LINES, Lines
from frod_bench.report.frame import runs_of
from frod_bench.report.keys import Run
from frod_bench.stats import Floats

Axis = Literal["steps", "seconds"]
AXES: tuple[Axis, ...] = ("steps", "seconds")
GRID_POINTS = 241
ENDED = ("ok", "undefined")  # statuses of a run that came to its end, and has its whole loss


class Curve(NamedTuple):
    """The evaluations of one run: three arrays of the same length.

    `values` is a metric in its own unit; `seconds` are of training, without evaluation but with
    set-up, so that a method pays for what it does before its first step.
    """

    steps: Floats
    seconds: Floats
    values: Floats

    def times(self, axis: Axis) -> Floats:
        """The evaluations' coordinates on an axis."""
        return self.steps if axis == "steps" else self.seconds

    def smoothed(self, window: int) -> "Curve":
        """The curve with trailing means over `window` evaluations."""
        return Curve(self.steps, self.seconds, stats.smooth(self.values, window))


class Band(NamedTuple):
    """Median and range over seeds on a grid, from where every seed has begun."""

    grid: Floats
    median: Floats
    low: Floats
    high: Floats
    seeds: int


def evaluations(curve: Lines, metric: str, setup_sec: float) -> Curve:
    """The lines of a curve with a finite value of `metric`."""
    steps, seconds, values = curve.of(metric)
    return Curve(steps, seconds + setup_sec, values)


def evaluated_curves(
    frame: pd.DataFrame, curves: Mapping[Run, Lines], column: str = ""
) -> dict[Run, Curve]:
    """The curve of each run that came to its end, of its primary metric or of `column`.

    A run that stopped early is left out, because its end is not known. A run whose score is not
    defined at its end has no curve of its score, which would seem to stay at the last defined
    value. It has a curve of its loss, which is known.
    """
    found: dict[Run, Curve] = {}
    ended = frame[frame["status"].isin(ENDED if column else ["ok"])]
    setup_sec = np.nan_to_num(ended["setup_sec"].to_numpy()).tolist()
    for run, metric, seconds in zip(runs_of(ended), ended["metric"], setup_sec, strict=True):
        curve = evaluations(curves.get(run, NO_LINES), column or metric, seconds)
        if curve.values.size:
            found[run] = curve
    return found


def smoothed_curves(curves: Mapping[Run, Curve], window: int) -> dict[Run, Curve]:
    """`Curve.smoothed` of many, those of one length together: each by itself takes ten times as
    long.
    """
    by_length: dict[int, list[Run]] = {}
    for run, curve in curves.items():
        by_length.setdefault(curve.values.size, []).append(run)
    found: dict[Run, Curve] = {}
    for runs in by_length.values():
        means = stats.smooth([curves[run].values for run in runs], window)
        found |= {
            run: curves[run]._replace(values=values)
            for run, values in zip(runs, means, strict=True)
        }
    return found


def band_over_seeds(curves: Sequence[Curve], axis: Axis) -> Band:
    """Median and range over the seeds of a task and method, interpolated onto one grid."""
    return band_over_tasks([[curve] for curve in curves], axis)


def band_over_tasks(by_seed: Sequence[Sequence[Curve]], axis: Axis) -> Band:
    """Median and range over seeds of the mean over tasks; `by_seed[seed][task]`."""
    every = [curve for tasks in by_seed for curve in tasks]
    end = max(curve.times(axis)[-1] for curve in every)
    grid = np.linspace(min(curve.times(axis)[0] for curve in every), end, GRID_POINTS)
    means = np.array(
        [
            np.mean([stats.resample_onto(grid, c.times(axis), c.values) for c in tasks], axis=0)
            for tasks in by_seed
        ]
    )
    begun = ~np.isnan(means).any(axis=0)
    grid, means = grid[begun], means[:, begun]
    return Band(grid, np.median(means, axis=0), means.min(axis=0), means.max(axis=0), len(means))
