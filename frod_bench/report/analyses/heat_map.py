"""Score over share of rotations, rate of lambda and rate of the rotations."""

from typing import Any

import pandas as pd

from frod_bench.report.analyses.about import (
    LAMBDA_FACTOR,
    ROTATION_FACTOR,
    SPARSE_RATE,
    About,
    need_axes,
    points_of,
    scope_name,
    scopes,
    score_text,
)
from frod_bench.report.markup import Row, Table
from frod_bench.report.tables import NOT_THERE

AXES = {
    "sparse_rate": SPARSE_RATE,
    "lambda_factor": LAMBDA_FACTOR,
    "rotation_factor": ROTATION_FACTOR,
}
COLUMNS = (
    "scope",
    "task",
    "method",
    *AXES,
    "mean",
    "low",
    "high",
    "n_cells",
    "n_expected",
    "holes",
)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each scope, method and place of the grid; `COLUMNS` are its columns.

    mean, low and high are the mean and the range over seeds of the mean over tasks, in points; NaN
    where a cell gave no number. Cells off the axes (a method without them) are left out. Raises
    InputError where the experiment lacks an axis.
    """
    need_axes(frame, "heat_map", list(AXES.values()))
    keys = ["base_method", *(f"axis/{key}" for key in AXES.values())]
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(frame.dropna(subset=keys)):
        for (method, *place), group in cells.groupby(keys, sort=False):
            named = dict(zip(AXES, place, strict=True))
            rows.append(scope | {"method": method} | named | points_of(group))
    order = ["scope", "task", "method", *AXES]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return found.sort_values(
        order, ascending=[False, *[True] * 5], kind="stable", ignore_index=True
    )


def best(places: pd.DataFrame) -> pd.Series | None:
    """The place with the highest mean; the first of equal ones, None where there is no mean."""
    known = places.dropna(subset=["mean"])
    return None if known.empty else known.loc[known["mean"].idxmax()]


def table(found: pd.DataFrame, about: About) -> Table:
    """A row for each share of rotations and rate of lambda, a column for each rate of rotations."""
    n_tasks = about.frame["task"].nunique()
    factors = sorted(set(found["rotation_factor"]))
    rows: list[Row] = []
    for (task, method), places in found.groupby(["task", "method"], sort=False):
        top = best(places)
        ending = f"; best {top['mean']:.1f} at {place_name(top)}" if top is not None else ""
        rows.append(Row(f"{method}, {scope_name(str(task), n_tasks)}{ending}", heading=True))
        for (rate, factor), line in places.groupby(["sparse_rate", "lambda_factor"]):
            texts = {row.rotation_factor: score_text(row) for row in line.itertuples(index=False)}
            cells = tuple(texts.get(rotation, NOT_THERE) for rotation in factors)
            rows.append(Row(f"s {rate:g}, lambda × {factor:g}", cells))
    return Table(
        f"Share of rotations and learning rates: {about.title}",
        f"{words(about)} Where s is 0 there are no rotations, and their rate is not varied. "
        f"Best: {pick_words(about)}.",
        ("share of rotations and rate of lambda", *(f"rotation × {f:g}" for f in factors)),
        rows,
    )


def place_name(place: Any) -> str:
    """Where a row of `numbers` lies, in words."""
    rotation = f", rotation × {place['rotation_factor']:g}" if place["sparse_rate"] else ""
    return f"s {place['sparse_rate']:g}, lambda × {place['lambda_factor']:g}{rotation}"


def pick_words(about: About) -> str:
    """What `best` is, for the captions: what it is picked by is what is shown of it."""
    return f"of all settings by the test score itself ({_mean_words(about)}), which flatters it"


def _mean_words(about: About) -> str:
    seeds = about.frame["seed"].nunique()
    return "one seed" if seeds == 1 else f"mean over {seeds} seeds"


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    return (
        f"Test scores in points (100 × the task's primary metric), {_mean_words(about)}. s: share "
        "of the off-diagonal places of S that are trained; factors multiply the profile's own "
        "learning rates of lambda and of the rotations S, the head keeps its rate. "
        f"{about.setting}"
    )
