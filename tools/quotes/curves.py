"""What the pages quote from curves, which the published runs have and their tables have not."""

import functools

import numpy as np
import pandas as pd

from frod_bench.report.asked import Cell
from frod_bench.report.collect import Collected, collect_folder
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import evaluated_curves
from frod_bench.report.rules import load_rules
from tools.differences import REFERENCE
from tools.evidence_hours import records_in
from tools.quotes.found import number

TRAINED = ("full", "lora", "dora", "frod")
LAST_QUARTER = 0.75


@functools.cache
def runs(folder: str) -> Collected:
    """The runs of a folder of the trained methods, with their curves."""
    found = (record["cell"] for record in records_in(folder))
    cells = [
        Cell(one["task"], one["method"], one["seed"]) for one in found if one["method"] in TRAINED
    ]
    return collect_folder(REFERENCE / folder, "embedded", cells)


@functools.cache
def steps_to_target(folder: str) -> "pd.Series[float]":
    """The step at which each run that reaches its target does, by the rules of the claims."""
    rule = load_rules().convergence
    found = runs(folder)
    measured = evaluated_curves(found.frame, found.curves, rule.column)
    steps = arrivals(found.frame, measured, rule)["steps"]
    return steps[np.isfinite(steps)]


def late(folder: str) -> list[str]:
    """The share of arrivals in the last quarter of the steps, %, and the median step."""
    steps = steps_to_target(folder)
    last = runs(folder).frame["steps"].max()
    return [number(100 * (steps > LAST_QUARTER * last).mean(), 0), number(steps.median(), 0)]


def rises(folder: str, steps: int) -> list[str]:
    """By how many points each trained method's mean score rises in the last steps of its runs: the
    lowest and the highest of the methods.
    """
    found = runs(folder)
    gains: dict[str, list[float]] = {method: [] for method in TRAINED}
    for run, curve in evaluated_curves(found.frame, found.curves).items():
        before = curve.values[curve.steps <= curve.steps[-1] - steps][-1]
        gains[run.method.method].append(100 * (curve.values[-1] - before))
    means = [float(np.mean(values)) for values in gains.values()]
    return [number(min(means)), number(max(means))]
