"""The table of what the published runs that are committed in parts cost."""

import functools
import json
from pathlib import Path

from frod_bench.records import sources
from frod_bench.records.schema import Record
from frod_bench.report.table import pipes
from tools.differences import head

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
# What was run -> the folders of its runs; after colons which experiments of a folder are meant.
RUNS = {
    "search for learning rates": ["search/embedded"],
    "main table": ["embedded", "first_rules/embedded"],
    "the same at a constant learning rate": ["constant_rate/embedded"],
    "equal budgets": ["matched_budget/embedded"],
    "further methods": ["all_methods/embedded"],
    "analyses: rates, seeds, budgets, rotations, side": ["analyses/embedded"],
    "why: bases, scaled steps, capacity": [
        "why/embedded",
        "why/one_seed/embedded",
        "why/two_tasks/embedded",
    ],
    "real data (profile `real`): pilots": ["real:real_pilot:bf16_pilot"],
    "real data: search for learning rates": ["real:tune_real"],
    "real data: main table": ["real:main_table"],
    "real data: other learning rates": ["analyses/real"],
    "real data: made again by version 1.0.0": ["again/real"],
    "synthetic data: made again by version 1.0.0, a sample": ["again/embedded"],
    "runs that others took the place of, and slow learning": [
        "earlier_runs/embedded",
        "earlier_runs/constant_rate/embedded",
        "earlier_runs/first_rules/embedded",
        "earlier_runs/amd/embedded",
        "earlier_runs/amd/first_rules/embedded",
        "earlier_runs/amd/constant_rate/embedded",
        "earlier_runs/amd/matched_budget/embedded",
        "earlier_runs/amd/all_methods/embedded",
        "earlier_runs/amd/analyses/embedded",
        "earlier_runs/amd/why/embedded",
    ],
}


@functools.cache
def records_in(folder: str) -> list[Record]:
    """The records of a folder, of which several rows may show a part."""
    return sources.opened(REFERENCE / folder).scan()[0]


def table() -> str:
    """Runs, and hours of set-up, training and evaluation, by one worker's clock. A run that
    several rows share counts in the last of them: that of the runs that others took the place of
    has its own. What has not been run is left out.
    """
    lines: list[str] = []
    total_runs, total_hours = 0, 0.0
    seen: set[str] = set()
    for what, folders in reversed(RUNS.items()):
        runs, hours = 0, 0.0
        for place in folders:
            folder, *names = place.split(":")
            records = [
                made
                for made in records_in(folder)
                if not names or made["config"]["experiment"]["name"] in names
            ]
            by_text = {json.dumps([made["cell"], made["time"]]): made for made in records}
            records = [made for text, made in by_text.items() if text not in seen]
            seen.update(by_text)
            runs += len(records)
            times = [record["time"] for record in records if record["time"] is not None]
            sec = sum(t["setup_sec"] + t["train_sec"] + t["eval_sec"] for t in times)
            hours += sec / 3600
        if runs:
            lines.append(pipes([what, f"{runs:,}", f"{hours:.1f}"]))
        total_runs, total_hours = total_runs + runs, total_hours + hours
    together = pipes(["together", f"{total_runs:,}", f"{total_hours:.1f}"])
    return "\n".join(
        [*head("what was run", ["runs", "hours of one worker"]), *lines[::-1], together]
    )
