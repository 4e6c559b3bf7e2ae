"""What wrong learning rates cost: the area under the metric over the rates that were tried.

Where `experiment=rate_robustness` has been reported it is the grid of factors that the rule names;
until then the trials of `tune`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.common.names import with_head
from frod_bench.report.frame import TASK_KEY

RANKED = with_head("", "rank")  # what follows the name of a family in the table of trials
COLUMNS = ("family", "method", "trial", "task", "score")
GRID_COLUMNS = ("scope", "task", "method", "quantity", "factor", "mean", "holes")
TRIALS_PATH = Path("tables/tuning.csv")  # under results/<profile>, as is
GRID_PATH = Path("rate_robustness/tables/rate_curve.csv")


@dataclass(frozen=True)
class Areas:
    """Areas in points, at most 0: a row a task, a column a method; NaN with a hole.

    `over` says of what: "trials" or "factors".
    """

    table: pd.DataFrame
    over: str

    def holes(self, methods: Sequence[str]) -> str:
        """Which methods lack some; empty where none does."""
        lost = [m for m in methods if m not in self.table or self.table[m].isna().any()]
        return f"{self.over} missing of {', '.join(lost)}" if lost else ""


def read_areas(results_dir: Path, factors: Sequence[float]) -> Areas | None:
    """The areas that a profile's results have; None where they have none.

    Args:
        results_dir: `results/<profile>`.
        factors: of the rule; a grid of other ones is another experiment.
    """
    grid = _read_grid(results_dir / GRID_PATH, factors)
    if grid is not None:
        return Areas(grid, "factors")
    trials = read_trials(results_dir / TRIALS_PATH)
    return None if trials is None else Areas(areas(trials), "trials")


def read_trials(path: Path) -> pd.DataFrame | None:
    """The table that `frod_bench.tune` wrote; None where it is not there or is another table.

    A score that is no number counts as a trial that gave none. A task that was tuned under both
    heads is two, as in `Collected.frame`.
    """
    trials = _read_table(path, COLUMNS)
    if trials is None:
        return None
    is_ranked = trials["family"].str.endswith(RANKED)
    return trials.assign(
        family=trials["family"].str.removesuffix(RANKED),
        head=np.where(is_ranked, "rank", "classify"),
        score=pd.to_numeric(trials["score"], errors="coerce"),
    )


def areas(trials: pd.DataFrame) -> pd.DataFrame:
    """Area of each task (index) and method (column): mean over trials less the best, in points.

    A trial without a finite score counts as the lowest that any trial has on the task. NaN where a
    method has another number of trials on a task than the rest, or none.
    """
    scores = trials.assign(score=trials["score"].where(np.isfinite(trials["score"])))
    floor = scores.groupby(TASK_KEY)["score"].transform("min")
    scores["score"] = scores["score"].fillna(floor)
    grouped = scores.groupby([*TASK_KEY, "method"], sort=False)["score"]
    found = grouped.agg(lambda of_trials: 100 * float(stats.area_below_best(of_trials)))
    counts = grouped.size()
    return found.where(counts == counts.max()).unstack("method")


def _read_grid(path: Path, factors: Sequence[float]) -> pd.DataFrame | None:
    """Areas (task x method) of the numbers that the figure of `rate_robustness` left behind."""
    numbers = _read_table(path, GRID_COLUMNS)
    if numbers is None:
        return None
    of_tasks = numbers[numbers["task"].notna()]
    tried = sorted(of_tasks.loc[of_tasks["quantity"] == "score", "factor"].dropna().unique())
    if len(tried) != len(factors) or not np.allclose(tried, sorted(factors)):
        return None
    found = of_tasks[of_tasks["quantity"] == "area"]
    return found.pivot(index="task", columns="method", values="mean")


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError):
        return None
    return table if set(columns) <= set(table.columns) and len(table) else None
