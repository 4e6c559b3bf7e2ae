"""What the page on reasons quotes from its experiments and from the main table."""

import numpy as np
import pandas as pd

from frod_bench.report.reproduction import EQUAL_DIGITS
from frod_bench.stats.estimates import Estimate
from tools.differences import AREAS, of_variants, per_tenfold
from tools.processors import BEFORE, scores_of
from tools.quotes.found import (
    MAIN,
    Quote,
    difference,
    distance,
    found_by_four_of_five,
    is_above,
    is_shown,
    mean_of,
    mean_score,
    number,
    p_value,
    plain,
    points,
    relative,
    scores,
    table,
    with_signs,
)
from tools.quotes.results import FEW, MANY, SLOW

WHY = "docs/explanation/why.md"
BASIS, SCALED = "why/embedded/basis", "why/embedded/conditioning"
CAPACITY = "why/embedded/capacity"
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
JOINT, SVD, RANDOM = (f"frod (basis {name})" for name in ("exact", "svd", "random"))


def at_share(share: float) -> str:
    """FRoD with this share of rotations, as tables name it."""
    return f"frod (s {share:g})"


def rise(shares: tuple[float, ...] = SHARES, family: str = "", without: str = "") -> pd.DataFrame:
    """Points that ten times the share add, task by task, by a line through these shares."""
    tasks = scores(CAPACITY, at_share(0.02), family=family, without=without).index
    named = {at_share(share): share for share in shares}
    found = points(CAPACITY).loc[list(named)]
    return per_tenfold(found[found.index.get_level_values("task").isin(tasks)], named)


def from_the_papers_share(without: str = "") -> Estimate:
    """The same from the paper's share on."""
    return mean_of(rise(SHARES[2:], without=without))


def grown(ours: str, theirs: str) -> Estimate:
    """By how much the distance of ours below theirs grows with three times the steps."""
    many = difference(SLOW, f"{ours} {MANY}", f"{theirs} {MANY}")
    return mean_of(many - difference(SLOW, f"{ours} {FEW}", f"{theirs} {FEW}"), turned=True)


def percent_below(folder: str, ours: str, theirs: str, without: str = "") -> Estimate:
    """How far ours is below theirs, in % of their score."""
    below = distance(folder, ours, theirs, turned=True, without=without)
    return relative(below, mean_score(folder, theirs, without=without))


def contradicts(folder: str, ours: str, theirs: str, without: str = "") -> bool:
    """Whether two methods are shown to differ by more than the published 1 to 2 % of a score."""
    return percent_below(folder, ours, theirs, without).low > 2


def late_share(ours: str, theirs: str, without: str = "") -> list[str]:
    """`percent_below` at 420 steps, in words."""
    return plain(percent_below(SLOW, f"{ours} {MANY}", f"{theirs} {MANY}", without))


def corrected(folder: str, ours: str, theirs: str, intervals: int, digits: int = 2) -> str:
    """p of a difference in vision times the number of intervals."""
    p = min(1.0, intervals * p_value(difference(folder, ours, theirs, family="vision")))
    return number(p, digits)


def trained_shares() -> list[str]:
    """% of the backbone that each share trains."""
    found = table(CAPACITY, "budget_curve")
    percents = found[found["scope"] == "overall"].set_index("variant")["percent"]
    texts = [percents[at_share(share)] for share in SHARES]
    return [f"{one:.0f}" if one > 9 else f"{one:.1f}" for one in texts]


def means_by_share() -> list[str]:
    """The mean over all tasks at each share."""
    return [number(mean_score(CAPACITY, at_share(share))) for share in SHARES]


def same_runs(folder: str, method: str) -> bool:
    """Whether a variant's scores are those of FRoD in the main table of that time."""
    before = scores_of(f"{BEFORE}/{MAIN}")
    frod = before[before["method"] == "frod"].set_index(["task", "seed"])["value"]
    ours = scores(folder, method).stack() / 100
    return bool(np.allclose(ours, frod.loc[ours.index], rtol=EQUAL_DIGITS, atol=0))


