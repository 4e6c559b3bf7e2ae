"""Tasks on which scores say little about the methods: what a report warns of."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from frod_bench.report.frame import by_method, by_task
from frod_bench.report.keys import Method, Task
from frod_bench.report.names import label
from frod_bench.report.predictions import predictions_of

FROZEN = Method("frozen")


def constant_predictions(frame: pd.DataFrame) -> dict[Task, list[Method]]:
    """For each task the methods whose every run predicts one and the same class on test."""
    found: dict[Task, list[Method]] = {}
    ended = frame[frame["status"] == "ok"]
    kept = predictions_of(map(Path, ended["path"]))
    ended = ended.assign(is_one_class=[one is not None and one.is_one_class for one in kept])
    for task, cells in by_task(ended):
        methods = [m for m, runs in by_method(cells) if runs["is_one_class"].all()]
        if methods:
            found[task] = methods
    return found


def one_class(constant: Mapping[Task, Sequence[Method]], split: str = "test") -> list[str]:
    """A warning per task of `constant_predictions`."""
    return [
        f"{label(task)}: all {split} predictions of {', '.join(map(label, methods))} are one "
        "class, in every run. Their scores, differences and times to target are uninformative "
        "about the methods."
        for task, methods in constant.items()
    ]


def below_frozen(frame: pd.DataFrame, split: str = "test") -> Iterator[str]:
    """Iterate over warnings, one per task on which a trained method is worse than the frozen
    backbone, in the mean over the seeds that both have. A method that a sweep has at several
    settings is left out: it is meant to be bad at some.
    """
    for task, cells in by_task(frame):
        runs = {method: rows.set_index("seed")["value"] for method, rows in by_method(cells)}
        frozen = runs.pop(FROZEN, None)
        if frozen is None or frozen.index.has_duplicates:
            continue
        better = min if (cells["higher_is_better"] == False).any() else max  # noqa: E712
        found = []
        for method, scores in runs.items():
            if scores.index.has_duplicates:
                continue
            both = pd.DataFrame({"own": scores, "frozen": frozen}).dropna()
            own, other = 100 * both.mean()
            if own != other and better(own, other) == other:
                found.append(f"{label(method)} ({own:.1f} against {other:.1f})")
        if found:
            yield (
                f"{label(task)}: worse than the frozen backbone on {split}: {', '.join(found)}. "
                "Training did harm there, e.g. at a learning rate that does not suit the task; to "
                "match such a run is little."
            )
