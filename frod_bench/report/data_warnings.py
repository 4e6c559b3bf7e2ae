"""What a reader must know of the numbers themselves before comparing them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from frod_bench.report.frame import FAMILY_KEY, Family, Method, Task, by_method, by_task
from frod_bench.report.names import MATCHED, label, spelled
from frod_bench.report.paired import predictions_of


def untuned(frame: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Methods whose learning rates were not picked by trials, of a family in which others' were.

    Args:
        frame: `Collected.frame`.
        trials: of `experiment=tune`, with family, head and method; empty if nothing was tuned,
            which then holds for all alike.
    """
    if trials.empty:
        return []
    tuned = set(zip(trials["family"], trials["head"], trials["method"], strict=True))
    is_matched = frame["variant"].str.startswith(MATCHED)
    lost: dict[str, list[str]] = {}
    for key, _ in frame.groupby([*FAMILY_KEY, "method", is_matched], sort=False):
        family, head, method, matched = key
        name = spelled(Method(method, MATCHED if matched else ""))
        if (family, head, name) not in tuned:
            lost.setdefault(spelled(Family(family, head)), []).append(name)
    return [
        f"Learning rates of {', '.join(methods)} were not tuned in {family} (no trial of "
        "experiment=tune is of them): they are another method's, another head's or common practice."
        for family, methods in lost.items()
    ]


def constant_predictions(frame: pd.DataFrame) -> dict[Task, list[Method]]:
    """For each task the methods whose every run predicts one and the same class on test."""
    found: dict[Task, list[Method]] = {}
    for task, cells in by_task(frame[frame["status"] == "ok"]):
        methods = [m for m, runs in by_method(cells) if all(map(_is_constant, runs["path"]))]
        if methods:
            found[task] = methods
    return found


def one_class(constant: Mapping[Task, Sequence[Method]]) -> list[str]:
    """A warning per task of `constant_predictions`."""
    return [
        f"{label(task)}: all test predictions of {', '.join(map(label, methods))} are one class, "
        "in every run. Their scores, differences and times to target are uninformative about the "
        "methods."
        for task, methods in constant.items()
    ]


def _is_constant(path: str) -> bool:
    table = predictions_of(Path(path))
    return table is not None and table["prediction"].nunique() == 1 < table["label"].nunique()
