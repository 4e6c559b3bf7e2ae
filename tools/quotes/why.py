"""What the page on reasons quotes of the basis, scaled steps and capacity."""

import numpy as np
import pandas as pd

from frod_bench.report.reproduction import EQUAL_DIGITS
from frod_bench.stats.estimates import Estimate
from tools.differences import HANGS_ON, hangs_on, of_variants, per_tenfold
from tools.evidence_hours import records_in
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
    scores,
    table,
    with_signs,
)
from tools.searched_picks import picks_of

WHY = "docs/explanation/why.md"
BASIS, SCALED = "why/embedded/basis", "why/embedded/conditioning"
CAPACITY = "why/embedded/capacity"
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
JOINT, SVD, RANDOM = (f"frod (basis {name})" for name in ("exact", "svd", "random"))
COLUMNS, PLAIN = "frod (scaled by columns)", "frod (scaled by none)"
SEEDS = (0, 1, 2)  # of the experiments
INTERVALS = 36  # of the table of variants
FAILED = 60  # points on WinoGrande


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


def corrected(
    folder: str, ours: str, theirs: str, digits: int = 2, intervals: int = INTERVALS
) -> str:
    """p of a difference in vision by Bonferroni's correction for all intervals of the table."""
    p = min(1.0, intervals * p_value(difference(folder, ours, theirs, family="vision")))
    return f"{p:.{digits}f}" if p < 1 else "1"


def detectable(gain: pd.DataFrame) -> list[str]:
    """The true difference that four of five such experiments would find, with its interval."""
    return plain(found_by_four_of_five(gain))


def trained_shares() -> list[str]:
    """% of the backbone that each share trains."""
    found = table(CAPACITY, "budget_curve")
    percents = found[found["scope"] == "overall"].set_index("variant")["percent"]
    texts = [percents[at_share(share)] for share in SHARES]
    return [f"{one:.0f}" if one > 9 else f"{one:.1f}" for one in texts]


def means_by_share() -> list[str]:
    """The mean over all tasks at each share."""
    return [number(mean_score(CAPACITY, at_share(share))) for share in SHARES]


def differing_shares() -> list[float]:
    """The shares whose score over all tasks is shown to differ from that of the paper's share."""
    others = (share for share in SHARES if share != 0.02)
    return [one for one in others if is_shown(distance(CAPACITY, at_share(one), at_share(0.02)))]


def failing_shares() -> int:
    """At how many shares a run on WinoGrande fails."""
    lowest = (scores(CAPACITY, at_share(share)).loc["winogrande"].min() for share in SHARES)
    return sum(score < FAILED for score in lowest)


def picks_at(share: float) -> pd.DataFrame:
    """What the search says of the picks at a share, by family."""
    return picks_of("embedded").xs(at_share(share), level="method")


def least_sure(family: str) -> bool:
    """Whether in a family the pick at s 0.01 is found again less often than at other shares."""
    column = "picked_again_percent"
    again = {share: picks_at(share).loc[family, column] for share in SHARES}
    return min(again, key=lambda share: again[share]) == 0.01


def costs_of_a_pick() -> list[float]:
    """What a redrawn pick costs at s 0.01 in vision and in reasoning."""
    return [float(picks_at(0.01).loc[name, "regret_points"]) for name in ("vision", "reasoning")]


def lower_scores() -> list[Estimate]:
    """By how much s 0.01 is below s 0.02 there."""
    return [
        distance(CAPACITY, at_share(0.02), at_share(0.01), family=name)
        for name in ("vision", "reasoning")
    ]


def made_by(version: str, processor: str) -> bool:
    """Whether a version of the code and a make of processor made all runs of `why`."""
    made = [record["provenance"] for record in records_in("why/embedded")]
    return all(
        one["code_version"].startswith(f"{version}+") and processor in one["processor"]
        for one in made
    )


