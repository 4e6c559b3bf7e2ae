"""The world's tables as binary relations: what is asked, and which answers are wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from frod_bench.embedded import world


@dataclass(frozen=True)
class Relation:
    """Pairs (subject, object) that are true; every other pair of the same columns is false."""

    name: str
    pairs: tuple[tuple[str, str], ...]

    @cached_property
    def truths(self) -> frozenset[tuple[str, str]]:
        """The pairs as a set."""
        return frozenset(self.pairs)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in the order of the table."""
        return tuple(dict.fromkeys(subject for subject, _ in self.pairs))

    @cached_property
    def objects(self) -> tuple[str, ...]:
        """Every object once, in the order of the table."""
        return tuple(dict.fromkeys(object_ for _, object_ in self.pairs))

    def wrong_objects(self, rng: Random, subject: str, count: int) -> list[str]:
        """Up to `count` objects that are not true of `subject`."""
        wrong = [object_ for object_ in self.objects if (subject, object_) not in self.truths]
        return rng.sample(wrong, min(count, len(wrong)))

    def wrong_subjects(self, rng: Random, object_: str, count: int) -> list[str]:
        """Up to `count` subjects of which `object_` is not true."""
        wrong = [subject for subject in self.subjects if (subject, object_) not in self.truths]
        return rng.sample(wrong, min(count, len(wrong)))


def inverse(relation: Relation) -> Relation:
    """The relation read from object to subject."""
    pairs = tuple((object_, subject) for subject, object_ in relation.pairs)
    return Relation(f"inverse {relation.name}", pairs)


def chain(name: str, first: Relation, second: Relation) -> Relation:
    """The composed relation: x to z wherever x to y holds in `first` and y to z in `second`."""
    pairs = ((x, z) for x, y in first.pairs for y_too, z in second.pairs if y == y_too)
    return Relation(name, tuple(dict.fromkeys(pairs)))


def _columns(table: Iterable[NamedTuple]) -> Iterator[Relation]:
    """The relations `<table>_<field>` from a table's first field to each of the others."""
    rows = list(table)
    kind = type(rows[0])
    for place, field in enumerate(kind._fields[1:], start=1):
        pairs = tuple((row[0], row[place]) for row in rows)
        yield Relation(f"{kind.__name__.lower()}_{field}", pairs)


_TABLES = (world.THINGS, world.MATERIALS, world.ANIMALS, world.FOODS, world.JOBS, world.CAUSES)
_FOUND = {relation.name: relation for table in _TABLES for relation in _columns(table)}

RELATIONS: dict[str, Relation] = _FOUND | {
    "opposite": Relation("opposite", tuple((c.more, c.less) for c in world.CONTRASTS)),
    **{
        f"thing_{name}": chain(
            f"thing_{name}", _FOUND["thing_material"], _FOUND[f"material_{name}"]
        )
        for name in ("hardness", "water", "fire")
    },
}
