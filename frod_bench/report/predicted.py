"""What another profile's runs predicted, next to what was found: method by method.

Tasks, checkpoints and heads differ, so what compares is how far each method is from full
fine-tuning on the tasks of a family.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.claims.parts import Evidence, evidence_on
from frod_bench.report.keys import FROZEN, Family, Method
from frod_bench.report.names import label
from frod_bench.report.paired import signed
from frod_bench.report.reproduction import published_cells
from frod_bench.report.rules import Rules, load_rules
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.stats import Estimate, Floats
from frod_bench.stats.distributions import student_quantile

ALL = ""  # the family of a row over all tasks


@dataclass(frozen=True)
class Prediction:
    """The published runs of a profile, on the tasks and seeds that its rules name."""

    profile: str
    cells: Evidence


class _Guess(NamedTuple):
    """A mean that is predicted for other tasks than it was measured on, and how far off that may
    be.
    """

    mean: float
    variance: float  # of what is found less the mean
    freedom: float
    tasks: int  # that it was measured on

    @property
    def estimate(self) -> Estimate:
        """With the interval that holds what is found in 95 % of repetitions."""
        half = np.nan
        if self.variance > 0:
            quantile = student_quantile((1 + stats.CONFIDENCE) / 2, self.freedom)
            half = quantile * float(np.sqrt(self.variance))
        return Estimate(self.mean, self.mean - half, self.mean + half, self.tasks)


def prediction_of(profile: str, rules: Rules) -> Prediction | None:
    """Read the published table of cells of `profile`; None if it has none.

    An installed package has this table, without the records. `rules` are those of all profiles. The
    tasks that the rules leave out of a second mean (`also_without`) predict nothing, because their
    scores have their own scale. Raises InputError if the table is damaged.
    """
    table = published_cells(profile)
    if table is None:
        return None
    own = rules.of_profile(profile)
    table = table[~table["task"].isin(own.accuracy.also_without)]
    texts = {name: table[name].fillna("").astype(str) for name in ("head", "variant")}
    frame = table.assign(**texts, schedule=None)
    return Prediction(profile, evidence_on(frame, own))


def predicted_summary(
    prediction: Prediction, frame: pd.DataFrame, rules: Rules, reference: str
) -> pd.DataFrame:
    """A row for each method and family, and for each method over all tasks (family ""): how far it
    is from the `reference`, in points.

    Columns: method, family, predicted, predicted_low, predicted_high, predicted_tasks, found,
    found_low, found_high, found_tasks, consistent. The interval of a prediction is Student's: it is
    that of the mean of as many other tasks of the family as there are here, from the spread over
    the tasks of the prediction. The interval of what was found is over seeds, for exactly these
    tasks. The prediction over all tasks is the mean of the families' predictions, weighted by how
    many tasks of each there are here. The frozen backbone is left out, because it is not
    fine-tuned. `consistent` says whether what was found is inside the predicted interval: yes, no,
    or unknown.
    """
    found = evidence_on(frame, rules)
    families = dict.fromkeys(found.frame["family"])
    rows: list[dict[str, Any]] = []
    judged = set(prediction.cells.frame["method"]) - {reference, FROZEN.method}
    for method in dict.fromkeys(found.frame["method"]):
        if method not in judged:
            continue
        guesses: list[_Guess] = []
        weights: list[int] = []
        for family in families:
            ours = stats.mean_of_these_tasks(_difference(found, method, reference, family))
            if not ours.n:
                continue
            theirs = _difference(prediction.cells, method, reference, family)
            guesses.append(_guess(theirs, ours.n))
            weights.append(ours.n)
            rows.append(_row(method, family, guesses[-1].estimate, ours))
        if guesses:
            whole = stats.mean_of_these_tasks(_difference(found, method, reference, ALL))
            rows.append(_row(method, ALL, _weighted(guesses, np.array(weights)).estimate, whole))
    return pd.DataFrame(rows)


def _guess(differences: Floats, n_found: int) -> _Guess:
    """What a (tasks x seeds) table predicts for the mean over `n_found` other tasks."""
    known = differences[~np.isnan(differences).all(axis=1)]
    means, n = np.nanmean(known, axis=1) if len(known) else np.array([]), len(known)
    if n < 2:
        return _Guess(float(means[0]) if n else np.nan, np.nan, np.nan, n)
    variance = float(means.var(ddof=1)) * (1 / n + 1 / n_found)
    return _Guess(float(means.mean()), variance, n - 1, n)


def _weighted(guesses: Sequence[_Guess], weights: Floats) -> _Guess:
    """The mean of the families' predictions, whose errors are independent; degrees of freedom by
    Welch and Satterthwaite.
    """
    shares = weights / weights.sum()
    means, variances, freedom, tasks = map(np.array, zip(*guesses, strict=True))
    parts = shares**2 * variances
    total, spread = float(parts.sum()), float((parts**2 / freedom).sum())
    return _Guess(
        float(shares @ means), total, total**2 / spread if spread > 0 else np.nan, int(tasks.sum())
    )


def _difference(cells: Evidence, method: str, reference: str, family: str) -> Floats:
    """(tasks x seeds) of a method minus the reference, in points, on the tasks of a family."""
    frame = cells.frame if family == ALL else cells.frame[cells.frame["family"] == family]
    kept = [task in set(frame["task"]) for task in cells.tasks]
    difference: Floats = 100 * (cells.table(method, "value") - cells.table(reference, "value"))
    return difference[kept]


def _row(method: str, family: str, predicted: Estimate, found: Estimate) -> dict[str, Any]:
    consistent = "yes" if predicted.low <= found.mean <= predicted.high else "no"
    if np.isnan(predicted.low):
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
        f"{prediction.profile}, with the 95 % interval of as many other tasks, and found here, "
        "with the 95 % interval of these tasks over seeds. They are consistent if the first "
        "interval contains what was found."
    )
    notes = [
        "Tasks, checkpoints and heads differ; the families are the same. Over all tasks the "
        "prediction is the families' mean, weighted by the tasks found of each. Its interval takes "
        "the tasks of a family to spread here as they spread there; a wide one is consistent with "
        "much. Rows share runs, the reference's among them, and are not independent."
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
