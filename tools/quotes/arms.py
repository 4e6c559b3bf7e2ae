"""What the page of results quotes from the runs at a constant rate, at equal budgets and of all
methods.
"""

import pandas as pd

from tools import differences
from tools.quotes.curves import late, rises
from tools.quotes.found import (
    MAIN,
    Quote,
    difference,
    distance,
    is_above,
    is_shown,
    mean_of,
    number,
    part,
    parts,
    plain,
    scores,
    table,
    variance_share,
    with_signs,
)
from tools.quotes.results import (
    ALL,
    CONSTANT,
    LATER,
    MATCHED,
    RESULTS,
    RIVALS,
    between_lora_and_dora,
)

NUMERALS = {6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
THESE, NLU = "these 20 tasks", "language understanding"


def at_constant_rate(column: str, method: str, family: str = "") -> int:
    """The sum of a column of counts of runs at a constant rate, e.g. of those that miss the target
    (`n_missed`) or have one (`n_seeds`).
    """
    found = table(CONSTANT, "convergence")
    found = found[(found["axis"] == "steps") & (found["method"] == method)]
    if family:
        found = found[found["family"] == family]
    return int(found[column].sum())


def missed(method: str, family: str = "") -> int:
    """Runs at a constant rate that miss the target."""
    return at_constant_rate("n_missed", method, family)


def above_frod(column: str) -> set[str]:
    """The methods that are shown to be above FRoD in a column of the table of all methods."""
    return {name for name, cell in column_of_all(column).items() if "[+" in cell}


def below_frod(column: str) -> set[str]:
    """The methods that are shown to be below."""
    return {name for name, cell in column_of_all(column).items() if ", −" in cell}


def column_of_all(column: str) -> dict[str, str]:
    """A column of the table of all methods."""
    head, _, *rows = (
        line.strip("| ").split(" | ") for line in differences.of_all_methods().split("\n")
    )
    at = head.index(column)
    return {row[0]: row[at] for row in rows}


def by_decay(family: str, without: str = "") -> pd.DataFrame:
    """FRoD's points under the decay minus those at a constant rate."""
    tasks = {"family": family, "without": without}
    return scores(MAIN, "frod", **tasks) - scores(CONSTANT, "frod", **tasks)


def of_budget(without: str) -> str:
    """LoRA minus LoRA of FRoD's budget without a task."""
    return ", ".join(plain(distance(MATCHED, "lora", "lora_matched", without=without)))


def released(family: str = "") -> list[str]:
    """How far the released layer is below the frozen backbone."""
    return plain(distance(ALL, "frod_released", "frozen", turned=True, family=family))


def same_tasks(ours: str, theirs: str) -> list[str]:
    """How far ours is above theirs on the tasks that both have."""
    return plain(mean_of(difference(ALL, ours, theirs)))


def shares_of_sst2() -> list[float]:
    """SST-2's share of the variance of language understanding, of each row of all methods."""
    others = [name for name in table(ALL, "cells")["method"].unique() if name != "frod"]
    gains = (difference(ALL, name, "frod", family="nlu") for name in others)
    return [variance_share(gain, "sst2") for gain in gains]


QUOTES = [
    Quote(
        RESULTS,
        "The interval excludes 0, and does not say whether the difference is more than one point.",
        holds=lambda: (
            distance(MAIN, "frod", "full").low < -1 < distance(MAIN, "frod", "full").high < 0
        ),
    ),
    Quote(
        RESULTS,
        "Under the decay, {} % of the arrivals of the four trained methods at the target are in "
        "the last quarter (median step {} of 140). At a constant rate it is {} % (median step {} "
        "of 140).",
        lambda: late(MAIN) + late(CONSTANT),
    ),
    Quote(
        RESULTS,
        "Steps to the target are undecided against both LoRA and DoRA. In seconds FRoD arrives "
        "later than LoRA and earlier than DoRA",
        holds=between_lora_and_dora,
    ),
    Quote(
        RESULTS,
        "Against full fine-tuning, which decides nothing, steps are undecided, and in seconds "
        "FRoD arrives later.",
        holds=lambda: (
            part(f"steps to target {LATER}full over frod")["low"]
            < 1
            < part(f"steps to target {LATER}full over frod")["high"]
            and part(f"seconds to target {LATER}full over frod")["high"] < 1
        ),
    ),
    Quote(
        RESULTS,
        "No interval in steps shows FRoD to be faster than LoRA or than DoRA, in either arm. In "
        "seconds LoRA is faster under the decay, too.",
        holds=lambda: (
            bool((parts(f"steps to target.*, {RIVALS}", 4)["low"] <= 1).all())
            and part("seconds to target, lora over frod")["high"] < 1
        ),
    ),
    Quote(
        RESULTS,
        "On validation they rose by {} to {} points in the last 20 steps:",
        lambda: rises(CONSTANT, 20),
    ),
    Quote(
        RESULTS,
        "FRoD misses the target in {} of {} runs, LoRA in {} and DoRA in {}. More than half of "
        "FRoD's and DoRA's misses are on language understanding.",
        lambda: [
            str(missed("frod")),
            str(at_constant_rate("n_seeds", "frod")),
            *(str(missed(method)) for method in ("lora", "dora")),
        ],
        lambda: all(2 * missed(method, "nlu") > missed(method) for method in ("frod", "dora")),
    ),
    Quote(
        RESULTS,
        "In reasoning FRoD is not shown to lose ({}; without WinoGrande, where it loses {}, {}).",
        lambda: [
            ", ".join(with_signs(mean_of(by_decay("reasoning")))),
            number(-float(by_decay("reasoning").loc["winogrande"].mean())),
            ", ".join(with_signs(mean_of(by_decay("reasoning", "winogrande")))),
        ],
        lambda: not is_shown(mean_of(by_decay("reasoning"))),
    ),
    Quote(
        RESULTS,
        "On the same three seeds it is {} points below LoRA and {} below DoRA at their default "
        "ranks.",
        lambda: [number(-distance(MATCHED, "frod", other).mean) for other in ("lora", "dora")],
    ),
    Quote(
        RESULTS,
        "without BoolQ {}; without WinoGrande {})",
        lambda: [of_budget("boolq"), of_budget("winogrande")],
    ),
    Quote(
        RESULTS,
        "At about its own budget FRoD is not shown to differ from LoRA or DoRA",
        holds=lambda: (
            not any(
                is_shown(distance(MATCHED, "frod", f"{other}_matched"))
                for other in ("lora", "dora")
            )
        ),
    ),
    Quote(
        RESULTS,
        "DoRA's score falls. A fall of LoRA's score is not shown",
        holds=lambda: (
            is_above(distance(MATCHED, "dora", "dora_matched"))
            and not is_shown(distance(MATCHED, "lora", "lora_matched"))
        ),
    ),
    Quote(
        RESULTS,
        "Over all tasks rsLoRA, LoRA and DoRA are above FRoD",
        holds=lambda: above_frod(THESE) == {"rsLoRA", "LoRA", "DoRA"},
    ),
    Quote(
        RESULTS,
        "DoRA, rsLoRA and RandLoRA are above it",
        holds=lambda: above_frod("tasks drawn at random") == {"rsLoRA", "RandLoRA", "DoRA"},
    ),
    Quote(
        RESULTS,
        "In vision rsLoRA, DoRA and RandLoRA are above FRoD, and PiSSA is below.",
        holds=lambda: (
            above_frod("vision") == {"rsLoRA", "RandLoRA", "DoRA"}
            and "PiSSA" in below_frod("vision")
        ),
    ),
    Quote(
        RESULTS,
        "VeRA is below on language understanding.",
        holds=lambda: "VeRA" in below_frod(NLU),
    ),
    Quote(
        RESULTS,
        "On language understanding, SST-2 makes about two thirds or more of the variance in {} of "
        "ten rows.",
        lambda: [NUMERALS[sum(share > 0.65 for share in shares_of_sst2())]],
    ),
    Quote(
        RESULTS,
        "The released layer is below the frozen backbone, also at its own learning rates, by {} "
        "points ({}). Vision decides this ({}).",
        lambda: [*released(), ", ".join(released("vision"))],
        lambda: is_above(distance(ALL, "frozen", "frod_released")),
    ),
    Quote(
        RESULTS,
        "BitFit, over the twelve tasks that it fits, is {} points below FRoD ({})",
        lambda: same_tasks("frod", "bitfit"),
    ),
    Quote(
        RESULTS,
        "and {} above the frozen backbone ({})",
        lambda: same_tasks("bitfit", "frozen"),
    ),
]