def are_of_the_main_table(folder: str, method: str, theirs: str = "frod") -> bool:
    """Whether a variant's scores are those of a method in the main table, to the last digit."""
    ours = scores(folder, method)
    main = scores(MAIN, theirs).loc[ours.index, ours.columns]
    return bool(np.allclose(ours, main, rtol=EQUAL_DIGITS, atol=0))


QUOTES = [
    Quote(
        WHY,
        "Version 1.0.0 made the judged runs of `basis`, `conditioning` and `capacity` on Intel "
        "processors.",
        holds=lambda: made_by("1.0.0", "Intel"),
    ),
    Quote(
        WHY,
        "Those that they share with the [main table]"
        "(../reference/results.md#the-main-table-on-synthetic-data) are the same runs, score by "
        "score.",
        holds=lambda: (
            are_of_the_main_table(SCALED, PLAIN)
            and are_of_the_main_table(BASIS, JOINT)
            and are_of_the_main_table(CAPACITY, at_share(0.02))
        ),
    ),
    Quote(
        WHY,
        "a tenfold share changes the score by {} points from 0.02 on ({}), and by {} over all six "
        "shares ({})",
        lambda: [*with_signs(from_the_papers_share()), *with_signs(mean_of(rise()))],
        lambda: not is_shown(from_the_papers_share()) and not is_shown(mean_of(rise())),
    ),
    Quote(
        WHY,
        "the joint basis is {} points ahead ({})",
        lambda: plain(distance(BASIS, JOINT, RANDOM)),
        lambda: not is_shown(distance(BASIS, JOINT, RANDOM)),
    ),
    Quote(
        WHY,
        "[not shown](#what-the-joint-decomposition-scaled-steps-and-more-rotations-are-worth): {} "
        "points ({}) |",
        lambda: with_signs(distance(SCALED, COLUMNS, PLAIN)),
        lambda: not is_shown(distance(SCALED, COLUMNS, PLAIN)),
    ),
    Quote(
        WHY,
        "A lead of the joint basis over the random one of more than {} points is excluded, and "
        "one over singular vectors of more than {}.",
        lambda: [number(distance(BASIS, JOINT, other).high) for other in (RANDOM, SVD)],
        lambda: not is_shown(distance(BASIS, JOINT, SVD)),
    ),
    Quote(
        WHY,
        "At the spreads of these runs, four of five such experiments would find a difference of "
        "{} points ({}) between the joint and the random basis, and of {} points ({}) between the "
        "joint basis and singular vectors.",
        lambda: [
            text for other in (RANDOM, SVD) for text in detectable(difference(BASIS, JOINT, other))
        ],
    ),
    Quote(
        WHY,
        "without BoolQ, where a run with singular vectors fails, singular vectors are {} points "
        "ahead of the joint basis ({}).",
        lambda: plain(distance(BASIS, SVD, JOINT, without="boolq")),
        lambda: list((scores(BASIS, SVD).loc["boolq"] < 50).sort_values()) == [False, False, True],
    ),
    Quote(
        WHY,
        "In vision singular vectors are {} points ahead of the joint basis ({}), with p {} after "
        "Bonferroni's correction for all 36 intervals. They are {} points ahead of the random "
        "basis ({}; p {} after a correction for 37), a comparison that was made after the others. "
        "The random basis is not shown to be below the joint one there.",
        lambda: [
            *plain(distance(BASIS, SVD, JOINT, family="vision")),
            corrected(BASIS, SVD, JOINT, 3),
            *plain(distance(BASIS, SVD, RANDOM, family="vision")),
            corrected(BASIS, SVD, RANDOM, 2, INTERVALS + 1),
        ],
        lambda: (
            is_above(distance(BASIS, SVD, JOINT, family="vision"))
            and is_above(distance(BASIS, SVD, RANDOM, family="vision"))
            and not is_above(distance(BASIS, JOINT, RANDOM, family="vision"))
        ),
    ),
    Quote(
        WHY,
        "In language understanding, where scaled steps should matter most, the difference is {} "
        "points ({}).",
        lambda: with_signs(distance(SCALED, COLUMNS, PLAIN, family="nlu")),
        lambda: not is_shown(distance(SCALED, COLUMNS, PLAIN, family="nlu")),
    ),
    Quote(
        WHY,
        "Thirty-six intervals are shown",
        holds=lambda: of_variants().count("[") == INTERVALS and HANGS_ON in of_variants(),
    ),
    Quote(
        WHY,
        "{} % of the backbone at s 0.005, {} at 0.01, {} at 0.02, {} at 0.05, {} at 0.1, which is "
        "about LoRA's count, and {} at 0.2",
        trained_shares,
    ),
    Quote(
        WHY,
        "four of five such experiments would have found a rise of {} points ({}) for ten times "
        "the share. LoRA is ahead of FRoD by {} points on these seeds ({}).",
        lambda: [
            *detectable(rise()),
            *plain(mean_of(difference(MAIN, "lora", "frod")[list(SEEDS)])),
        ],
    ),
    Quote(
        WHY,
        "That no rise is shown hangs on WinoGrande, where single runs score below 60 at five of "
        "the six shares.",
        holds=lambda: hangs_on(rise()) == "WinoGrande" and failing_shares() == 5,
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
        "the means over all tasks are {}, {}, {}, {}, {} and {}. None is shown to differ from "
        "that at 0.02",
        means_by_share,
        lambda: not differing_shares(),
    ),
    Quote(
        WHY,
        "In vision s 0.01 and 0.005 are below s 0.02. After Bonferroni's correction for all 36 "
        "intervals, these differences have p {} and {}.",
        lambda: [
            corrected(CAPACITY, at_share(0.01), at_share(0.02)),
            corrected(CAPACITY, at_share(0.005), at_share(0.02)),
        ],
        lambda: all(
            distance(CAPACITY, at_share(share), at_share(0.02), family="vision").high < 0
            for share in (0.005, 0.01)
        ),
    ),
    Quote(
        WHY,
        "s 0.005 would also be below s 0.01, and it is not shown to be ({} above, {})",
        lambda: plain(distance(CAPACITY, at_share(0.005), at_share(0.01), family="vision")),
        lambda: distance(CAPACITY, at_share(0.005), at_share(0.01), family="vision").high > 0,
    ),
    Quote(
        WHY,
        "Over all tasks the result at s 0.01 hangs on SST-2 and WinoGrande: if either of them is "
        "left out, a cost is shown.",
        holds=lambda: (
            hangs_on(difference(CAPACITY, at_share(0.01), at_share(0.02))) == "SST-2, WinoGrande"
        ),
    ),
    Quote(
        WHY,
        "The picks at s 0.01 are the least sure ones in vision and reasoning. A redrawn pick costs "
        "{} points in either, less than the {} and {} points by which the scores are lower there "
        "(in reasoning this is not shown).",
        lambda: [
            number(costs_of_a_pick()[0]),
            *(number(one.mean) for one in lower_scores()),
        ],
        lambda: (
            all(map(least_sure, ("vision", "reasoning")))
            and len(set(map(number, costs_of_a_pick()))) == 1
            and [is_shown(one) for one in lower_scores()] == [True, False]
        ),
    ),
    Quote(
        WHY,
        "At about LoRA's count of parameters, s 0.1, FRoD is not shown to be nearer to LoRA than "
        "at s 0.02.",
        holds=lambda: not is_shown(distance(CAPACITY, at_share(0.1), at_share(0.02))),
    ),
    Quote(
        "docs/reference/results.md",
        "FRoD with about LoRA's count of parameters is not shown to be nearer to LoRA, and a gain "
        "of up to {} points is not excluded.",
        lambda: [number(distance(CAPACITY, at_share(0.1), at_share(0.02)).high)],
    ),
]
