"""The paper's four claims, judged by the rules of `conf/claims.yaml`.

A claim has parts, each with what was measured; those that decide have a verdict. A missing run
makes every verdict of its claim undecided and is named; what was measured is shown all the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.claim_inputs import ClaimInputs, claim_inputs
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import AXES, Axis, Curve
from frod_bench.report.frame import Method, Run
from frod_bench.report.names import label
from frod_bench.report.paper_counts import paper_counts
from frod_bench.report.rules import (
    AccuracyRule,
    ConvergenceRule,
    ParametersRule,
    RobustnessRule,
    Rules,
)
from frod_bench.report.sensitivity import Sensitivity
from frod_bench.stats import Estimate, Floats

Verdict = Literal["supported", "not supported", "undecided at this budget"]
SUPPORTED: Verdict = "supported"
NOT_SUPPORTED: Verdict = "not supported"
UNDECIDED: Verdict = "undecided at this budget"


@dataclass(frozen=True)
class Part:
    """One thing that was measured; `verdict` is None if it is only shown.

    `words` say what, with the methods `ours` and `other` and the word `minus` left to fill in.
    `confidence` is that of the interval, None where its ends are a range. `n_tasks` tasks of
    `n_expected` gave the estimate. `published`: the same read off the released curves.
    """

    words: str
    unit: str
    estimate: Estimate
    confidence: float | None
    n_expected: int
    verdict: Verdict | None = None
    note: str = ""
    published: float | None = None
    ours: str = ""
    other: str = ""

    @property
    def name(self) -> str:
        """What was measured, as CSV files spell it."""
        return self.words.format(ours=self.ours, other=self.other, minus="less")

    @property
    def title(self) -> str:
        """The same for readers."""
        ours, other = (label(Method(name), in_text=True) for name in (self.ours, self.other))
        return self.words.format(ours=ours, other=other, minus="minus")


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
    measured: Mapping[Run, Curve],
    sensitivity: Sensitivity | None,
    profile: str,
    rules: Rules,
) -> Judged:
    """Judge the claims.

    `frame` is that of `Collected`, `measured` its `evaluated_curves`; `sensitivity` is what
    `sensitivity_of` gives.
    """
    cells = claim_inputs(frame, rules)
    claims = (
        accuracy(cells, rules.accuracy, rules.confidence),
        parameters(cells, rules.parameters),
        convergence(cells, measured, rules.convergence, rules.confidence),
        robustness(cells, sensitivity, rules.robustness, rules.confidence),
    )
    return Judged(claims, profile, cells.protocol, rules)


def accuracy(cells: ClaimInputs, rule: AccuracyRule, confidence: float) -> Claim:
    """(a): equivalence to full fine-tuning, or better than it."""
    holes = cells.missing([rule.ours, rule.reference], cells.frame["value"].notna())
    ours, theirs = (100 * cells.table(m, "value") for m in (rule.ours, rule.reference))
    found = stats.equivalence(ours, theirs, rule.margin_points, rule.alpha)
    verdict = _verdict(holes, found.equivalent or found.better, found.worse)
    level, n = 1 - 2 * rule.alpha, len(cells.tasks)
    middle = stats.interquartile_mean(ours - theirs, confidence)
    wins = stats.probability_of_improvement(ours, theirs, confidence)
    margin, ours_label = f"{rule.margin_points:g}", label(Method(rule.ours))
    return Claim(
        "accuracy",
        f"{ours_label} matches {label(Method(rule.reference), in_text=True)} in accuracy",
        f"TOST, alpha {rule.alpha:g}: the {100 * level:g} % interval of the mean paired difference "
        f"lies above −{margin} and below +{margin} points, or wholly above 0",
        verdict,
        holes,
        (
            Part(
                "{ours} {minus} {other}, mean",
                "points",
                found.difference,
                level,
                n,
                verdict,
                ours=rule.ours,
                other=rule.reference,
            ),
            Part("the same, interquartile mean", "points", middle, confidence, n),
            Part(
                "a run of {ours} beats one of {other}",
                "of the pairs of runs",
                wins,
                confidence,
                n,
                ours=rule.ours,
                other=rule.reference,
            ),
        ),
    )


def parameters(cells: ClaimInputs, rule: ParametersRule) -> Claim:
    """(b): by counting, on the paper's backbones; what was trained here is shown next to it."""
    counted, frame = paper_counts(), cells.frame
    ours = frame[(frame["method"] == rule.ours) & frame["trainable_percent"].notna()]
    kinds = (
        ("counted on the paper's backbones", "% of the backbone", _percent, counted),
        ("trained here", "% of the backbone", _percent, ours),
        ("trained here", "parameters", _trained, ours),
    )
    parts = [
        Part(f"{name}, {head}", unit, _range(count(of, with_head=has), of), None, len(cells.tasks))
        for name, unit, count, of in kinds
        for head, has in (("without the head", False), ("with the head", True))
    ]
    near = abs(parts[0].estimate.mean - rule.paper_percent) <= rule.tolerance_points
    verdict = SUPPORTED if near else NOT_SUPPORTED
    return Claim(
        "parameters",
        f"{label(Method(rule.ours))} trains {rule.paper_percent:g} % of the parameters",
        f"counted on the backbones of the profile {rule.judged_on_profile}, the mean over tasks, "
        f"heads left out, is within {rule.tolerance_points:g} points of {rule.paper_percent:g} %",
        verdict,
        "",
        (replace(parts[0], verdict=verdict), *parts[1:]),
    )


