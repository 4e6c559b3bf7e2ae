"""What wrong learning rates cost: the area under the metric over the trials of `tune`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench import stats

COLUMNS = ("family", "method", "trial", "task", "score")


def read_trials(path: Path) -> pd.DataFrame | None:
    """The table that `frod_bench.tune` wrote; None where it is not there or is another table."""
    try:
        trials = pd.read_csv(path)
    except (OSError, ValueError):
        return None
    return trials if set(COLUMNS) <= set(trials.columns) and len(trials) else None


def areas(trials: pd.DataFrame) -> pd.DataFrame:
    """Area of each task (index) and method (column): mean over trials less the best, in points.

    A trial without a finite score counts as the lowest that any trial has on the task. NaN where a
    method has another number of trials on a task than the rest, or none.
    """
    scores = trials.assign(score=trials["score"].where(np.isfinite(trials["score"])))
    floor = scores.groupby("task")["score"].transform("min")
    scores["score"] = scores["score"].fillna(floor)
    grouped = scores.groupby(["task", "method"], sort=False)["score"]
    found = grouped.agg(lambda of_trials: 100 * float(stats.area_below_best(of_trials)))
    counts = grouped.size()
    return found.where(counts == counts.max()).unstack("method")


def area_holes(found: pd.DataFrame | None, methods: Sequence[str]) -> str:
    """Which methods have no whole trials; empty where all have."""
    if found is None:
        return "no trials of experiment=tune (tables/tuning.csv)"
    lost = [m for m in methods if m not in found or found[m].isna().any()]
    return f"trials missing of {', '.join(lost)}" if lost else ""
