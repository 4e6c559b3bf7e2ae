"""What another profile's runs predicted, next to what was found: method by method.

Tasks, checkpoints and heads differ, so what compares is how far each method is from full
fine-tuning on the tasks of a family.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.claims.parts import Evidence, evidence_on
from frod_bench.report.keys import Family, Method
from frod_bench.report.names import label
from frod_bench.report.paired import signed
from frod_bench.report.reproduction import published_cells
from frod_bench.report.rules import Rules, load_rules
from frod_bench.report.sensitivity import FROZEN
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.stats import Estimate, Floats

ALL = ""  # the family of a row over all tasks


@dataclass(frozen=True)
class Prediction:
    """The published runs of a profile, on the tasks and seeds that its rules name."""

    profile: str
    cells: Evidence


def prediction_of(profile: str, rules: Rules) -> Prediction | None:
    """Read the published table of cells of `profile`, which an installed package has without the
    records; `rules` are those of all profiles. None if it has none. Raises InputError if it is
    damaged.
    """
    table = published_cells(profile)
    if table is None:
        return None
    texts = {name: table[name].fillna("").astype(str) for name in ("head", "variant")}
    frame = table.assign(**texts, schedule=None)
    return Prediction(profile, evidence_on(frame, rules.of_profile(profile)))


def predicted_summary(
    prediction: Prediction, frame: pd.DataFrame, rules: Rules, reference: str
) -> pd.DataFrame:
    """A row for each method and family, and for each method over all tasks (family ""): how far it
    is from the `reference`, in points, means with the 95 % intervals of these tasks.

    Columns: method, family, predicted, predicted_low, predicted_high, predicted_tasks, found,
    found_low, found_high, found_tasks, consistent. The prediction over all tasks is the mean of the
    families' predictions, weighted by how many tasks there are of each here. The frozen backbone is
    left out: it is not fine-tuned. `consistent`: whether the interval of found less
    predicted contains 0, whose half is the root of the sum of both halves' squares: yes, no, or
    unknown.
    """
    found = evidence_on(frame, rules)
    families = dict.fromkeys(found.frame["family"])
    rows: list[dict[str, Any]] = []
    for method in dict.fromkeys(found.frame["method"]):
        if method in (reference, FROZEN) or method not in set(prediction.cells.frame["method"]):
            continue
        own = []
        for family in families:
            ours = stats.mean_of_these_tasks(_difference(found, method, reference, family))
            theirs = _difference(prediction.cells, method, reference, family)
            own.append(_row(method, family, stats.mean_of_these_tasks(theirs), ours))
        weights = [row["found_tasks"] for row in own]
        if not sum(weights):
            continue
        own = [row for row in own if row["found_tasks"]]
        weights = [weight for weight in weights if weight]
        whole = stats.mean_of_these_tasks(_difference(found, method, reference, ALL))
        rows += [*own, _row(method, ALL, _weighted(own, np.array(weights)), whole)]
    return pd.DataFrame(rows)


def _weighted(families: Sequence[dict[str, Any]], weights: Floats) -> Estimate:
    """The mean of the families' predictions; their errors are independent, so squares add."""
    names = ("predicted", "predicted_low", "predicted_tasks")
    mean, low, n_tasks = (np.array([row[name] for row in families]) for name in names)
    shares = weights / weights.sum()
    middle, half = float(shares @ mean), float(np.sqrt(np.square(shares * (mean - low)).sum()))
    return Estimate(middle, middle - half, middle + half, int(n_tasks.sum()))


def _difference(cells: Evidence, method: str, reference: str, family: str) -> Floats:
    """(tasks x seeds) of a method minus the reference, in points, on the tasks of a family."""
    frame = cells.frame if family == ALL else cells.frame[cells.frame["family"] == family]
    kept = [task in set(frame["task"]) for task in cells.tasks]
    difference: Floats = 100 * (cells.table(method, "value") - cells.table(reference, "value"))
    return difference[kept]


def _row(method: str, family: str, predicted: Estimate, found: Estimate) -> dict[str, Any]:
    half = np.hypot(predicted.mean - predicted.low, found.mean - found.low)
    consistent = "yes" if abs(found.mean - predicted.mean) <= half else "no"
    if np.isnan(half):
        consistent = "unknown"
    row: dict[str, Any] = {"method": method, "family": family}
    for name, one in (("predicted", predicted), ("found", found)):
        row |= {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high}
        row[f"{name}_tasks"] = one.n
    return row | {"consistent": consistent}


def predicted_by_rules(
    frame: pd.DataFrame, rules: Rules, title: str
) -> tuple[Table, pd.DataFrame] | None:
    """The table and its numbers, if the rules name a profile that predicts and that is published,
    and `frame` has some of the runs that are judged, which a pilot has not.
    """
    prediction = prediction_of(rules.predicted_by, load_rules()) if rules.predicted_by else None
    if prediction is None:
        return None
    summary = predicted_summary(prediction, frame, rules, rules.accuracy.reference)
    return None if summary.empty else (predicted_table(summary, prediction, rules, title), summary)


def predicted_table(
    summary: pd.DataFrame, prediction: Prediction, rules: Rules, title: str
) -> Table:
    """A group per method; its mean over all tasks comes last."""
    reference = label(Method(rules.accuracy.reference), in_text=True)
    header = (
        "family",
        "predicted (points)",
        "found (points)",
        "tasks, predicted / found",
        "consistent",
    )
    caption = (
        f"How far each method is from {reference}: predicted by the runs of the profile "
        f"{prediction.profile}, and found here, each with the 95 % interval of its tasks. They are "
        "consistent if the interval of their difference contains 0."
    )
    notes = [
        "Tasks, checkpoints and heads differ; the families are the same. Over all tasks the "
        "prediction is the families' mean, weighted by the tasks found of each. A wide interval "
        "is consistent with much, and if all predictions are right up to one row in twenty is "
        "inconsistent."
    ]
    return Table(f"Predicted and found: {title}", caption, header, list(_rows(summary)), notes)


def _rows(summary: pd.DataFrame) -> Iterator[Row]:
    for method, lines in summary.groupby("method", sort=False):
        yield Row(label(Method(str(method))), heading=True)
        for row in lines.itertuples(index=False):
            is_all = row.family == ALL
            tasks = f"{row.predicted_tasks} / {row.found_tasks}"
            cells = (_text(row, "predicted"), _text(row, "found"), tasks, row.consistent)
            name = "all tasks" if is_all else label(Family(row.family))
            yield Row(name, cells, strong=is_all)


def _text(row: Any, name: str) -> str:
    mean, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
    if np.isnan(mean):
        return NOT_THERE
    interval = "" if np.isnan(low) else f" [{signed(low)}, {signed(high)}]"
    return signed(mean) + interval
