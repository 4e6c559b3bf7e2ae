"""The files of `results/reference/published/`, and files like them, read row by row and checked."""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.report.names import METHODS

PUBLISHED_DIR = REFERENCE_DIR / "published"
RELEASED = "released_cars_training_loss.csv"
PEFT_RUNS, PEFT_CURVES = "peft_metamathqa_runs.csv", "peft_metamathqa_curves.csv"
# Names of methods in PEFT's results. DoRA and rsLoRA are LORA with a flag in `peft_config`.
PEFT_METHODS = {
    "ADALORA": "adalora",
    "DELORA": "delora",
    "FROD": "frod",
    "FULL": "full",
    "GRALORA": "gralora",
    "LORA": "lora",
    "PVERA": "pvera",
    "RANDLORA": "randlora",
    "VERA": "vera",
}
PEFT_FLAGS = {"use_dora": "dora", "use_rslora": "rslora"}


class Column(NamedTuple):
    """A column of a file: how a text in it is read, and what is allowed in it, in words."""

    read: Callable[[str], Any]  # raises ValueError for what is not allowed
    allowed: str
    known: Mapping[str, object] | None = None  # the texts that are allowed, if they are few


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)


def _within(least: float, most: float = math.inf) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and least <= value <= most):
            raise ValueError
        return value

    return read


def _settings(text: str) -> dict[str, Any]:
    value = json.loads(text)  # its error is a ValueError
    if not isinstance(value, dict):
        raise ValueError
    return value


TEXT = Column(_text, "must not be empty")
COUNT = Column(_count, "must be a whole number of at least 0")
NUMBER = Column(_within(-math.inf), "must be a finite number")
POSITIVE = Column(_within(0), "must be a finite number of at least 0")
SHARE = Column(_within(0, 1), "must be a number from 0 to 1")

LOSS_COLUMNS = {
    "method": Column(_text, "is unknown", METHODS),
    "run": TEXT,
    "logged_point": COUNT,
    "training_loss": POSITIVE,
}
PEFT_RUN_COLUMNS = {
    "run": TEXT,
    "created": TEXT,
    "method": Column(_text, "is unknown", PEFT_METHODS),
    "trained": COUNT,
    "total": COUNT,
    "test_accuracy": SHARE,
    "forgetting": NUMBER,
    "train_time_sec": POSITIVE,
    "accelerator": TEXT,
    "torch": TEXT,
    "peft_commit": TEXT,
    "lr": POSITIVE,
    "weight_decay": Column(
        lambda text: _within(0)(text) if text else math.nan,
        "must be empty or a number of at least 0",
    ),
    "peft_config": Column(_settings, "must be an object in JSON"),
}
PEFT_CURVE_COLUMNS = {
    "run": TEXT,
    "step": COUNT,
    "valid_accuracy": SHARE,
    "train_loss": POSITIVE,
    "train_sec": POSITIVE,
    "eval_sec": POSITIVE,
}


def loss_curves(path: Path = PUBLISHED_DIR / RELEASED) -> pd.DataFrame:
    """Training losses: method, run, logged_point, training_loss.

    Raises InputError if the file does not fit, or if a run has two methods, a single point, or
    points that do not increase.
    """
    table, lines = _read(path, LOSS_COLUMNS)
    for run, rows in table.groupby("run", sort=False):
        methods = sorted(set(rows["method"]))
        if len(methods) > 1:
            raise InputError(
                f"{path}: run={run} must be of one method, and is of {', '.join(methods)}. "
                + _fix(path)
            )
        if len(rows) == 1:
            raise InputError(f"{path}: run={run} must have at least two points. {_fix(path)}")
    _refuse_decreasing(path, table, lines, "logged_point")
    return table


