"""What others measured next to what was measured here, as numbers and as a table."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report.folder import COLUMNS as FIRST
from frod_bench.report.frame import is_method, method_of, methods_in
from frod_bench.report.keys import Method
from frod_bench.report.names import label
from frod_bench.report.published.numbers import (
    LOSS,
    LOSSES,
    TESTED,
    Published,
    labelled_runs,
    points_to_loss,
)
from frod_bench.report.rules import ConvergenceRule, Rules
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.report.tables import COSTS

STEPS, BY_LOSS = "steps", "steps by loss"
SCORE, PERCENT, SECONDS = "score", "trained", "step time"
# Quantities that have a column each, their heads, and the form of their numbers.
QUANTITIES = {
    STEPS: ("steps", "{:.2f} ×"),
    SCORE: ("score", "{:+.1f}"),
    PERCENT: ("trained, %", "{:.3g}"),
    SECONDS: ("step time", "{:.2f} ×"),
}
COLUMNS = (
    *("quantity", "method", "settings", "loss", "others", "others_low", "others_high"),
    *("point", "last", "n_runs", "n_missed", "here", "n_tasks", "n_expected", "variant"),
)


def beside(
    published: Published, times: pd.DataFrame, summary: pd.DataFrame, rules: Rules
) -> pd.DataFrame:
    """What others measured and what was measured here, long; `COLUMNS` are its columns.

    `times` and `summary` are the numbers of the convergence table and of the main table.

    `others` has the range over runs if there are several; `point` is the median logged point at
    which `loss` is reached, `last` the one at which the shortest run ends. `settings` are those of
    PEFT's run, and `variant` those in which it differs from others of its method. `here` is over
    the `n_tasks` of `n_expected` tasks that have a number; a row with a variant has none. Methods
    that others did not measure are left out unless a rule names them.
    """
    rule = rules.convergence
    rows = [*_steps(published, rules), *_of_runs(published, rules)]
    here = {(row["quantity"], row["method"]): row for row in _here(times, summary, rules)}
    both = []
    for row in rows:
        is_of_method = not row.get("variant")  # rather than of one of its settings
        both.append(row | here.pop((row["quantity"], row["method"]), {}) if is_of_method else row)
    known = [rule.ours, *rule.decides, *rule.shown, *(row["method"] for row in rows)]
    both += [row for row in here.values() if row["method"] in known]
    quantities, methods = [*QUANTITIES, BY_LOSS], list(dict.fromkeys([*FIRST, *known]))
    both.sort(
        key=lambda row: (
            methods.index(row["method"]),
            bool(row.get("variant")),
            quantities.index(row["quantity"]),
        )
    )
    frame = pd.DataFrame(both, columns=list(COLUMNS))
    frame[["settings", "variant"]] = frame[["settings", "variant"]].fillna("")
    return frame


def _steps(published: Published, rules: Rules) -> Iterator[dict[str, Any]]:
    rule = rules.convergence
    ours, window = Method(rule.ours), rule.window_evaluations
    for quantity, losses in ((STEPS, (LOSS,)), (BY_LOSS, LOSSES)):
        for row in points_to_loss(published.curves, ours, window, losses).to_dict("records"):
            ends = {"others_low": row["ratio_low"], "others_high": row["ratio_high"]}
            same = {name: row[name] for name in ("loss", "method", "n_runs", "n_missed", "last")}
            same |= {"others": row["ratio"], "point": row["points"]}
            yield {"quantity": quantity, **same, **ends}


def _of_runs(published: Published, rules: Rules) -> Iterator[dict[str, Any]]:
    """PEFT's runs, compared with the first run of the reference or of our method."""
    runs, ours = labelled_runs(published.runs), rules.convergence.ours
    first = runs.drop_duplicates("method").set_index("method")
    of_reference = first.reindex([rules.accuracy.reference]).iloc[0]
    values = {
        SCORE: 100 * (runs["test_accuracy"] - of_reference["test_accuracy"]),
        PERCENT: 100 * runs["trained"] / of_reference["total"],
        SECONDS: runs["step_sec"] / first["step_sec"].get(ours, np.nan),
    }
    for quantity, others in values.items():
        found = runs[["method", "settings", "variant"]]
        found = found.assign(quantity=quantity, others=others, n_runs=1)
        yield from found.to_dict("records")


