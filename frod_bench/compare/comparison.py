"""What a comparison holds: the records' frame, which rows are shown, and what is paired."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from frod_bench.report.collect import Collected
from frod_bench.report.convergence import arrivals, format_time, time_summary
from frod_bench.report.curves import AXES, Curve, evaluated_curves
from frod_bench.report.frame import TASK_KEY, Method, Run, by_task, is_method, method_of, task_of
from frod_bench.report.names import label
from frod_bench.report.paired import paired_summary
from frod_bench.report.rules import Rules
from frod_bench.report.tables import format_score, summarise


class Contrast(NamedTuple):
    """`ours` minus `theirs`, both of them methods of the frame, under a name for readers."""

    name: str
    ours: Method
    theirs: Method


@dataclass(frozen=True)
class Comparison:
    """Records side by side; methods of two folders differ by their side, A and B."""

    title: str
    collected: Collected  # the cells that are shown, and those of the reference
    shown: "pd.Series[bool]"  # a row of its frame
    contrasts: Sequence[Contrast]
    heads: tuple[str, str]  # names of the two columns of each contrast
    rules: Rules
    reference: Method  # sets the target
    name: str  # of its figures, such as frod_lora
    notes: Sequence[str] = ()  # how the cells were chosen
    caption: str = ""  # what figures must say besides
    settings: pd.DataFrame = field(default_factory=pd.DataFrame)  # that differ in paired records

    @property
    def cells(self) -> pd.DataFrame:
        """The rows of the frame that are shown."""
        return self.collected.frame[self.shown]

    @cached_property
    def measured(self) -> dict[Run, Curve]:
        return evaluated_curves(self.collected.frame, self.collected.curves)

    @cached_property
    def arrived(self) -> pd.DataFrame:
        """When each cell, the reference's too, reached its task's target."""
        rule = self.rules.convergence
        return arrivals(self.collected.frame, self.measured, rule, self.reference)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per task and method: target (metric's own unit), score, steps and seconds to target
        (texts), and the medians of the last two as steps_median and seconds_median.
        """
        scores = summarise(self.cells)
        scores = scores[(scores["scope"] == "task") & scores["primary"]]
        times = time_summary(self.arrived[self.shown.to_numpy()], self.rules.convergence)
        by_key = {(r.axis, task_of(r), method_of(r)): r for r in times.itertuples(index=False)}
        rows = []
        for score in scores.itertuples(index=False):
            task, method = task_of(score), method_of(score)
            row = {**task._asdict(), **method._asdict(), "score": format_score(score)}
            for axis in AXES:
                found = by_key[axis, task, method]
                row |= {axis: format_time(found), f"{axis}_median": found.median}
            rows.append(row | {"target": found.target})
        return pd.DataFrame(rows)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The paired differences of every contrast: `contrast`, the columns of `paired_summary`,
        and for a task `ours_mean` and `theirs_mean` (points) over the seeds that both have.
        """
        found = [pairs for one in self.contrasts if len(pairs := self._pairs_of(one))]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["scope"])

    def _pairs_of(self, contrast: Contrast) -> pd.DataFrame:
        cells, (name, ours, theirs) = self.cells, contrast
        both = cells[is_method(cells, ours) | is_method(cells, theirs)]
        summary = paired_summary(both, ours, self.rules.accuracy.margin_points)
        values = pd.DataFrame(
            {
                column: 100 * both[is_method(both, m)].set_index([*TASK_KEY, "seed"])["value"]
                for column, m in (("ours_mean", ours), ("theirs_mean", theirs))
            }
        )
        means = values.dropna().groupby(level=TASK_KEY).mean()
        summary = summary.merge(means, how="left", left_on=TASK_KEY, right_index=True)
        return summary.assign(contrast=name)

    def out_of_reach(self) -> list[str]:
        """A line for each task whose target nothing reaches, or that has none."""
        lines = []
        for task, rows in by_task(self.frame):
            target, known = rows["target"].iloc[0], rows["steps_median"].dropna()
            if np.isnan(target):
                name = label(self.reference, in_text=True)
                lines.append(
                    f"{label(task)}: no target, for {name} has no curve here, or gains nothing "
                    "over it."
                )
            elif len(known) and np.isinf(known).all():
                lines.append(
                    f"{label(task)}: no method that is compared reaches {100 * target:.1f} points."
                )
        return lines
