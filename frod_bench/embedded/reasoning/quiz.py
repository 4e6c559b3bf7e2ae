"""Multiple-choice questions, and how they become the rows of a data set's splits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

LETTERS = "ABCDE"
DIGITS = "12345"
LABEL_NOISE = 0.03  # share of the rows of every split whose label is a wrong one
TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 1_200, 500, 500
MAX_DRAWS_PER_ROW = 50

Row = dict[str, Any]
Splits = dict[str, list[Row]]


@dataclass(frozen=True)
class Quiz:
    """A question with options, of which the one at `answer` (0-based) is right."""

    question: str
    options: tuple[str, ...]
    answer: int


Maker = Callable[[Random], Quiz]
ToRow = Callable[[Quiz, str, int], Row]  # a quiz, its split and its number there


def quiz(rng: Random, question: str, right: str, wrong: Sequence[str]) -> Quiz:
    """The question with its options in random order."""
    options = [right, *wrong]
    rng.shuffle(options)
    return Quiz(question, tuple(options), options.index(right))


def draw(name: str, seed: int, make: Maker, row: ToRow, test: bool = False) -> Splits:
    """Draw the rows of a task's splits, which share no row, with label noise.

    No question occurs twice with the same options, whatever their order.

    Raises:
        RuntimeError: `make` has too few different quizzes.
    """
    sizes = {"train": TRAIN_ROWS, "validation": VALIDATION_ROWS}
    if test:
        sizes["test"] = TEST_ROWS
    rng = Random(f"{name} {seed}")
    seen: set[tuple[str, frozenset[str]]] = set()
    splits: Splits = {}
    for split, size in sizes.items():
        rows: list[Row] = []
        for _ in range(size * MAX_DRAWS_PER_ROW):
            item = make(rng)
            key = (item.question, frozenset(item.options))
            if key not in seen:
                seen.add(key)
                rows.append(row(_noisy(rng, item), split, len(rows)))
            if len(rows) == size:
                break
        else:
            raise RuntimeError(f"{name}: only {len(rows)} different rows of {size} in {split}")
        splits[split] = rows
    return splits


def _noisy(rng: Random, item: Quiz) -> Quiz:
    if rng.random() >= LABEL_NOISE:
        return item
    others = [place for place in range(len(item.options)) if place != item.answer]
    return replace(item, answer=rng.choice(others))
