"""What a reader must know of the numbers themselves before comparing them."""

from pathlib import Path

import pandas as pd

from frod_bench.report.frame import FAMILY_KEY, Family, Method, by_method, by_task
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


def one_class(frame: pd.DataFrame) -> list[str]:
    """Tasks and methods whose every run answered the test split with one and the same class."""
    lines = []
    ok = frame[frame["status"] == "ok"]
    for task, cells in by_task(ok):
        stuck = [
            label(method)
            for method, runs in by_method(cells)
            if all(map(_is_constant, runs["path"]))
        ]
        if stuck:
            lines.append(
                f"{label(task)}: all test predictions of {', '.join(stuck)} are one class, in "
                "every run. Their scores, differences and times to target are uninformative about "
                "the methods."
            )
    return lines


def _is_constant(path: str) -> bool:
    table = predictions_of(Path(path))
    return table is not None and table["prediction"].nunique() == 1 < table["label"].nunique()
