"""Claim (c): how many times sooner, in steps and in seconds, against each method."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.claims.parts import (
    UNDECIDED,
    Claim,
    Evidence,
    Part,
    Verdict,
    combine,
    verdict_of,
)
from frod_bench.report.convergence import NEVER, arrivals, mixed_words, not_compared
from frod_bench.report.curves import AXES, Axis, Curve
from frod_bench.report.frame import runs_of
from frod_bench.report.keys import Method, Run
from frod_bench.report.names import label, labels_in_text
from frod_bench.report.rules import ConvergenceRule
from frod_bench.stats import Floats

CONSTANT = "at a constant learning rate"


@dataclass(frozen=True)
class Arm:
    """Runs under one schedule, with the curves of the rule's column.

    `name` is empty for the runs of the main table. With `whole_split`, a curve that was measured on
    fewer rows than the split has does not count. `make_them` is the command that makes the runs.
    """

    name: str
    cells: Evidence
    measured: Mapping[Run, Curve]
    whole_split: bool = False
    make_them: str = ""

    @property
    def counted(self) -> dict[Run, Curve]:
        """The curves that count."""
        if not self.whole_split:
            return dict(self.measured)
        frame = self.cells.frame
        short = set(runs_of(frame[frame["curve_rows"].notna()]))
        return {run: curve for run, curve in self.measured.items() if run not in short}


def convergence(
    main: Arm,
    constant: Arm | None,
    rule: ConvergenceRule,
    *,
    seconds_compare: bool = True,
) -> Claim:
    """The claim must hold under every schedule that the rule names. Without `seconds_compare` it is
    undecided in seconds, and that is named.
    """
    arms = [main, *([constant] if constant else [])]
    arrived = [arrivals(arm.cells.frame, arm.counted, rule) for arm in arms]
    holes = "; ".join(filter(None, map(_holes, arms, arrived, repeat(rule))))
    apart = "" if seconds_compare else "seconds are of machines that do not compare"
    holes_of: dict[Axis, str] = {"steps": holes, "seconds": holes or apart}
    parts = [
        part
        for arm, times in zip(arms, arrived, strict=True)
        for part in _arm_parts(arm, times, rule, holes_of)
    ]
    steps, seconds = (
        combine(part.verdict for part in parts if part.words.startswith(axis)) for axis in AXES
    )
    where = "" if constant is None else f", also {CONSTANT}"
    on = f" of {rule.words}" if rule.column else ""
    return Claim(
        "convergence",
        f"{label(Method(rule.ours))} converges faster than low-rank methods",
        f"the {100 * main.cells.confidence:g} % interval of the median ratio of times to "
        f"target{on} lies above 1 against each of {labels_in_text(rule.decides)}{where}; a miss "
        "is infinite, two misses are no ratio",
        steps if steps == seconds else f"{steps} in steps, {seconds} in seconds",
        "; ".join(filter(None, (holes, apart))),
        tuple(parts),
    )


def _holes(arm: Arm, arrived: pd.DataFrame, rule: ConvergenceRule) -> str:
    """What is missing in an arm; empty if nothing is.

    If a task has no target, a run that came to its end has no time to target. The task is then
    undecided, and the run does not count as missing. By the first edition of the rules a reference
    that diverged is missing; by the second edition it sets no target.
    """
    ended = arrived["has_curve"] | arrived["status"].isin(NEVER)
    known = arrived["steps"].notna()
    if rule.column:
        known |= arrived["target"].isna() & ended
    else:
        known |= arrived["target"].isna() & arrived["has_curve"]
        known &= (arrived["method"] != rule.reference) | (arrived["status"] == "ok")
    methods = [rule.ours, *rule.decides, rule.reference]
    lost = arm.cells.missing(methods, known.set_axis(arm.cells.frame.index))
    if len(arm.counted) < len(arm.measured):
        lost = f"curves are not of the whole split, as trainer.curve_rows=null makes them; {lost}"
    if not lost or not arm.name:
        return lost
    return f"{arm.name} (make them: {arm.make_them}): {lost}"


def _arm_parts(
    arm: Arm, arrived: pd.DataFrame, rule: ConvergenceRule, holes: Mapping[Axis, str]
) -> Iterator[Part]:
    cells = arm.cells
    for axis in AXES:
        times = {
            method: cells.table(method, axis, arrived)
            for method in (rule.ours, *rule.decides, *rule.shown)
        }
        for method in dict.fromkeys([*rule.decides, *rule.shown]):
            mixed = not_compared(arrived, rule, axis, Method(method))
            lost = np.isin(cells.tasks, [task.task for task in mixed])[:, None]
            pair = {name: np.where(lost, np.nan, times[name]) for name in (rule.ours, method)}
            part = _speedup(arm, pair, rule, axis, method, holes[axis])
            yield replace(part, note="; ".join(filter(None, (part.note, mixed_words(mixed)))))


def _speedup(  # noqa: PLR0917
    arm: Arm,
    times: Mapping[str, Floats],
    rule: ConvergenceRule,
    axis: Axis,
    method: str,
    holes: str,
) -> Part:
    """The median ratio against one method, with the misses of both; `times` to target by method."""
    cells = arm.cells
    methods, tasks = (rule.ours, method), len(cells.tasks)
    found = stats.speedup_over_tasks(times[rule.ours], times[method], cells.confidence)
    verdict: Verdict | None = None
    if method in rule.decides:
        too_few = tasks - found.n > rule.max_undecided_share * tasks
        verdict = UNDECIDED if too_few else verdict_of(holes, found.low > 1, found.high < 1)
    known = {name: int((~np.isnan(times[name])).sum()) for name in methods}
    missed = ", ".join(
        f"{label(Method(name), in_text=True)} in {np.isinf(times[name]).sum()} of {runs} runs"
        for name, runs in known.items()
    )
    where = f" {arm.name}" if arm.name else ""
    words = f"{axis} to target{where}, {{1}} over {{0}}"
    note = f"missed by {missed}" if any(known.values()) else ""
    is_published = axis == "steps" and not arm.name
    published = rule.published_ratio.get(method) if is_published else None
    return Part(words, "×", found, cells.confidence, tasks, verdict, note, published, methods)
