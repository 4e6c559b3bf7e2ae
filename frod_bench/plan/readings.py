"""The paper's share of trained parameters beside every reading of it that our counts allow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from frod_bench.plan.costs import CellCost

PAPER_PERCENT = 1.72  # arXiv 2512.23485, abstract
MARGIN = 0.1  # percentage points
METHOD = "frod"
NUMERATORS = ("without the head", "with the head")
DENOMINATORS = {
    "backbone": "the backbone as it is fine-tuned",
    "trained model": "the backbone, the adapter and the head",
    "adapted model": "the same, and FRoD's frozen U, V and lambda_0",
    "checkpoint": "the whole checkpoint: CLIP's text tower, the language model's head",
}


@dataclass(frozen=True)
class Reading:
    """One way to read "trains p % of the parameters".

    Attributes:
        counted: what is trained, with the head or without.
        of: a key of `DENOMINATORS`.
        over: a family, `families` (their mean) or `tasks` (the suite's mean).
        percent: of the mean over tasks.
        near: within `MARGIN` of the paper's.
    """

    counted: str
    of: str
    over: str
    percent: float
    near: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def readings(cells: Iterable[CellCost], checkpoints: Mapping[str, int]) -> list[Reading]:
    """All readings for FRoD's cells; none where there are no such cells.

    Args:
        checkpoints: backbone -> parameters of its whole checkpoint.
    """
    frod = [cell for cell in cells if cell.method == METHOD]
    families = list(dict.fromkeys(cell.family for cell in frod))
    found = []
    for counted in NUMERATORS if frod else ():
        for of in DENOMINATORS:
            shares = [(cell.family, percent(cell, counted, of, checkpoints)) for cell in frod]
            means = {f: fmean(p for family, p in shares if family == f) for f in families}
            over = means | {"families": fmean(means.values()), "tasks": fmean(p for _, p in shares)}
            found += [
                Reading(counted, of, name, value, abs(value - PAPER_PERCENT) <= MARGIN)
                for name, value in over.items()
            ]
    return found


def percent(cell: CellCost, counted: str, of: str, checkpoints: Mapping[str, int]) -> float:
    """The share of one cell."""
    counts = cell.counts
    head = counts.head if counted == NUMERATORS[1] else 0
    trained = counts.trained + counts.head
    whole = {
        "backbone": counts.backbone,
        "trained model": counts.backbone + trained,
        "adapted model": counts.backbone + trained + counts.frozen_extra,
        "checkpoint": checkpoints[cell.backbone],
    }
    return 100 * (counts.trained + head) / whole[of]


def near_ones(found: Sequence[Reading]) -> list[str]:
    """The readings that come near the paper's number, in words."""
    return [
        f"{one.percent:.2f} %: {one.counted}, of the {one.of}, {one.over}"
        for one in found
        if one.near
    ]
