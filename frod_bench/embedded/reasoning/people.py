"""Quizzes about people: Social IQa and WinoGrande."""

from collections.abc import Callable
from random import Random

from frod_bench.embedded import world
from frod_bench.embedded.reasoning.facts import RELATIONS
from frod_bench.embedded.reasoning.quiz import DIGITS, Quiz, Row, quiz
from frod_bench.embedded.world import Situation

TIMES = ("After lunch", "On Monday", "Last week", "At school", "In the park", "One evening")

# question -> what answers it in a situation
SOCIAL_QUESTIONS: dict[str, Callable[[Situation], str]] = {
    "How would {b} feel afterwards?": lambda situation: situation.feeling_of_b,
    "How would you describe {a}?": lambda situation: situation.trait_of_a,
    "Why did {a} do this?": lambda situation: f"to {situation.reason_of_a}",
    "What will {b} want to do next?": lambda situation: situation.next_of_b,
}


def social(rng: Random) -> Quiz:
    """What follows from an act; one wrong answer fits an act that was as kind or as unkind."""
    a, b = (name.capitalize() for name in rng.sample(world.PEOPLE, 2))
    situation = rng.choice(world.SITUATIONS)
    alike = [s for s in world.SITUATIONS if s.good == situation.good and s is not situation]
    unlike = [s for s in world.SITUATIONS if s.good != situation.good]
    question, answer = rng.choice(list(SOCIAL_QUESTIONS.items()))
    right, *wrong = (
        answer(s).format(a=a, b=b) for s in (situation, rng.choice(alike), rng.choice(unlike))
    )
    context = f"{rng.choice(TIMES)} {a} {situation.act.format(b=b)}."
    return quiz(rng, f"{context}\n{question.format(a=a, b=b)}", right, wrong)


def social_row(item: Quiz, *_: object) -> Row:
    """A row of Social IQa."""
    context, question = item.question.split("\n")
    answers = {f"answer{letter}": item.options[i] for i, letter in enumerate("ABC")}
    label = DIGITS[item.answer]
    return {"context": context, "question": question, **answers, "label": label}


# Two things in one sentence, and what only one of them is good for, or does.
USES = (
    "{who} took the {x} and the {y} to {use}, and held the _ all the time.",
    "{who} wanted to {use}, had the {x} and the {y}, and chose the _.",
    "With the {x} here and the {y} there, {who} used the _ to {use}.",
)
FATES = {
    "thing_water": "The {x} and the {y} fell into the lake, and it is the _ that {fate}.",
    "thing_fire": "The {x} and the {y} fell into the fire, and it is the _ that {fate}.",
}
USES_SHARE = 0.2


def pronoun(rng: Random) -> Quiz:
    """A sentence that tells two things and speaks of one of them, which the world's facts pick."""
    if rng.random() < USES_SHARE:
        right, wrong = rng.sample(world.THINGS, 2)
        names, more = (right.name, wrong.name), {"use": right.use}
        sentence = rng.choice(USES)
    else:
        relation, sentence = rng.choice(list(FATES.items()))
        name, fate = rng.choice(RELATIONS[relation].pairs)
        names, more = (name, RELATIONS[relation].wrong_subjects(rng, fate, 1)[0]), {"fate": fate}
    x, y = rng.sample(names, 2)
    who = rng.choice(world.PEOPLE).capitalize()
    return quiz(rng, sentence.format(who=who, x=x, y=y, **more), names[0], names[1:])


def pronoun_row(item: Quiz, *_: object) -> Row:
    """A row of WinoGrande."""
    first, second = item.options
    answer = DIGITS[item.answer]
    return {"sentence": item.question, "option1": first, "option2": second, "answer": answer}
