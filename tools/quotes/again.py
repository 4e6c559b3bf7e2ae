"""What the pages quote of the runs on synthetic data that version 1.0.0 made again on an AMD
processor, to tell the code from the processor.
"""

import functools
from collections.abc import Mapping

import pandas as pd

from frod_bench.records.schema import Record
from tools.evidence_hours import REFERENCE, records_in
from tools.processors import BEFORE, GROUPS, IN_PART, KEYS, of_both
from tools.quotes.found import Quote
from tools.quotes.why import WHY
from tools.runs_again import Key, Run, Runs, differences, drawn, key_of, runs_in

AMD = "AMD EPYC"  # the processor of the runs again
SEARCH = ["search/embedded"]
ON_AMD = [f"{BEFORE}/{folder}" for folder in (*GROUPS.values(), *IN_PART.values())]
AGAIN = "again/embedded"
# Slow learning -> the seed that was made again, at both lengths.
SEED_OF = {"frod": 0, "lora": 1, "full": 2}
# Half of each family's tasks; those of full fine-tuning are the others.
TASKS_OF_LORA = (
    *("rte", "cola"),
    *("siqa", "arc_challenge", "arc_easy", "winogrande"),
    *("sun397", "svhn", "resisc45", "gtsrb"),
)


@functools.cache
def again() -> Runs:
    """The runs that were made again."""
    return runs_in(REFERENCE / AGAIN)


@functools.cache
def published() -> Runs:
    """The older runs of the same settings; of a run in several folders that of the first."""
    folders = [*SEARCH, *ON_AMD]
    runs: dict[Key, Run] = {}
    for folder in reversed(folders):
        runs |= runs_in(REFERENCE / folder, again().keys())
    return runs


@functools.cache
def samples() -> list[set[Key]]:
    """The runs drawn from the searches, and those drawn from the other runs on AMD processors."""
    return [{key_of(record) for _, record in drawn(folders, AMD)} for folders in (SEARCH, ON_AMD)]


def slow_learning() -> set[Key]:
    """The runs of slow learning that were chosen by their seeds, at 140 steps and at 420."""
    few = records_in(f"{BEFORE}/embedded")
    many = [r for r in records_in(f"{BEFORE}/why/embedded") if _is_slow(r)]
    return {key_of(record) for record in (*few, *many) if _is_chosen(record["cell"])}


def _is_slow(record: Record) -> bool:
    return bool(record["config"]["experiment"]["name"] == "slow_learning")


def _is_chosen(cell: Mapping[str, object]) -> bool:
    method = str(cell["method"])
    of_lora = method == "frod" or (cell["task"] in TASKS_OF_LORA) == (method == "lora")
    return SEED_OF.get(method) == cell["seed"] and of_lora


def in_two_groups() -> int:
    """How many of these runs are in two of the three groups."""
    return sum(map(len, [*samples(), slow_learning()])) - len(again())


@functools.cache
def all_are_equal() -> bool:
    """Whether all of them are, and whether they are those that were drawn and slow learning."""
    chosen = set.union(slow_learning(), *samples())
    return {*again()} == chosen and not any(
        list(differences(published()[key], run)) for key, run in again().items()
    )


@functools.cache
def on_intel() -> "pd.Series[float]":
    """By how many points those that were made on Intel processors, too, differ there."""
    pairs = pd.concat(map(of_both, [*GROUPS.values(), *IN_PART.values()]))
    points = pairs.set_index(KEYS)["points"]
    return points[[key in again() for key in points.index]]


def are_of_one_code() -> bool:
    """Whether the same code made these runs on both kinds of processor."""
    codes = {str(run.record["provenance"]["code"]) for run in again().values()}
    folders = [*GROUPS.values(), *IN_PART.values()]
    twice = [r for folder in folders for r in records_in(folder) if key_of(r) in on_intel().index]
    made = [record["provenance"] for record in twice]
    return len(codes) == 1 and all(
        str(one["code"]) in codes and "Intel" in one["processor"] for one in made
    )


QUOTES = [
    Quote(
        "docs/how-to/reproducing.md",
        "Version 1.0.0 made {} of the older runs again on an AMD processor. From the searches {} "
        "were drawn at random, two of each version of the code in each experiment, and another {} "
        "in the same way from the folders of the earlier runs on AMD processors together. Another "
        "{} are of slow learning, at both numbers of steps: FRoD with seed 0 on all twenty tasks, "
        "LoRA with seed 1 on one half of each family's tasks and full fine-tuning with seed 2 on "
        "the other ({} runs are in two of these groups). All are equal to the older runs bit for "
        "bit: scores, counts, and the curves and predictions as far as both are kept",
        lambda: [
            *(str(len(one)) for one in (again(), *samples(), slow_learning())),
            str(in_two_groups()),
        ],
        all_are_equal,
    ),
    Quote(
        "docs/how-to/reproducing.md",
        "Of these runs, {} were made on Intel processors, too, by the same version, and {} of "
        "them have another score there.",
        lambda: [str(len(on_intel())), str((on_intel() != 0).sum())],
        are_of_one_code,
    ),
    Quote(
        "docs/reference/results.md",
        "for {} runs by versions from the common search on, which version 1.0.0 made again (AMD),",
        lambda: [str(len(again()))],
        all_are_equal,
    ),
    Quote(
        WHY,
        "Version 1.0.0 reproduces {} runs of slow learning and {} sampled ones of the searches "
        "bit for bit on an AMD processor",
        lambda: [str(len(slow_learning())), str(len(samples()[0]))],
        all_are_equal,
    ),
    Quote(
        "CHANGELOG.md",
        "Of the older runs on synthetic data, version 1.0.0 made {} again on an AMD processor, "
        "and of `real` {}: each is equal to the older run to the last digit.",
        lambda: [str(len(again())), str(len(records_in("again/real")))],
        all_are_equal,
    ),
]
