"""The paper's share of trained parameters, and every reading of it that the counts allow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from frod_bench.plan.costs import CellCost
from frod_bench.report.rules import ParametersRule

NUMERATORS = ("without the head", "with the head")
DENOMINATORS = {
    "backbone": "the backbone as it is fine-tuned",
    "trained model": "the backbone, the adapter and the head",
    "adapted model": "the same, and FRoD's frozen U, V and lambda_0",
    "checkpoint": "the whole checkpoint, with CLIP's text tower and the language model's head",
}


@dataclass(frozen=True)
class Reading:
    """One way to read "trains p % of the parameters".

    Attributes:
        counted: whether the head counts as trained, one of `NUMERATORS`.
        of: a key of `DENOMINATORS`.
        over: a family, `families` (their mean) or `tasks` (the suite's mean).
        percent: mean over tasks.
        near: whether it is within the claim's tolerance of the paper's number.
    """

    counted: str
    of: str
    over: str
    percent: float
    near: bool


def readings(
    cells: Iterable[CellCost], checkpoints: Mapping[str, int], rule: ParametersRule
) -> list[Reading]:
    """Return all readings of the cells of the rule's method; none if there are no such cells.

    Args:
        checkpoints: backbone -> parameters of its whole checkpoint.
    """
    ours = [cell for cell in cells if cell.method == rule.ours]
    found = []
    for counted, of in product(NUMERATORS, DENOMINATORS) if ours else ():
        by_family: dict[str, list[float]] = {}
        for cell in ours:
            share = _percent(cell, counted, of, checkpoints)
            by_family.setdefault(cell.family_label, []).append(share)
        means = {family: fmean(shares) for family, shares in by_family.items()}
        means["families"] = fmean(list(means.values()))
        means["tasks"] = fmean(_percent(cell, counted, of, checkpoints) for cell in ours)
        for over, percent in means.items():
            near = abs(percent - rule.paper_percent) <= rule.tolerance_points
            found.append(Reading(counted, of, over, percent, near))
    return found


def _percent(cell: CellCost, counted: str, of: str, checkpoints: Mapping[str, int]) -> float:
    counts = cell.counts
    trained = counts.trained + counts.head
    whole = {
        "backbone": counts.backbone,
        "trained model": counts.backbone + trained,
        "adapted model": counts.backbone + trained + counts.frozen_extra,
        "checkpoint": checkpoints[cell.backbone],
    }
    return 100 * (trained if counted == NUMERATORS[1] else counts.trained) / whole[of]
