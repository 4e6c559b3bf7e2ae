"""The paper's four claims, judged by the rules of `conf/claims.yaml`.

A claim has parts, each with what was measured; those that decide have a verdict. A missing run
makes every verdict of its claim undecided and is named; what was measured is shown all the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from frod_bench import stats
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import AXES, Axis, Curve
from frod_bench.report.frame import Method, Run, Task
from frod_bench.report.names import label, labels_in_text
from frod_bench.report.rules import (
    AccuracyRule,
    ConvergenceRule,
    ParametersRule,
    RobustnessRule,
    Rules,
)
from frod_bench.report.sensitivity import Sensitivity
from frod_bench.stats import Estimate, Floats

# What FRoD trains on the paper's backbones: counted by `frod_bench.plan.paper_counts`, a row per
# task with columns named as in `Collected.frame`.
PAPER_COUNTS = Path(__file__).with_name("paper_counts.csv")
NAMED = 3  # missing runs that a line names one by one; more are counted
ENDS = ("failed", "diverged")  # how a run ends; of others a line says what they are

Verdict = Literal["supported", "not supported", "undecided at this budget"]
SUPPORTED: Verdict = "supported"
NOT_SUPPORTED: Verdict = "not supported"
UNDECIDED: Verdict = "undecided at this budget"


@dataclass(frozen=True)
class Part:
    """One thing that was measured; `verdict` is None if it is only shown.

    `words` say what, with `methods` and the word `minus` left to fill in. `confidence` is that of
    the interval, None if its ends are a range. `n_expected` tasks should give the estimate.
    `published`: the same read off the released curves.
    """

    words: str
    unit: str
    estimate: Estimate
    confidence: float | None
    n_expected: int
    verdict: Verdict | None = None
    note: str = ""
    published: float | None = None
    methods: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What was measured, as CSV files spell it."""
        return self.words.format(*self.methods, minus="less")

    @property
    def title(self) -> str:
        """The same for readers."""
        methods = (label(Method(name), in_text=True) for name in self.methods)
        return self.words.format(*methods, minus="minus")


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


@dataclass(frozen=True)
class Evidence:
    """The cells of `Collected.frame` on the tasks and seeds that the rules name."""

    frame: pd.DataFrame
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: str  # of the records; several are named one after the other
    confidence: float  # of intervals

    def table(self, method: str, column: str, frame: pd.DataFrame | None = None) -> Floats:
        """A column of the cells, or of a `frame` of the same cells, as (tasks x seeds); NaN if a
        cell gave no number.
        """
        cells = self.frame if frame is None else frame
        cells = cells[cells["method"] == method]
        wide = cells.pivot_table(index="task", columns="seed", values=column, aggfunc="first")
        wide = wide.reindex(index=list(self.tasks), columns=list(self.seeds))
        return wide.to_numpy(dtype=np.float64)

    def missing(self, methods: Sequence[str], known: pd.Series) -> str:
        """What is missing of `methods`, method by method; empty if all rows of them are `known`."""
        keys = ["method", "task", "seed"]
        product = (list(dict.fromkeys(methods)), self.tasks, self.seeds)
        asked = pd.MultiIndex.from_product(product, names=keys)
        why = self.frame["status"].replace("ok", "without a number").mask(known, "")
        why = why.set_axis(pd.MultiIndex.from_frame(self.frame[keys]))
        lost = why.reindex(asked, fill_value="not in this experiment").loc[lambda text: text != ""]
        lines = [f"records of several protocols: {self.protocol}"] if "," in self.protocol else []
        for (method, reason), runs in lost.groupby(["method", lost], sort=False):
            names = [f"{label(Task(task))} seed {seed}" for _, task, seed in runs.index]
            which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} runs"
            if reason not in ENDS:
                which += " is" if len(names) == 1 else " are"
            lines.append(f"{label(Method(method), in_text=True)}: {which} {reason}")
        return "; ".join(lines)


def suite_tasks(name: str) -> tuple[str, ...]:
    """The tasks of a suite. Raises InputError if there is none of that name."""
    path = CONF_DIR / "suite" / f"{name}.yaml"
    if not path.exists():
        raise InputError(f"claims.yaml: suite={name}, but {path} does not exist. Use another.")
    return tuple(str(task) for task in OmegaConf.load(path).tasks)


