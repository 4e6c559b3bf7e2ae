"""Draws a task's quizzes into splits that share no row, and adds the label noise."""

from collections.abc import Callable
from random import Random
from typing import Any

from frod_bench.embedded.reasoning.quiz import Quiz

LABEL_NOISE = 0.03  # share of rows, in every split, whose label is a wrong one
TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 1_200, 500, 500
MAX_DRAWS_PER_ROW = 50

Row = dict[str, Any]
Maker = Callable[[Random], Quiz]


def draw(
    name: str, seed: int, make: Maker, row: Callable[[Quiz, str, int], Row], test: bool = False
) -> dict[str, list[Row]]:
    """Split -> rows of a task; `row` turns a quiz of a split, and its number, into a row.

    No question occurs twice with the same options, in whatever order they are listed.

    Raises:
        RuntimeError: `make` knows too few different quizzes.
    """
    sizes = {"train": TRAIN_ROWS, "validation": VALIDATION_ROWS}
    if test:
        sizes["test"] = TEST_ROWS
    rng = Random(f"{name} {seed}")
    seen: set[tuple[str, frozenset[str]]] = set()
    splits: dict[str, list[Row]] = {}
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
    return Quiz(item.question, item.options, rng.choice(others))
