"""The world's tables as relations, and multiple-choice questions that become rows of splits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Any

from frod_bench.embedded import world

LETTERS = "ABCDE"
DIGITS = "12345"
LABEL_NOISE = 0.03  # share of the rows of every split whose label is a wrong one
TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 1_200, 500, 500
MAX_DRAWS_PER_ROW = 50

Row = dict[str, Any]
Splits = dict[str, list[Row]]


@dataclass(frozen=True)
class Relation:
    """Pairs (subject, object) that are true; every other pair of the same columns is false."""

    name: str
    pairs: tuple[tuple[str, str], ...]

    @cached_property
    def inverse(self) -> "Relation":
        """The relation read from object to subject."""
        return Relation(f"inverse {self.name}", tuple((y, x) for x, y in self.pairs))

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in the order of the table."""
        return tuple(dict.fromkeys(subject for subject, _ in self.pairs))

    @property
    def objects(self) -> tuple[str, ...]:
        return self.inverse.subjects

    def wrong_objects(self, rng: Random, subject: str, count: int) -> list[str]:
        """Up to `count` objects that are not true of `subject`."""
        true = {object_ for one, object_ in self.pairs if one == subject}
        wrong = [object_ for object_ in self.objects if object_ not in true]
        return rng.sample(wrong, min(count, len(wrong)))

    def wrong_subjects(self, rng: Random, object_: str, count: int) -> list[str]:
        """Up to `count` subjects of which `object_` is not true."""
        return self.inverse.wrong_objects(rng, object_, count)

    def then(self, other: "Relation", name: str) -> "Relation":
        """The composed relation: x to z wherever x to y holds here and y to z in `other`."""
        pairs = ((x, z) for x, y in self.pairs for y_too, z in other.pairs if y == y_too)
        return Relation(name, tuple(dict.fromkeys(pairs)))


# Every table gives the relations `<table>_<field>`, from its first field to each of the others.
_TABLES = (world.THINGS, world.MATERIALS, world.ANIMALS, world.FOODS, world.JOBS, world.CAUSES)
RELATIONS: dict[str, Relation] = {
    (name := f"{type(table[0]).__name__.lower()}_{field}"): Relation(
        name, tuple((row[0], getattr(row, field)) for row in table)
    )
    for table in _TABLES
    for field in table[0]._fields[1:]
}
RELATIONS["opposite"] = Relation("opposite", tuple((c.more, c.less) for c in world.CONTRASTS))
for _name in ("hardness", "water", "fire"):
    _of_material = RELATIONS[f"material_{_name}"]
    RELATIONS[f"thing_{_name}"] = RELATIONS["thing_material"].then(_of_material, f"thing_{_name}")


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


def draw(name: str, make: Maker, row: ToRow, seed: int, *, test: bool = False) -> Splits:
    """Draw the rows of a task's splits, with label noise.

    No question occurs twice with the same options, whatever their order. Raises RuntimeError if
    `make` has too few different quizzes.
    """
    sizes = {"train": TRAIN_ROWS, "validation": VALIDATION_ROWS}
    if test:
        sizes["test"] = TEST_ROWS
    rng, seen, splits = Random(f"{name} {seed}"), set(), {}
    for split, size in sizes.items():
        rows: list[Row] = []
        for _ in range(size * MAX_DRAWS_PER_ROW):
            item = make(rng)
            key = (item.question, frozenset(item.options))
            if key not in seen:
                seen.add(key)
                if rng.random() < LABEL_NOISE:
                    places = [n for n in range(len(item.options)) if n != item.answer]
                    item = replace(item, answer=rng.choice(places))
                rows.append(row(item, split, len(rows)))
            if len(rows) == size:
                break
        else:
            raise RuntimeError(f"{name}: only {len(rows)} different rows of {size} in {split}")
        splits[split] = rows
    return splits
