"""What the README, the page of results and their summaries quote from the synthetic tables."""

import pandas as pd

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
SLOW = "why/embedded/slow_learning"
FIRST, SEARCHED = "embedded/first_edition", "first_rules/embedded"
FEW, MANY = "(steps 140)", "(steps 420)"
ADAPTERS = ("lora", "dora", "frod")
RIVALS = "(lora|dora) over frod"
LATER = "at a constant learning rate, "
OPEN = "undecided at this budget"


def behind(method: str, steps: str, without: str = "") -> list[str]:
    """How far a method of `slow_learning` is below full fine-tuning at so many steps."""
    full = f"full {steps}"
    return plain(distance(SLOW, f"{method} {steps}", full, turned=True, without=without))


def at_many_steps() -> list[str]:
    """FRoD's and LoRA's distance from full fine-tuning, with and without CoLA."""
    numbers = []
    for method in ("frod", "lora"):
        mean, ends = behind(method, MANY)
        numbers += [mean, f"{ends}; without CoLA {behind(method, MANY, without='cola')[0]}"]
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


def on_mnist() -> list[str]:
    """The range of whole points by which full fine-tuning is below the adapters on mnist."""
    below = [-distance_on("mnist", "full", method) for method in ADAPTERS]
    return [number(min(below), 0), number(max(below), 0)]


def distance_on(task: str, ours: str, theirs: str, folder: str = MAIN) -> float:
    """The mean difference on one task."""
    return float(difference(folder, ours, theirs).loc[task].mean())


def verdicts(pattern: str) -> set[str]:
    """The verdicts of the parts that match."""
    return set(parts(pattern)["verdict"])


QUOTES = [
    Quote(
        README,
        "At 420 steps FRoD is {} points below full fine-tuning ({}), which is beyond the margin. "
        "LoRA is {} points below ({}).",
        at_many_steps,
        lambda: distance(SLOW, f"frod {MANY}", f"full {MANY}").high < -1,
    ),
    Quote(
        README,
        "at a constant learning rate](docs/reference/results.md#at-a-constant-learning-rate) the "
        "verdict in seconds is undecided",
        holds=lambda: OPEN in verdicts(f"seconds to target {LATER}{RIVALS}"),
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
            behind(method, MANY, without)[0]
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
        on_mnist,
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
        "later than LoRA and DoRA do, in steps and in seconds",
        holds=lambda: bool((parts(f"(steps|seconds) to target, {RIVALS}")["mean"] < 1).all()),
    ),
    Quote(
        RESULTS,
        "In steps both intervals end at 1; in seconds the interval against DoRA includes 1.",
        holds=lambda: (
            set(parts(f"steps to target, {RIVALS}")["high"]) == {1.0}
            and part("seconds to target, dora over frod")["high"] > 1
        ),
    ),
    Quote(
        RESULTS,
        "No difference of spreads over seeds is shown. Only against full fine-tuning is it "
        "excluded that FRoD spreads by 0.5 points more.",
        holds=lambda: (
            [
                one.high < 0.5
                for one in parts(r"spread over seeds, frod (less|minus) \w+").itertuples()
                if one.low < 0 < one.high
            ]
            == [False, False, True]
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
        "place, and on mnist full fine-tuning is {} to {} points below all adapters), and two "
        "more seeds made {}.",
        lambda: [*list_and_seeds()[:2], *on_mnist(), list_and_seeds()[2]],
    ),
    Quote(
        LIMITS,
        "With three times the steps full fine-tuning gains {} points and FRoD {}. The distance "
        "between them then grows from {} (on these three seeds) to {} points",
        lambda: [
            gained("full"),
            gained("frod"),
            behind("frod", FEW)[0],
            behind("frod", MANY)[0],
        ],
    ),
    Quote(
        CHANGES,
        "FRoD is {} points below full fine-tuning, which is undecided at the margin of 1",
        lambda: [number(-distance(MAIN, "frod", "full").mean)],
        lambda: verdicts("frod (less|minus) full, mean") == {OPEN},
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
        "At a constant rate all four parts of the claim on convergence are undecided",
        holds=lambda: verdicts(f"(steps|seconds) to target {LATER}{RIVALS}") == {OPEN},
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
