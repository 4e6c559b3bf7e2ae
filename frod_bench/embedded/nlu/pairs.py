"""The six GLUE tasks about pairs of sentences, or of a question and a sentence."""

from dataclasses import replace
from random import Random

from frod_bench.embedded.grammar import ADJUNCTS, FORMS, QUESTIONS, alter, ask, draw, reword, tell
from frod_bench.embedded.lexicon import HOME, Genre, descriptions, phrases

# Share of a slot in a sentence's meaning, for the score of STS-B.
WEIGHTS = {"agent": 1.0, "verb": 1.5, "object": 1.5, "adjective": 0.5, "place": 0.5, "time": 0.5}
NEGATED_SHARE = 0.5  # of the differing pairs of MRPC, those that differ by a "not"
SCORE_NOISE = 0.4  # standard deviation, of scores from 0 to 5
ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2


def paraphrase(rng: Random, label: int) -> tuple[str, str]:
    """Two statements: reworded (1), or also with one negated or one slot altered (0)."""
    scene = draw(HOME, rng, adjuncts=1)
    other = reword(scene, rng)
    negates = rng.random() < (NEGATED_SHARE / 2 if label else NEGATED_SHARE)
    if negates:  # both, or one: "not" is equally frequent in both classes
        negated = (True, True) if label else rng.choice(((True, False), (False, True)))
        scene, other = (
            replace(told, negated=is_not)
            for told, is_not in zip((scene, other), negated, strict=True)
        )
    elif not label:
        other = alter(other, rng.choice(scene.told()), HOME, rng)
    first, second = rng.sample(FORMS, 2)
    return tell(scene, first), tell(other, second)


def same_question(rng: Random, label: int) -> tuple[str, str]:
    """Two questions: reworded (1), or about another slot or another scene (0)."""
    slot = rng.choice(tuple(QUESTIONS))
    scene = draw(HOME, rng, adjuncts=("place", "time"))
    other, other_slot = reword(scene, rng), slot
    if not label and rng.random() < 0.4:
        other_slot = rng.choice([name for name in QUESTIONS if name != slot])
    elif not label:
        other = alter(other, rng.choice([s for s in scene.told() if s != slot]), HOME, rng)
    return ask(scene, slot, rng), ask(other, other_slot, rng)


def graded(rng: Random) -> tuple[tuple[str, str], float]:
    """Two statements and 5 times the weighted share of slots that agree, with noise."""
    scene = draw(HOME, rng, adjuncts=rng.randint(1, 2))
    other, told = reword(scene, rng), scene.told()
    changed = rng.sample(told, rng.randint(0, len(told)))
    for slot in changed:
        other = alter(other, slot, HOME, rng)
    kept = sum(WEIGHTS[s] for s in told if s not in changed) / sum(WEIGHTS[s] for s in told)
    score = min(5.0, max(0.0, 5 * kept + rng.gauss(0, SCORE_NOISE)))
    first, second = rng.sample(FORMS, 2)
    return (tell(scene, first), tell(other, second)), round(score, 2)


def answered(rng: Random, label: int) -> tuple[str, str]:
    """A question, and a statement with its answer (0), or without it or of another event (1)."""
    slot = rng.choice(tuple(QUESTIONS))
    told = rng.choice(("place", "time")) if slot in ("agent", "object") else slot
    scene = draw(HOME, rng, adjuncts=(told,))
    statement = reword(scene, rng)
    if label and slot == told and rng.random() < 0.5:
        instead = "time" if slot == "place" else "place"
        told_instead = {instead: getattr(draw(HOME, rng, (instead,)), instead)}
        statement = replace(statement.without([slot]), **told_instead)
    elif label:
        changeable = [s for s in ("agent", "verb", "object") if s != slot]
        statement = alter(statement, rng.choice(changeable), HOME, rng)
    return ask(scene.without([told]), slot, rng), tell(statement, rng.choice(FORMS))


def entailed(rng: Random, label: int) -> tuple[str, str]:
    """A statement, and a more general one that follows (0) or does not (1).

    The general one describes the agent or the object by a fact of the world; it does not follow if
    the fact is another noun's, or if another slot has another meaning.
    """
    scene = draw(HOME, rng, adjuncts=1)
    general = reword(scene.without(ADJUNCTS if rng.random() < 0.7 else ()), rng)
    wrong_fact = bool(label) and rng.random() < 0.8
    if label and not wrong_fact:
        general = alter(general, "verb", HOME, rng)
    told = tell(scene, rng.choice(FORMS))
    of_agent = rng.random() < 0.3
    facts = descriptions()[general.agent if of_agent else general.object]
    kind = rng.choice(tuple(facts))
    phrase = facts[kind]
    if wrong_fact:
        phrase = rng.choice([p for p in phrases(kind, of_agent) if p != phrase])
    form = rng.choice(FORMS)
    if of_agent:
        return told, tell(replace(general, agent=phrase), form)
    return told, tell(general, form, object_phrase=phrase)


def related(genre: Genre, rng: Random, label: int) -> tuple[str, str]:
    """A premise and a hypothesis of `genre`: entailment (0), neutral (1), contradiction (2)."""
    kept, extra = rng.sample(ADJUNCTS, 2)
    full = draw(genre, rng, adjuncts=(kept, extra))
    premise, hypothesis = full.without([extra]), full.without([extra])
    if label == NEUTRAL:
        hypothesis = full.without([kept])
    elif label == CONTRADICTION and rng.random() < 0.5:
        hypothesis = alter(hypothesis, rng.choice((kept, "agent")), genre, rng)
    elif label == CONTRADICTION:
        if rng.random() < 0.5:
            premise = replace(premise, negated=True)
        else:
            hypothesis = replace(hypothesis, negated=True)
    if label != CONTRADICTION and rng.random() < 0.25:
        premise, hypothesis = replace(premise, negated=True), replace(hypothesis, negated=True)
    first, second = rng.sample(FORMS, 2)
    return tell(premise, first), tell(reword(hypothesis, rng), second)
