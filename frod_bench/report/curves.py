"""The curves of runs as arrays: smoothed by the rules, set-up included, aligned over seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.records.schema import CurvePoint
from frod_bench.report.frame import Run, run_of
from frod_bench.stats import Floats

Axis = Literal["steps", "seconds"]
AXES: tuple[Axis, ...] = ("steps", "seconds")
GRID_POINTS = 241


@dataclass(frozen=True)
class Curve:
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


@dataclass(frozen=True)
class Band:
    """Median and range over seeds on a grid, from where every seed has begun."""

    grid: Floats
    median: Floats
    low: Floats
    high: Floats
    seeds: int


def evaluations(points: Iterable[CurvePoint], metric: str, setup_sec: float) -> Curve:
    """The lines of a curve with a finite value of `metric`."""
    rows: list[Mapping[str, Any]] = [
        point for point in points if _is_number(point.get(metric, None))
    ]
    return Curve(
        steps=np.array([row["step"] for row in rows], dtype=np.float64),
        seconds=np.array([row["seconds"] for row in rows], dtype=np.float64) + setup_sec,
        values=np.array([row[metric] for row in rows], dtype=np.float64),
    )


def evaluated_curves(
    frame: pd.DataFrame, curves: Mapping[Run, Sequence[CurvePoint]], column: str = ""
) -> dict[Run, Curve]:
    """The curve of each run that is ok, of its primary metric or of `column`.

    A run that stopped early is left out: its end is not known.
    """
    found: dict[Run, Curve] = {}
    for row in frame[frame["status"] == "ok"].itertuples(index=False):
        key = run_of(row)
        setup_sec = 0.0 if np.isnan(row.setup_sec) else row.setup_sec
        curve = evaluations(curves.get(key, ()), column or row.metric, setup_sec)
        if curve.values.size:
            found[key] = curve
    return found


def band_over_seeds(curves: Sequence[Curve], axis: Axis) -> Band:
    """Median and range over the seeds of a task and method, interpolated onto one grid."""
    return _band(curves, axis, [[curve] for curve in curves])


def band_over_tasks(by_seed: Sequence[Sequence[Curve]], axis: Axis) -> Band:
    """Median and range over seeds of the mean over tasks; `by_seed[seed][task]`."""
    return _band([curve for tasks in by_seed for curve in tasks], axis, by_seed)


def _band(every: Sequence[Curve], axis: Axis, by_seed: Sequence[Sequence[Curve]]) -> Band:
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


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))