def peft_runs(folder: Path = PUBLISHED_DIR) -> pd.DataFrame:
    """PEFT's runs: the columns of the file, with `method` as this project names it, and `step_sec`,
    seconds of a training step.

    Raises InputError if a file does not fit, if a run is named twice, or if it has no curve.
    """
    path = folder / PEFT_RUNS
    table, lines = _read(path, PEFT_RUN_COLUMNS)
    for line, is_again in zip(lines, table["run"].duplicated(), strict=True):
        if is_again:
            raise InputError(f"{path}, line {line}: run is named twice. {_fix(path)}")
    for line, trained, total in zip(lines, table["trained"], table["total"], strict=True):
        if trained > total:
            raise InputError(
                f"{path}, line {line}: trained={trained} must not be more than total={total}. "
                + _fix(path)
            )
    table["method"] = [
        next((name for flag, name in PEFT_FLAGS.items() if settings.get(flag)), PEFT_METHODS[key])
        for key, settings in zip(table["method"], table["peft_config"], strict=True)
    ]
    curves = peft_curves(folder).groupby("run")
    if lost := sorted(set(table["run"]) - set(curves.groups)):
        raise InputError(
            f"{folder / PEFT_CURVES}: has no rows of run={lost[0]}, which {PEFT_RUNS} has. "
            + _fix(path)
        )
    step_sec = curves["train_sec"].sum() / curves["step"].max()
    return table.assign(step_sec=table["run"].map(step_sec))


def peft_curves(folder: Path = PUBLISHED_DIR) -> pd.DataFrame:
    """PEFT's curves: the columns of the file. Raises InputError if it does not fit, or if the steps
    of a run do not increase.
    """
    path = folder / PEFT_CURVES
    table, lines = _read(path, PEFT_CURVE_COLUMNS)
    _refuse_decreasing(path, table, lines, "step")
    return table


def _read(path: Path, columns: Mapping[str, Column]) -> tuple[pd.DataFrame, list[int]]:
    """The table of a CSV file and the line of each row.

    Raises InputError for a file that cannot be read, wrong columns, no rows, and a value that its
    column does not allow.
    """
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or (), columns)
            for row in reader:
                rows.append(_converted(path, reader.line_num, row, columns))
                lines.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}). {_fix(path)}") from error
    if not rows:
        raise InputError(f"{path}: has no rows. {_fix(path)}")
    return pd.DataFrame(rows), lines


def _check_columns(path: Path, found: Sequence[str], columns: Mapping[str, Column]) -> None:
    wrong = [f"no column {name}" for name in columns if name not in found]
    wrong += [f"an unknown column {name!r}" for name in found if name not in columns]
    wrong += [f"column {name} twice" for name in columns if found.count(name) > 1]
    if wrong:
        raise InputError(
            f"{path}: has {', '.join(wrong)}. Its first line must be "
            f"{','.join(columns)}, in any order. {_fix(path)}"
        )


def _converted(
    path: Path, line: int, row: Mapping[str | None, Any], columns: Mapping[str, Column]
) -> dict[str, Any]:
    if None in row or None in row.values():
        raise InputError(
            f"{path}, line {line}: has {'more' if None in row else 'fewer'} values than the first "
            f"line has columns, {len(columns)}. {_fix(path)}"
        )
    values = {}
    for name, column in columns.items():
        text = row[name]
        try:
            values[name] = column.read(text)
        except ValueError as error:
            raise InputError(
                f"{path}, line {line}: {name}={text!r} {column.allowed}. {_fix(path)}"
            ) from error
        if column.known is not None and text not in column.known:
            raise InputError(
                f"{path}, line {line}: {name}={text!r} {column.allowed}."
                f"{did_you_mean(text, column.known)} {_fix(path)}"
            )
    return values


def _refuse_decreasing(path: Path, table: pd.DataFrame, lines: Sequence[int], column: str) -> None:
    """Raise InputError if `column` does not increase from row to row of a run."""
    before = table.groupby("run")[column].shift()
    for line, run, last, value in zip(lines, table["run"], before, table[column], strict=True):
        if value <= last:  # False for the first of a run, whose last is NaN
            raise InputError(
                f"{path}, line {line}: {column}={value} must be more than {last:.0f}, the one "
                f"before it of run={run}. {_fix(path)}"
            )


def _fix(path: Path) -> str:
    """What to do about a file that does not fit."""
    if path.parent == PUBLISHED_DIR:
        return "Restore the file from git, or install the package again."
    return "Correct the file, or name another."
