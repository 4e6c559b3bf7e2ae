"""Tasks on which scores or seconds say little about the methods: what a report warns of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from frod_bench.report.frame import by_method, by_task
from frod_bench.report.keys import FROZEN, METHOD_KEY, Method, Task
from frod_bench.report.names import MATCHED, label
from frod_bench.report.predictions import predictions_of
from frod_bench.report.tables import is_higher_better, so_many

# A seed's steps over those of the quickest seed. Where nothing else ran 1.22 was the most that was
# seen in published tables; next to other work 1.3 to 2 was usual.
UNEVEN = 1.25


def constant_predictions(frame: pd.DataFrame) -> dict[Task, list[Method]]:
    """For each task the methods whose every run predicts one and the same class."""
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


def below_frozen(frame: pd.DataFrame) -> dict[Method, dict[Task, str]]:
    """For each method the tasks on which it is worse than the frozen backbone, in the mean over the
    seeds that both have, with both means in points. Settings of a sweep are left out: some are
    meant to be bad.
    """
    found: dict[Method, dict[Task, str]] = {}
    for task, cells in by_task(frame):
        runs = {method: rows.set_index("seed")["value"] for method, rows in by_method(cells)}
        frozen = runs.pop(FROZEN, None)
        if frozen is None:
            continue
        sign = -1 if is_higher_better(cells) is False else 1
        for method, scores in runs.items():
            both = pd.DataFrame({"own": scores, "frozen": frozen}).dropna()
            own, other = (round(100 * mean, 1) for mean in both.mean())
            if method.variant in {"", MATCHED} and sign * own < sign * other:
                of = f"{own:.1f} against {other:.1f}, {so_many(len(both), 'seed')}"
                found.setdefault(method, {})[task] = of
    return found


def gained_nothing(below: Mapping[Method, Mapping[Task, str]], split: str = "test") -> list[str]:
    """A warning per method of `below_frozen`."""
    return [
        f"{label(method)} is below the frozen backbone on {split} on "
        f"{', '.join(f'{label(task)} ({of})' for task, of in tasks.items())}: training gained "
        "nothing there, so that another method's distance from it says little."
        for method, tasks in below.items()
    ]


def uneven_seconds(frame: pd.DataFrame) -> dict[Task, dict[int, float]]:
    """For each task the seeds whose training steps took longer than the quickest seed's by more
    than `UNEVEN`, with the factor: the median over methods of a run's seconds a step over those of
    the method's quickest seed on the same kind of processor. Of one method's runs alone nothing is
    said, and load that differs between methods goes unseen.
    """
    found: dict[Task, dict[int, float]] = {}
    for task, cells in by_task(frame[(frame["status"] == "ok") & (frame["step_sec"] > 0)]):
        if len(cells[METHOD_KEY].drop_duplicates()) < 2:
            continue
        alike = cells.groupby([*METHOD_KEY, "processor"], dropna=False)["step_sec"]
        factors = (cells["step_sec"] / alike.transform("min")).groupby(cells["seed"]).median()
        slow = {int(seed): float(factor) for seed, factor in factors.items() if factor > UNEVEN}
        if slow:
            found[task] = slow
    return found


def slow_seeds(uneven: Mapping[Task, Mapping[int, float]]) -> list[str]:
    """A warning that names the tasks of `uneven_seconds`."""
    if not uneven:
        return []
    of_tasks = (
        f"{label(task)} ({', '.join(f'seed {s}: {f:.1f} times' for s, f in seeds.items())})"
        for task, seeds in uneven.items()
    )
    return [
        "Training steps took longer than with the quickest seed on "
        f"{', '.join(of_tasks)}. Other work may have run on the machine; times in seconds are less "
        "sure there than their intervals say."
    ]