def judge(
    frame: pd.DataFrame,
    measured: Mapping[Run, Curve],
    sensitivity: Sensitivity | None,
    profile: str,
    rules: Rules,
) -> Judged:
    """Judge the claims on `Collected.frame`, its `evaluated_curves` and `sensitivity_of`."""
    tasks, seeds = suite_tasks(rules.suite), tuple(rules.seeds)
    named = frame["task"].isin(tasks) & frame["seed"].isin(seeds)
    protocols = ", ".join(sorted(frame.loc[named, "protocol"].dropna().unique()))
    named &= (frame["head"] == "classify") & (frame["variant"] == "")
    cells = Evidence(frame[named], tasks, seeds, protocols, rules.confidence)
    claims = (
        accuracy(cells, rules.accuracy),
        parameters(cells, rules.parameters),
        convergence(cells, measured, rules.convergence),
        robustness(cells, sensitivity, rules.robustness),
    )
    return Judged(claims, profile, cells.protocol, rules)


def accuracy(cells: Evidence, rule: AccuracyRule) -> Claim:
    """(a): equivalence to full fine-tuning, or better than it."""
    methods = (rule.ours, rule.reference)
    holes = cells.missing(methods, cells.frame["value"].notna())
    ours, theirs = (100 * cells.table(method, "value") for method in methods)
    found = stats.equivalence(ours, theirs, rule.margin_points, rule.alpha)
    verdict = _verdict(holes, found.equivalent or found.better, found.worse)
    level, margin, n = 1 - 2 * rule.alpha, f"{rule.margin_points:g}", len(cells.tasks)
    words, estimate = "{0} {minus} {1}, mean", found.difference
    mean = Part(words, "points", estimate, level, n, verdict, methods=methods)
    estimate = stats.interquartile_mean(ours - theirs, cells.confidence)
    middle = Part("the same, interquartile mean", "points", estimate, cells.confidence, n)
    estimate = stats.probability_of_improvement(ours, theirs, cells.confidence)
    words, unit = "a run of {0} beats one of {1}", "of the pairs of runs"
    wins = Part(words, unit, estimate, cells.confidence, n, methods=methods)
    return Claim(
        "accuracy",
        f"{label(Method(rule.ours))} matches {label(Method(rule.reference), in_text=True)} in "
        "accuracy",
        f"TOST, alpha {rule.alpha:g}: the {100 * level:g} % interval of the mean paired difference "
        f"lies above −{margin} and below +{margin} points, or wholly above 0",
        verdict,
        holes,
        (mean, middle, wins),
    )


