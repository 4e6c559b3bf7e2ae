"""What every analysis says of its runs, and the pieces that their numbers share."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench.common.errors import InputError
from frod_bench.report.frame import AXIS, by_task, split_of, tasks_in
from frod_bench.report.keys import TASK_KEY, Task
from frod_bench.report.names import label
from frod_bench.report.tables import holes
from frod_bench.stats import Floats

ONE_TASK, OVERALL = "task", "overall"  # scopes of a row of numbers
NO_TASK = Task("", "")  # of a row over all tasks


class About(NamedTuple):
    """The runs of a report: `title` is the profile's, `frame` is `Collected.frame`."""

    title: str
    frame: pd.DataFrame

    @property
    def score(self) -> str:
        """What a score is, e.g. "test score"."""
        return f"{split_of(self.frame)} score"

    @property
    def setting(self) -> str:
        """Profile, protocol, tasks, seeds and missing runs, as sentences of a caption."""
        protocols = ", ".join(sorted(set(self.frame["protocol"].dropna())))
        tasks = [label(task) for task in tasks_in(self.frame)]
        text = f"Profile {self.title}, protocol {protocols}; {_counted(tasks, 'task')}, "
        text += f"{_counted(sorted(set(self.frame['seed'])), 'seed')}."
        if lost := holes(self.frame):
            text += f" Of {len(self.frame)} runs {lost}."
        return text

    def over_seeds(self, what: str = "mean") -> str:
        """ "mean over 3 seeds", or "one seed"."""
        seeds = self.frame["seed"].nunique()
        return "one seed" if seeds == 1 else f"{what} over {seeds} seeds"

    def scope_name(self, task: Task) -> str:
        """A scope's name in a table or above a panel."""
        return f"mean of {len(tasks_in(self.frame))} tasks" if task == NO_TASK else label(task)


def _counted(names: Sequence[Any], what: str) -> str:
    """ "3 seeds (0, 1, 2)"; only the ends of more than six."""
    shown = ", ".join(map(str, names)) if len(names) <= 6 else f"{names[0]} to {names[-1]}"
    return f"{len(names)} {what}{'s' * (len(names) > 1)} ({shown})"


def scopes(frame: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Each task with its runs, then all runs if there are several tasks.

    The first of each pair has the columns `scope`, `task` and `head`, the last two empty for all.
    """
    tasks = list(by_task(frame))
    for task, cells in tasks:
        yield {"scope": ONE_TASK, **task._asdict()}, cells
    if len(tasks) > 1:
        yield {"scope": OVERALL, **NO_TASK._asdict()}, frame


def need_axes(frame: pd.DataFrame, figure: str, keys: Sequence[str]) -> None:
    """Raise InputError unless the runs have all axes that a figure is drawn over."""
    for key in keys:
        if f"{AXIS}{key}" not in frame:
            raise InputError(
                f"experiment.figures: {figure} is drawn over {key}, which experiment.axes does not "
                "name. Name it there, as the experiments of docs/how-to/analyses.md do."
            )


def counts(cells: pd.DataFrame) -> dict[str, Any]:
    """How many runs gave a number, how many were asked for, and what became of the rest."""
    n_cells = int((cells["status"] == "ok").sum())
    return {"n_cells": n_cells, "n_expected": len(cells), "holes": holes(cells)}


def points_of(cells: pd.DataFrame) -> dict[str, Any]:
    """Mean and range over seeds of the mean over tasks, in points, with `counts`.

    All three are NaN if a run is missing: the mean of the other runs could be higher or lower only
    because they are easier or harder.
    """
    counted = counts(cells)
    by_seed: Floats = np.full(1, np.nan)
    if not counted["holes"]:
        wide = cells.pivot_table(index=TASK_KEY, columns="seed", values="value", aggfunc="first")
        by_seed = 100.0 * wide.to_numpy(dtype=np.float64).mean(axis=0)
    return {"mean": by_seed.mean(), "low": by_seed.min(), "high": by_seed.max()} | counted


def score_text(row: Any) -> str:
    """A score of `points_of` to a tenth, or what its runs lack."""
    if not row.holes:
        return f"{row.mean:.1f}"
    return row.holes if row.n_cells == 0 else f"{row.n_cells} of {row.n_expected}: {row.holes}"