def vision_ratios() -> list[str]:
    """The ratio of FRoD's rate to LoRA's that the eigenvalues of vision predict, and the picked."""
    found = table("embedded/curvature", "curvature_points")
    found = found[(found["coordinates"] == "adapter") & (found["family"] == "vision")]
    by_method = found.set_index("method")
    predicted = by_method.loc["lora", "eigenvalue"] / by_method.loc["frod", "eigenvalue"]
    picked = by_method.loc["frod", "picked_rate"] / by_method.loc["lora", "picked_rate"]
    return [number(predicted), number(picked)]


def below_everywhere() -> bool:
    """Whether FRoD is below full fine-tuning at 420 steps in every family, and on all tasks but
    MRPC.
    """
    gain = difference(SLOW, f"frod {MANY}", f"full {MANY}").mean(axis=1)
    families = (
        distance(SLOW, f"frod {MANY}", f"full {MANY}", turned=True, family=family)
        for family in AREAS
    )
    return list(gain.index[gain >= 0]) == ["mrpc"] and all(map(is_above, families))


def on_cola() -> list[str]:
    """Full fine-tuning's score on CoLA at either number of steps, in whole points."""
    values = (scores(SLOW, f"full {steps}").loc["cola"].mean() for steps in (FEW, MANY))
    return [number(float(value), 0) for value in values]


