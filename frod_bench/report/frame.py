"""The frame that every table and figure is made of: its columns, and the keys of its rows.

A row is one training run that was asked for. A name for readers is made of its keys only when
something is drawn or written (`report.names`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from frod_bench.report.keys import METHOD_KEY, TASK_KEY, Family, Method, Run, Task

# Rows are chosen and walked through hundreds of times, which takes half of the time with texts that
# are Python's objects, and not Arrow's.
pd.set_option("mode.string_storage", "python")

# Columns of a row. They are named as in records, and a value is None if it is unknown. `status` is
# ok, undefined, diverged, failed, unusable or missing. `settings_hash` does not cover the data,
# `held_equal_hash` neither the data nor method and seed, and `training_hash` neither the data nor
# the seed and how a run is evaluated. `error` is `type: message`.
TEXTS = (
    *(*TASK_KEY, "family", *METHOD_KEY, "seed", "status", "profile_title", "protocol"),
    *(
        "metric",
        "higher_is_better",
        "curve_split",
        "metrics_split",
        "schedule",
        "backbone",
        "config_hash",
        "settings_hash",
        "held_equal_hash",
        "training_hash",
    ),
    *("error", "code_version", "device", "processor", "path"),
)
# Numbers are NaN if unknown; `curve_rows` also if a curve is of all rows of its split. `value` is
# the primary metric on `n` scored examples, in its own unit; `trainable` includes the head,
# `trainable_percent` is 100 (trainable - head) / backbone.
NUMBERS = (
    *(
        "value",
        "n",
        "stderr",
        "steps",
        "curve_rows",
        "trainable",
        "trainable_head",
        "backbone_total",
    ),
    *("extra_frozen", "trainable_percent", "setup_sec", "train_sec", "eval_sec", "step_sec"),
    *("peak_rss_bytes", "peak_device_bytes"),
)
METRIC, AXIS = "metric/", "axis/"  # prefixes of the columns of further metrics and of settings


def frame_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The frame of `rows`: `TEXTS`, `NUMBERS`, `metric/<name>` (both float64) and `axis/<key>`."""
    names = dict.fromkeys(name for row in rows for name in row)
    metrics = sorted(name for name in names if name.startswith(METRIC))
    axes = [name for name in names if name.startswith(AXIS)]
    frame = pd.DataFrame(list(rows), columns=[*TEXTS, *NUMBERS, *metrics, *axes])
    return frame.astype(dict.fromkeys([*NUMBERS, *metrics], "float64"))


def split_of(frame: pd.DataFrame) -> str:
    """What the scores are of: "test", "validation", or both of them."""
    return " and ".join(sorted(set(frame["metrics_split"].dropna()))) or "test"


def curve_split_of(frame: pd.DataFrame) -> str:
    """What the curves are of, as `split_of`."""
    return ", ".join(sorted(set(frame["curve_split"].dropna())))


def task_of(row: Any) -> Task:
    """The task of a row of `itertuples`, of any frame with the columns of `Task`."""
    return Task(row.task, row.head)


def family_of(row: Any) -> Family:
    """The family of a row of `itertuples`."""
    return Family(row.family, row.head)


def method_of(row: Any) -> Method:
    """The method of a row of `itertuples`."""
    return Method(row.method, row.variant, row.side)


def run_of(row: Any) -> Run:
    """The run of a row of `itertuples`."""
    return Run(task_of(row), method_of(row), int(row.seed))


def runs_of(frame: pd.DataFrame) -> list[Run]:
    """The run of each row."""
    names = (*TASK_KEY, *METHOD_KEY, "seed")
    keys = zip(*(frame[name].tolist() for name in names), strict=True)
    return [
        Run(Task(task, head), Method(method, variant, side), int(seed))
        for task, head, method, variant, side, seed in keys
    ]


def by_task(frame: pd.DataFrame) -> Iterator[tuple[Task, pd.DataFrame]]:
    """Each task with its rows, in order of appearance."""
    for key, rows in frame.groupby(TASK_KEY, sort=False):
        yield Task(*key), rows


def by_method(frame: pd.DataFrame) -> Iterator[tuple[Method, pd.DataFrame]]:
    """Each method with its rows, in order of appearance."""
    for key, rows in frame.groupby(METHOD_KEY, sort=False):
        yield Method(*key), rows


def tasks_in(frame: pd.DataFrame) -> list[Task]:
    """The tasks, in order of appearance."""
    return [Task(*key) for key in frame[TASK_KEY].drop_duplicates().itertuples(index=False)]


def methods_in(frame: pd.DataFrame) -> list[Method]:
    """The methods, in order of appearance."""
    return [Method(*key) for key in frame[METHOD_KEY].drop_duplicates().itertuples(index=False)]


def is_method(frame: pd.DataFrame, method: Method) -> "pd.Series[bool]":
    """Which rows are of a method."""
    return (frame[METHOD_KEY] == list(method)).all(axis=1)


def is_task(frame: pd.DataFrame, task: Task) -> "pd.Series[bool]":
    """Which rows are of a task."""
    return (frame[TASK_KEY] == list(task)).all(axis=1)
