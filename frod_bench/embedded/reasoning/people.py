"""Stand-ins for the sets about people: Social IQa and WinoGrande."""

from collections.abc import Callable
from random import Random

from frod_bench.embedded import world
from frod_bench.embedded.reasoning.draw import Row, draw
from frod_bench.embedded.reasoning.quiz import DIGITS, Quiz, quiz
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


def siqa(seed: int) -> dict[str, list[Row]]:
    """Stand-in for `lighteval/siqa`."""

    def row(item: Quiz, split: str, number: int) -> Row:  # noqa: ARG001
        context, question = item.question.split("\n")
        first, second, third = item.options
        return {
            "context": context,
            "question": question,
            "answerA": first,
            "answerB": second,
            "answerC": third,
            "label": DIGITS[item.answer],
        }

    return draw("siqa", seed, social, row)


# Who is meant follows from what only one of them does, or is: the second is the easier half.
DOES = (
    "{x} is {p} and {y} is {q}, so _ {does}.",
    "{x} was {p} but {y} was {q}, so it is _ who {does}.",
    "Because {x} is {p} while {y} is {q}, _ {does}.",
)
IS = (
    "{x} and {y} came, {x} is {p} and {y} is {q}, so the {kind} one was _.",
    "{x} is {p} while {y} is {q}, so whoever is {kind} must be _.",
)
IS_SHARE = 0.6


def pronoun(rng: Random) -> Quiz:
    """Two opposite people in one sentence, and what only one of them does or is."""
    x, y = (name.capitalize() for name in rng.sample(world.PEOPLE, 2))
    contrast = rng.choice(world.CONTRASTS)
    kinds = [(contrast.more, contrast.more_does), (contrast.less, contrast.less_does)]
    rng.shuffle(kinds)
    (p, x_does), (q, y_does) = kinds
    right, wrong, kind, does = rng.choice(((x, y, p, x_does), (y, x, q, y_does)))
    sentence = rng.choice(IS if rng.random() < IS_SHARE else DOES)
    return quiz(rng, sentence.format(x=x, y=y, p=p, q=q, kind=kind, does=does), right, [wrong])


def winogrande(seed: int) -> dict[str, list[Row]]:
    """Stand-in for `allenai/winogrande`, winogrande_l."""

    def row(item: Quiz, split: str, number: int) -> Row:  # noqa: ARG001
        first, second = item.options
        return {
            "sentence": item.question,
            "option1": first,
            "option2": second,
            "answer": DIGITS[item.answer],
        }

    return draw("winogrande", seed, pronoun, row)
