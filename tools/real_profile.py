"""Tables of the page on the profile `real`: what full fine-tuning gains over the frozen backbone in
the pilot, what bf16 changes, and what a step takes.
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from frod_bench.common.names import with_head
from frod_bench.records.schema import Record
from frod_bench.report.analyses import precision
from frod_bench.report.analyses.about import About
from frod_bench.report.collect import row_of
from frod_bench.report.frame import AXIS, frame_of
from frod_bench.report.names import label, method_named
from frod_bench.report.paired import minus
from frod_bench.report.table import pipes
from tools import searched_picks
from tools.differences import head
from tools.evidence_hours import records_in

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
COLUMNS = ["rows", "frozen", "full", "gain", "standard error"]


def pilot_gains() -> str:
    """Points of each task on validation, family by family, the largest gain first. The standard
    error is that of the gain over rows, if the errors of the two runs were independent.
    """
    runs: dict[tuple[str, str], dict[str, tuple[str, Any]]] = {}
    for record in records_of("real_pilot"):
        cell, name = record["cell"], record["primary_metric"]
        of_task = runs.setdefault((cell["family"], cell["task"]), {})
        of_task[cell["method"]] = name, record["metrics"][name]
    rows = []
    for (family, task), of_task in runs.items():
        (name, full), (_, frozen) = of_task["full"], of_task["frozen"]
        gain = 100 * (full["value"] - frozen["value"])
        error = 100 * math.hypot(full["stderr"], frozen["stderr"])
        points = [100 * frozen["value"], 100 * full["value"], gain, error]
        text = task if name == "accuracy" else f"{task} ({name.upper()})"
        rows.append(
            (family, -gain, [text, f"{full['n']:,}", *(minus(f"{one:.1f}") for one in points)])
        )
    return "\n".join(head("task", COLUMNS) + [pipes(cells) for *_, cells in sorted(rows)])


def bf16_differences() -> str:
    """bf16 minus float32 of each method and task at the rates of `small`, with the noise of a
    seed.
    """
    return _bf16(at_the_pick=False)


def bf16_at_the_pick() -> str:
    """The same of the runs at the rates that the search picked."""
    return _bf16(at_the_pick=True)


def _bf16(*, at_the_pick: bool) -> str:
    rows = []
    picks = searched_picks.picks_of("real")
    for record in records_of("bf16_pilot"):
        if _is_picked(record, picks) != at_the_pick:
            continue
        config, cell = record["config"], record["cell"]
        keys = {name: cell[name] for name in ("task", "family", "method", "seed")}
        varied = {f"{AXIS}{precision.KEY}": config["trainer"]["mixed_precision"]}
        rows.append(keys | {"head": config["head"], "variant": ""} | varied | row_of(record))
    frame = frame_of(rows)
    made = precision.table(precision.numbers(frame), About("", frame))
    lines = head(made.header[0], made.header[1:])
    return "\n".join(lines + [pipes([row.label, *row.cells]) for row in made.rows])


def _is_picked(record: Record, picks: pd.DataFrame) -> bool:
    """Whether a run has the rates that the search picked for its method and family."""
    config, cell = record["config"], record["cell"]
    key = with_head(cell["family"], config["head"]), cell["method"]
    if key not in picks.index:
        return False
    pick = picks.loc[key]
    rates = config["method"]["learning_rates"]
    return all(pick[f"lr_{group}"] == rate for group, rate in rates.items())


def step_seconds() -> str:
    """Median seconds of a step before and after, their ratios, and the mean ratio."""
    found = step_ratios()
    lines = head("", list(found))
    for (task, method), row in found.iterrows():
        name = f"{task}, {label(method_named(method), in_text=True)}"
        lines.append(pipes([name, *(f"{value:.2f}" for value in row)]))
    return "\n".join([*lines, pipes(["mean", "", "", f"{found['ratio'].mean():.2f}"])])


def step_ratios() -> pd.DataFrame:
    """The same as numbers; rows are tasks and methods, columns `before`, `after` and `ratio`."""
    steps = pd.read_csv(REFERENCE / "bench" / "real_steps.csv").set_index(["task", "method"])
    wide = steps.pivot(columns="when", values="median_sec").reindex(steps.index.unique())
    found = wide[["before", "after"]]
    return found.assign(ratio=found["after"] / found["before"])


def records_of(experiment: str, folder: str = "real") -> list[Record]:
    """The committed records of an experiment on the profile."""
    named = ((made["config"]["experiment"]["name"], made) for made in records_in(folder))
    return [made for name, made in named if name == experiment]
