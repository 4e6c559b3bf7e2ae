"""The claims together, in the paper's order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from frod_bench.report.claims.accuracy import accuracy
from frod_bench.report.claims.convergence import CONSTANT, Arm, convergence
from frod_bench.report.claims.expressiveness import Updates, expressiveness
from frod_bench.report.claims.parameters import parameters
from frod_bench.report.claims.parts import Judged, evidence_on
from frod_bench.report.claims.robustness import robustness
from frod_bench.report.curves import Curve
from frod_bench.report.keys import Run
from frod_bench.report.rules import Rules
from frod_bench.report.sensitivity import Sensitivity


@dataclass(frozen=True)
class Beside:
    """What the claims are judged on beside an experiment's own cells; what is None was not run.

    `constant` are the frame and the curves of the runs at a constant learning rate, and
    `make_constant` is the command that makes them.
    """

    sensitivity: Sensitivity | None = None
    constant: tuple[pd.DataFrame, Mapping[Run, Curve]] | None = None
    make_constant: str = "frod-bench reproduce experiment=constant_rate"
    updates: Updates | None = None


# From `Collected.frame`, its curves of the column that the rules name, `Beside`, profile and rules.
Judge = Callable[[pd.DataFrame, Mapping[Run, Curve], Beside, str, Rules], Judged]


def judge(
    frame: pd.DataFrame, measured: Mapping[Run, Curve], beside: Beside, profile: str, rules: Rules
) -> Judged:
    """Judge the claims on `Collected.frame` and its curves of the rules' column."""
    cells, constant = evidence_on(frame, rules), None
    whole = profile in rules.convergence.whole_split
    if rules.convergence.constant_rate:
        empty = frame.iloc[:0], dict[Run, Curve]()
        other, curves = beside.constant or empty
        runs = evidence_on(other, rules, constant=True)
        constant = Arm(CONSTANT, runs, curves, whole, beside.make_constant)
    claims = [
        accuracy(cells, rules.accuracy),
        parameters(cells, rules.parameters),
        convergence(Arm("", cells, measured, whole), constant, rules.convergence),
        robustness(cells, beside.sensitivity, rules.robustness),
    ]
    if rules.expressiveness is not None:
        updates = (beside.updates or Updates(None, None)).of_runs(cells.frame)
        claims.append(expressiveness(updates, rules.expressiveness, rules.confidence))
    return Judged(tuple(claims), profile, cells.protocol, rules)
