"""Learning-rate sensitivity: the area under the score over the learning rates that were tried.

Computed from the records of a results folder: those of `experiment=rate_robustness`, a grid of
factors on all learning rates, or else the trials of `experiment=tune`. A folder that has neither is
judged by the tables that the project publishes for its profile, and the report says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.common.names import with_head
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.records import hashing
from frod_bench.records.schema import Record
from frod_bench.report.frame import TASK_KEY

FLOORED = ("diverged", "undefined")  # runs that came to their end, and gave no score
_RANKED = with_head("", "rank")  # ends the name of a family in the published table of trials


@dataclass(frozen=True)
class Sensitivity:
    """Areas in points, at most 0: a row for each task, a column for each method; NaN if unknown.

    `over` says over what: factors or trials, and whose.
    """

    table: pd.DataFrame
    over: str

    def missing(self, methods: Sequence[str]) -> str:
        """Which methods lack some area; empty if none does."""
        lost = [m for m in methods if m not in self.table or self.table[m].isna().any()]
        return f"{self.over} missing of {', '.join(lost)}" if lost else ""


def sensitivity_of(
    records: Iterable[Record], profile: str, factors: Sequence[float], methods: Sequence[str]
) -> Sensitivity | None:
    """The areas of `methods`; None if neither `records` nor the published tables have them all.

    `factors` are the rule's: a grid of other ones is another experiment.
    """
    records = list(records)
    published = published_sensitivity(REFERENCE_DIR / profile, factors)
    own = (
        Sensitivity(areas(factor_scores(records, factors)), "factors"),
        Sensitivity(areas(trials_of(records)), "trials"),
    )
    found = (one for one in (*own, *published) if set(methods) <= set(one.table))
    return next(found, None)


def factor_scores(records: Iterable[Record], factors: Sequence[float]) -> pd.DataFrame:
    """Mean score over seeds of each task, method and factor: task, head, method, trial, score.

    A grid is a set of records of one task and method whose learning rates differ by the factor
    alone; seeds that lack one of `factors` are left out. A run that diverged has the lowest score
    of its task; any other run without a score leaves none.
    """
    rows = [
        _row(record, trial=_factor(record))
        for record in records
        if record["cell"]["protocol"] != "tune" and _factor(record) in factors
    ]
    cells = _latest(rows)
    tried = cells.groupby([*TASK_KEY, "method", "settings", "seed"])["trial"].transform("nunique")
    cells = floored(_one_setting(cells[tried == len(factors)]))
    grouped = cells.groupby([*TASK_KEY, "method", "trial"], sort=False, as_index=False)
    return grouped.agg(score=("value", lambda values: values.mean(skipna=False)))


def trials_of(records: Iterable[Record]) -> pd.DataFrame:
    """The trials of `experiment=tune`: family, task, head, method, trial, score (-inf: none)."""
    rows = [
        _row(record, trial=record["config"].get("trial", 0))
        for record in records
        if record["cell"]["protocol"] == "tune"
    ]
    trials = _one_setting(_latest(rows))
    return trials.assign(score=trials["value"].fillna(-np.inf))


def floored(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells, those that diverged with the lowest score of their task; `floored` marks them."""
    lowest = cells.groupby(TASK_KEY)["value"].transform("min")
    ended = cells["status"].isin(FLOORED) & lowest.notna()
    return cells.assign(
        value=cells["value"].where(~ended, lowest),
        status=cells["status"].where(~ended, "ok"),
        floored=ended,
    )


def areas(trials: pd.DataFrame) -> pd.DataFrame:
    """Area of each task (index) and method (column): mean over trials minus the best, in points.

    A trial with an infinite score counts as the lowest that any trial has on the task. NaN if a
    method lacks a score, or has another number of trials on a task than the rest.
    """
    finite = trials["score"].where(~np.isinf(trials["score"]))
    floor = finite.groupby([trials[name] for name in TASK_KEY]).transform("min")
    scores = trials.assign(score=trials["score"].where(~np.isinf(trials["score"]), floor))
    grouped = scores.groupby([*TASK_KEY, "method"], sort=False)["score"]
    found = grouped.agg(lambda of_trials: 100 * float(stats.area_below_best(of_trials)))
    counts = grouped.size()
    return found.where(counts == counts.max()).unstack("method")


