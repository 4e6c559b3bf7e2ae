"""Claim (d): spread over seeds, and the area under the metric over learning rates."""

from collections.abc import Iterator

import pandas as pd

from frod_bench import stats
from frod_bench.report.claims.parts import Claim, Evidence, Part, combine, verdict_of
from frod_bench.report.keys import Method, Task
from frod_bench.report.names import label, labels_in_text
from frod_bench.report.rules import RobustnessRule
from frod_bench.report.sensitivity import Sensitivity

HOW = {  # to make the areas that a rule asks for
    "factors": "no records over learning rates (make them: frod-bench reproduce "
    "experiment=rate_robustness)",
    "search": "no search of learning rates (make it: frod-bench tune, with the experiment of the "
    "profile)",
}


def robustness(cells: Evidence, sensitivity: Sensitivity | None, rule: RobustnessRule) -> Claim:
    """Both parts must hold, against each method."""
    methods = [rule.ours, *rule.against]
    holes = cells.missing(methods, cells.frame["value"].notna())
    tasks = rule.area_tasks or cells.tasks if rule.areas == "search" else ()
    no_area = sensitivity.missing(methods, tasks) if sensitivity else HOW[rule.areas]
    holes = "; ".join(filter(None, (holes, no_area)))
    parts = (
        *_spread_parts(cells, rule, holes),
        *_area_parts(cells, sensitivity, rule, holes),
    )
    return Claim(
        "robustness",
        f"{label(Method(rule.ours))} is robust to seeds and learning rates",
        f"against each of {labels_in_text(rule.against)}: the {100 * cells.confidence:g} % "
        f"interval of the mean difference of spreads lies below +{rule.spread_margin_points:g} "
        f"points, and that of areas above −{rule.area_margin_points:g}",
        combine(part.verdict for part in parts),
        holes,
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
        verdict = verdict_of(holes, found.high < margin, found.low > margin)
        words, methods = "spread over seeds, {0} {minus} {1}", (rule.ours, method)
        yield Part(words, "points", found, confidence, n, verdict, methods=methods)


def _area_parts(
    cells: Evidence, sensitivity: Sensitivity | None, rule: RobustnessRule, holes: str
) -> Iterator[Part]:
    areas = sensitivity or Sensitivity(pd.DataFrame(), rule.areas)
    table, margin, confidence = areas.table, rule.area_margin_points, cells.confidence
    for method in rule.against:
        found, methods = stats.NOTHING, (rule.ours, method)
        if set(methods) <= set(table):
            found = stats.difference_over_tasks(table[rule.ours], table[method], confidence)
        verdict = verdict_of(holes, found.low > -margin, found.high < -margin)
        words = f"area over learning rates ({areas.over}), {{0}} {{minus}} {{1}}"
        note, n = "", len(rule.area_tasks or cells.tasks)
        if rule.areas == "factors":  # a grid is of a few tasks, by its design
            note, n = f"on {found.n} tasks" if found.n else "", found.n
        elif rule.area_tasks and found.n:
            note = f"on {found.n} tasks of the search"
        yield Part(words, "points", found, confidence, n, verdict, note, methods=methods)
        if rule.also_without and found.n:
            kept = table[~table.index.isin(rule.also_without, level="task")]
            left = stats.difference_over_tasks(kept[rule.ours], kept[method], confidence)
            names = ", ".join(label(Task(task)) for task in rule.also_without)
            words = f"the same without {names}, {{0}} {{minus}} {{1}}"
            yield Part(words, "points", left, confidence, left.n, methods=methods)
