"""Sentences about scenes: who did what to which thing, where and when.

A `Scene` is a meaning, and `tell` and `ask` put it into one of several surface forms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from frod_bench.embedded.lexicon import Genre, Verb, synonyms

CORE = ("agent", "verb", "object")
ADJUNCTS = ("adjective", "place", "time")
SLOTS = (*CORE, *ADJUNCTS)
FORMS = ("active", "fronted", "passive", "cleft")


@dataclass(frozen=True)
class Scene:
    """One event. An adjunct that is None is not mentioned."""

    agent: str
    verb: Verb
    object: str
    adjective: str | None = None
    place: str | None = None
    time: str | None = None
    negated: bool = False

    def told(self) -> list[str]:
        """The slots that have a value, in the order of `SLOTS`."""
        return [slot for slot in SLOTS if getattr(self, slot)]

    def without(self, slots: Sequence[str]) -> "Scene":
        """The scene that does not mention the adjuncts `slots`."""
        nothing: dict[str, Any] = dict.fromkeys(slots)
        return replace(self, **nothing)


def draw(genre: Genre, rng: Random, adjuncts: int | Sequence[str] = 2) -> Scene:
    """A scene of `genre` with the given number of adjuncts, or with the named ones."""
    named = rng.sample(ADJUNCTS, adjuncts) if isinstance(adjuncts, int) else adjuncts
    return Scene(**{slot: _value(genre, slot, rng) for slot in (*CORE, *named)})


def alter(scene: Scene, slot: str, genre: Genre, rng: Random) -> Scene:
    """The scene with another meaning in `slot`: neither the same word nor its synonym."""
    old = getattr(scene, slot)
    while (new := _value(genre, slot, rng)) in (old, synonyms().get(old)):
        pass
    return replace(scene, **{slot: new})


def reword(scene: Scene, rng: Random, rate: float = 0.5) -> Scene:
    """The scene with each verb, adjective, place and time swapped for its synonym at `rate`."""
    told = [slot for slot in ("verb", *ADJUNCTS) if getattr(scene, slot)]
    changed = [slot for slot in told if rng.random() < rate]
    return replace(scene, **{slot: synonyms()[getattr(scene, slot)] for slot in changed})


def tell(scene: Scene, form: str, object_phrase: str | None = None) -> str:
    """The scene as a statement in one of `FORMS`; `object_phrase` replaces the object."""
    thing = object_phrase or join("the", scene.adjective, scene.object)
    where = scene.place and f"in the {scene.place}"
    did = f"did not {scene.verb.base}" if scene.negated else scene.verb.past
    was = "was not" if scene.negated else "was"
    match form:
        case "active":
            return join(scene.agent, did, thing, where, scene.time, ".")
        case "fronted":
            opening = join(where, scene.time)
            return join(opening, opening and ",", scene.agent, did, thing, ".")
        case "passive":
            done = join(was, scene.verb.participle)
            return join(thing, done, "by", scene.agent, where, scene.time, ".")
        case "cleft":
            return join("it was", scene.agent, "who", did, thing, where, scene.time, ".")
    raise ValueError(f"form is {form!r}; it must be one of {FORMS}")


QUESTIONS: dict[str, tuple[str, ...]] = {
    "agent": ("who {past} {thing} {rest} ?", "by whom was {thing} {participle} {rest} ?"),
    "object": ("what did {agent} {base} {rest} ?", "which thing did {agent} {base} {rest} ?"),
    "place": ("where did {agent} {base} {thing} {rest} ?",
              "in what place did {agent} {base} {thing} {rest} ?",
              "where was {thing} {participle} by {agent} {rest} ?"),
    "time": ("when did {agent} {base} {thing} {rest} ?",
             "at what time did {agent} {base} {thing} {rest} ?",
             "when was {thing} {participle} by {agent} {rest} ?"),
}  # fmt: skip


def ask(scene: Scene, slot: str, rng: Random) -> str:
    """A question whose answer is the scene's `slot`, which it does not mention."""
    place = scene.place and slot != "place" and f"in the {scene.place}"
    time = scene.time if slot != "time" else None
    text = rng.choice(QUESTIONS[slot]).format(
        agent=scene.agent,
        base=scene.verb.base,
        past=scene.verb.past,
        participle=scene.verb.participle,
        thing=join("the", scene.adjective, scene.object),
        rest=join(place, time),
    )
    return join(*text.split())


def join(*parts: str | bool | None) -> str:
    """The parts that are not empty, separated by one space."""
    return " ".join(part for part in parts if isinstance(part, str) and part)


def _value(genre: Genre, slot: str, rng: Random) -> Any:
    """A word of the genre for the slot; all but agents and objects come as pairs of synonyms."""
    found = rng.choice(getattr(genre, f"{slot}s"))
    return found if slot in ("agent", "object") else rng.choice(found)