def published_sensitivity(folder: Path, factors: Sequence[float]) -> Iterator[Sensitivity]:
    """What the project publishes of a profile in `folder`: factors, then trials; none if nothing.

    Records of these runs are not in the repository, the tables that were made of them are.
    """
    grid = _read(folder / "rate_robustness/tables/rate_curve.csv")
    if grid is not None:
        of_tasks = grid[grid["task"].notna()]
        tried = of_tasks.loc[of_tasks["quantity"] == "score", "factor"].dropna().unique()
        if set(tried) == set(factors):
            found = of_tasks[of_tasks["quantity"] == "area"]
            table = found.pivot(index="task", columns="method", values="mean")
            yield Sensitivity(table, "factors of the published run")
    trials = published_trials(folder)
    if trials is not None:
        yield Sensitivity(areas(trials), "trials of the published run")


def published_trials(folder: Path) -> pd.DataFrame | None:
    """The published trials of a profile; None if there are none."""
    trials = _read(folder / "tables/tuning.csv")
    if trials is None:
        return None
    is_ranked = trials["family"].str.endswith(_RANKED)
    return trials.assign(
        family=trials["family"].str.removesuffix(_RANKED),
        head=np.where(is_ranked, "rank", "classify"),
        score=pd.to_numeric(trials["score"], errors="coerce").fillna(-np.inf),
    )


def _read(path: Path) -> pd.DataFrame | None:
    return pd.read_csv(path) if path.exists() else None


def _factor(record: Record) -> float:
    """The factor on all learning rates."""
    return float(record["config"].get("rate_factors", {}).get("all", 1.0))


def _row(record: Record, trial: float) -> dict[str, Any]:
    cell, status = record["cell"], record["status"]
    metric = record["metrics"].get(record["primary_metric"]) if status == "ok" else None
    value = None if metric is None else metric["value"]
    return {
        "family": cell["family"],
        "task": cell["task"],
        "head": record["config"].get("head", "classify"),
        "method": cell["method"],
        "seed": cell["seed"],
        "settings": _settings(record),
        "trial": trial,
        "value": np.nan if value is None else value,
        "status": "undefined" if status == "ok" and value is None else status,
        "started_at": record["provenance"]["started_at"],
    }


def _settings(record: Record) -> str:
    """What records that are compared have in common: all but the seed and what is tried.

    Of a grid that is the factor, so the learning rates without it are settings.
    """
    made = record["provenance"]
    prints = made["data_fingerprint"], made["backbone_fingerprint"]
    settings = hashing.identity(record["config"], *prints) | {"seed": 0}
    rates: Mapping[str, float] = settings["method"]["learning_rates"]
    base = {name: f"{rate / _factor(record):.6g}" for name, rate in rates.items()}
    is_trial = record["cell"]["protocol"] == "tune"
    settings["method"] = settings["method"] | {"learning_rates": {} if is_trial else base}
    return hashing.config_hash(settings)


def _latest(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A frame of rows, the newest of those that are equal in all but when they started."""
    columns = ["family", *TASK_KEY, "method", "seed", "settings", "trial", "value", "status"]
    frame = pd.DataFrame(rows, columns=[*columns, "started_at"]).sort_values("started_at")
    frame = frame.astype({"trial": "float64", "value": "float64"})  # also if there are no rows
    return frame.drop_duplicates([*TASK_KEY, "method", "seed", "settings", "trial"], keep="last")


def _one_setting(cells: pd.DataFrame) -> pd.DataFrame:
    """Of each task and method the settings with the most cells; of equally many the newest."""
    sized = cells.assign(
        n=cells.groupby([*TASK_KEY, "method", "settings"])["seed"].transform("size")
    )
    last = sized.sort_values(["n", "started_at"]).groupby([*TASK_KEY, "method"])["settings"]
    return cells[cells["settings"] == last.transform("last").reindex(cells.index)]
