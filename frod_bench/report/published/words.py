"""What others measured of a claim, in a few words from the published files."""

import numpy as np

from frod_bench.report.keys import Method
from frod_bench.report.names import label, labels_in_text
from frod_bench.report.published.numbers import LOSS, Published, load_published, points_to_loss
from frod_bench.report.rules import AccuracyRule, ConvergenceRule, Rules


def words_of_others(claim: str, rules: Rules) -> str:
    """The words for a claim by its key; empty if others measured nothing of it."""
    published = load_published()
    if claim == "convergence":
        return _steps(published, rules.convergence)
    return _accuracy(published, rules.accuracy) if claim == "accuracy" else ""


def _steps(published: Published, rule: ConvergenceRule) -> str:
    ours, window = Method(rule.ours), rule.window_evaluations
    found = points_to_loss(published.curves, ours, window).set_index("method")["ratio"].dropna()
    methods = list(dict.fromkeys([*rule.decides, *rule.shown]))
    shown = [name for name in methods if name in found.index]
    lost = [name for name in methods if name not in found.index]
    if not shown:
        return ""
    ratios = ", ".join(f"{labels_in_text([name])} {_ratio(found[name])}" for name in shown)
    without = f" (no {labels_in_text(lost)})" if lost else ""
    name = label(ours, in_text=True)
    return (
        f"published: steps to a training loss of {LOSS:g} on Cars over {name}'s, {ratios}{without}"
    )


def _ratio(ratio: float) -> str:
    return "not reached" if np.isinf(ratio) else f"{ratio:.2g} ×"


def _accuracy(published: Published, rule: AccuracyRule) -> str:
    runs, texts = published.runs, []
    for name in (rule.ours, rule.reference):
        scores = runs.loc[runs["method"] == name, "test_accuracy"]
        if scores.empty:
            return ""
        points = " or ".join(f"{100 * score:.1f}" for score in scores)
        by = ", by its settings," if len(scores) > 1 else ""
        texts.append(f"{labels_in_text([name])} {points} %{by}")
    return f"published: {' and '.join(texts)} on MetaMathQA (PEFT, one run each)"
