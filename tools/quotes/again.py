"""What the pages quote of the runs on synthetic data that version 1.0.0 made again on an AMD
processor, to tell the code from the processor.
"""

import functools

from frod_bench.records.schema import Record
from tools.evidence_hours import REFERENCE
from tools.processors import BEFORE, GROUPS, IN_PART
from tools.quotes.found import Quote
from tools.runs_again import Key, Runs, differences, drawn, key_of, runs_in

AMD = "AMD EPYC"  # the processor of the runs again
SEARCH = ["search/embedded"]
ON_AMD = [f"{BEFORE}/{folder}" for folder in (*GROUPS.values(), *IN_PART.values())]
AGAIN = "again/embedded"
# Slow learning -> the seed that was made again, at both lengths.
SEED_OF = {"frod": 0, "lora": 1, "full": 2}


@functools.cache
def again() -> Runs:
    """The runs that were made again."""
    return runs_in(REFERENCE / AGAIN)


@functools.cache
def published() -> Runs:
    """The runs that they were drawn from."""
    folders = [*SEARCH, *ON_AMD]
    return {key: run for folder in folders for key, run in runs_in(REFERENCE / folder).items()}


@functools.cache
def samples() -> list[set[Key]]:
    """The runs drawn from the searches, and those drawn from the other runs on AMD processors."""
    return [{key_of(record) for record in drawn(folders, AMD)} for folders in (SEARCH, ON_AMD)]


def slow_learning() -> set[Key]:
    """The runs of slow learning at the seeds that were made again."""
    return {
        key
        for key, (record, _) in again().items()
        if _is_slow(record) and SEED_OF[record["cell"]["method"]] == record["cell"]["seed"]
    }


def _is_slow(record: Record) -> bool:
    return bool(record["config"]["experiment"]["name"] == "slow_learning")


def all_are_equal() -> bool:
    """Whether all of them are, and whether they are those that were drawn and slow learning."""
    chosen = set.union(slow_learning(), *samples())
    return {*again()} == chosen and not any(
        list(differences(published()[key], run)) for key, run in again().items()
    )


QUOTES = [
    Quote(
        "docs/how-to/reproducing.md",
        "Version 1.0.0 made {} of the older runs again on an AMD processor. {} were drawn at "
        "random from the searches, two of each experiment and each version of the code, and {} in "
        "the same way from the runs before on AMD processors. {} are of slow learning, at both "
        "numbers of steps: FRoD with one seed on all twenty tasks, LoRA and full fine-tuning with "
        "one seed on ten tasks each. All are equal to the older runs bit for bit, in scores, "
        "losses, counts and curves.",
        lambda: [str(len(one)) for one in (again(), *samples(), slow_learning())],
        all_are_equal,
    ),
]
