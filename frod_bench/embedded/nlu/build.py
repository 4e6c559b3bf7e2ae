"""From makers of single examples to the rows of a data set's splits."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Texts = tuple[str, ...]
Rows = list[dict[str, Any]]
Maker = Callable[[Random, int], Texts]  # a label -> the texts of an example with that label
Scorer = Callable[[Random], tuple[Texts, float]]  # -> the texts of an example and its score

TRAIN_ROWS = 1200
TEST_ROWS = 500
LABEL_NOISE = 0.04  # share of the rows of every split that get a wrong label


class Writer:
    """Makes the rows of one data set; no two of them, in any splits, have the same texts.

    Args:
        name: the data set's; with the seed it determines every row.
        columns: the text columns, in the order of the texts that makers return.
    """

    def __init__(self, name: str, seed: int, columns: Sequence[str]) -> None:
        self.rng = Random(f"{name} {seed}")
        self.columns = columns
        self.seen: set[Texts] = set()

    def labelled(self, make: Maker, classes: int, count: int) -> Rows:
        """`count` rows in random order, balanced over classes before `LABEL_NOISE`."""
        labels = [number % classes for number in range(count)]
        self.rng.shuffle(labels)
        rows: Rows = []
        for label in labels:
            texts = make(self.rng, label)
            while texts in self.seen:
                texts = make(self.rng, label)
            noise = self.rng.randrange(1, classes) if self.rng.random() < LABEL_NOISE else 0
            rows.append(self._row(texts, (label + noise) % classes, len(rows)))
        return rows

    def scored(self, score: Scorer, count: int) -> Rows:
        """`count` rows with a real number as label."""
        rows: Rows = []
        while len(rows) < count:
            texts, value = score(self.rng)
            if texts not in self.seen:
                rows.append(self._row(texts, value, len(rows)))
        return rows

    def _row(self, texts: Texts, label: float, number: int) -> dict[str, Any]:
        self.seen.add(texts)
        return {**dict(zip(self.columns, texts, strict=True)), "label": label, "idx": number}
