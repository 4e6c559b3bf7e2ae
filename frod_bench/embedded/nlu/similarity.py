"""Stand-ins for MRPC, QQP and STS-B: do two texts say, or ask, the same?"""

from dataclasses import replace
from random import Random

from frod_bench.embedded.grammar import FORMS, QUESTIONS, alter, ask, draw, reword, tell
from frod_bench.embedded.lexicon import HOME

# How much of a sentence's meaning a slot carries, for the score of STS-B.
WEIGHTS = {"agent": 1.0, "verb": 1.5, "object": 1.5, "adjective": 0.5, "place": 0.5, "time": 0.5}
NEGATED_SHARE = 0.5  # of the pairs of MRPC that differ, those that differ by a "not"
SCORE_NOISE = 0.4  # standard deviation, of scores from 0 to 5


def paraphrase(rng: Random, label: int) -> tuple[str, str]:
    """Two statements: reworded (1); or with one negated or one slot of another meaning too (0)."""
    scene = draw(HOME, rng, adjuncts=1)
    other = reword(scene, rng)
    negates = rng.random() < (NEGATED_SHARE / 2 if label else NEGATED_SHARE)
    if negates:  # both, or one: "not" stands as often in pairs of either label
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
    """Two statements and 5 x the weighted share of slots with one meaning, with noise."""
    scene = draw(HOME, rng, adjuncts=rng.randint(1, 2))
    other, told = reword(scene, rng), scene.told()
    changed = rng.sample(told, rng.randint(0, len(told)))
    for slot in changed:
        other = alter(other, slot, HOME, rng)
    kept = sum(WEIGHTS[s] for s in told if s not in changed) / sum(WEIGHTS[s] for s in told)
    score = min(5.0, max(0.0, 5 * kept + rng.gauss(0, SCORE_NOISE)))
    first, second = rng.sample(FORMS, 2)
    return (tell(scene, first), tell(other, second)), round(score, 2)
