"""Learning-rate sensitivity: the area under the score over the learning rates that were tried.

By the second edition of the rules these are the cells of the search (`frod-bench tune`) around each
method's best rate. By the first they are a grid of factors (`experiment=rate_robustness`), else the
trials of the procedure's first version. Without either in the results folder the published tables
of the profile are used, and reports say so.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head, without_head
from frod_bench.common.paths import REFERENCE_DIR, check_file, published_search
from frod_bench.records import hashing
from frod_bench.records.schema import Record
from frod_bench.report.collect import row_of
from frod_bench.report.keys import FROZEN, TASK_KEY, Task
from frod_bench.report.names import label, labels_in_text

# The version of the procedure that picks learning rates. Version 1 drew eight Sobol points for each
# method. Version 2 checked the rate again by one step up and down, and some of its picks stayed at
# the edge of these steps.
PROCEDURE = 3
SEARCH_TABLE = Path("tables/search.csv")  # in a results folder
GRID = ("family", "method", "rate_step", "head_step", "ratio", "task", "seed", "points", "status")
STEPS_PER_DECADE = 4  # of the search's grid
TIED = "tied"  # the ratio of FRoD's rates that they have: the rotation's is lambda's / sqrt(s k)
FLOORED = ("diverged", "undefined")  # runs that would end in the same way again, without a score
_RANKED = with_head("", "rank")  # ends the name of a family in the published table of trials


@dataclass(frozen=True)
class Sensitivity:
    """Areas in points: a row for each task, a column for each method; NaN if unknown.

    An area is at most 0, except around the best rate of a family, which may not be the best rate of
    the task. `over` says what the areas are over (factors, trials or a search), whose runs these
    are, and what they lack.
    """

    table: pd.DataFrame
    over: str

    def missing(self, methods: Sequence[str], tasks: Sequence[str] = ()) -> str:
        """Which methods lack some area, and which of `tasks` have none; empty if nothing does."""
        lost = [m for m in methods if m not in self.table or self.table[m].isna().any()]
        there = self.table.index.get_level_values("task") if len(self.table) else ()
        lost_tasks = [label(Task(task)) for task in tasks if task not in there]
        return "; ".join(
            f"{self.over} missing for {which}"
            for which in (labels_in_text(lost), ", ".join(lost_tasks))
            if which
        )


def searched_sensitivity(
    results_dir: Path,
    profile: str,
    factors: Sequence[float],
    methods: Sequence[str],
    heads: Mapping[str, str],
) -> Sensitivity | None:
    """The areas of tasks over the cells of a search; None without a search.

    The search is that of the results folder, or else the published one. `heads` has the head of
    each task. The areas are over the cells at `factors` around the best rate of each of `methods`;
    other methods in the table do not change them. Raises InputError as `read_search`.
    """
    published = published_search(profile)
    for folder, whose in ((results_dir, ""), (published, " of the published run")):
        path = folder / SEARCH_TABLE
        if path.exists():
            found = search_areas(read_search(path, GRID), factors, methods)
            return Sensitivity(found[found.index.isin(heads.items())], f"search{whose}")
    return None


def read_search(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table that a search wrote. Raises InputError if it is damaged, lacks one of `columns`, or
    is of another version of the procedure.
    """
    again = "Move it away, and run frod-bench tune again."
    try:
        check_file(path)
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:  # of pandas, too
        raise InputError(f"{path}: cannot be read ({error}). {again}") from error
    if set(table.get("procedure", [None])) != {PROCEDURE}:
        raise InputError(
            f"{path}: was not written by version {PROCEDURE} of the procedure that picks learning "
            f"rates. {again}"
        )
    if lost := [name for name in columns if name not in table]:
        raise InputError(f"{path}: has no column {lost[0]}. {again}")
    return table


def search_areas(
    table: pd.DataFrame, factors: Sequence[float], methods: Sequence[str]
) -> pd.DataFrame:
    """Area of each task and head (index) and of each of `methods` (columns), in points.

    An area is the mean of the task's score over the steps nearest to `factors`, minus its score at
    the best rate of the family. The head's rate is the best of the frozen backbone, and FRoD's
    rotation is tied to lambda, because the search has a whole grid there. A run that gave no score
    has the lowest score of its task. All methods of a family are compared at the same steps and
    seeds; if a grid is coarser or has a hole, at the steps that all of them have. An area is NaN if
    the method lacks the best step, an outer step, or a seed.
    """
    reach = {round(STEPS_PER_DECADE * math.log10(factor)) for factor in factors}
    own_heads = {family: _frozen_head(rows) for family, rows in table.groupby("family")}
    listed = table[table["method"].isin(methods)].dropna(subset=["rate_step"])
    rows = []
    for family, of_family in _scored(listed).groupby("family"):
        _, head = without_head(str(family))
        at = own_heads[family]
        grids = {name: _tied_grid(own, at) for name, own in of_family.groupby("method")}
        seeds = {seed for grid in grids.values() for seed in grid["seed"]}
        around = {name: _around_best(grid, len(seeds)) for name, grid in grids.items()}
        needed = {0, min(reach), max(reach)}
        whole = {name: scores for name, scores in around.items() if needed <= set(scores.index)}
        shared = reach.intersection(*(scores.index for scores in whole.values()))
        for name, scores in around.items():
            found = pd.Series(np.nan, index=scores.columns)
            if name in whole:
                found = scores.loc[sorted(shared)].mean() - scores.loc[0]
            rows += [(task, head, name, float(area)) for task, area in found.items()]
    areas_found = pd.DataFrame(rows, columns=[*TASK_KEY, "method", "area"])
    return areas_found.set_index([*TASK_KEY, "method"])["area"].unstack("method")


