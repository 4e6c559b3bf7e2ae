"""What the README, the page of results and their summaries quote from the synthetic tables."""

import functools
from collections.abc import Mapping

import pandas as pd

from frod_bench.stats.estimates import Estimate
from tools.processors import GROUPS, IN_PART, of_both
from tools.quotes.found import (
    MAIN,
    Quote,
    difference,
    distance,
    mean_of,
    number,
    part,
    parts,
    plain,
    scores,
)

README = "README.md"
RESULTS = "docs/reference/results.md"
LIMITS = "docs/explanation/limits.md"
CHANGES = "CHANGELOG.md"
MATCHED = "matched_budget/embedded"
CONSTANT, ALL = "constant_rate/embedded", "all_methods/embedded"
SLOW = "why/embedded/slow_learning"
FIRST, SEARCHED = "embedded/first_edition", "first_rules/embedded"
FEW, MANY = "(steps 140)", "(steps 420)"
ADAPTERS = ("lora", "dora", "frod")
OTHERS = ("lora", "dora", "full")
RIVALS = "(lora|dora) over frod"
LATER = "at a constant learning rate, "
OPEN = "undecided at this budget"


def below(ours: str, theirs: str, steps: str = MANY, **tasks: str) -> Estimate:
    """How far ours is below theirs in `slow_learning` at so many steps."""
    return distance(SLOW, f"{ours} {steps}", f"{theirs} {steps}", turned=True, **tasks)


def at_many_steps() -> list[str]:
    """FRoD's and LoRA's distance from full fine-tuning, with and without CoLA."""
    numbers = []
    for method in ("frod", "lora"):
        mean, ends = plain(below(method, "full"))
        without = number(below(method, "full", without="cola").mean)
        numbers += [mean, f"{ends}; without CoLA {without}"]
    return numbers


def gained(method: str) -> str:
    """Whole points that more steps add."""
    return number(distance(SLOW, f"{method} {MANY}", f"{method} {FEW}").mean, 0)


def change_by_search(method: str, family: str = "") -> pd.DataFrame:
    """Points at the rates of the common search minus those at the first search's."""
    return scores(SEARCHED, method, family=family) - scores(FIRST, method, family=family)


def narrowed() -> list[str]:
    """By how much the common search made FRoD's distance from full fine-tuning smaller."""
    return plain(mean_of(change_by_search("frod") - change_by_search("full")))


def changed_scores() -> list[str]:
    """What the common search changed of FRoD's and full fine-tuning's score."""
    frod, of_vision = change_by_search("frod"), change_by_search("frod", "vision")
    full, of_reasoning = change_by_search("full"), change_by_search("full", "reasoning")
    means = [mean_of(frod), mean_of(of_vision), mean_of(full, turned=True)]
    return [
        *(number(one.mean) for one in means),
        ", ".join(plain(mean_of(of_reasoning, turned=True))),
    ]


def moved_distance(method: str) -> list[str]:
    """FRoD minus a method before and after the common search."""
    return [number(distance(folder, "frod", method).mean) for folder in (FIRST, SEARCHED)]


def list_and_seeds() -> list[str]:
    """What the new list of tasks and two more seeds made of the distance from full fine-tuning."""
    old = distance(SEARCHED, "frod", "full").mean
    listed = distance(MATCHED, "frod", "full").mean
    new = distance(MAIN, "frod", "full").mean
    return [number(new - old), number(listed - old), number(new - listed)]


def on_mnist(folder: str) -> list[str]:
    """The range of whole points by which full fine-tuning is below the adapters on mnist."""
    means = (difference(folder, method, "full").loc["mnist"].mean() for method in ADAPTERS)
    below = [float(mean) for mean in means]
    return [number(min(below), 0), number(max(below), 0)]


def verdicts(pattern: str, count: int) -> set[str]:
    """The verdicts of the parts that match."""
    return set(parts(pattern, count)["verdict"])


def between_lora_and_dora() -> bool:
    """Whether at a constant rate FRoD's steps are undecided against both, and it needs more seconds
    than LoRA and fewer than DoRA.
    """
    return (
        verdicts(f"steps to target {LATER}{RIVALS}", 2) == {OPEN}
        and part(f"seconds to target {LATER}lora over frod")["high"] < 1
        and part(f"seconds to target {LATER}dora over frod")["low"] > 1
    )


def dora_in_seconds() -> "pd.Series[float]":
    """How many times FRoD's seconds DoRA needs to the target."""
    return part("seconds to target, dora over frod")


