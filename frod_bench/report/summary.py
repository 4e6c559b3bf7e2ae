"""The tidy frame of cells -> the numbers that tables show, one row a number (long form)."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.frame import FAMILY_KEY, METHOD_KEY, METRIC, TASK_KEY, by_method, tasks_in

BYTES_PER_MIB = 2.0**20
# A mean over fewer tasks has no interval here: scores of unlike tasks lie so far apart that
# Student's, of two to four of them, is wider than the scale.
INTERVAL_TASKS = 5
INTERVAL_SEEDS = (
    3  # of two, Student's interval is 13 standard deviations wide: their range says more
)
PRIMARY = "primary"
COLUMNS = (
    *("scope", *TASK_KEY, "family", *METHOD_KEY, "metric", "unit", "primary"),
    *("n_seeds", "n_tasks", "n_cells", "n_expected"),
    *("mean", "low", "high", "interval", "status", "holes"),
    *("least", "greatest", "higher_is_better"),  # the range over seeds
)


class Cost(NamedTuple):
    """A quantity of a run other than its score."""

    column: str
    name: str
    unit: str
    scale: float


COSTS = (
    Cost("trainable_percent", "trainable, without the head", "% of the backbone", 1.0),
    Cost("step_sec", "training step", "s", 1.0),
    Cost("setup_sec", "set-up", "s", 1.0),
    Cost("peak_rss_bytes", "peak memory", "MiB", 1 / BYTES_PER_MIB),
    Cost("peak_device_bytes", "peak device memory", "MiB", 1 / BYTES_PER_MIB),
)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Every number of the main table in long form; `COLUMNS` are its columns.

    Scores are in points (100 x the metric). scope `task`: mean over seeds with Student's t
    interval, for every metric of the task; scope `family` and `overall`: mean over tasks of the
    primary metric with a bootstrap over tasks and seeds (of few tasks Student's t, of fewer than
    `INTERVAL_TASKS` none), and the costs; there `task` is empty, and so is `family` of the overall
    scope. `status` is ok if every expected cell gave a number, partial if some did, else what
    became of them; `holes` counts the cells that gave none.
    """
    rows: list[dict[str, Any]] = []
    keys = [*TASK_KEY, "family", *METHOD_KEY]
    for key, cells in frame.groupby(keys, sort=False):
        base = {"scope": "task", **dict(zip(keys, key, strict=True))}
        rows.extend(base | row for row in _task_rows(cells))
    scopes = [("family", *key, cells) for key, cells in frame.groupby(FAMILY_KEY)]
    for scope, family, head, group in [*scopes, ("overall", "", "", frame)]:
        for method, cells in by_method(group):
            base = {"scope": scope, "task": "", "head": head, "family": family, **method._asdict()}
            rows.append(base | _mean_row(cells))
            rows.extend(base | row for row in _cost_rows(cells))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def holes(cells: pd.DataFrame) -> str:
    """What became of the cells that gave no number: "1 failed, 2 missing"; empty if all did."""
    counts = Counter(status for status in cells["status"] if status != "ok")
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))


def so_many(n: int, what: str) -> str:
    """A count in words: "one seed", "3 tasks"."""
    return f"one {what}" if n == 1 else f"{n} {what}s"


def _task_rows(cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The primary metric first, then the task's other metrics, then the costs."""
    names = cells["metric"].dropna()
    primary = names.iloc[0] if len(names) else ""
    yield _score(cells, "value", primary) | {"primary": True}
    for column in cells.columns[cells.columns.str.startswith(METRIC)]:
        name = column.removeprefix(METRIC)
        if name != primary and cells[column].notna().any():
            yield _score(cells, column, name) | {"primary": False}
    yield from _cost_rows(cells)


def _score(cells: pd.DataFrame, column: str, name: str) -> dict[str, Any]:
    points = 100.0 * cells[column]
    estimate = stats.mean_interval(points.to_numpy())
    return {
        "metric": name,
        "unit": "points",
        "n_seeds": estimate.n,
        "n_tasks": 1,
        **_counts(cells),
        **_ends(estimate),
        "interval": "t over seeds",
        "least": points.min(),
        "greatest": points.max(),
        "higher_is_better": _is_higher_better(cells) if column == "value" else None,
    }


def _mean_row(cells: pd.DataFrame) -> dict[str, Any]:
    table = cells.pivot_table(index=TASK_KEY, columns="seed", values="value", aggfunc="first")
    estimate = stats.mean_over_tasks(100.0 * table.to_numpy()) if table.size else stats.NOTHING
    kind = "t over tasks" if estimate.n < stats.FEW_TASKS else "bootstrap over tasks and seeds"
    if estimate.n < INTERVAL_TASKS:
        kind, estimate = "none", estimate._replace(low=np.nan, high=np.nan)
    return {
        "metric": PRIMARY,
        "unit": "points",
        "primary": True,
        "n_seeds": cells.loc[cells["status"] == "ok", "seed"].nunique(),
        "n_tasks": estimate.n,
        **_counts(cells),
        **_ends(estimate),
        "interval": kind,
        "higher_is_better": _is_higher_better(cells),
    }


def _is_higher_better(cells: pd.DataFrame) -> bool | None:
    """Whether more of the primary metric is better; None if the tasks' metrics disagree."""
    said = set(cells["higher_is_better"].dropna())
    return bool(said.pop()) if len(said) == 1 else None


def _cost_rows(cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Means over the cells that ran; times of one machine are not a sample, so without interval."""
    counts = _counts(cells)
    for cost in COSTS:
        values = cells[cost.column].to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        if known.any():
            yield {
                "metric": cost.name,
                "unit": cost.unit,
                "primary": False,
                "n_seeds": cells.loc[known, "seed"].nunique(),
                "n_tasks": len(tasks_in(cells[known])),
                **counts,
                "mean": float((values[known] * cost.scale).mean()),
                "low": np.nan,
                "high": np.nan,
                "interval": "none",
            }


def _ends(estimate: stats.Estimate) -> dict[str, float]:
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


def _counts(cells: pd.DataFrame) -> dict[str, Any]:
    n_cells = int((cells["status"] == "ok").sum())
    lost = holes(cells)
    if not lost:
        status = "ok"
    elif n_cells:
        status = "partial"
    else:
        status = " / ".join(sorted(cells["status"].unique()))
    return {
        "n_cells": n_cells,
        "n_expected": len(cells),
        "status": status,
        "holes": lost,
    }
