"""The paper's four claims, judged by the rules of `conf/claims.yaml`.

A claim has parts, each with what was measured; those that decide have a verdict. A hole in the
evidence makes every verdict of its claim undecided, and is named; what was measured is shown still.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.record import CurvePoint
from frod_bench.report.areas import area_holes, areas
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import AXES, Axis, Key
from frod_bench.report.evidence import Evidence, evidence
from frod_bench.report.rules import (
    AccuracyRule,
    ConvergenceRule,
    ParametersRule,
    RobustnessRule,
    Rules,
)
from frod_bench.stats import Estimate, Floats

Verdict = Literal["supported", "not supported", "undecided at this budget"]
SUPPORTED: Verdict = "supported"
NOT_SUPPORTED: Verdict = "not supported"
UNDECIDED: Verdict = "undecided at this budget"


@dataclass(frozen=True)
class Part:
    """One thing that was measured; `verdict` is None where it is only shown.

    `confidence` is that of the interval, None where its ends are a range. `n_tasks` tasks of
    `n_expected` gave the estimate. `published`: the same read off the released curves.
    """

    name: str
    unit: str
    estimate: Estimate
    confidence: float | None
    n_expected: int
    verdict: Verdict | None = None
    note: str = ""
    published: float | None = None


@dataclass(frozen=True)
class Claim:
    """A claim with its parts; `verdict` is one, or what each of two readings says."""

    key: str
    statement: str
    rule: str
    verdict: str
    holes: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Judged:
    """The four claims, in the paper's order, and what they were judged on and by."""

    claims: tuple[Claim, ...]
    profile: str
    protocol: str
    rules: Rules


def judge(
    frame: pd.DataFrame,
    curves: Mapping[Key, Sequence[CurvePoint]],
    trials: pd.DataFrame | None,
    profile: str,
    rules: Rules,
) -> Judged:
    """Judge the claims.

    `frame` and `curves` are those of `Collected`; `trials` is what `read_trials` gives.
    """
    cells = evidence(frame, rules)
    claims = (
        accuracy(cells, rules.accuracy, rules.confidence),
        parameters(cells, rules.parameters, profile),
        convergence(cells, curves, rules.convergence, rules.confidence),
        robustness(cells, trials, rules.robustness, rules.confidence),
    )
    return Judged(claims, profile, cells.protocol, rules)


def accuracy(cells: Evidence, rule: AccuracyRule, confidence: float) -> Claim:
    """(a): equivalence to full fine-tuning, or better than it."""
    holes = cells.holes([rule.ours, rule.reference], cells.frame["value"].notna())
    ours, theirs = (100 * cells.table(m, "value") for m in (rule.ours, rule.reference))
    found = stats.equivalence(ours, theirs, rule.margin_points, rule.alpha)
    verdict = _verdict(holes, found.equivalent or found.better, found.worse)
    level, n = 1 - 2 * rule.alpha, len(cells.tasks)
    middle = stats.interquartile_mean(ours - theirs, confidence)
    wins = stats.probability_of_improvement(ours, theirs, confidence)
    margin = f"{rule.margin_points:g}"
    return Claim(
        "accuracy",
        f"{rule.ours} matches {rule.reference} fine-tuning in accuracy",
        f"TOST, alpha {rule.alpha:g}: the {100 * level:g} % interval of the mean paired difference "
        f"lies above −{margin} and below +{margin} points, or wholly above 0",
        verdict,
        holes,
        (
            Part(
                f"{rule.ours} less {rule.reference}, mean",
                "points",
                found.difference,
                level,
                n,
                verdict,
            ),
            Part("the same, interquartile mean", "points", middle, confidence, n),
            Part(
                f"a run of {rule.ours} beats one of {rule.reference}", "share", wins, confidence, n
            ),
        ),
    )


def parameters(cells: Evidence, rule: ParametersRule, profile: str) -> Claim:
    """(b): by counting, on the paper's backbones."""
    frame = cells.frame
    holes = cells.holes([rule.ours], frame["trainable_percent"].notna())
    ours = frame[(frame["method"] == rule.ours) & frame["trainable_percent"].notna()]
    adapted = ours["trainable"] - ours["trainable_head"]
    percent = 100 * adapted / ours["backbone_total"]
    mean = float(percent.groupby(ours["task"]).mean().mean())
    near = abs(mean - rule.paper_percent) <= rule.tolerance_points
    if profile != rule.judged_on_profile:
        holes = f"judged on the profile {rule.judged_on_profile}, whose backbones the claim is of"
    verdict = _verdict(holes, near, not near)
    readings = (
        ("trained, without the head", "% of the backbone", percent, verdict),
        (
            "trained, with the head",
            "% of the backbone",
            100 * ours["trainable"] / ours["backbone_total"],
            None,
        ),
        ("trained, without the head", "parameters", adapted, None),
        ("trained, with the head", "parameters", ours["trainable"], None),
    )
    return Claim(
        "parameters",
        f"{rule.ours} trains {rule.paper_percent:g} % of the parameters",
        f"the mean over tasks, heads left out, is within {rule.tolerance_points:g} points of "
        f"{rule.paper_percent:g} %, on the profile {rule.judged_on_profile}",
        verdict,
        holes,
        tuple(
            Part(name, unit, _range(counts, ours["task"]), None, len(cells.tasks), decided)
            for name, unit, counts, decided in readings
        ),
    )


