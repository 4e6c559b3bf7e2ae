"""What another profile's runs predicted, next to what was found: method by method.

Tasks, checkpoints and heads differ, so what compares is how far each method is from full
fine-tuning on the tasks of a family.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.report.asked import Cell
from frod_bench.report.claims.parts import Evidence, evidence_on
from frod_bench.report.collect import collect_folder
from frod_bench.report.folder import cells_in
from frod_bench.report.keys import Family, Method
from frod_bench.report.names import label
from frod_bench.report.paired import signed
from frod_bench.report.rules import Rules
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.stats import Estimate, Floats

ALL = ""  # the family of a row over all tasks


@dataclass(frozen=True)
class Prediction:
    """The published runs of a profile, on the tasks and seeds that its rules name."""

    profile: str
    cells: Evidence


def prediction_of(profile: str, rules: Rules) -> Prediction:
    """Read the published runs of `profile`; `rules` are those of all profiles."""
    folder = REFERENCE_DIR / profile
    own = rules.of_profile(profile)
    named: list[Cell] = [cell for cell in cells_in(folder)[0] if cell.head == own.head]
    return Prediction(profile, evidence_on(collect_folder(folder, profile, named).frame, own))


def predicted_summary(
    prediction: Prediction, frame: pd.DataFrame, rules: Rules, reference: str
) -> pd.DataFrame:
    """A row for each method and family, and for each method over all tasks (family ""): how far it
    is from the `reference`, in points, means with the 95 % intervals of these tasks.

    Columns: method, family, predicted, predicted_low, predicted_high, predicted_tasks, found,
    found_low, found_high, found_tasks, consistent. The prediction over all tasks is the mean of the
    families' predictions, weighted by how many tasks there are of each here, and has no interval.
    `consistent`: whether the interval of what was found contains the prediction: yes, no, or
    unknown.
    """
    found = evidence_on(frame, rules)
    families = dict.fromkeys(found.frame["family"])
    rows: list[dict[str, Any]] = []
    for method in dict.fromkeys(found.frame["method"]):
        if method == reference or method not in set(prediction.cells.frame["method"]):
            continue
        own = []
        for family in families:
            ours = stats.mean_of_these_tasks(_difference(found, method, reference, family))
            theirs = _difference(prediction.cells, method, reference, family)
            own.append(_row(method, family, stats.mean_of_these_tasks(theirs), ours))
        weights = [row["found_tasks"] for row in own]
        if not sum(weights):
            continue
        mean = float(np.average([row["predicted"] for row in own], weights=weights))
        n_tasks = sum(row["predicted_tasks"] for row in own)
        whole = stats.mean_of_these_tasks(_difference(found, method, reference, ALL))
        rows += [*own, _row(method, ALL, Estimate(mean, np.nan, np.nan, n_tasks), whole)]
    return pd.DataFrame(rows)


def _difference(cells: Evidence, method: str, reference: str, family: str) -> Floats:
    """(tasks x seeds) of a method minus the reference, in points, on the tasks of a family."""
    frame = cells.frame if family == ALL else cells.frame[cells.frame["family"] == family]
    kept = [task in set(frame["task"]) for task in cells.tasks]
    difference: Floats = 100 * (cells.table(method, "value") - cells.table(reference, "value"))
    return difference[kept]


def _row(method: str, family: str, predicted: Estimate, found: Estimate) -> dict[str, Any]:
    consistent = "yes" if found.low <= predicted.mean <= found.high else "no"
    if np.isnan([predicted.mean, found.low]).any():
        consistent = "unknown"
    row: dict[str, Any] = {"method": method, "family": family}
    for name, one in (("predicted", predicted), ("found", found)):
        row |= {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high}
        row[f"{name}_tasks"] = one.n
    return row | {"consistent": consistent}


def predicted_table(
    summary: pd.DataFrame, prediction: Prediction, rules: Rules, title: str
) -> Table:
    """A group per method; its mean over all tasks comes last."""
    reference = label(Method(rules.accuracy.reference), in_text=True)
    header = ("family", "predicted (points)", "found (points)", "tasks", "consistent")
    caption = (
        f"How far each method is from {reference}: predicted by the runs of the profile "
        f"{prediction.profile}, and found here, with the 95 % interval of these tasks. A "
        "prediction is consistent if the interval of what was found contains it."
    )
    notes = [
        "Tasks, checkpoints and heads differ; the families are the same. Over all tasks the "
        "prediction is the families' mean, weighted by the tasks found of each. A wide interval "
        "is consistent with much."
    ]
    return Table(f"Predicted and found: {title}", caption, header, list(_rows(summary)), notes)


def _rows(summary: pd.DataFrame) -> Iterator[Row]:
    for method, lines in summary.groupby("method", sort=False):
        yield Row(label(Method(str(method))), heading=True)
        for row in lines.itertuples(index=False):
            is_all = row.family == ALL
            tasks = f"{row.predicted_tasks}, {row.found_tasks}"
            cells = (_text(row, "predicted"), _text(row, "found"), tasks, row.consistent)
            name = "all tasks" if is_all else label(Family(row.family))
            yield Row(name, cells, strong=is_all)


def _text(row: Any, name: str) -> str:
    mean, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
    if np.isnan(mean):
        return NOT_THERE
    interval = "" if np.isnan(low) else f" [{signed(low)}, {signed(high)}]"
    return signed(mean) + interval