def _here(times: pd.DataFrame, summary: pd.DataFrame, rules: Rules) -> Iterator[dict[str, Any]]:
    """What the records say of methods, without their variants: quantity by quantity."""
    ours, steps = Method(rules.convergence.ours), times[times["axis"] == "steps"]
    for method in filter(_is_plain, methods_in(steps)):
        ratios = steps.loc[is_method(steps, method), "speedup"]
        found = {"here": stats.median_ratio(ratios), "n_tasks": int(ratios.notna().sum())}
        yield {"quantity": STEPS, "method": method.method, "n_expected": len(ratios), **found}
    overall = summary[summary["scope"] == "overall"]
    scores = overall[overall["primary"] & (overall["holes"] == "")]  # of the same tasks
    costs = {name: overall[overall["metric"] == name] for name in (COSTS[0].name, COSTS[1].name)}
    percent, seconds = costs.values()
    base = scores.loc[is_method(scores, Method(rules.accuracy.reference)), "mean"]
    own = seconds.loc[is_method(seconds, ours), "mean"]
    values = {
        SCORE: scores.assign(here=scores["mean"] - (base.iloc[0] if len(base) else np.nan)),
        PERCENT: percent.assign(here=percent["mean"]),
        SECONDS: seconds.assign(here=seconds["mean"] / (own.iloc[0] if len(own) else np.nan)),
    }
    for quantity, rows in values.items():
        for row in rows.itertuples(index=False):
            if _is_plain(method_of(row)):
                yield {"quantity": quantity, "method": row.method, "here": row.here}


def _is_plain(method: Method) -> bool:
    """Whether a method has neither a variant nor a side."""
    return method == Method(method.method)


def published_table(frame: pd.DataFrame, rules: Rules, title: str, curve_split: str) -> Table:
    """A row per method and setting: of each quantity what others measured, and what was measured
    here, steps on the curves of `curve_split`.
    """
    ours, reference = rules.convergence.ours, rules.accuracy.reference
    shown = frame[frame["quantity"].isin(QUANTITIES)]
    rows: list[Row] = []
    for (method, variant), of_setting in shown.groupby(["method", "variant"], sort=False):
        found = of_setting.set_index("quantity")
        cells = [cell for quantity in QUANTITIES for cell in _cells(found, quantity)]
        rows.append(Row(label(Method(method, variant)), tuple(cells)))
    name, base = label(Method(ours)), label(Method(reference), in_text=True)
    caption = (
        "Others used other data, backbones and settings: only the order of the methods compares. "
        f"Steps and times are over {name}'s, scores minus that of {base} in points, trained "
        "parameters without the head in % of the backbone. Others' steps are those of the training "
        f"losses on Stanford Cars that FRoD's authors released, to a loss of {LOSS:g}, with the "
        "range over runs; all else is of PEFT's comparison on MetaMathQA, one run each. Here: "
        f"steps to the target on {curve_split} (median over tasks), and means over tasks."
    )
    notes = [
        *_by_loss(frame[frame["quantity"] == BY_LOSS], rules.convergence, name),
        f"Released losses are smoothed over {rules.convergence.window_evaluations} logged points, "
        "one batch in ten. Training rows are seen many times, so a loss falls by memorizing them, "
        "too.",
        f"PEFT's accuracies are of {TESTED:,} questions, which alone give each a standard error of "
        f"up to {50 / TESTED**0.5:.1f} points, and no method was tuned. A difference or ratio is "
        "to the first run of a method that has two.",
        "Sources, units, and what the numbers do not show: results/reference/published/README.md.",
    ]
    heads = [f"{head}, {who}" for head, _ in QUANTITIES.values() for who in ("others", "here")]
    return Table(f"What others measured: {title}", caption, ("method", *heads), rows, notes)


def _cells(found: pd.DataFrame, quantity: str) -> tuple[str, str]:
    """What others measured of a quantity, and what was measured here; a dash for nothing."""
    if quantity not in found.index:
        return NOT_THERE, NOT_THERE
    row, form = found.loc[quantity], QUANTITIES[quantity][1]
    others = _ratio(row, form)
    if row["others_low"] < row["others_high"] < np.inf:
        others += f" ({row['others_low']:.2f} to {row['others_high']:.2f})"
    here = NOT_THERE if np.isnan(row["here"]) else _signed(form.format(row["here"]))
    if np.isinf(row["here"]):
        here = "not reached"
    if row["n_tasks"] < row["n_expected"]:
        here += f" ({row['n_tasks']:.0f} of {row['n_expected']:.0f} tasks)"
    return others, here


def _by_loss(found: pd.DataFrame, rule: ConvergenceRule, ours: str) -> Iterator[str]:
    """A note per method that a rule names: its steps over ours, by the loss to be reached."""
    form = QUANTITIES[STEPS][1]
    for method in dict.fromkeys([*rule.decides, *rule.shown]):
        rows = found[found["method"] == method].to_dict("records")
        ratios = [f"{_ratio(row, form)} at {row['loss']:g}" for row in rows]
        if ratios:
            name = label(Method(method), in_text=True)
            yield f"Others' steps of {name} over {ours}'s, by the loss: {', '.join(ratios)}."


def _ratio(row: Mapping[str, Any], form: str) -> str:
    """What others measured, as text; it is infinite if the runs end before they reach the loss."""
    if np.isnan(row["others"]):
        return NOT_THERE
    if np.isinf(row["others"]):
        return f"not reached in {row['last'] + 1:.0f} points"
    return _signed(form.format(row["others"]))


def _signed(text: str) -> str:
    return {"+0.0": "0"}.get(text, text.replace("-", "−"))
