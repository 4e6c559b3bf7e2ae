"""What a search found: its table of scores, and how sure its picks are."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench.cells.cell import Cell
from frod_bench.common.names import with_head
from frod_bench.records import store
from frod_bench.records.schema import outcome_of
from frod_bench.report.sensitivity import PROCEDURE, TIED
from frod_bench.tuning.procedure import Point

DRAWS = 2000  # of the bootstrap
AUDIT = (
    "picked_again_percent",
    "within_a_step_percent",
    "cost_of_another_pick_points",
    "regret_points",
)
POINT = ["rate_step", "head_step", "ratio"]  # columns that name a point
PICK = ["family", "method"]


def row_of(cell: Cell, point: Point) -> dict[str, object]:
    """One run of a search. A run that diverged, or whose score is undefined, scores 0."""
    record = store.load(cell.record_path)
    status = outcome_of(record)
    value = record["metrics"][record["primary_metric"]]["value"] if status == "ok" else None
    return {
        "procedure": PROCEDURE,
        "family": with_head(cell.family, cell.settings.head),
        "method": cell.variant,
        **columns_of(point),
        **{f"lr_{group}": rate for group, rate in cell.settings.method.learning_rates.items()},
        "task": cell.task,
        "seed": cell.seed,
        "metric": record["primary_metric"],
        "points": 100.0 * (value or 0.0),
        "status": status,
        "config_hash": cell.config_hash,
    }


def mean_of(rows: pd.DataFrame) -> float:
    """Mean over tasks of the means over seeds, in points."""
    return float(rows.groupby("task")["points"].mean().mean())


def audit(
    rows: pd.DataFrame, picked: Point, *, stride: int = 1, draws: int = DRAWS
) -> dict[str, float]:
    """How often the point would be picked again, and what another pick costs.

    `rows` are the runs of one method in one family. A draw takes as many tasks with replacement,
    and as many seeds of each, and picks the best of all points that were tried; `picked` wins a
    tie. Returns the numbers of `AUDIT`: the percentage of draws with the same pick, and with a pick
    within a step of it; then by how many points the drawn pick scores less than `picked`, as the
    mean over the draws with another pick, and over all draws. NaN if there is nothing to draw.
    """
    points = points_of(rows)
    tried = list(dict.fromkeys(points))
    numbers = [tried.index(point) for point in points]
    wide = rows.assign(point=numbers).pivot_table(
        index="point", columns=["task", "seed"], values="points", sort=False
    )
    tasks = wide.columns.get_level_values("task").unique()
    scores = np.stack([wide[task].to_numpy() for task in tasks], axis=1)  # point, task, seed
    if scores[0].size == 1:
        return dict.fromkeys(AUDIT, math.nan)
    generator = np.random.default_rng(0)
    size = (draws, scores.shape[1])
    drawn_tasks = generator.integers(scores.shape[1], size=size)
    drawn_seeds = generator.integers(scores.shape[2], size=(*size, scores.shape[2]))
    drawn = scores[:, drawn_tasks[..., None], drawn_seeds].mean(axis=(2, 3))  # point, draw
    own = tried.index(picked)
    winners = np.where(drawn[own] >= drawn.max(axis=0), own, drawn.argmax(axis=0))
    means, other = scores.mean(axis=(1, 2)), winners != own
    rates = np.array([one.head if one.rate is None else one.rate for one in tried])
    near = np.abs(rates[winners] - rates[own]) <= stride
    cost = means[own] - means[winners]
    found = (
        100 * float((~other).mean()),
        100 * float(near.mean()),
        float(cost[other].mean()) if other.any() else 0.0,
        float(cost.mean()),
    )
    return dict(zip(AUDIT, found, strict=True))


def columns_of(point: Point) -> dict[str, object]:
    """A point in the columns of a table; its ratio is text, so that 1 is never written as 1.0."""
    ratio = point.ratio
    text = ratio if ratio is None or isinstance(ratio, str) else f"{ratio:g}"
    return dict(zip(POINT, point._replace(ratio=text), strict=True))


def pick_rows(
    table: pd.DataFrame, picks: Mapping[tuple[str, str], Point], *, stride: int = 1
) -> pd.DataFrame:
    """A row for each family and method: its pick, its trials, its mean and its audit."""
    rates = [column for column in table if column.startswith("lr_")]
    found = []
    for (family, method), picked in picks.items():
        rows = table[(table["family"] == family) & (table["method"] == method)]
        own = rows[[one == picked for one in points_of(rows)]]
        found.append(
            {
                "procedure": PROCEDURE,
                "family": family,
                "method": method,
                **columns_of(picked),
                "trials": len(rows.drop_duplicates(POINT)),
                "tasks": rows["task"].nunique(),
                "seeds": rows["seed"].nunique(),
                **own.iloc[0][rates].to_dict(),
                "points": mean_of(own),
                **audit(rows, picked, stride=stride),
            }
        )
    return pd.DataFrame(found)


def points_of(rows: pd.DataFrame) -> list[Point]:
    """The point of each row of a table, as it was asked for: numbers are numbers again."""

    def step(value: float) -> int | None:
        return None if pd.isna(value) else int(value)

    def ratio(value: str | float) -> str | float | None:
        if pd.isna(value):
            return None
        return TIED if value == TIED else float(value)

    columns = zip(*(rows[name] for name in POINT), strict=True)
    return [Point(step(a), step(b), ratio(c)) for a, b, c in columns]


def merged(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows of `table`, after those of other methods and families that `path` already has."""
    if not path.exists():
        return table
    old = pd.read_csv(path, dtype={"ratio": str})
    is_replaced = old.set_index(PICK).index.isin(table.set_index(PICK).index)
    return pd.concat([old[~is_replaced], table], ignore_index=True)
