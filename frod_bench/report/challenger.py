"""The report of one method beside committed runs of others: every table says how it compares.

The thresholds are those of `conf/claims.yaml`, asked of another method: is it as accurate as each
other one, and does it converge faster than the low-rank ones? They are judged on the tasks and
seeds of the report. The paper's claims about FRoD are not judged again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from frod_bench.report.claims.accuracy import accuracy
from frod_bench.report.claims.convergence import Arm, convergence
from frod_bench.report.claims.judge import Beside
from frod_bench.report.claims.parts import Claim, Evidence, Judged
from frod_bench.report.curves import Curve
from frod_bench.report.keys import Run
from frod_bench.report.rules import Rules


def rules_for(method: str, rules: Rules, suite: str, seeds: Sequence[int]) -> Rules:
    """The rules with `method` as the one that is judged, on a suite and seeds."""
    shown = [name for name in (rules.convergence.ours, *rules.convergence.shown) if name != method]
    return replace(
        rules,
        suite=suite,
        seeds=list(seeds),
        accuracy=replace(rules.accuracy, ours=method),
        convergence=replace(
            rules.convergence,
            ours=method,
            shown=shown,
            published_ratio={},  # what the released loss curves say is about FRoD
            constant_rate=False,
            one_machine=False,  # a challenge compares the pace of the machines instead
        ),
    )


def judge_challenger(
    frame: pd.DataFrame,
    measured: Mapping[Run, Curve],
    _beside: Beside,
    profile: str,
    rules: Rules,
    *,
    seconds_compare: bool = True,
) -> Judged:
    """Judge the method of `rules_for` on all of `Collected.frame`, against each other method.
    Without `seconds_compare`, or if the runs are of several kinds of devices, or several models
    of one accelerator, seconds decide nothing.
    """
    protocols = ", ".join(sorted(frame["protocol"].dropna().unique()))
    tasks, seeds = tuple(frame["task"].unique()), tuple(rules.seeds)
    cells = Evidence(frame, tasks, seeds, protocols, rules.confidence)
    others = [name for name in frame["method"].unique() if name != rules.accuracy.ours]
    claims = [_against(name, cells, rules) for name in others]
    arm = Arm("", cells, measured, profile in rules.convergence.whole_split)
    kinds = frame["device"].dropna().str.partition(":")[0]
    models = frame["processor"][kinds.index[kinds != "cpu"]]  # of processors the pace is compared
    same = seconds_compare and max(kinds.nunique(), models.nunique()) <= 1
    claims.append(convergence(arm, None, rules.convergence, seconds_compare=same))
    return Judged(tuple(claims), profile, protocols, rules)


def _against(other: str, cells: Evidence, rules: Rules) -> Claim:
    claim = accuracy(cells, replace(rules.accuracy, reference=other))
    return replace(claim, key=f"accuracy_{other}")