QUOTES = [
    Quote(
        WHY,
        "The runs with plain steps, and those with the joint basis, are those of FRoD in the main "
        "table of that time, score by score.",
        holds=lambda: same_runs(SCALED, "frod (scaled by none)") and same_runs(BASIS, JOINT),
    ),
    Quote(
        WHY,
        "The runs at s 0.02 are those of FRoD in the main table of that time.",
        holds=lambda: same_runs(CAPACITY, at_share(0.02)),
    ),
    Quote(
        WHY,
        "ten times the share has {} points from 0.02 on ({}), and {} over all six shares ({})",
        lambda: [*with_signs(from_the_papers_share()), *with_signs(mean_of(rise()))],
        lambda: not is_shown(from_the_papers_share()) and not is_shown(mean_of(rise())),
    ),
    Quote(
        WHY,
        "its distance from full fine-tuning grows by {} points ({}), and that from LoRA is not "
        "shown to change ({} more, {})",
        lambda: [*plain(grown("frod", "full")), *plain(grown("frod", "lora"))],
        lambda: is_shown(grown("frod", "full")) and not is_shown(grown("frod", "lora")),
    ),
    Quote(
        WHY,
        "the joint basis is {} points ahead ({})",
        lambda: plain(distance(BASIS, JOINT, RANDOM)),
        lambda: not is_shown(distance(BASIS, JOINT, RANDOM)),
    ),
    Quote(
        WHY,
        "more-rotations-are-worth): {} points ({}) |",
        lambda: with_signs(distance(SCALED, "frod (scaled by columns)", "frod (scaled by none)")),
    ),
    Quote(
        WHY,
        "At the spreads of these runs, four of five such experiments would find a difference of "
        "{} points between the joint and the random basis, and one of {} points between the joint "
        "basis and singular vectors.",
        lambda: [
            number(found_by_four_of_five(difference(BASIS, JOINT, other)))
            for other in (RANDOM, SVD)
        ],
    ),
    Quote(
        WHY,
        "In vision singular vectors are better than the joint basis. This would remain after a "
        "correction for the twelve intervals of bases and scaled steps (p {}), but just not after "
        "one for all 36 (p {}).",
        lambda: [corrected(BASIS, SVD, JOINT, count) for count in (12, 36)],
        lambda: is_above(distance(BASIS, SVD, JOINT, family="vision")),
    ),
    Quote(
        WHY,
        "Thirty-six intervals are shown",
        holds=lambda: of_variants().count("[") == 36,
    ),
    Quote(
        WHY,
        "{} % of the backbone at s 0.005, {} at 0.01, {} at 0.02, {} at 0.05, {} at 0.1, which is "
        "about LoRA's count, and {} at 0.2",
        trained_shares,
    ),
    Quote(
        WHY,
        "four of five such experiments would have found a rise of {} points for ten times the "
        "share",
        lambda: [number(found_by_four_of_five(rise()))],
    ),
    Quote(
        WHY,
        "without that share no rise is shown there ({})",
        lambda: [", ".join(with_signs(mean_of(rise((0.005, *SHARES[2:]), "vision"))))],
        lambda: (
            is_above(mean_of(rise(family="vision")))
            and not is_shown(mean_of(rise((0.005, *SHARES[2:]), "vision")))
        ),
    ),
    Quote(
        WHY,
        "From s 0.02 on, the paper's share, a rise is not shown with or without WinoGrande",
        holds=lambda: not is_shown(from_the_papers_share("winogrande")),
    ),
    Quote(
        WHY,
        "the means over all tasks are {}, {}, {}, {}, {} and {};",
        means_by_share,
    ),
    Quote(
        WHY,
        "In vision s 0.01 and 0.005 are below s 0.02. Corrected for the fifteen intervals of "
        "shares and families, these differences have p {} and {}.",
        lambda: [
            corrected(CAPACITY, at_share(0.01), at_share(0.02), 15),
            corrected(CAPACITY, at_share(0.005), at_share(0.02), 15, 1),
        ],
        lambda: all(
            distance(CAPACITY, at_share(share), at_share(0.02), family="vision").high < 0
            for share in (0.005, 0.01)
        ),
    ),
    Quote(
        WHY,
        "s 0.005 would also be below s 0.01, and it is not ({} above, {})",
        lambda: plain(distance(CAPACITY, at_share(0.005), at_share(0.01), family="vision")),
    ),
    Quote(
        WHY,
        "At 420 steps FRoD is below it in every family, and on all tasks but MRPC. CoLA, where "
        "full fine-tuning goes from {} to {}, weighs most: without it FRoD is {} below at 420 "
        "steps ({}).",
        lambda: [
            *on_cola(),
            *plain(distance(SLOW, f"frod {MANY}", f"full {MANY}", turned=True, without="cola")),
        ],
        below_everywhere,
    ),
    Quote(
        WHY,
        "LoRA, too, falls behind full fine-tuning, by less: without CoLA by {} points ({}).",
        lambda: plain(distance(SLOW, f"lora {MANY}", f"full {MANY}", turned=True, without="cola")),
    ),
    Quote(
        WHY,
        "At 140 steps FRoD is below full fine-tuning by {} % of full fine-tuning's score ({}), "
        "and below LoRA by {} % of LoRA's score ({}). This does not contradict the finding.",
        lambda: [
            text for other in ("full", "lora") for text in plain(percent_below(MAIN, "frod", other))
        ],
        lambda: not any(contradicts(MAIN, "frod", other) for other in ("full", "lora")),
    ),
    Quote(
        WHY,
        "At 420 steps FRoD's distance from full fine-tuning is {} % ({}; without CoLA {}, {}).",
        lambda: late_share("frod", "full") + late_share("frod", "full", "cola"),
        lambda: all(contradicts(SLOW, f"frod {MANY}", f"full {MANY}", out) for out in ("", "cola")),
    ),
    Quote(
        WHY,
        "So does LoRA's own distance from full fine-tuning, {} % ({}); without CoLA it does not "
        "({} %, {}).",
        lambda: late_share("lora", "full") + late_share("lora", "full", "cola"),
        lambda: (
            contradicts(SLOW, f"lora {MANY}", f"full {MANY}")
            and not contradicts(SLOW, f"lora {MANY}", f"full {MANY}", "cola")
        ),
    ),
    Quote(
        WHY,
        "FRoD's distance from LoRA, {} % of LoRA's score ({}), does not contradict the finding.",
        lambda: late_share("frod", "lora"),
        lambda: not contradicts(SLOW, f"frod {MANY}", f"lora {MANY}"),
    ),
    Quote(
        WHY,
        "{} times LoRA's rate would follow from the eigenvalues, and {} times was picked.",
        vision_ratios,
    ),
]
