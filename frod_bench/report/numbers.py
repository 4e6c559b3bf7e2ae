"""Every number that a report shows, each computed once, whichever parts show it."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from frod_bench.report.claims.judge import Beside, Judge, judge
from frod_bench.report.claims.parts import Judged
from frod_bench.report.collect import Collected
from frod_bench.report.convergence import arrivals, not_compared, time_summary
from frod_bench.report.curves import Curve, evaluated_curves
from frod_bench.report.frame import curve_split_of, methods_in, split_of
from frod_bench.report.keys import Method, Run, Task
from frod_bench.report.paired import paired_summary
from frod_bench.report.panels import LOSSES, SCORE, Panels, Quantity, experiment_panels
from frod_bench.report.predicted import predicted_by_rules
from frod_bench.report.published.numbers import load_published
from frod_bench.report.published.table import beside
from frod_bench.report.rules import Rules
from frod_bench.report.table import Table
from frod_bench.report.tables import parameter_summary, summarise
from frod_bench.report.uninformative import constant_predictions


@dataclass(frozen=True)
class Numbers:
    """What the records of an experiment say, by the rules; computed when it is first asked for."""

    collected: Collected
    profile: str
    title: str
    rules: Rules
    beside: Beside
    own_rates: bool = False  # whether each variant of a method has its own learning rates
    judge: Judge = judge

    @cached_property
    def judged(self) -> Judged:
        frame, followed = self.collected.frame, self.followed
        return self.judge(frame, followed, self.beside, self.profile, self.rules)

    @cached_property
    def split(self) -> str:
        """What the scores are of."""
        return split_of(self.collected.frame)

    @cached_property
    def curve_split(self) -> str:
        """What the curves are of."""
        return curve_split_of(self.collected.frame)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The main table's numbers."""
        return summarise(self.collected.frame)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        return parameter_summary(self.collected.frame)

    @cached_property
    def ours(self) -> Method:
        """What is paired with the others: the rules' own method; the first of its variants if each
        has its own learning rates.
        """
        ours = Method(self.rules.accuracy.ours)
        found = methods_in(self.collected.frame) if self.own_rates else []
        return next((method for method in found if method.method == ours.method), ours)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The paired differences; empty if there is nothing to pair."""
        rule = self.rules.accuracy
        return paired_summary(self.collected.frame, self.ours, rule.margin_points)

    @cached_property
    def constant(self) -> dict[Task, list[Method]]:
        """The methods that predict a single class on a task, in every run."""
        return constant_predictions(self.collected.frame)

    @property
    def moot_targets(self) -> list[Task]:
        """The tasks on which the reference predicts a single class, so that a target is moot."""
        reference = Method(self.rules.convergence.reference)
        return [task for task, methods in self.constant.items() if reference in methods]

    @cached_property
    def measured(self) -> dict[Run, Curve]:
        """The curve of the primary metric of each run."""
        return evaluated_curves(self.collected.frame, self.collected.curves)

    @cached_property
    def followed(self) -> dict[Run, Curve]:
        """The curve of each run on which the rules measure the time to a target."""
        column = self.rules.convergence.column
        if not column:
            return self.measured
        return evaluated_curves(self.collected.frame, self.collected.curves, column)

    @cached_property
    def arrived(self) -> pd.DataFrame:
        """When each cell reached its target."""
        return arrivals(self.collected.frame, self.followed, self.rules.convergence)

    @cached_property
    def times(self) -> pd.DataFrame:
        """The convergence table's numbers."""
        return time_summary(self.arrived, self.rules.convergence)

    @cached_property
    def mixed_machines(self) -> set[Task]:
        """The tasks whose seconds do not compare by the rules, as several machines ran them."""
        return not_compared(self.arrived, self.rules.convergence, "seconds")

    @cached_property
    def predicted(self) -> tuple[Table, pd.DataFrame] | None:
        """What another profile's runs predicted, and what was found; None without a prediction."""
        return predicted_by_rules(self.collected.frame, self.rules, self.title)

    @cached_property
    def others(self) -> pd.DataFrame:
        """What others measured next to what was measured here."""
        return beside(load_published(), self.times, self.summary, self.rules)

    @cached_property
    def panels(self) -> dict[str, Panels]:
        """What the convergence figures show, by name."""
        return self._panels_of(SCORE, self.measured)

    @cached_property
    def followed_panels(self) -> dict[str, Panels]:
        """The same of the loss that the rules set targets of; none if targets are scores."""
        column = self.rules.convergence.column
        losses = [loss for loss in LOSSES.values() if loss.column == column]
        return self._panels_of(losses[0], self.followed) if losses else {}

    @cached_property
    def losses(self) -> dict[str, dict[str, Panels]]:
        """The same of each loss that curves have, by its name."""
        frame, curves = self.collected.frame, self.collected.curves
        return {
            name: self.followed_panels
            if loss.column == self.rules.convergence.column
            else self._panels_of(loss, evaluated_curves(frame, curves, loss.column))
            for name, loss in LOSSES.items()
        }

    def _panels_of(self, quantity: Quantity, measured: dict[Run, Curve]) -> dict[str, Panels]:
        return experiment_panels(
            self.collected.frame,
            measured,
            self.arrived,
            self.title,
            self.rules.convergence,
            quantity=quantity,
            constant=self.moot_targets,
        )