def convergence(
    cells: Evidence,
    curves: Mapping[Key, Sequence[CurvePoint]],
    rule: ConvergenceRule,
    confidence: float,
) -> Claim:
    """(c): how many times sooner, in steps and in seconds, against each method."""
    arrived = arrivals(cells.frame, curves, rule)
    # Where there is no target there is nothing to know: that task is undecided, and no hole.
    known = (arrived["target"].isna() & (arrived["status"] == "ok")) | arrived["steps"].notna()
    known &= (arrived["method"] != rule.reference) | (arrived["status"] == "ok")
    holes = cells.holes(
        [rule.ours, *rule.decides, rule.reference], known.set_axis(cells.frame.index)
    )
    parts: list[Part] = []
    verdicts: dict[str, Verdict] = {}
    for axis in AXES:
        of_axis = [
            _speedup(
                *(cells.table(name, axis, arrived) for name in (rule.ours, method)),
                rule=rule,
                axis=axis,
                method=method,
                confidence=confidence,
                holes=holes,
            )
            for method in dict.fromkeys([*rule.decides, *rule.shown])
        ]
        verdicts[axis] = combine(part.verdict for part in of_axis)
        parts += of_axis
    steps, seconds = (verdicts[axis] for axis in AXES)
    return Claim(
        "convergence",
        f"{rule.ours} converges faster than low-rank methods",
        f"the {100 * confidence:g} % interval of the median ratio of times to target lies above 1 "
        f"against each of {', '.join(rule.decides)}; a miss is infinite, two misses are no ratio",
        steps if steps == seconds else f"{steps} in steps, {seconds} in seconds",
        holes,
        tuple(parts),
    )


def robustness(
    cells: Evidence, trials: pd.DataFrame | None, rule: RobustnessRule, confidence: float
) -> Claim:
    """(d): spread over seeds, and the area under the metric over learning rates."""
    holes = cells.holes([rule.ours, *rule.against], cells.frame["value"].notna())
    spreads = {
        method: stats.spread_over_seeds(100 * cells.table(method, "value"))
        for method in (rule.ours, *rule.against)
    }
    n = len(cells.tasks)
    own = stats.mean_over_tasks(spreads[rule.ours][:, None], confidence)
    parts = [Part(f"spread over seeds of {rule.ours}", "points", own, confidence, n)]
    for method in rule.against:
        found = stats.difference_over_tasks(spreads[rule.ours], spreads[method], confidence)
        margin = rule.spread_margin_points
        verdict = _verdict(holes, found.high < margin, found.low > margin)
        name = f"spread over seeds, {rule.ours} less {method}"
        parts.append(Part(name, "points", found, confidence, n, verdict))
    area = None if trials is None else areas(trials)
    no_area = area_holes(area, [rule.ours, *rule.against])
    for method in rule.against:
        there = area is not None and {rule.ours, method} <= set(area.columns)
        found = (
            stats.difference_over_tasks(area[rule.ours], area[method], confidence)
            if area is not None and there
            else stats.NOTHING
        )
        margin = -rule.area_margin_points
        verdict = _verdict(holes or no_area, found.low > margin, found.high < margin)
        name = f"area over learning rates (trials), {rule.ours} less {method}"
        tasks = 0 if area is None else len(area)
        parts.append(Part(name, "points", found, confidence, tasks, verdict))
    return Claim(
        "robustness",
        f"{rule.ours} is robust to seeds and learning rates",
        f"against each of {', '.join(rule.against)}: the {100 * confidence:g} % interval of the "
        f"mean difference of spreads lies below +{rule.spread_margin_points:g} points, and that of "
        f"areas above −{rule.area_margin_points:g}",
        combine(part.verdict for part in parts),
        "; ".join(filter(None, (holes, no_area))),
        tuple(parts),
    )


def combine(verdicts: Iterable[Verdict | None]) -> Verdict:
    """A claim holds if all its deciding parts do, and fails if one does."""
    deciding = {verdict for verdict in verdicts if verdict is not None}
    if NOT_SUPPORTED in deciding:
        return NOT_SUPPORTED
    return SUPPORTED if deciding == {SUPPORTED} else UNDECIDED


def _verdict(holes: str, holds: bool, fails: bool) -> Verdict:
    if holes:
        return UNDECIDED
    return SUPPORTED if holds else NOT_SUPPORTED if fails else UNDECIDED


def _speedup(
    ours: Floats,
    theirs: Floats,
    *,
    rule: ConvergenceRule,
    axis: Axis,
    method: str,
    confidence: float,
    holes: str,
) -> Part:
    """The median ratio against one method, with the misses of both; tables of times to target."""
    found = stats.speedup_over_tasks(ours, theirs, confidence)
    tasks = len(ours)
    verdict: Verdict | None = None
    if method in rule.decides:
        too_few = tasks - found.n > rule.max_undecided_share * tasks
        verdict = UNDECIDED if too_few else _verdict(holes, found.low > 1, found.high < 1)
    misses = ((rule.ours, ours), (method, theirs))
    missed = ", ".join(
        f"{name} {int(np.isinf(times).sum())} of {int((~np.isnan(times)).sum())} runs"
        for name, times in misses
    )
    return Part(
        f"{axis} to target, {method} over {rule.ours}",
        "×",
        found,
        confidence,
        tasks,
        verdict,
        note=f"missed by {missed}",
        published=rule.published_ratio.get(method) if axis == "steps" else None,
    )


def _range(counts: pd.Series, tasks: pd.Series) -> Estimate:
    """Mean over tasks of their means, and the least and the greatest of all cells."""
    by_task = counts.groupby(tasks).mean()
    return Estimate(float(by_task.mean()), float(counts.min()), float(counts.max()), len(by_task))
