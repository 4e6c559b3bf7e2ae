"""Claim (a): equivalence to full fine-tuning, or better than it."""

from collections.abc import Iterator

import numpy as np

from frod_bench import stats
from frod_bench.report.claims.parts import Claim, Evidence, Part, verdict_of
from frod_bench.report.keys import FROZEN, Method, Task
from frod_bench.report.names import label
from frod_bench.report.rules import AccuracyRule
from frod_bench.report.uninformative import below_frozen
from frod_bench.stats import CONFIDENCE, Floats

THESE, DRAWN = "these tasks", "tasks drawn at random"
POWER = 0.8  # of what a budget is said to find, as usual


def accuracy(cells: Evidence, rule: AccuracyRule) -> Claim:
    """TOST of the mean paired difference; other readings of it are shown."""
    methods = (rule.ours, rule.reference)
    holes = cells.missing(methods, cells.frame["value"].notna())
    ours, theirs = (100 * cells.table(method, "value") for method in methods)
    found = stats.equivalence(
        ours, theirs, rule.margin_points, rule.alpha, these_tasks=rule.these_tasks
    )
    verdict = verdict_of(holes, found.equivalent or found.better, found.worse)
    level, margin, n = 1 - 2 * rule.alpha, f"{rule.margin_points:g}", len(cells.tasks)
    mean = Part(
        "{0} {minus} {1}, mean",
        *("points", found.difference, level, n, verdict),
        note="; ".join(filter(None, (_beyond(ours - theirs, rule), _gained_nothing(cells, rule)))),
        methods=methods,
    )
    of_what = f"of {THESE} " if rule.these_tasks else ""
    return Claim(
        "accuracy",
        f"{label(Method(rule.ours))} matches {label(Method(rule.reference), in_text=True)} in "
        "accuracy",
        f"TOST, alpha {rule.alpha:g}: the {100 * level:g} % interval of the mean paired difference "
        f"{of_what}lies above −{margin} and below +{margin} "
        "points, or wholly above 0",
        verdict,
        holes,
        (mean, *_other_readings(cells, ours, theirs, rule)),
    )


def _other_readings(
    cells: Evidence, ours: Floats, theirs: Floats, rule: AccuracyRule
) -> Iterator[Part]:
    """What does not decide: the other estimand, without some tasks, and other statistics."""
    methods, n, level = (rule.ours, rule.reference), len(cells.tasks), 1 - 2 * rule.alpha
    difference, confidence = ours - theirs, cells.confidence
    if rule.these_tasks:
        drawn = stats.paired_difference(ours, theirs, level)
        yield Part(f"the same, of {DRAWN}", "points", drawn, level, n)
    if rule.also_without:
        kept = np.array([task not in rule.also_without for task in cells.tasks])
        without = stats.mean_of_these_tasks(difference[kept], level)
        names = ", ".join(label(Task(task)) for task in rule.also_without)
        yield Part(f"the same, without {names}", "points", without, level, int(kept.sum()))
    middle = stats.interquartile_mean(difference, confidence)
    yield Part("the same, interquartile mean", "points", middle, confidence, n)
    wins = stats.probability_of_improvement(ours, theirs, confidence)
    words, unit = "a run of {0} beats one of {1}", "of the pairs of runs"
    yield Part(words, unit, wins, confidence, n, methods=methods)
    if rule.these_tasks:
        yield from _resolution(ours, theirs, rule, n)


def _resolution(ours: Floats, theirs: Floats, rule: AccuracyRule, n: int) -> Iterator[Part]:
    """What the runs that exist could have found, by the test of the claim."""
    difference, margin = stats.resolution(ours, theirs, rule.alpha, POWER)
    methods, often = (rule.ours, rule.reference), f"in about {100 * POWER:g} % of repetitions"
    words = (
        f"{{0}} {{minus}} {{1}}, smallest true difference whose {100 * (1 - 2 * rule.alpha):g} % "
        f"interval leaves out 0, {often}"
    )
    beyond, note = rule.margin_points + difference.mean, ""
    if not np.isnan(beyond):
        of_what = f"a deficit of more than {rule.margin_points:g}"
        note = f"{of_what} is found as often if it is {beyond:.1f} or more"
    yield Part(words, "points", difference, CONFIDENCE, n, note=note, methods=methods)
    words = (
        "{0} {minus} {1}, smallest margin within which they are found equivalent if they are "
        f"equal, {often}"
    )
    yield Part(words, "points", margin, CONFIDENCE, n, methods=methods)


def _gained_nothing(cells: Evidence, rule: AccuracyRule) -> str:
    """On which tasks the reference is below the frozen backbone: to match it there says little."""
    reference = Method(rule.reference)
    both = cells.frame[cells.frame["method"].isin([reference.method, FROZEN.method])]
    tasks = below_frozen(both).get(reference, {})
    named = ", ".join(f"{label(task)} ({of})" for task, of in tasks.items())
    return (
        f"{label(reference, in_text=True)} is below the frozen backbone on {named}" if named else ""
    )


def _beyond(difference: Floats, rule: AccuracyRule) -> str:
    """How many tasks differ by more than the rule's points, which may cancel in a mean."""
    points = rule.count_beyond_points
    if points is None or np.isnan(difference).all():
        return ""
    known = ~np.isnan(difference).all(axis=1)
    means = np.nanmean(difference[known], axis=1)
    above, below = int((means > points).sum()), int((means < -points).sum())
    return f"more than {points:g} points above on {above} tasks, below on {below}"