def parameters(cells: Evidence, rule: ParametersRule) -> Claim:
    """(b): by counting, on the paper's backbones; what was trained here is shown next to it."""
    frame = cells.frame
    ours = frame[(frame["method"] == rule.ours) & frame["trainable_percent"].notna()]
    kinds = (
        ("counted on the paper's backbones", "% of the backbone", pd.read_csv(PAPER_COUNTS)),
        ("trained here", "% of the backbone", ours),
        ("trained here", "parameters", ours),
    )
    parts = [
        Part(f"{name}, {head}", unit, _counted(counts, unit, head), None, len(cells.tasks))
        for name, unit, counts in kinds
        for head in ("without the head", "with the head")
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


def _counted(cells: pd.DataFrame, unit: str, head: str) -> Estimate:
    """Mean over tasks of their means, and the least and the greatest of all cells."""
    counts = cells["trainable"]
    if head == "without the head":
        counts = counts - cells["trainable_head"]
    if unit != "parameters":
        counts = 100 * counts / cells["backbone_total"]
    by_task = counts.groupby(cells["task"]).mean()
    return Estimate(float(by_task.mean()), float(counts.min()), float(counts.max()), len(by_task))


def convergence(cells: Evidence, measured: Mapping[Run, Curve], rule: ConvergenceRule) -> Claim:
    """(c): how many times sooner, in steps and in seconds, against each method."""
    arrived = arrivals(cells.frame, measured, rule)
    # With a curve and no target there is nothing to know: the task is undecided, not missing.
    known = (arrived["target"].isna() & arrived["has_curve"]) | arrived["steps"].notna()
    known &= (arrived["method"] != rule.reference) | (arrived["status"] == "ok")
    holes = cells.missing(
        [rule.ours, *rule.decides, rule.reference], known.set_axis(cells.frame.index)
    )
    parts: list[Part] = []
    verdicts: dict[str, Verdict] = {}
    for axis in AXES:
        times = {
            method: cells.table(method, axis, arrived)
            for method in (rule.ours, *rule.decides, *rule.shown)
        }
        of_axis = [
            _speedup(cells, times, rule, axis, method, holes)
            for method in dict.fromkeys([*rule.decides, *rule.shown])
        ]
        verdicts[axis] = combine(part.verdict for part in of_axis)
        parts += of_axis
    steps, seconds = (verdicts[axis] for axis in AXES)
    return Claim(
        "convergence",
        f"{label(Method(rule.ours))} converges faster than low-rank methods",
        f"the {100 * cells.confidence:g} % interval of the median ratio of times to target lies "
        f"above 1 against each of {labels_in_text(rule.decides)}; a miss is infinite, "
        "two misses are no ratio",
        steps if steps == seconds else f"{steps} in steps, {seconds} in seconds",
        holes,
        tuple(parts),
    )


def robustness(cells: Evidence, sensitivity: Sensitivity | None, rule: RobustnessRule) -> Claim:
    """(d): spread over seeds, and the area under the metric over learning rates."""
    holes = cells.missing([rule.ours, *rule.against], cells.frame["value"].notna())
    no_area = (
        sensitivity.missing([rule.ours, *rule.against])
        if sensitivity
        else "no records over learning rates (make them: frod-bench reproduce "
        "experiment=rate_robustness)"
    )
    parts = (
        *_spread_parts(cells, rule, holes),
        *_area_parts(cells, sensitivity, rule, holes or no_area),
    )
    return Claim(
        "robustness",
        f"{label(Method(rule.ours))} is robust to seeds and learning rates",
        f"against each of {labels_in_text(rule.against)}: the {100 * cells.confidence:g} % "
        f"interval of the mean difference of spreads lies below +{rule.spread_margin_points:g} "
        f"points, and that of areas above −{rule.area_margin_points:g}",
        combine(part.verdict for part in parts),
        "; ".join(filter(None, (holes, no_area))),
        parts,
    )


def _spread_parts(cells: Evidence, rule: RobustnessRule, holes: str) -> Iterator[Part]:
    n, margin, confidence = len(cells.tasks), rule.spread_margin_points, cells.confidence
    spreads = {
        method: stats.spread_over_seeds(100 * cells.table(method, "value"))
        for method in (rule.ours, *rule.against)
    }
    own = stats.mean_over_tasks(spreads[rule.ours][:, None], confidence)
    yield Part("spread over seeds of {0}", "points", own, confidence, n, methods=(rule.ours,))
    for method in rule.against:
        found = stats.difference_over_tasks(spreads[rule.ours], spreads[method], confidence)
        verdict = _verdict(holes, found.high < margin, found.low > margin)
        words, methods = "spread over seeds, {0} {minus} {1}", (rule.ours, method)
        yield Part(words, "points", found, confidence, n, verdict, methods=methods)


def _area_parts(
    cells: Evidence, sensitivity: Sensitivity | None, rule: RobustnessRule, holes: str
) -> Iterator[Part]:
    areas = sensitivity or Sensitivity(pd.DataFrame(), "factors")
    table, margin, confidence = areas.table, rule.area_margin_points, cells.confidence
    for method in rule.against:
        found, methods = stats.NOTHING, (rule.ours, method)
        if set(methods) <= set(table):
            found = stats.difference_over_tasks(table[rule.ours], table[method], confidence)
        verdict = _verdict(holes, found.low > -margin, found.high < -margin)
        words = f"area over learning rates ({areas.over}), {{0}} {{minus}} {{1}}"
        note, n = f"on {found.n} tasks" if found.n else "", found.n
        yield Part(words, "points", found, confidence, n, verdict, note, methods=methods)


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


def _speedup(  # noqa: PLR0917
    cells: Evidence,
    times: Mapping[str, Floats],
    rule: ConvergenceRule,
    axis: Axis,
    method: str,
    holes: str,
) -> Part:
    """The median ratio against one method, with the misses of both; `times` to target by method."""
    methods, tasks = (rule.ours, method), len(cells.tasks)
    found = stats.speedup_over_tasks(times[rule.ours], times[method], cells.confidence)
    verdict: Verdict | None = None
    if method in rule.decides:
        too_few = tasks - found.n > rule.max_undecided_share * tasks
        verdict = UNDECIDED if too_few else _verdict(holes, found.low > 1, found.high < 1)
    missed = ", ".join(
        f"{label(Method(name), in_text=True)} in {np.isinf(times[name]).sum()} of "
        f"{(~np.isnan(times[name])).sum()} runs"
        for name in methods
    )
    words, note = f"{axis} to target, {{1}} over {{0}}", f"missed by {missed}"
    published = rule.published_ratio.get(method) if axis == "steps" else None
    return Part(words, "×", found, cells.confidence, tasks, verdict, note, published, methods)
