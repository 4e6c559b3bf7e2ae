"""Score over a factor on all of a method's learning rates, and the area under it."""

from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.analyses.about import (
    ALL_FACTOR,
    About,
    counts,
    need_axes,
    points_of,
    scope_name,
    scopes,
    score_text,
)
from frod_bench.report.areas import areas
from frod_bench.report.markup import Row, Table

COLUMNS = (
    *("scope", "task", "method", "quantity", "factor", "mean", "low", "high"),
    *("n_cells", "n_expected", "holes", "n_floored"),
)
SCORE, AREA = "score", "area"
FLOORED = ("diverged", "undefined")  # runs that came to their end, and gave no score


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of two quantities for each scope and method; `COLUMNS` are its columns.

    `score` at each factor: mean and range over seeds of the mean over tasks, in points. A run that
    diverged counts as the lowest score that any cell has on its task, and `n_floored` counts those;
    any other hole leaves no mean. `area`: mean over the factors of the task's score, less the best
    of them, at most 0; over all tasks the mean with its 95 % interval over tasks. Raises
    InputError where the experiment has no such factors.
    """
    need_axes(frame, "rate_curve", [ALL_FACTOR])
    axis = f"axis/{ALL_FACTOR}"
    filled = _floored(frame.dropna(subset=[axis]))
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(filled):
        for (method, factor), group in cells.groupby(["base_method", axis], sort=False):
            base = scope | {"method": method, "quantity": SCORE, "factor": factor}
            rows.append(base | points_of(group) | {"n_floored": int(group["floored"].sum())})
    found = _areas(filled, axis)
    for scope, cells in scopes(filled):
        for method, group in cells.groupby("base_method", sort=False):
            of_tasks = found[method].reindex(group["task"].unique())
            base = scope | {"method": method, "quantity": AREA} | _area(of_tasks)
            rows.append(base | counts(group) | {"n_floored": int(group["floored"].sum())})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _floored(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells, those that diverged with the lowest score of their task; `floored` marks them."""
    lowest = frame.groupby("task")["value"].transform("min")
    ended = frame["status"].isin(FLOORED) & lowest.notna()
    return frame.assign(
        value=frame["value"].where(~ended, lowest),
        status=frame["status"].where(~ended, "ok"),
        floored=ended,
    )


def _areas(frame: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Area of each task (index) and method (column), in points; NaN with a hole."""
    keys = ["family", "base_method", axis, "task"]
    grid = frame.groupby(keys, sort=False, as_index=False)
    means = grid.agg(score=("value", lambda values: values.mean(skipna=False)))
    means = means.rename(columns={"base_method": "method", axis: "trial"})
    found = areas(means)
    whole = frame.groupby(["task", "base_method"])["status"].agg(lambda s: (s == "ok").all())
    return found.where(whole.unstack("base_method").reindex_like(found).eq(True))


def _area(of_tasks: pd.Series) -> dict[str, float]:
    if len(of_tasks) == 1:
        return {"mean": float(of_tasks.iloc[0]), "low": np.nan, "high": np.nan}
    if of_tasks.isna().any():
        return {"mean": np.nan, "low": np.nan, "high": np.nan}
    estimate = stats.mean_over_tasks(of_tasks.to_numpy()[:, None])
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


def table(found: pd.DataFrame, about: About) -> Table:
    """A group a task, a row a method: its score at each factor, and the area."""
    n_tasks = about.frame["task"].nunique()
    scores = found[found["quantity"] == SCORE]
    by_key = {(r.task, r.method, r.factor): r for r in scores.itertuples(index=False)}
    factors = sorted(set(scores["factor"]))
    rows: list[Row] = []
    for task, lines in found[found["quantity"] == AREA].groupby("task", sort=False):
        rows.append(Row(scope_name(str(task), n_tasks), heading=True))
        for line in lines.itertuples(index=False):
            cells = [_score(by_key.get((task, line.method, factor))) for factor in factors]
            rows.append(Row(line.method, (*cells, area_text(line))))
    header = ("method", *(f"rates × {factor:g}" for factor in factors), "area")
    return Table(f"Score over learning rates: {about.title}", words(about), header, rows)


def area_text(row: Any) -> str:
    """An area with its interval, where it has one."""
    if np.isnan(row.mean):
        return f"no area: {row.holes}"
    interval = "" if np.isnan(row.low) else f" [{row.low:.1f}, {row.high:.1f}]"
    return f"{row.mean:.1f}{interval}"


def _score(row: Any) -> str:
    if row is None:
        return "–"
    return score_text(row) + (f" ({row.n_floored} diverged)" if row.n_floored else "")


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    seeds = about.frame["seed"].nunique()
    mean = "one seed" if seeds == 1 else f"mean over {seeds} seeds"
    floored = int(about.frame["status"].isin(FLOORED).sum())
    counted = (
        f" {floored} runs that diverged count as the lowest score on their task." if floored else ""
    )
    return (
        f"Test score in points (100 × the task's primary metric), {mean}; every learning rate of a "
        "method is multiplied by the factor, around the profile's own rates. Area: mean over the "
        "factors of the score, less the method's best, so 0 is a method that does not mind; over "
        f"tasks with its 95 % interval.{counted} {about.setting}"
    )
