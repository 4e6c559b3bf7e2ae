"""Tables of the profile `real` at other learning rates than those that its search picked: all
methods on a task, and full fine-tuning on the four tasks of reasoning.

They were made after the results were known, and decide nothing.
"""

import math

import pandas as pd

from frod_bench.common.names import with_head, without_head
from frod_bench.report.keys import Task
from frod_bench.report.names import label
from frod_bench.report.paired import end_of_interval
from frod_bench.report.table import pipes
from frod_bench.stats.estimates import mean_of_these_tasks
from tools.differences import SCHEDULED, head, of_these_tasks
from tools.real_profile import records_of

KEYS = ["method", "task", "factor", "seed"]
JUDGED = 0.9  # confidence of the interval that the rule on accuracy asks for
LOWER = 0.316  # half a decade below the picks, the next rate that the search tried


def scores() -> "pd.Series[float]":
    """Test scores in points by method, task, factor on all learning rates, and seed."""
    rows = []
    for folder, experiment in (("real", "main_table"), ("analyses/real", "rate_robustness")):
        for record in records_of(experiment, folder):
            cell, config = record["cell"], record["config"]
            value = record["metrics"][str(record["primary_metric"])]["value"]
            assert value is not None, cell
            rows.append(
                {
                    "method": cell["method"],
                    "task": with_head(cell["task"], config["head"]),
                    "factor": float(config["rate_factors"]["all"]),
                    "seed": cell["seed"],
                    "points": 100 * value,
                }
            )
    frame = pd.DataFrame(rows)
    assert not frame.duplicated(KEYS).any(), "two runs of one setting"
    return frame.set_index(KEYS)["points"].sort_index()


def of_all_methods() -> str:
    """Scores of seed 0 at the factors that were tried on all of a method's learning rates, on the
    tasks that all methods have at two factors or more; a dash where a method was not run.
    """
    found = scores().xs(0, level="seed").unstack("factor").dropna(axis=0, thresh=2)
    methods = found.groupby("task").size()
    tasks = [task for task in methods.index if methods[task] == len(SCHEDULED)]
    pairs = [(task, factor) for task in tasks for factor in found.columns]
    lines = head("points, seed 0", [f"{_task(task)} × {factor:g}" for task, factor in pairs])
    for method, name in SCHEDULED.items():
        row = found.loc[method]
        cells = (row.loc[task, factor] for task, factor in pairs)
        lines.append(pipes([name, *("–" if math.isnan(x) else f"{x:.1f}" for x in cells)]))
    return "\n".join(lines)


def of_full_fine_tuning() -> str:
    """Full fine-tuning in reasoning at its pick and half a decade lower, next to the others at
    their picks, means over seeds; and how far FRoD is from either.
    """
    found = scores()
    lower = found.loc["full"].xs(LOWER, level="factor").unstack("seed")
    assert lower.notna().all(axis=None), "a seed is missing"
    at_picks = found.xs(1.0, level="factor")
    tasks = list(lower.index)
    lines = head("points, means over seeds", [*map(_task, tasks), "mean"])
    points = {method: at_picks.loc[method].unstack("seed") for method in SCHEDULED}
    full, frod = points.pop("full"), points["frod"]
    rows = {"full fine-tuning at its pick": full, "full fine-tuning half a decade lower": lower}
    rows |= {SCHEDULED[method]: table for method, table in points.items()}
    for text, table in rows.items():
        means = table.loc[tasks].mean(axis=1)
        lines.append(pipes([text, *(f"{one:.1f}" for one in [*means, means.mean()])]))
    again = pd.concat([full.drop(index=tasks), lower]).loc[frod.index]
    columns = [f"these {len(tasks)} tasks", f"all {len(frod)} tasks", "90 % interval of the latter"]
    lines += ["", *head("FRoD minus full fine-tuning", columns)]
    for text, reference in (("at its pick", full), ("half a decade lower in reasoning", again)):
        gain = frod - reference
        judged = mean_of_these_tasks(gain.to_numpy(), JUDGED)
        ends = f"[{end_of_interval(judged.low)}, {end_of_interval(judged.high)}]"
        lines.append(pipes([text, of_these_tasks(gain.loc[tasks]), of_these_tasks(gain), ends]))
    return "\n".join(lines)


def _task(name: str) -> str:
    return label(Task(*without_head(name)))
