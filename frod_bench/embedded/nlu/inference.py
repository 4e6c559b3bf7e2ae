"""Stand-ins for QNLI, RTE and MNLI: does one text follow from, or answer, another?"""

from dataclasses import replace
from random import Random

from frod_bench.embedded.descriptions import descriptions, phrases
from frod_bench.embedded.grammar import (
    ADJUNCTS,
    FORMS,
    QUESTIONS,
    Scene,
    alter,
    ask,
    draw,
    drop,
    reword,
    tell,
)
from frod_bench.embedded.lexicon import HOME, Genre

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2


def answered(rng: Random, label: int) -> tuple[str, str]:
    """A question, and a statement that answers it (0) or does not (1).

    It does not where what is asked for is left out, or where it is about another event.
    """
    slot = rng.choice(tuple(QUESTIONS))
    told = rng.choice(("place", "time")) if slot in ("agent", "object") else slot
    scene = draw(HOME, rng, adjuncts=(told,))
    statement = reword(scene, rng)
    if label and slot == told and rng.random() < 0.5:
        instead = "time" if slot == "place" else "place"
        statement = replace(
            drop(statement, [slot]), **{instead: getattr(draw(HOME, rng, (instead,)), instead)}
        )
    elif label:
        changeable = [s for s in ("agent", "verb", "object") if s != slot]
        statement = alter(statement, rng.choice(changeable), HOME, rng)
    return ask(drop(scene, [told]), slot, rng), tell(statement, rng.choice(FORMS))


def entailed(rng: Random, label: int) -> tuple[str, str]:
    """A statement, and a more general one that follows (0) or does not (1).

    The general one calls the agent or the object by a fact of the world; it does not follow where
    the fact is another one's, or another slot has another meaning.
    """
    scene = draw(HOME, rng, adjuncts=1)
    general = reword(drop(scene, ADJUNCTS if rng.random() < 0.7 else ()), rng)
    wrong_fact = bool(label) and rng.random() < 0.8
    if label and not wrong_fact:
        general = alter(general, "verb", HOME, rng)
    return tell(scene, rng.choice(FORMS)), _tell_generally(general, wrong_fact, rng)


def related(genre: Genre, rng: Random, label: int) -> tuple[str, str]:
    """A premise and a hypothesis of `genre`: entailment (0), neutral (1), contradiction (2)."""
    kept, extra = rng.sample(ADJUNCTS, 2)
    full = draw(genre, rng, adjuncts=(kept, extra))
    premise, hypothesis = drop(full, [extra]), drop(full, [extra])
    if label == NEUTRAL:
        premise, hypothesis = drop(full, [extra]), drop(full, [kept])
    elif label == CONTRADICTION and rng.random() < 0.5:
        hypothesis = alter(hypothesis, rng.choice((kept, "agent")), genre, rng)
    elif label == CONTRADICTION:
        premise, hypothesis = _one_negated(premise, hypothesis, rng)
    if label != CONTRADICTION and rng.random() < 0.25:
        premise, hypothesis = replace(premise, negated=True), replace(hypothesis, negated=True)
    first, second = rng.sample(FORMS, 2)
    return tell(premise, first), tell(reword(hypothesis, rng), second)


def _one_negated(premise: Scene, hypothesis: Scene, rng: Random) -> tuple[Scene, Scene]:
    if rng.random() < 0.5:
        return replace(premise, negated=True), hypothesis
    return premise, replace(hypothesis, negated=True)


def _tell_generally(scene: Scene, wrong: bool, rng: Random) -> str:
    """The scene with its agent or its object called by a fact, or by another one's fact."""
    of_agent = rng.random() < 0.3
    facts = descriptions()[scene.agent if of_agent else scene.object]
    kind = rng.choice(tuple(facts))
    phrase = facts[kind]
    if wrong:
        phrase = rng.choice([p for p in phrases(kind, of_agent) if p != phrase])
    form = rng.choice(FORMS)
    if of_agent:
        return tell(replace(scene, agent=phrase), form)
    return tell(scene, form, object_phrase=phrase)
