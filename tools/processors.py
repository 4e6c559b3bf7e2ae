"""The table of how far runs on Intel processors are from those of the same settings that were made
on AMD processors before.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from frod_bench.report.keys import Task
from frod_bench.report.names import label, method_named
from frod_bench.report.reproduction import EQUAL_DIGITS
from frod_bench.report.table import pipes
from tools.differences import head
from tools.evidence_hours import records_in

BEFORE = "earlier_runs/amd"
# What was run -> its folder; the runs before are in the folder of the same name in BEFORE.
GROUPS = {
    "main table": "embedded",
    "qnli, for the first edition of the rules": "first_rules/embedded",
    "at a constant learning rate": "constant_rate/embedded",
    "equal budgets": "matched_budget/embedded",
    "further methods": "all_methods/embedded",
}
# Of these, not all runs have one before them: variants have had other learning rates since, and the
# smaller side's runs before were of Intel processors, too. A method's runs have several settings,
# so that its mean says nothing.
IN_PART = {
    "analyses: rates, seeds, budgets, rotations": "analyses/embedded",
    "why: bases, scaled steps, capacity": "why/embedded",
}
KEYS = ["task", "method", "seed", "config_hash"]
COLUMNS = [
    "runs",
    "equal",
    "median of the others, points",
    "largest, points",
    "largest of a method's mean, points",
]


def table() -> str:
    """A row for each group of runs that both kinds of processor made."""
    lines = head("what was run", COLUMNS)
    for what, folder in {**GROUPS, **IN_PART}.items():
        *cells, mean = _in_words(of_both(folder))
        lines.append(pipes([what, *cells, mean if folder in GROUPS.values() else "–"]))
    return "\n".join(lines)


def of_both(folder: str) -> pd.DataFrame:
    """The runs that both have with a score, and `points`: how far they are apart, after minus
    before. Raises ValueError if one of them lacks a run of the other, unless the folder is one of
    IN_PART; of these, runs that a folder above has are left out.
    """
    before, after = (scores_of(place) for place in (f"{BEFORE}/{folder}", folder))
    pairs = before.merge(after, on=KEYS, suffixes=("_before", ""), validate="one_to_one")
    if folder in IN_PART.values():
        pairs = _not_above(pairs, folder)
    elif lost := max(len(before), len(after)) - len(pairs):
        raise ValueError(f"{folder}: {lost} runs are not in both of it and {BEFORE}/{folder}.")
    equal = np.isclose(pairs["value"], pairs["value_before"], rtol=EQUAL_DIGITS, atol=0)
    change = 100 * (pairs["value"] - pairs["value_before"])
    return pairs.assign(points=change.mask(equal, 0.0))


def _not_above(pairs: pd.DataFrame, folder: str) -> pd.DataFrame:
    """The pairs without those that the table has in a row above the folder's."""
    folders = [*GROUPS.values(), *IN_PART.values()]
    above = pd.concat([scores_of(one)[KEYS] for one in folders[: folders.index(folder)]])
    known = pd.MultiIndex.from_frame(above)
    return pairs[~pd.MultiIndex.from_frame(pairs[KEYS]).isin(known)]


def scores_of(folder: str) -> pd.DataFrame:
    """The score of each run of a folder that has one. A run of an Intel processor does not count
    as one before: records of AMD processors are older than the entry that names them.
    """
    rows = []
    for record in records_in(folder):
        if folder.startswith(BEFORE) and "processor" in record["provenance"]:
            continue
        cell: Mapping[str, object] = record["cell"]
        metric = record["metrics"].get(str(record["primary_metric"]))
        if metric is not None:
            rows.append([*(cell[key] for key in KEYS), metric["value"]])
    return pd.DataFrame(rows, columns=[*KEYS, "value"])


def _in_words(pairs: pd.DataFrame) -> list[str]:
    sizes = pairs["points"].abs()
    furthest = pairs.loc[sizes.idxmax()]
    means = pairs.groupby("method")["points"].mean().abs()
    run = f"{_name(furthest['method'])} on {label(Task(str(furthest['task'])))}"
    return [
        f"{len(pairs)}",
        f"{(sizes == 0).sum()}",
        f"{sizes[sizes > 0].median():.1f}" if sizes.any() else "–",
        f"{sizes.max():.1f} ({run})",
        f"{means.max():.2f} ({_name(means.idxmax())})",
    ]


def _name(method: object) -> str:
    return label(method_named(str(method)), in_text=True)