def _scored(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs of a search, those without a score with the lowest of their task."""
    points = rows["points"].where(rows["status"] == "ok")
    lowest = points.groupby([rows["family"], rows["task"]]).transform("min")
    return rows.assign(points=points.fillna(lowest))


def _frozen_head(rows: pd.DataFrame) -> float:
    """The step of the head at the frozen backbone's best, as the search picks it; NaN if unknown.
    Of equally good ones the one in the middle is the best.
    """
    means = rows[rows["method"] == FROZEN.method].groupby("head_step")["points"].mean()
    return _best_step(means) if len(means) else math.nan


def _tied_grid(rows: pd.DataFrame, head_step: float) -> pd.DataFrame:
    """A method's rows with the head at `head_step` and FRoD's rotation tied to lambda; where there
    are none, its first grid.
    """
    found = rows[(rows["head_step"] == head_step) & rows["ratio"].isin([TIED, np.nan])]
    return found if len(found) else first_grid(rows)


def _best_step(means: pd.Series) -> float:
    """The step with the highest mean; of equally good ones that nearest to the middle."""
    middle = (means.index.min() + means.index.max()) / 2
    return float(min(means.index, key=lambda step: (-means[step], abs(step - middle), step)))


def first_grid(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the setting of head and ratio at which most rates were tried."""
    rates = rows.groupby(["head_step", "ratio"], dropna=False)["rate_step"].transform("nunique")
    return rows[rates == rates.max()]


def _around_best(grid: pd.DataFrame, n_seeds: int) -> pd.DataFrame:
    """Scores by steps from the best rate (index) and task; without steps that lack a run. Of
    equally good rates the one in the middle is the best, as in the search.
    """
    counts = grid.pivot_table(index="rate_step", columns="task", values="seed", aggfunc="nunique")
    scores = grid.pivot_table(index="rate_step", columns="task", values="points")
    best = _best_step(scores.mean(axis=1))
    scores = scores[(counts == n_seeds).all(axis=1)]
    return scores.set_axis((scores.index - best).astype(int), axis="index")


def sensitivity_of(
    records: Iterable[Record], profile: str, factors: Sequence[float], methods: Sequence[str]
) -> Sensitivity | None:
    """The areas of `methods` over the rule's `factors`, or else over trials; None if neither
    `records` nor the published tables of the profile have any.

    A grid in `records` that lacks methods is passed over if trials or published tables have them
    all; what a grid lacks is named.
    """
    records = list(records)
    grid = areas(factor_scores(records, factors))
    published = published_sensitivity(REFERENCE_DIR / profile, factors)
    lost_methods = [method for method in methods if method not in grid]
    if not lost_methods:
        tried = {with_head(*task) for task in grid.index}
        grids = [one.table for one in published if one.over.startswith("factors")]
        lost = ", ".join(sorted({task for table in grids for task in table.index} - tried))
        return Sensitivity(grid, f"factors; partial grid, without {lost}" if lost else "factors")
    is_partial = any(_factor(record) in {*factors} - {1.0} for record in records)
    for found in (Sensitivity(areas(trials_of(records)), "trials"), *published):
        if set(methods) <= set(found.table):
            lost = ", ".join(lost_methods) if len(lost_methods) < len(methods) else "a whole method"
            note = f"; the grid of factors here is partial, without {lost}" if is_partial else ""
            return replace(found, over=found.over + note)
    return Sensitivity(grid, "factors") if is_partial else None


def factor_scores(records: Iterable[Record], factors: Sequence[float]) -> pd.DataFrame:
    """Mean score over seeds of each task, method and factor: task, head, method, trial, score.

    A grid is a set of records of one task and method whose learning rates differ by the factor
    alone; seeds that lack one of `factors` are left out. A run that diverged has the lowest score
    of its task; any other run without a score leaves none.
    """
    others = [record for record in records if record["cell"]["protocol"] != "tune"]
    cells = _runs([record for record in others if _factor(record) in factors], _factor)
    tried = cells.groupby([*TASK_KEY, "method", "settings", "seed"])["trial"].transform("nunique")
    cells = floored(_one_setting(cells[tried == len(factors)]))
    grouped = cells.groupby([*TASK_KEY, "method", "trial"], sort=False, as_index=False)
    return grouped.agg(score=("value", lambda values: values.mean(skipna=False)))


def trials_of(records: Iterable[Record]) -> pd.DataFrame:
    """The trials of the first version of the learning-rate procedure: family, task, head, method,
    trial, score (-inf: none). Runs of the search have no number: their grids differ by method.
    """
    tuning = [
        record
        for record in records
        if record["cell"]["protocol"] == "tune" and "trial" in record["config"]
    ]
    trials = _one_setting(_runs(tuning, lambda record: record["config"]["trial"]))
    return trials.assign(score=trials["value"].fillna(-np.inf))


def floored(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells; those that diverged, or whose score is undefined, with the lowest score of their
    task. `floored` marks them.
    """
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
    finite = trials.assign(score=trials["score"].replace(-np.inf, np.nan))
    floor = finite.groupby(TASK_KEY)["score"].transform("min")
    scores = trials.assign(score=trials["score"].where(trials["score"] != -np.inf, floor))
    grouped = scores.groupby([*TASK_KEY, "method"], sort=False)["score"]
    found = grouped.agg(lambda of_trials: 100 * float(stats.area_below_best(of_trials)))
    counts = grouped.size()
    return found.where(counts == counts.max()).unstack("method")


def published_sensitivity(folder: Path, factors: Sequence[float]) -> list[Sensitivity]:
    """What the project publishes of a profile in `folder`, as tables: factors, then trials."""
    found = []
    path = folder / "rate_robustness/tables/rate_curve.csv"
    if path.exists():
        grid = pd.read_csv(path).dropna(subset=["task"])
        if set(grid.loc[grid["quantity"] == "score", "factor"].dropna()) == set(factors):
            table = grid[grid["quantity"] == "area"].pivot(
                index="task", columns="method", values="mean"
            )
            found.append(Sensitivity(table, "factors of the published run"))
    trials = published_trials(folder)
    if trials is not None:
        found.append(Sensitivity(areas(trials), "trials of the published run"))
    return found


def published_trials(folder: Path) -> pd.DataFrame | None:
    """The published trials of a profile, as `trials_of`; None if there are none."""
    path = folder / "tables/tuning.csv"
    if not path.exists():
        return None
    trials = pd.read_csv(path)
    is_ranked = trials["family"].str.endswith(_RANKED)
    return trials.assign(
        family=trials["family"].str.removesuffix(_RANKED),
        head=np.where(is_ranked, "rank", "classify"),
        score=pd.to_numeric(trials["score"], errors="coerce").fillna(-np.inf),
    )


def _factor(record: Record) -> float:
    return float(record["config"].get("rate_factors", {}).get("all", 1.0))


def _settings(record: Record) -> str:
    """Hash of the settings without the seed and the factor or, of trials, the learning rates."""
    made = record["provenance"]
    prints = made["data_fingerprint"], made["backbone_fingerprint"]
    settings = hashing.identity(record["config"], *prints) | {"seed": 0}
    base: dict[str, str] = {}
    if record["cell"]["protocol"] != "tune":
        rates: Mapping[str, float] = settings["method"]["learning_rates"]
        base = {name: f"{rate / _factor(record):.6g}" for name, rate in rates.items()}
    settings["method"] = settings["method"] | {"learning_rates": base}
    return hashing.config_hash(settings)


def _runs(records: Iterable[Record], trial: Callable[[Record], float]) -> pd.DataFrame:
    """A row per record, the newest of those that are equal in all but when they started."""
    rows = []
    for record in records:
        cell, head = record["cell"], record["config"].get("head", "classify")
        names = {name: cell[name] for name in ("family", "task", "method", "seed")}
        tried = {"head": head, "settings": _settings(record), "trial": trial(record)}
        started = {"started_at": record["provenance"]["started_at"]}
        rows.append(row_of(record) | names | tried | started)
    keys = [*TASK_KEY, "method", "seed", "settings", "trial"]
    columns = ["family", *keys, "value", "status", "started_at"]
    frame = pd.DataFrame(rows, columns=columns).sort_values("started_at")
    frame = frame.astype({"trial": "float64", "value": "float64"})  # also if there are no rows
    return frame.drop_duplicates(keys, keep="last")


def _one_setting(cells: pd.DataFrame) -> pd.DataFrame:
    """Of each task and method the settings with the most cells; of equally many the newest."""
    sizes = cells.groupby([*TASK_KEY, "method", "settings"])["seed"].transform("size")
    ordered = cells.assign(n=sizes).sort_values(["n", "started_at"])
    last = ordered.groupby([*TASK_KEY, "method"])["settings"].transform("last")
    return cells[cells["settings"] == last.reindex(cells.index)]
