"""One method against each other: paired by task and seed, and example by example."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.common.names import without_head
from frod_bench.report.frame import (
    is_method,
    method_of,
    methods_in,
    runs_of,
    task_of,
    tasks_in,
)
from frod_bench.report.keys import METHOD_KEY, TASK_KEY, Method, Task
from frod_bench.report.names import label, spelled
from frod_bench.report.predictions import Hits, predictions_of
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.report.tables import seeds_interval, so_many

COLUMNS = (
    *("scope", *TASK_KEY, *METHOD_KEY, "quantity", "mean", "low", "high", "n", "tost_p"),
    *("n_tested", "only_ours", "only_theirs", "p_value", "p_holm"),
    *("least", "greatest"),  # the range over pairs
    "hangs_on",  # tasks whose removal changes whether the interval on these tasks leaves out 0
)
MEAN, MIDDLE, WINS = "mean difference", "interquartile mean", "probability of improvement"
HANGS_ON, NONE = "Hangs on", "none"
FEW_TO_HANG_ON = 3  # tasks: of fewer, each makes half of the mean and more
THESE = "mean difference on these tasks"  # with the interval of these, not of tasks drawn at random


def paired_summary(frame: pd.DataFrame, ours: Method, margin: float) -> pd.DataFrame:
    """`ours` minus each other method of `Collected.frame`, long; `COLUMNS` are its columns.

    In the scope `task`, the mean is over the seeds that both methods have, in points. `tost_p` is
    the p-value of Student's TOST with a margin of `margin` points. McNemar's exact test is over the
    `n_tested` seeds whose predictions are kept, and hits are counted over all of these. `p_holm`
    holds for the tasks of a method together. In the scope `overall`, a row is the `quantity` over
    tasks. Empty if `ours` is the only method.
    """
    rows: list[dict[str, Any]] = []
    mine = _scores(frame, ours)
    if mine.empty:
        return pd.DataFrame(rows, columns=list(COLUMNS))
    own_hits = _all_hits(frame, ours)
    for method in methods_in(frame):
        if method == ours:
            continue
        theirs = _scores(frame, method).reindex(index=mine.index, columns=mine.columns)
        difference, hits = mine - theirs, _all_hits(frame, method)
        of_tasks = [
            _task_row(Task(*key), method, values, margin, own_hits, hits)
            for key, values in difference.iterrows()
        ]
        adjusted = stats.holm([row["p_value"] for row in of_tasks])
        rows += [row | {"p_holm": p} for row, p in zip(of_tasks, adjusted, strict=True)]
        overall = (
            (THESE, stats.mean_of_these_tasks(difference)),
            (MEAN, stats.mean_over_tasks(difference)),
            (MIDDLE, stats.interquartile_mean(difference)),
            (WINS, stats.probability_of_improvement(mine, theirs)),
        )
        for quantity, estimate in overall:
            base = {"scope": "overall", "task": "", "head": "", "quantity": quantity}
            base["hangs_on"] = hangs_on(difference) if quantity == THESE else ""
            rows.append(base | method._asdict() | estimate._asdict())
    return pd.DataFrame(rows, columns=list(COLUMNS))


def paired_table(summary: pd.DataFrame, ours: Method, title: str, split: str = "test") -> Table:
    """Task x other method, then the means over tasks; `split` is what the scores are of."""
    methods, name = methods_in(summary), label(ours)
    by_key = {(task_of(r), r.quantity, method_of(r)): r for r in summary.itertuples(index=False)}
    rows = []
    for task in tasks_in(summary[summary["scope"] == "task"]):
        found = [by_key[task, MEAN, method] for method in methods]
        most = max((row.n for row in found), default=0)
        rows.append(Row(label(task), tuple(_task_text(row, most) for row in found)))
    rows.append(Row("all tasks", heading=True))
    for quantity in (THESE, MEAN, MIDDLE, WINS):
        found = [by_key[Task("", ""), quantity, method] for method in methods]
        most = max((row.n for row in found), default=0)
        rows.append(Row(quantity, tuple(_overall_text(r, most) for r in found), strong=True))
    caption = (
        f"{name} minus each method, in points, paired by task and seed: mean ± half of the 95 % "
        f"interval (Student's t; of fewer than three pairs their range). In brackets the {split} "
        f"examples that one alone gets right, {name} : other, and McNemar's exact p-value, which "
        "compares the trained models and says nothing of other seeds."
    )
    notes = [
        "Examples are counted over all seeds whose predictions both have kept; p-values are "
        "adjusted by Holm over the tasks of a column.",
        "All tasks: on these tasks seeds alone are random (Student's t, variance within tasks). "
        "The other 95 % intervals are of a bootstrap over tasks and seeds, of the mean of fewer "
        f"than {stats.FEW_TASKS} tasks Student's t; the last two are then too narrow.",
    ]
    of_these = {method: by_key[Task("", ""), THESE, method] for method in methods}
    hanging = {m: row.hangs_on for m, row in of_these.items() if row.n >= FEW_TO_HANG_ON}
    if known := [(method, tasks) for method, tasks in hanging.items() if tasks]:
        of_each = "; ".join(f"{label(method)}: {tasks_in_words(tasks)}" for method, tasks in known)
        notes.append(
            f"{HANGS_ON}, i.e. tasks whose removal, one at a time, changes whether the interval on "
            f"these tasks leaves out 0, which says nothing of sizes or margins: {of_each}."
        )
    header = ("task", *map(label, methods))
    return Table(f"Paired differences: {title}", caption, header, rows, notes)


def hangs_on(difference: pd.DataFrame) -> str:
    """The tasks (rows, with columns of seeds) on which the sign of a mean hangs, as CSV files spell
    them; `none`, or empty without an interval.
    """
    decisive = stats.decisive_tasks(difference.to_numpy())
    if decisive is None:
        return ""
    return ", ".join(spelled(Task(*key)) for key in difference.index[decisive]) or NONE


def tasks_in_words(tasks: str) -> str:
    """The tasks of `hangs_on` for readers."""
    names = tasks.split(", ")
    return tasks if names == [NONE] else ", ".join(label(Task(*without_head(n))) for n in names)


# Digest of the rows that a run predicted, and which predictions are right.
HitsOfRuns = dict[tuple[Task, int], tuple[bytes, Hits]]


def _scores(frame: pd.DataFrame, method: Method) -> pd.DataFrame:
    cells = frame[is_method(frame, method)]
    wide = 100 * cells.pivot_table(index=TASK_KEY, columns="seed", values="value")
    return wide.reindex([task for task in tasks_in(cells) if task in wide.index])


def _all_hits(frame: pd.DataFrame, method: Method) -> HitsOfRuns:
    cells = frame[is_method(frame, method) & (frame["status"] == "ok")]
    paths = dict(zip(((r.task, r.seed) for r in runs_of(cells)), cells["path"], strict=True))
    found = zip(paths, predictions_of(map(Path, paths.values())), strict=True)
    return {
        key: (kept.rows, kept.hits)
        for key, kept in found
        if kept is not None and kept.hits is not None
    }


def _task_row(  # noqa: PLR0917
    task: Task,
    method: Method,
    difference: pd.Series,
    margin: float,
    ours: HitsOfRuns,
    theirs: HitsOfRuns,
) -> dict[str, Any]:
    both = [(ours[key], theirs[key]) for key in ours if key[0] == task and key in theirs]
    tests = stats.mcnemar_of_pairs((a, b) for (rows, a), (others, b) in both if rows == others)
    pairs = stats.seed_range(difference.to_numpy())
    return {
        "scope": "task",
        **task._asdict(),
        **method._asdict(),
        "quantity": MEAN,
        **stats.mean_interval(difference.to_numpy())._asdict(),
        "least": pairs.low,
        "greatest": pairs.high,
        "tost_p": stats.tost(difference.to_numpy(), margin),
        "n_tested": len(tests),
        "only_ours": sum(test.only_ours for test in tests),
        "only_theirs": sum(test.only_theirs for test in tests),
        "p_value": stats.merge_p_values([test.p_value for test in tests]),
    }


def _task_text(row: Any, most: int) -> str:
    """A difference on a task; with its number of pairs if another method has `most`, and more."""
    if np.isnan(row.mean):
        return NOT_THERE
    is_single = np.isnan(row.low)
    text = signed(row.mean)
    text += " (one pair: no interval)" if is_single else seeds_interval(row, int(row.n), signed)
    if row.n < most and not is_single:
        text += f" ({row.n:.0f} of {most:.0f} pairs)"
    if row.n_tested:
        text += f" ({row.only_ours:.0f} : {row.only_theirs:.0f}, {p_text(row.p_holm)})"
    return text


def _overall_text(row: Any, most: int) -> str:
    """A mean over tasks; with their number if another method has `most`, and more."""
    if np.isnan(row.mean):
        return NOT_THERE
    style = "{:.2f}".format if row.quantity == WINS else signed
    if np.isnan(row.low):
        return f"{style(row.mean)} ({so_many(row.n, 'task')}: no interval)"
    fewer = f" ({row.n:.0f} of {most:.0f} tasks)" if row.n < most else ""
    ends = map(style if row.quantity == WINS else end_of_interval, (row.low, row.high))
    return f"{style(row.mean)} [{', '.join(ends)}]{fewer}"


def p_text(value: float) -> str:
    """A p-value."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def signed(points: float) -> str:
    """A difference in points."""
    return minus(f"{round(points, 1) + 0.0:+.1f}")


def end_of_interval(points: float) -> str:
    """An end near 0 with one digit more, as its sign decides."""
    return minus(f"{points:+.2f}") if 0 < abs(points) < 0.05 else signed(points)


def minus(text: str) -> str:
    """A number's text with a minus sign for the hyphen."""
    return text.replace("-", "−")
