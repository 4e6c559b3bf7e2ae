"""What a reader must know of the numbers themselves before comparing them."""

from pathlib import Path

import pandas as pd

from frod_bench.report.paired import predictions_of


def untuned(frame: pd.DataFrame, trials: pd.DataFrame | None) -> list[str]:
    """Methods whose rates were not picked by trials in a family where others' were.

    Args:
        frame: `Collected.frame`.
        trials: of `experiment=tune`; None where nothing was tuned, which then holds for all alike.
    """
    if trials is None:
        return []
    tuned = set(zip(trials["family"], trials["method"], strict=True))
    asked = frame[["family", "base_method"]].drop_duplicates().itertuples(index=False, name=None)
    lost: dict[str, list[str]] = {}
    for family, method in asked:
        if (family, method) not in tuned:
            lost.setdefault(family, []).append(method)
    return [
        f"Learning rates of {', '.join(methods)} were not tuned in {family} (tables/tuning.csv "
        "has no trial of them): they are another method's, another head's or common practice."
        for family, methods in lost.items()
    ]


def one_class(frame: pd.DataFrame) -> list[str]:
    """Tasks and methods whose every run answered the test split with one and the same class."""
    lines = []
    ok = frame[frame["status"] == "ok"]
    for task, cells in ok.groupby("task", sort=False):
        stuck = [
            str(method)
            for method, runs in cells.groupby("method", sort=False)
            if all(map(_is_constant, runs["path"]))
        ]
        if stuck:
            lines.append(
                f"{task}: all test predictions of {', '.join(stuck)} are one class, in every run. "
                "Their scores, differences and times to target say nothing of the methods."
            )
    return lines


def _is_constant(path: str) -> bool:
    table = predictions_of(Path(path))
    return table is not None and table["prediction"].nunique() == 1 < table["label"].nunique()
