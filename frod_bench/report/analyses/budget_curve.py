"""Score over the share of the backbone that is trained, and which sizes no other beats."""

from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.analyses.about import About, points_of, scope_name, scopes, score_text
from frod_bench.report.markup import Row, Table

COLUMNS = (
    *("scope", "task", "method", "variant", "percent", "mean", "low", "high"),
    *("on_front", "n_cells", "n_expected", "holes"),
)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each scope and variant of a method; `COLUMNS` are its columns.

    percent is the trained share of the backbone without the head, mean over tasks; mean, low and
    high are the mean and the range over seeds of the mean over tasks, in points. `on_front`: no
    other variant of the scope is as cheap and as good, and better in one of the two. A variant with
    a hole has neither a mean nor a place on the front.
    """
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(frame):
        of_scope = [
            scope | {"method": method, "variant": variant, "percent": _percent(group)}
            | points_of(group)
            for (method, variant), group in cells.groupby(["base_method", "method"], sort=False)
        ]  # fmt: skip
        front = stats.pareto_front(
            [row["percent"] for row in of_scope], [row["mean"] for row in of_scope]
        )
        rows += [row | {"on_front": bool(on)} for row, on in zip(of_scope, front, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _percent(cells: pd.DataFrame) -> float:
    """Mean over tasks; NaN where a task has no cell that counted."""
    return float(cells.groupby("task")["trainable_percent"].mean().mean(skipna=False))


def table(found: pd.DataFrame, about: About) -> Table:
    """A group a task, a row a variant in order of what it trains."""
    n_tasks = about.frame["task"].nunique()
    rows: list[Row] = []
    for task, lines in found.groupby("task", sort=False):
        rows.append(Row(scope_name(str(task), n_tasks), heading=True))
        for line in lines.sort_values("percent", kind="stable").itertuples(index=False):
            percent = "–" if np.isnan(line.percent) else f"{line.percent:.3f}"
            ends = "" if line.holes else f"{line.low:.1f} to {line.high:.1f}"
            front = "yes" if line.on_front else ""
            rows.append(Row(line.variant, (percent, score_text(line), ends, front)))
    header = ("variant", "trained, %", "score", "range over seeds", "on the front")
    return Table(f"Score over trained parameters: {about.title}", words(about), header, rows)


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    seeds = about.frame["seed"].nunique()
    mean = "one seed" if seeds == 1 else f"mean and range over {seeds} seeds"
    return (
        "Test score in points (100 × the task's primary metric), "
        f"{mean}, over the trained share of the backbone, without the head. On the front: no other "
        "setting that was run is as cheap and as good, and better in one of the two; where ranges "
        f"over seeds overlap, seeds decide who is. {about.setting}"
    )
