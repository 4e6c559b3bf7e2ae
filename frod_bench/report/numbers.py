"""Every number that a report shows, each computed once, whichever parts show it."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from frod_bench.report.cells_table import cells_table
from frod_bench.report.claims import Judged, judge
from frod_bench.report.collect import Collected
from frod_bench.report.convergence import arrivals, time_summary
from frod_bench.report.frame import Method
from frod_bench.report.paired import paired_summary
from frod_bench.report.panels import Panels, experiment_panels
from frod_bench.report.rules import Rules
from frod_bench.report.sensitivity import Sensitivity
from frod_bench.report.summary import summarise
from frod_bench.report.tables import parameter_summary


@dataclass(frozen=True)
class Numbers:
    """What the records of an experiment say, by the rules; computed where it is first asked for.

    `profile` is the profile's name and `title` its title; `sensitivity` is what `sensitivity_of`
    gives.
    """

    collected: Collected
    profile: str
    title: str
    rules: Rules
    sensitivity: Sensitivity | None

    @cached_property
    def judged(self) -> Judged:
        """The claims."""
        frame, curves = self.collected.frame, self.collected.curves
        return judge(frame, curves, self.sensitivity, self.profile, self.rules)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The numbers of every cell."""
        return cells_table(self.collected.frame, self.collected.curves)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The main table's numbers."""
        return summarise(self.collected.frame)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """The parameter table's numbers."""
        return parameter_summary(self.collected.frame)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The numbers of the paired differences; empty where nothing is to be paired."""
        rule = self.rules.accuracy
        return paired_summary(self.collected.frame, Method(rule.ours), rule.margin_points)

    @cached_property
    def arrived(self) -> pd.DataFrame:
        """When each cell reached its target."""
        frame, curves = self.collected.frame, self.collected.curves
        return arrivals(frame, curves, self.rules.convergence)

    @cached_property
    def times(self) -> pd.DataFrame:
        """The convergence table's numbers."""
        return time_summary(self.arrived, self.rules.convergence)

    @cached_property
    def panels(self) -> dict[str, Panels]:
        """What the convergence figures show, by name."""
        frame, curves = self.collected.frame, self.collected.curves
        return experiment_panels(frame, curves, self.arrived, self.title, self.rules.convergence)
