"""What every analysis says of its cells, and the pieces that their numbers share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from frod_bench.common.errors import InputError
from frod_bench.report.frame import AXIS, TASK_KEY, Task, by_task, tasks_in
from frod_bench.report.names import label
from frod_bench.report.summary import holes
from frod_bench.stats import Floats

SPARSE_RATE = "method.sparse_rate"
LAMBDA_FACTOR = "rate_factors.lambda"
ROTATION_FACTOR = "rate_factors.rotation"
ALL_FACTOR = "rate_factors.all"
TASK, OVERALL = "task", "overall"  # scopes of a row of numbers
NO_TASK = Task("", "")  # of a row over all tasks


@dataclass(frozen=True)
class About:
    """What the cells of a report are; `title` is the profile's, `frame` that of `Collected`."""

    title: str
    frame: pd.DataFrame

    @property
    def setting(self) -> str:
        """Profile, protocol, tasks, seeds and holes, as a sentence of a caption."""
        protocols = ", ".join(sorted(set(self.frame["protocol"].dropna())))
        tasks = [label(task) for task in tasks_in(self.frame)]
        text = f"Profile {self.title}, protocol {protocols}; {_counted(tasks, 'task')}, "
        text += f"{_counted(sorted(set(self.frame['seed'])), 'seed')}."
        if lost := holes(self.frame):
            text += f" Of {len(self.frame)} cells {lost}."
        return text


def _counted(names: Sequence[Any], what: str) -> str:
    """ "3 seeds (0, 1, 2)"; of many, the ends."""
    many = len(names) > 6
    shown = f"{names[0]} to {names[-1]}" if many else ", ".join(map(str, names))
    return f"{len(names)} {what}{'s' * (len(names) > 1)} ({shown})"


def scopes(frame: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """The cells of each task, then all of them where there are several tasks.

    Each with its `scope` and `task`, which is empty for all.
    """
    tasks = list(by_task(frame))
    for task, cells in tasks:
        yield {"scope": TASK, **task._asdict()}, cells
    if len(tasks) > 1:
        yield {"scope": OVERALL, **NO_TASK._asdict()}, frame


def scope_name(task: Task, n_tasks: int) -> str:
    """How a scope is called in a table or a panel."""
    return f"mean of {n_tasks} tasks" if task == NO_TASK else label(task)


def need_axes(frame: pd.DataFrame, figure: str, keys: Sequence[str]) -> None:
    """Raise InputError unless the cells lie on all axes that a figure is drawn over."""
    for key in keys:
        if f"{AXIS}{key}" not in frame:
            raise InputError(
                f"experiment.figures: {figure} is drawn over {key}, which experiment.axes does not "
                "name. Name it there, as the experiments of docs/how-to/analyses.md do."
            )


def by_seed(cells: pd.DataFrame) -> Floats:
    """Mean over tasks of each seed, in points, (seeds,); NaN where a task lacks the seed."""
    wide = cells.pivot_table(
        index=TASK_KEY, columns="seed", values="value", aggfunc="first", dropna=False
    )
    return 100.0 * wide.to_numpy(dtype=np.float64).mean(axis=0)


def counts(cells: pd.DataFrame) -> dict[str, Any]:
    """How many cells gave a number, of how many, and what became of the rest."""
    return {
        "n_cells": int((cells["status"] == "ok").sum()),
        "n_expected": len(cells),
        "holes": holes(cells),
    }


def points_of(cells: pd.DataFrame) -> dict[str, Any]:
    """Mean and range over seeds of the mean over tasks, in points, with `counts`.

    With a hole there is no mean: of what is left it would be one of easier or harder cells.
    """
    counted = counts(cells)
    found: Floats = np.full(1, np.nan) if counted["holes"] else by_seed(cells)
    ends = {"mean": float(found.mean()), "low": float(found.min()), "high": float(found.max())}
    return ends | counted


def score_text(row: Any) -> str:
    """A score of `points_of` to a tenth, or what its cells lack."""
    if not row.holes:
        return f"{row.mean:.1f}"
    return row.holes if row.n_cells == 0 else f"{row.n_cells} of {row.n_expected}: {row.holes}"