def convergence(
    cells: ClaimInputs,
    measured: Mapping[Run, Curve],
    rule: ConvergenceRule,
    confidence: float,
) -> Claim:
    """(c): how many times sooner, in steps and in seconds, against each method."""
    arrived = arrivals(cells.frame, measured, rule)
    # Where a curve was measured and there is no target, there is nothing to know: that task is
    # undecided, and no hole.
    known = (arrived["target"].isna() & arrived["has_curve"]) | arrived["steps"].notna()
    known &= (arrived["method"] != rule.reference) | (arrived["status"] == "ok")
    holes = cells.missing(
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
        f"{label(Method(rule.ours))} converges faster than low-rank methods",
        f"the {100 * confidence:g} % interval of the median ratio of times to target lies above 1 "
        f"against each of {', '.join(rule.decides)}; a miss is infinite, two misses are no ratio",
        steps if steps == seconds else f"{steps} in steps, {seconds} in seconds",
        holes,
        tuple(parts),
    )


def robustness(
    cells: ClaimInputs, sensitivity: Sensitivity | None, rule: RobustnessRule, confidence: float
) -> Claim:
    """(d): spread over seeds, and the area under the metric over learning rates."""
    holes = cells.missing([rule.ours, *rule.against], cells.frame["value"].notna())
    if sensitivity is None:
        no_area = (
            "no records over learning rates (make them: frod-bench reproduce "
            "experiment=rate_robustness)"
        )
    else:
        no_area = sensitivity.missing([rule.ours, *rule.against])
    parts = (
        *_spread_parts(cells, rule, confidence, holes),
        *_area_parts(sensitivity, rule, confidence, holes or no_area),
    )
    return Claim(
        "robustness",
        f"{label(Method(rule.ours))} is robust to seeds and learning rates",
        f"against each of {', '.join(rule.against)}: the {100 * confidence:g} % interval of the "
        f"mean difference of spreads lies below +{rule.spread_margin_points:g} points, and that of "
        f"areas above −{rule.area_margin_points:g}",
        combine(part.verdict for part in parts),
        "; ".join(filter(None, (holes, no_area))),
        parts,
    )


def _spread_parts(
    cells: ClaimInputs, rule: RobustnessRule, confidence: float, holes: str
) -> Iterator[Part]:
    spreads = {
        method: stats.spread_over_seeds(100 * cells.table(method, "value"))
        for method in (rule.ours, *rule.against)
    }
    n, margin = len(cells.tasks), rule.spread_margin_points
    own = stats.mean_over_tasks(spreads[rule.ours][:, None], confidence)
    yield Part("spread over seeds of {ours}", "points", own, confidence, n, ours=rule.ours)
    for method in rule.against:
        found = stats.difference_over_tasks(spreads[rule.ours], spreads[method], confidence)
        verdict = _verdict(holes, found.high < margin, found.low > margin)
        words = "spread over seeds, {ours} {minus} {other}"
        yield Part(words, "points", found, confidence, n, verdict, ours=rule.ours, other=method)


def _area_parts(
    sensitivity: Sensitivity | None, rule: RobustnessRule, confidence: float, holes: str
) -> Iterator[Part]:
    over = "factors" if sensitivity is None else sensitivity.over
    table = pd.DataFrame() if sensitivity is None else sensitivity.table
    for method in rule.against:
        found = stats.NOTHING
        if {rule.ours, method} <= set(table.columns):
            found = stats.difference_over_tasks(table[rule.ours], table[method], confidence)
        verdict = _verdict(
            holes, found.low > -rule.area_margin_points, found.high < -rule.area_margin_points
        )
        words = f"area over learning rates ({over}), {{ours}} {{minus}} {{other}}"
        note = f"on {found.n} tasks" if found.n else ""
        yield Part(
            words, "points", found, confidence, found.n, verdict, note, ours=rule.ours, other=method
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
        f"{axis} to target, {{other}} over {{ours}}",
        "×",
        found,
        confidence,
        tasks,
        verdict,
        note=f"missed by {missed}",
        published=rule.published_ratio.get(method) if axis == "steps" else None,
        ours=rule.ours,
        other=method,
    )


def _trained(cells: pd.DataFrame, *, with_head: bool) -> pd.Series:
    """Trained parameters of each row."""
    return cells["trainable"] if with_head else cells["trainable"] - cells["trainable_head"]


def _percent(cells: pd.DataFrame, *, with_head: bool) -> pd.Series:
    """The same, percent of the backbone."""
    return 100 * _trained(cells, with_head=with_head) / cells["backbone_total"]


def _range(counts: pd.Series, cells: pd.DataFrame) -> Estimate:
    """Mean over tasks of their means, and the least and the greatest of all cells."""
    by_task = counts.groupby(cells["task"]).mean()
    return Estimate(float(by_task.mean()), float(counts.min()), float(counts.max()), len(by_task))