def spread_minus(other: str) -> "pd.Series[float]":
    """FRoD's spread over seeds minus another method's."""
    return part(f"spread over seeds, frod (less|minus) {other}")


@functools.cache
def compared(folder: str) -> pd.DataFrame:
    """A folder's runs on both kinds of processor."""
    return of_both(folder)


def equal_scores() -> list[str]:
    """How many runs of the main table have the same score on both kinds of processor, of how
    many.
    """
    points = compared(MAIN)["points"]
    return [str(int((points == 0).sum())), str(len(points))]


def beyond(points: float, folders: Mapping[str, str] = GROUPS) -> list[int]:
    """How many runs of each group differ by more between the two kinds of processor."""
    sizes = (compared(folder)["points"].abs().round(6) for folder in folders.values())
    return [int((size > points).sum()) for size in sizes]


def number_of_runs(folders: Mapping[str, str]) -> int:
    """How many runs of these groups both kinds of processor made."""
    return sum(len(compared(folder)) for folder in folders.values())


def largest_change_of_a_mean() -> float:
    """By how many points a method's mean differs at most, in any group."""
    groups = (compared(folder) for folder in GROUPS.values())
    return max(float(one.groupby("method")["points"].mean().abs().max()) for one in groups)


def share_beyond(points: float) -> float:
    """The share of runs, of all groups, whose score differs by more than this."""
    differences = pd.concat([compared(folder)["points"] for folder in GROUPS.values()])
    return float((differences.abs() > points).mean())


def moved_by_processor() -> float:
    """The largest change of a method's mean under the first rules, of three seeds."""
    runs = pd.concat([compared(MAIN).query("seed < 3 and task != 'mnist'"), compared(SEARCHED)])
    return float(runs.groupby("method")["points"].mean().abs().max())


