"""The frame that every table and figure is made of: its columns, and the typed keys of its rows.

A row is one training run that was asked for. What tells runs apart are columns (`task`, `head`,
`method`, `variant`, `side`, `seed`); a name for readers is made of them only when something is
drawn or written (`report.names`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd


class Task(NamedTuple):
    """A row of a table: a task under one head. The same task under two heads is two rows."""

    task: str
    head: str = "classify"


class Family(NamedTuple):
    """A group of tasks under one head, over which means are taken."""

    family: str
    head: str = "classify"


class Method(NamedTuple):
    """A column of a table: a method, a variant of it, in one of two folders if two are compared."""

    method: str
    variant: str = ""
    side: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is the method with its own settings."""
        return not (self.variant or self.side)


class Run(NamedTuple):
    """One training run of a frame: the key of its curve and its provenance."""

    task: Task
    method: Method
    seed: int


TASK_KEY, FAMILY_KEY, METHOD_KEY = (list(key._fields) for key in (Task, Family, Method))


class Column(NamedTuple):
    """A column of the frame; numbers are float64 and NaN if unknown, the rest None."""

    name: str
    meaning: str
    is_number: bool = False


COLUMNS = (
    Column("task", "name of the task"),
    Column("head", "classify (a new linear layer) or rank (likelihood of each option)"),
    Column("family", "nlu, reasoning, vision or the task's own"),
    Column("method", "name of the method, without variant and budget"),
    Column("variant", "what differs from the method's own settings, such as `r 8`; or empty"),
    Column("side", "A or B if two results folders are compared; or empty"),
    Column("seed", "the seed"),
    Column("status", "one of collect.STATUSES"),
    Column("profile_title", "title of the profile that the record was made under"),
    Column("protocol", "protocol that the record was made under"),
    Column("metric", "name of the task's primary metric"),
    Column("higher_is_better", "whether more of the primary metric is better"),
    Column("curve_split", "split that the curve was measured on"),
    Column("backbone", "name of the backbone"),
    Column("config_hash", "hash of the run's configuration and data"),
    Column("settings_hash", "the same without the data's fingerprint"),
    Column("error", "what went wrong, as `type: message`"),
    Column("code_version", "commit that made the record"),
    Column("device", "device that it ran on"),
    Column("path", "path of the record"),
    Column("value", "primary metric on test, in its own unit", is_number=True),
    Column("n", "number of test examples", is_number=True),
    Column("stderr", "standard error of `value` over test examples", is_number=True),
    Column("steps", "optimizer steps that were taken", is_number=True),
    Column("trainable", "trained parameters, with the head", is_number=True),
    Column("trainable_head", "trained parameters of the head", is_number=True),
    Column("backbone_total", "parameters of the pretrained backbone", is_number=True),
    Column("extra_frozen", "frozen values that the method adds", is_number=True),
    Column("trainable_percent", "100 (trainable - head) / backbone", is_number=True),
    Column("setup_sec", "seconds of set-up before the first step", is_number=True),
    Column("train_sec", "seconds of training, evaluation left out", is_number=True),
    Column("eval_sec", "seconds of evaluation", is_number=True),
    Column("step_sec", "train_sec / steps", is_number=True),
    Column("peak_rss_bytes", "peak memory of the process", is_number=True),
    Column("peak_device_bytes", "peak memory of the accelerator", is_number=True),
)
METRIC, AXIS = "metric/", "axis/"  # prefixes of the columns of further metrics and of settings
NUMBERS = tuple(column.name for column in COLUMNS if column.is_number)


def frame_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The frame of `rows`: all of `COLUMNS`, then `metric/<name>` (float64), then `axis/<key>`."""
    names = dict.fromkeys(name for row in rows for name in row)
    metrics = sorted(name for name in names if name.startswith(METRIC))
    axes = [name for name in names if name.startswith(AXIS)]
    known = [column.name for column in COLUMNS]
    frame = pd.DataFrame(list(rows), columns=[*known, *metrics, *axes])
    return frame.astype(dict.fromkeys([*NUMBERS, *metrics], "float64"))


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
    return [Task(*key) for key in dict.fromkeys(_keys(frame, TASK_KEY))]


def methods_in(frame: pd.DataFrame) -> list[Method]:
    """The methods, in order of appearance."""
    return [Method(*key) for key in dict.fromkeys(_keys(frame, METHOD_KEY))]


def is_method(frame: pd.DataFrame, method: Method) -> "pd.Series[bool]":
    """Which rows are of a method."""
    return _is(frame, METHOD_KEY, method)


def is_task(frame: pd.DataFrame, task: Task) -> "pd.Series[bool]":
    """Which rows are of a task."""
    return _is(frame, TASK_KEY, task)


def _keys(frame: pd.DataFrame, columns: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(frame[column] for column in columns), strict=True)


def _is(frame: pd.DataFrame, columns: Sequence[str], key: Sequence[str]) -> "pd.Series[bool]":
    return (frame[list(columns)] == list(key)).all(axis=1)
