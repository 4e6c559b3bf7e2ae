"""How far the seeds of a method lie apart."""

from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.analyses.about import OVERALL, TASK, About, counts
from frod_bench.report.markup import Row, Table

COLUMNS = (
    *("scope", "task", "method", "mean", "low", "high"),
    *("spread", "spread_low", "spread_high", "n_cells", "n_expected", "holes"),
)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each task and method, and a mean over tasks; `COLUMNS` are its columns.

    low and high are the range over seeds, spread their standard deviation (n - 1) with its 95 %
    chi-squared interval; all in points. Of a task they are of the seeds that gave a number, which
    `n_cells` counts. A mean over tasks needs every cell, and has no interval.
    """
    rows: list[dict[str, Any]] = []
    for (task, method), cells in frame.groupby(["task", "method"], sort=False):
        scores = 100.0 * cells["value"].dropna().to_numpy()
        ends = (scores.mean(), scores.min(), scores.max()) if scores.size else [np.nan] * 3
        spread = stats.spread_interval(scores)
        base = {"scope": TASK, "task": task, "method": method}
        values = dict(zip(COLUMNS[3:9], (*ends, *spread[:3]), strict=True))
        rows.append(base | values | counts(cells))
    of_tasks = pd.DataFrame(rows, columns=list(COLUMNS))
    if of_tasks["task"].nunique() < 2:
        return of_tasks
    for method, lines in of_tasks.groupby("method", sort=False):
        counted = counts(frame[frame["method"] == method])
        lost = bool(counted["holes"])
        base = {"scope": OVERALL, "task": "", "method": method}
        means = {
            name: np.nan if lost else float(lines[name].mean(skipna=False))
            for name in ("mean", "spread")
        }
        rows.append(base | means | counted)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def table(found: pd.DataFrame, about: About) -> Table:
    """Task x method: the spread with its interval."""
    methods = list(dict.fromkeys(found["method"]))
    rows = []
    for task, lines in found.groupby("task", sort=False):
        by_method = {row.method: row for row in lines.itertuples(index=False)}
        cells = tuple(_text(by_method[m]) if m in by_method else "–" for m in methods)
        rows.append(Row(str(task) or "mean of all tasks", cells, strong=not task))
    return Table(f"Spread over seeds: {about.title}", words(about), ("task", *methods), rows)


def words(about: About) -> str:
    """What is shown, for the caption of the table."""
    return (
        "Standard deviation over seeds of the test score, in points (100 × the task's primary "
        "metric), with its 95 % interval (chi-squared: as if seeds were normal). A seed draws the "
        f"validation rows, the order of rows, the head and the adapter. {about.setting}"
    )


def _text(row: Any) -> str:
    lost = f" ({row.n_cells} of {row.n_expected}: {row.holes})" if row.holes else ""
    if np.isnan(row.spread):
        return f"no spread{lost}" if row.scope == TASK else f"not averaged{lost}"
    interval = "" if row.scope == OVERALL else f" [{row.spread_low:.2f}, {row.spread_high:.2f}]"
    return f"{row.spread:.2f}{interval}{lost}"