QUOTES = [
    Quote(
        "docs/how-to/reproducing.md",
        "Eleven of the {} runs in the first five rows are beyond the 6 points of the tolerance: "
        "five at a constant learning rate, five of the released layer, and LoRA at FRoD's count of "
        "parameters on WinoGrande. Of the {} in the last two rows {} are.",
        lambda: [
            f"{number_of_runs(GROUPS):,}",
            f"{number_of_runs(IN_PART):,}",
            str(sum(beyond(6, IN_PART))),
        ],
        lambda: (
            dict(zip(GROUPS.values(), beyond(6), strict=True))
            == {MAIN: 0, SEARCHED: 0, CONSTANT: 5, MATCHED: 1, ALL: 5}
        ),
    ),
    Quote(
        README,
        "single scores on the synthetic data move by points, on a few runs by more than six, and a "
        "method's mean at its picked rates by less than half a point;",
        holds=lambda: largest_change_of_a_mean() < 0.5 and 0 < share_beyond(6) < 0.02,
    ),
    Quote(
        RESULTS,
        "this moves a method's mean over the twenty tasks by {} points at most, with three seeds",
        lambda: [number(moved_by_processor())],
    ),
    Quote(
        RESULTS,
        "The two have {} of {} scores in common, and no mean of a method differs by more than 0.1 "
        "points",
        equal_scores,
        lambda: bool(compared(MAIN).groupby("method")["points"].mean().abs().max() < 0.1),
    ),
    Quote(
        CHANGES,
        "Of the main table's {} scores {} are equal to the last digit",
        lambda: equal_scores()[::-1],
    ),
    Quote(
        README,
        "At 420 steps FRoD is {} points below full fine-tuning ({}), which is beyond the margin. "
        "LoRA is {} points below ({}).",
        at_many_steps,
        lambda: distance(SLOW, f"frod {MANY}", f"full {MANY}").high < -1,
    ),
    Quote(
        README,
        "DoRA takes longer than FRoD [at a constant learning "
        "rate](docs/reference/results.md#at-a-constant-learning-rate), and is not shown to differ "
        "under the decay.",
        holds=lambda: (
            part(f"seconds to target {LATER}dora over frod")["low"] > 1
            and verdicts("seconds to target, dora over frod", 1) == {OPEN}
            and part("seconds to target, lora over frod")["verdict"] == "not supported"
        ),
    ),
    Quote(
        README,
        "made FRoD's distance from full fine-tuning on synthetic data {} points smaller ({})",
        narrowed,
    ),
    Quote(
        RESULTS,
        "FRoD is {} points behind full fine-tuning on the twenty tasks and LoRA {} points "
        "(without CoLA {} and {};",
        lambda: [
            number(below(method, "full", without=without).mean)
            for without in ("", "cola")
            for method in ("frod", "lora")
        ],
    ),
    Quote(
        RESULTS,
        "FRoD is below all three other trained methods on these tasks.",
        holds=lambda: all(
            distance(MAIN, "frod", other).high < 0 for other in ("full", "lora", "dora")
        ),
    ),
    Quote(
        RESULTS,
        "in vision FRoD is not below full fine-tuning. All of FRoD's lead there comes from mnist, "
        "where full fine-tuning is {} to {} points below all adapters.",
        lambda: on_mnist(MAIN),
        lambda: (
            distance(MAIN, "frod", "full", family="vision").mean
            > 0
            >= distance(MAIN, "frod", "full", family="vision", without="mnist").mean
        ),
    ),
    Quote(
        RESULTS,
        "Over the 19 other tasks FRoD is {} points below full fine-tuning ({}).",
        lambda: plain(distance(MAIN, "frod", "full", turned=True, without="mnist")),
    ),
    Quote(
        RESULTS,
        "later than LoRA does, in steps and in seconds, and later than DoRA in steps.",
        holds=lambda: (
            bool((parts(f"steps to target, {RIVALS}", 2)["mean"] < 1).all())
            and part("seconds to target, lora over frod")["mean"] < 1
        ),
    ),
    Quote(
        RESULTS,
        "In steps both intervals end at 1. In seconds FRoD and DoRA are not shown to differ ({} "
        "times FRoD's seconds, {} to {};",
        lambda: [number(dora_in_seconds()[name], 2) for name in ("mean", "low", "high")],
        lambda: (
            set(parts(f"steps to target, {RIVALS}", 2)["high"]) == {1.0}
            and dora_in_seconds()["low"] < 1 < dora_in_seconds()["high"]
        ),
    ),
    Quote(
        RESULTS,
        "No difference of spreads over seeds is shown. Only against full fine-tuning is it "
        "excluded that FRoD spreads by 0.5 points more.",
        holds=lambda: (
            all(spread_minus(other)["low"] < 0 < spread_minus(other)["high"] for other in OTHERS)
            and [other for other in OTHERS if spread_minus(other)["high"] < 0.5] == ["full"]
        ),
    ),
    Quote(
        RESULTS,
        "the difference between FRoD and full fine-tuning is {} points smaller with the learning "
        "rates of the common search (95 % interval {})",
        narrowed,
    ),
    Quote(
        RESULTS,
        "FRoD scores {} points more than before (in vision {}), and full fine-tuning {} less (in "
        "reasoning {}).",
        changed_scores,
    ),
    Quote(
        RESULTS,
        "FRoD's difference from LoRA went from {} to {}, and that from DoRA from {} to {}.",
        lambda: moved_distance("lora") + moved_distance("dora"),
    ),
    Quote(
        RESULTS,
        "became smaller by another {}. The other list of tasks made {} of this (mnist took qnli's "
        "place, and on mnist full fine-tuning is {} to {} points below all adapters with these "
        "seeds), and two more seeds made {}.",
        lambda: [*list_and_seeds()[:2], *on_mnist(MATCHED), list_and_seeds()[2]],
    ),
    Quote(
        LIMITS,
        "With three times the steps full fine-tuning gains {} points and FRoD {}. The distance "
        "between them then grows from {} (on these three seeds) to {} points",
        lambda: [
            gained("full"),
            gained("frod"),
            number(below("frod", "full", FEW).mean),
            number(below("frod", "full", MANY).mean),
        ],
    ),
    Quote(
        CHANGES,
        "FRoD is {} points below full fine-tuning, which is undecided at the margin of 1",
        lambda: [number(-distance(MAIN, "frod", "full").mean)],
        lambda: verdicts("frod (less|minus) full, mean", 1) == {OPEN},
    ),
    Quote(
        CHANGES,
        "at three times the steps FRoD and LoRA fall behind full fine-tuning",
        holds=lambda: all(
            distance(SLOW, f"{method} {MANY}", f"full {MANY}").high < 0
            for method in ("frod", "lora")
        ),
    ),
    Quote(
        CHANGES,
        "At a constant rate FRoD's steps to the target are not shown to differ from LoRA's or "
        "DoRA's; in seconds it arrives later than LoRA and earlier than DoRA.",
        holds=between_lora_and_dora,
    ),
    Quote(
        "docs/explanation/embedded.md",
        "the frozen backbone's probe has {} and full fine-tuning {})",
        lambda: [
            number(float(scores(MAIN, method).loc["hellaswag"].mean()), 0)
            for method in ("frozen", "full")
        ],
    ),
]
