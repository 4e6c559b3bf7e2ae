"""The world's tables as binary relations: what is asked about, and what a wrong answer may be."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from random import Random

from frod_bench.embedded import world


def a(noun: str) -> str:
    """The noun with its indefinite article: `a dog`, `an owl`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


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


def columns(name: str, rows: Iterable[object], subject: str, object_: str) -> Relation:
    """The relation between two fields of a table's rows."""
    return Relation(name, tuple((getattr(row, subject), getattr(row, object_)) for row in rows))


def inverse(relation: Relation) -> Relation:
    """The relation read from object to subject."""
    pairs = tuple((object_, subject) for subject, object_ in relation.pairs)
    return Relation(f"inverse {relation.name}", pairs)


def chain(name: str, first: Relation, second: Relation) -> Relation:
    """The composed relation: x to z wherever x to y holds in `first` and y to z in `second`."""
    pairs = ((x, z) for x, y in first.pairs for y_too, z in second.pairs if y == y_too)
    return Relation(name, tuple(dict.fromkeys(pairs)))


_BASIC: tuple[Relation, ...] = (
    columns("thing_material", world.THINGS, "name", "material"),
    columns("thing_colour", world.THINGS, "name", "colour"),
    columns("thing_size", world.THINGS, "name", "size"),
    columns("thing_place", world.THINGS, "name", "place"),
    columns("thing_use", world.THINGS, "name", "use"),
    columns("material_hardness", world.MATERIALS, "name", "hardness"),
    columns("material_water", world.MATERIALS, "name", "in_water"),
    columns("material_fire", world.MATERIALS, "name", "in_fire"),
    columns("material_touch", world.MATERIALS, "name", "touch"),
    columns("animal_group", world.ANIMALS, "name", "group"),
    columns("animal_covering", world.ANIMALS, "name", "covering"),
    columns("animal_home", world.ANIMALS, "name", "home"),
    columns("animal_food", world.ANIMALS, "name", "eats"),
    columns("animal_sound", world.ANIMALS, "name", "sound"),
    columns("animal_move", world.ANIMALS, "name", "moves"),
    columns("animal_size", world.ANIMALS, "name", "size"),
    columns("animal_young", world.ANIMALS, "name", "young"),
    columns("food_group", world.FOODS, "name", "group"),
    columns("food_taste", world.FOODS, "name", "taste"),
    columns("food_colour", world.FOODS, "name", "colour"),
    columns("food_source", world.FOODS, "name", "source"),
    columns("job_place", world.JOBS, "name", "place"),
    columns("job_tool", world.JOBS, "name", "tool"),
    columns("job_does", world.JOBS, "name", "does"),
    columns("cause_effect", world.CAUSES, "event", "effect"),
    columns("opposite", world.CONTRASTS, "more", "less"),
)

_BY_NAME = {relation.name: relation for relation in _BASIC}

_COMPOSED: tuple[Relation, ...] = (
    chain("thing_hardness", _BY_NAME["thing_material"], _BY_NAME["material_hardness"]),
    chain("thing_water", _BY_NAME["thing_material"], _BY_NAME["material_water"]),
    chain("thing_fire", _BY_NAME["thing_material"], _BY_NAME["material_fire"]),
)

RELATIONS: dict[str, Relation] = {relation.name: relation for relation in (*_BASIC, *_COMPOSED)}
