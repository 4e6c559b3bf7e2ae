"""Claim (b): the share of trained parameters, by counting on the paper's backbones."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench.report.claims.parts import (
    CONSISTENT,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    Evidence,
    Part,
    suite_tasks,
)
from frod_bench.report.keys import Method
from frod_bench.report.names import label
from frod_bench.report.rules import ParametersRule
from frod_bench.stats import Estimate

# What FRoD trains on the paper's backbones: counted by `frod_bench.plan.paper_counts`, a row for
# each task of the released scripts, with columns named as in `Collected.frame`.
PAPER_COUNTS = Path(__file__).parents[1] / "paper_counts.csv"
WITHOUT, WITH = "without the head", "with the head"
SHARE = "% of the backbone"


def parameters(cells: Evidence, rule: ParametersRule) -> Claim:
    """The counted share decides; what was trained here is shown next to it."""
    counts = pd.read_csv(PAPER_COUNTS)
    frame, n_here = cells.frame, len(cells.tasks)
    tasks = suite_tasks(rule.suite) if rule.suite else cells.tasks
    ours = frame[(frame["method"] == rule.ours) & frame["trainable_percent"].notna()]
    kinds = (
        (
            "counted on the paper's backbones",
            SHARE,
            counts[counts["task"].isin(tasks)],
            len(tasks),
        ),
        ("trained here", SHARE, ours, n_here),
        ("trained here", "parameters", ours, n_here),
    )
    counted, *others = (
        Part(f"{name}, {head}", unit, _counted(of_kind, unit, head), None, n_tasks)
        for name, unit, of_kind, n_tasks in kinds
        for head in (WITHOUT, WITH)
    )
    near = abs(counted.estimate.mean - rule.paper_percent) <= rule.tolerance_points
    verdict = (SUPPORTED if rule.tested else CONSISTENT) if near else NOT_SUPPORTED
    compositions = [] if rule.tested else [_over_compositions(counts, len(tasks))]
    return Claim(
        "parameters",
        f"{label(Method(rule.ours))} trains {rule.paper_percent:g} % of the parameters",
        f"counted on the backbones of the profile {rule.judged_on_profile}, the mean over tasks, "
        f"heads left out, is within {rule.tolerance_points:g} points of {rule.paper_percent:g} %"
        + ("" if rule.tested else "; consistent at most, since that number chose the tasks"),
        verdict,
        "",
        (replace(counted, verdict=verdict), *compositions, *others),
    )


def _over_compositions(counts: pd.DataFrame, n_tasks: int) -> Part:
    shares = [share for _, share in compositions(counts, n_tasks)]
    found = Estimate(float(np.mean(shares)), min(shares), max(shares), n_tasks)
    words = f"the same, over the {len(shares)} compositions of {n_tasks} of {len(counts)} tasks"
    return Part(words, SHARE, found, None, n_tasks)


def compositions(counts: pd.DataFrame, n_tasks: int) -> Iterator[tuple[dict[str, int], float]]:
    """How many tasks of each backbone `n_tasks` could be, and the mean percent that FRoD trains.

    The percent without heads is that of the backbone, whichever of its tasks are taken.
    """
    by_backbone = counts.groupby("backbone", sort=False)
    percents = by_backbone.apply(_percent_of_first, include_groups=False)
    sizes = by_backbone.size()
    for taken in product(*(range(1, size + 1) for size in sizes)):
        if sum(taken) == n_tasks:
            share = float(np.dot(taken, percents)) / n_tasks
            yield dict(zip(sizes.index, taken, strict=True)), share


def _percent_of_first(counts: pd.DataFrame) -> float:
    trained = (counts["trainable"] - counts["trainable_head"]).iloc[0]
    return float(100 * trained / counts["backbone_total"].iloc[0])


def _counted(cells: pd.DataFrame, unit: str, head: str) -> Estimate:
    """Mean over tasks of their means, and the least and the greatest of all cells."""
    counts = cells["trainable"]
    if head == WITHOUT:
        counts = counts - cells["trainable_head"]
    if unit != "parameters":
        counts = 100 * counts / cells["backbone_total"]
    by_task = counts.groupby(cells["task"]).mean()
    return Estimate(float(by_task.mean()), float(counts.min()), float(counts.max()), len(by_task))
